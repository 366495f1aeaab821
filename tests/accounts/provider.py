"""An identity provider over real HTTP: discovery, signing keys, the code flow with PKCE, and its faults."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "headroom", "between us"


class Provider:
    """What it says can be changed: claims of the token, claims about the person, the key it signs with."""

    def __init__(self, address: str) -> None:
        self.issuer = address
        self.key = self.published = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.person: dict[str, Any] = {"sub": "42", "email": "ada@example.org", "groups": ["ops"]}
        self.token: dict[str, Any] = {}
        self.says = address
        self.codes: dict[str, dict[str, str]] = {}

    def authorize(self, asked: dict[str, str]) -> str:
        """The address to go back to, as after a person has logged in."""
        assert asked["client_id"] == CLIENT and asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256" and asked["nonce"] and asked["state"]
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def exchange(self, given: dict[str, str]) -> dict[str, Any] | None:
        """Tokens for a code that was given to this client, once."""
        asked = self.codes.pop(given.get("code", ""), None)
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or given["client_secret"] != SECRET or challenge != asked["code_challenge"]:
            return None
        assert given["redirect_uri"] == asked["redirect_uri"]
        now = int(time.time())
        said = {"iss": self.issuer, "aud": CLIENT, "sub": "42", "iat": now, "exp": now + 300}
        said |= {"nonce": asked["nonce"], **self.token}
        said = {name: value for name, value in said.items() if value is not None}
        return {
            "access_token": "opaque",
            "token_type": "Bearer",
            "id_token": jwt.encode(said, self.key, "RS256", headers={"kid": "1"}),
        }

    def answer(self, method: str, path: str, given: dict[str, str], bearer: str) -> tuple[int, Any]:
        match method, path:
            case "GET", "/.well-known/openid-configuration":
                names = {"authorization_endpoint": "authorize", "token_endpoint": "token"}
                names |= {"userinfo_endpoint": "userinfo", "jwks_uri": "keys"}
                return 200, {"issuer": self.says, **{n: f"{self.issuer}/{p}" for n, p in names.items()}}
            case "GET", "/keys":
                public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.published.public_key()))
                return 200, {"keys": [public | {"kid": "1", "alg": "RS256", "use": "sig"}]}
            case "GET", "/authorize":
                return 302, self.authorize(given)
            case "POST", "/token":
                tokens = self.exchange(given)
                return (200, tokens) if tokens else (400, {"error": "invalid_grant"})
            case "GET", "/userinfo" if bearer == "Bearer opaque":
                return 200, self.person
        return 404, {}


@contextmanager
def serving() -> Iterator[Provider]:
    """The provider, answering on a port of its own."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply("GET", "")

        def do_POST(self) -> None:
            self.reply("POST", self.rfile.read(int(self.headers["Content-Length"])).decode())

        def reply(self, method: str, body: str) -> None:
            asked = urlsplit(self.path)
            given = {name: values[0] for name, values in parse_qs(asked.query or body).items()}
            bearer = self.headers.get("Authorization", "")
            status, said = provider.answer(method, asked.path, given, bearer)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", said)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    provider = Provider(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
