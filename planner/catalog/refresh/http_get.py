"""Asking public price lists over HTTPS: JSON or text, with retries, a limit on size, and no cookies."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from planner.catalog.changes.observed import Fault

ATTEMPTS = 5
FIRST_WAIT_S = 0.5
#: At most so long is waited where a server says how long.
LONGEST_WAIT_S = 60.0
TIMEOUT_S = 60
MOST_BYTES = 64 * 2**20
LATER = {429, 500, 502, 503, 504}


class HttpError(Exception):
    """An address that could not be read, with what to do about it."""

    def __init__(self, message: str, remedy: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.status = status

    def fault(self, part: str) -> Fault:
        """As an item beside what could be read."""
        return Fault(part=part, message=str(self), remedy=self.remedy)


def get_text(
    address: str, query: Mapping[str, str] | None = None, *, wait: Callable[[float], None] = time.sleep
) -> str:
    """The text at an address.  Raises HttpError; the query, which may hold a key, is never in its message."""
    if urlsplit(address).scheme not in ("https", "http"):
        raise HttpError(f"{address} is no web address.")
    shown = address.partition("?")[0]
    request = Request(
        f"{address}{'&' if '?' in address else '?'}{urlencode(query)}" if query else address,
        headers={"Accept": "application/json, text/csv", "User-Agent": "headroom-catalog"},
    )
    for attempt in range(1, ATTEMPTS + 1):
        pause = FIRST_WAIT_S * 2 ** (attempt - 1)
        try:
            with urlopen(request, timeout=TIMEOUT_S) as answer:
                body: bytes = answer.read(MOST_BYTES + 1)
            if len(body) > MOST_BYTES:
                raise HttpError(f"{shown} answers with more than {MOST_BYTES // 2**20} MiB.")
            return body.decode("utf-8")
        except HTTPError as refused:
            with refused:
                after = refused.headers.get("Retry-After", "")
            if refused.code in LATER and attempt < ATTEMPTS:
                wait(min(float(after), LONGEST_WAIT_S) if after.isdigit() else pause)
                continue
            raise HttpError(
                f"{shown} answers {refused.code} {refused.reason}.", _remedy(refused.code), refused.code
            ) from None
        except (URLError, TimeoutError, ConnectionError) as failure:
            if attempt < ATTEMPTS:
                wait(pause)
                continue
            raise HttpError(f"{shown} cannot be reached: {failure}") from None
        except UnicodeDecodeError:
            raise HttpError(f"{shown} answers with something that is no text.") from None
    raise AssertionError("unreachable")


def get_json(
    address: str, query: Mapping[str, str] | None = None, *, wait: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """The JSON object at an address.  Raises HttpError."""
    try:
        found = json.loads(get_text(address, query, wait=wait))
    except ValueError:
        raise HttpError(f"{address.partition('?')[0]} answers with something that is no JSON.") from None
    if not isinstance(found, dict):
        raise HttpError(f"{address.partition('?')[0]} answers with JSON that is no object.")
    return found


def _remedy(status: int) -> str:
    if status in (401, 403):
        return "Check the key, and that it may use this API."
    return "The next refresh will ask again." if status in LATER else ""
