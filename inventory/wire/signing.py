"""How a delivery is signed and checked: HMAC-SHA256 with the host's key. Standard library only.

Both sides use this module. The signature covers everything that matters: method, path, the
sender's time (on the server's clock), by how much it has corrected its own clock, a nonce that is
used once, and the body's digest.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

SCHEME = "Headroom-HMAC-SHA256"
LONGEST_HEADER = 1024


class MalformedHeaderError(ValueError):
    """The Authorization header is absent or not of this scheme."""


@dataclass(frozen=True, slots=True)
class Signed:
    """The fields of the header. `time_s` is on the server's clock; `offset_s` was added to the sender's
    clock.
    """

    identifier: str
    time_s: float
    offset_s: float
    nonce: str
    signature: str = ""


def key_of(secret: str) -> str:
    """The signing key of a token's secret half; the server keeps this and not the secret."""
    return hashlib.sha256(b"headroom host key\x00" + secret.encode()).hexdigest()


def signature(key: str, *, method: str, path: str, signed: Signed, body: bytes) -> str:
    """Hexadecimal HMAC of a request."""
    parts = [
        SCHEME,
        method.upper(),
        path,
        signed.identifier,
        repr(signed.time_s),
        repr(signed.offset_s),
        signed.nonce,
        hashlib.sha256(body).hexdigest(),
    ]
    return hmac.new(key.encode(), "\n".join(parts).encode(), hashlib.sha256).hexdigest()


def header(token: str, *, method: str, path: str, body: bytes, time_s: float, offset_s: float) -> str:
    """The Authorization header of a request signed with `token`."""
    identifier, _, secret = token.partition(".")
    unsigned = Signed(identifier, float(time_s), float(offset_s), secrets.token_hex(12))
    proof = signature(key_of(secret), method=method, path=path, signed=unsigned, body=body)
    values = {
        "key": identifier,
        "time": repr(unsigned.time_s),
        "offset": repr(unsigned.offset_s),
        "nonce": unsigned.nonce,
        "signature": proof,
    }
    return f"{SCHEME} " + ", ".join(f"{name}={value}" for name, value in values.items())


def parse(text: str) -> Signed:
    """The fields of an Authorization header. Raises `MalformedHeaderError`."""
    if not (text.isascii() and text.isprintable()) or len(text) > LONGEST_HEADER:
        raise MalformedHeaderError("the Authorization header must be short and of printable ASCII")
    scheme, _, rest = text.partition(" ")
    if scheme != SCHEME:
        raise MalformedHeaderError(f"the Authorization header must be of scheme {SCHEME}")
    parts = (part.partition("=") for part in rest.split(","))
    values = {name.strip(): value.strip() for name, _, value in parts}
    try:
        time_s, offset_s = float(values["time"]), float(values["offset"])
        found = Signed(values["key"], time_s, offset_s, values["nonce"], values["signature"])
    except (KeyError, ValueError):
        raise MalformedHeaderError(
            "the Authorization header lacks a part or has one that is no number"
        ) from None
    # An infinite or absurd clock would pass later comparisons.
    if not (0 <= time_s < 1e11 and abs(offset_s) < 1e10):
        raise MalformedHeaderError("the Authorization header has an impossible time")
    return found


def verify(key: str, *, method: str, path: str, signed: Signed, body: bytes) -> bool:
    """Whether the request was signed with `key`. Takes the same time for either answer."""
    expected = signature(key, method=method, path=path, signed=signed, body=body)
    return hmac.compare_digest(expected.encode(), signed.signature.encode("utf-8", "replace"))
