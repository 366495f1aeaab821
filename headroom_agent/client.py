"""Posting the spool's snapshots to the server until it is empty or the server cannot be reached.

A snapshot leaves the spool only when the server has said what became of it; sending one twice is
harmless, since the server knows it by its id. Standard library only.
"""

from __future__ import annotations

import json
import logging
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from headroom_agent.spool import Spool, Waiting
from inventory.wire import signing

log = logging.getLogger("headroom_agent")

PATH = "/fleet/api/v1/snapshots"
MOST_A_REQUEST = 50
TIMEOUT_S = 30
SERVER_ERROR = 500
#: Faults of the server with one snapshot alone, a delivery apart, before it is given up.
MOST_FAULTS = 10
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class ServerAddressError(ValueError):
    """The server's address is not one to send a fleet's snapshots to."""


@dataclass(slots=True)
class Answer:
    status: int
    body: dict[str, Any]


@dataclass(slots=True)
class Client:
    """Delivers to one server with one host's token. `clock` is the host's own, in Unix time."""

    server: str
    token: str
    context: ssl.SSLContext | None = None
    clock: Callable[[], float] = time.time
    offset_s: float = 0.0
    refused: int = field(default=0)
    faults: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = urlsplit(self.server)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServerAddressError(
                f"{self.server!r} is not an address such as https://headroom.example.org"
            )
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise ServerAddressError("snapshots go over https; http serves this machine only")
        self.server = self.server.rstrip("/")

    def deliver(self, spool: Spool) -> bool:
        """Send until the spool is empty. True when it is; False when the rest has to wait."""
        size = MOST_A_REQUEST
        while batch := spool.oldest(size):
            answer = self._post(batch)
            if answer is None:
                return False
            if answer.status == 200:
                self._settle(spool, batch, answer.body)
            elif answer.status == 413 or answer.body.get("error", {}).get("kind") == "malformed":
                if len(batch) == 1:
                    self._give_up(spool, batch[0], answer)
                size = max(1, len(batch) // 2)
            elif answer.status == SERVER_ERROR:
                # Perhaps one snapshot is what the server cannot take: found by halves, and set aside, so that
                # those behind it are not kept back for ever.
                if len(batch) > 1:
                    size = max(1, len(batch) // 2)
                elif self._fails_again(batch[0]):
                    self._give_up(spool, batch[0], answer)
                else:
                    return False
            else:
                log.warning("the server refused the delivery: %s", answer.body or answer.status)
                return False
        return True

    def _settle(self, spool: Spool, batch: list[Waiting], body: dict[str, Any]) -> None:
        results = {result.get("id"): result for result in body.get("results", [])}
        for waiting in batch:
            result = results.get(waiting.id)
            if result is None:
                continue
            if result.get("outcome") == "refused":
                self.refused += 1
                log.warning("the server refused snapshot %s: %s", waiting.id, result.get("reason"))
            spool.remove(waiting)
        if not any(waiting.id in results for waiting in batch):
            # An answer about nothing that was sent would be asked for again, for ever.
            for waiting in batch:
                self._give_up(spool, waiting, Answer(200, body))

    def _fails_again(self, waiting: Waiting) -> bool:
        """Count a fault of the server with this snapshot alone; true once it will not do better."""
        self.faults = {waiting.id: self.faults.get(waiting.id, 0) + 1}
        return self.faults[waiting.id] >= MOST_FAULTS

    def _give_up(self, spool: Spool, waiting: Waiting, answer: Answer) -> None:
        self.refused += 1
        log.error("snapshot %s cannot be delivered, dropped: %s", waiting.id, answer.body)
        spool.remove(waiting)

    def _post(self, batch: list[Waiting]) -> Answer | None:
        """The server's answer, or None. A clock that is off is corrected once, and the batch sent again."""
        entries = [{"id": w.id, "age_s": w.age_s, "snapshot": w.snapshot} for w in batch]
        body = json.dumps({"snapshots": entries}).encode()
        for _attempt in range(2):
            answer = self._send(body)
            if answer is None or answer.body.get("error", {}).get("kind") not in ("clock", "replayed"):
                return answer
            server_time_s = answer.body.get("server_time_s")
            if answer.body["error"]["kind"] == "clock" and isinstance(server_time_s, (int, float)):
                self.offset_s = server_time_s - self.clock()
                log.warning("this host's clock is %.0f s away from the server's; corrected", -self.offset_s)
        return answer

    def _send(self, body: bytes) -> Answer | None:
        header = signing.header(
            self.token,
            method="POST",
            path=PATH,
            body=body,
            time_s=self.clock() + self.offset_s,
            offset_s=self.offset_s,
        )
        headers = {"Authorization": header, "Content-Type": "application/json"}
        request = urllib.request.Request(self.server + PATH, data=body, headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=self.context) as response:
                return Answer(response.status, _json(response.read()))
        except urllib.error.HTTPError as error:
            if (error.code > SERVER_ERROR) or error.code == 429:
                log.warning("the server answered %d; the spool keeps its snapshots", error.code)
                return None
            return Answer(error.code, _json(error.read()))
        except (OSError, ValueError) as error:
            log.warning("the server cannot be reached: %s", error)
            return None


def _json(text: bytes) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
