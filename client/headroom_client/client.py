"""The client: one method an address of the API. It holds no rule; the server answers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from headroom_client.answers import Estimate, Found, Json, Listing, Partitions, wanted
from headroom_client.errors import HeadroomError, NotAllowedError, Problem, QuestionError, UnavailableError

ROOT = "/api/v1"
USUAL_ADDRESS = "http://localhost:8000"
#: Seconds between two looks at a search that goes on.
ASKED_AGAIN_S = 1.0
PAGE_ROWS = 500
COME_AGAIN = (429, 503)
LONGEST_WAIT_S = 60.0


class Headroom:
    """A Headroom server.

    address: such as ``https://headroom.example``; HEADROOM_URL, else this machine's.  token: HEADROOM_TOKEN.
    timeout_s: for one answer; searches may take minutes.  tries: where the server says to come again.
    transport: httpx's, for tests.
    """

    def __init__(
        self,
        address: str | None = None,
        token: str | None = None,
        *,
        timeout_s: float = 300.0,
        tries: int = 4,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        given = token if token is not None else os.environ.get("HEADROOM_TOKEN", "")
        self._tries, self._sleep = max(1, tries), sleep
        self._tagged: dict[str, tuple[str, Json]] = {}
        self._http = httpx.Client(
            base_url=address or os.environ.get("HEADROOM_URL") or USUAL_ADDRESS,
            headers={"Accept": "application/json", **({"Authorization": f"Bearer {given}"} if given else {})},
            timeout=httpx.Timeout(timeout_s, connect=10.0),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    # --- questions ---

    def estimate(self, question: Mapping[str, Any]) -> Estimate:
        """Does a run fit, how long does it take, what does it cost? Raises HeadroomError."""
        return Estimate(self._ask("estimate", question))

    def search(self, question: Mapping[str, Any]) -> Found:
        """The best plans over many machines; one that a worker goes on with is waited for.

        Raises HeadroomError.
        """
        answer = self._ask("search", question)
        while "job" in answer:
            self._sleep(ASKED_AGAIN_S)
            answer = self._get(f"search/{answer['job']['key']}") | {"id": answer["id"]}
        return Found(answer)

    def search_stream(self, question: Mapping[str, Any]) -> Iterator[Json]:
        """A search's progress, line by line; the last line is the response. Raises HeadroomError."""
        asked = {**question, "stream": True}
        for left in reversed(range(self._tries)):
            try:
                with self._http.stream("POST", f"{ROOT}/search", json=asked) as response:
                    if not response.is_error:
                        yield from _lines(response)
                        return
                    response.read()
            except httpx.HTTPError as failure:
                raise self._unreached(failure) from failure
            if response.status_code not in COME_AGAIN or not left:
                raise _error(response)
            self._sleep(_wait_s(response))

    def mig(self, question: Mapping[str, Any]) -> Partitions:
        """Partitions of GPUs. Raises HeadroomError."""
        return Partitions(self._ask("mig", question))

    # --- catalog and fleet ---

    def models(self, *, q: str | None = None, family: str | None = None) -> Listing:
        """Models of the catalog."""
        return self._list("models", "models", q=q, family=family)

    def instances(
        self,
        *,
        q: str | None = None,
        provider: str | None = None,
        accelerator: str | None = None,
        region: str | None = None,
    ) -> Listing:
        """Machines that can be bought."""
        filters = {"q": q, "provider": provider, "accelerator": accelerator, "region": region}
        return self._list("instances", "instances", **filters)

    def accelerators(self, *, q: str | None = None, vendor: str | None = None) -> Listing:
        """Accelerators, in SI units."""
        return self._list("accelerators", "accelerators", q=q, vendor=vendor)

    def hosts(self, *, q: str | None = None, status: str | None = None) -> Listing:
        """Hosts of the fleet with their GPUs."""
        return self._list("hosts", "fleet/hosts", q=q, status=status)

    def fleet(self) -> Json:
        """The fleet in counts."""
        return self._get("fleet/summary")

    def probe(self, host: str, *, key: str) -> Json:
        """Have a host probed. key: an Idempotency-Key; sent again with it, the probe is asked for once."""
        headers = {"Idempotency-Key": key}
        path = f"{ROOT}/fleet/hosts/{quote(host, safe='')}/probe"
        return self._send(lambda: self._http.post(path, headers=headers)).json()  # type: ignore[no-any-return]

    # --- scenarios ---

    def scenarios(self, *, q: str | None = None, label: str | None = None) -> Listing:
        """Saved scenarios in short, the newest first."""
        return self._list("scenarios", "scenarios", q=q, label=label)

    def scenario(self, key: str) -> Json:
        """One scenario with its question and its answer."""
        return self._get(f"scenarios/{quote(key, safe='')}")

    def save_scenario(self, name: str, question: Mapping[str, Any], *, once: str = "", **more: Any) -> Json:
        """Plan a question and keep it with its answer. Raises HeadroomError.

        once: an Idempotency-Key; sent again with it, one scenario is saved (absent: one of its own, so that
        a try that was not answered is not saved twice).  more: note, labels, visibility.
        """
        sent = {"name": name, "question": dict(question), **more}
        headers = {"Idempotency-Key": once or str(uuid4())}
        address = f"{ROOT}/scenarios"
        return self._send(lambda: self._http.post(address, json=sent, headers=headers)).json()  # type: ignore[no-any-return]

    def scenario_changes(self, key: str) -> Json:
        """What changed since a scenario was saved, by cause."""
        return self._get(f"scenarios/{quote(key, safe='')}/changes")

    def delete_scenario(self, key: str) -> None:
        """Delete one's own; its page brings it back for 30 days. Raises HeadroomError."""
        self._send(lambda: self._http.delete(f"{ROOT}/scenarios/{quote(key, safe='')}"))

    # --- how ---

    def _ask(self, name: str, question: Mapping[str, Any]) -> Json:
        answer = self._send(lambda: self._http.post(f"{ROOT}/{name}", json=dict(question)))
        return answer.json()  # type: ignore[no-any-return]

    def _list(self, name: str, path: str, **filters: Any) -> Listing:
        rows: list[Json] = []
        while True:
            page = self._get(path, limit=PAGE_ROWS, offset=len(rows), **wanted(filters))
            rows += page[name]
            if page["next"] is None or not page[name]:
                return Listing(name, rows)

    def _get(self, path: str, **parameters: Any) -> Json:
        """An answer that has not changed since the last time is not sent again (ETag)."""
        asked = str(httpx.URL(f"{ROOT}/{path}", params=parameters))
        tag, known = self._tagged.get(asked, ("", {}))
        headers = {"If-None-Match": tag} if tag else {}
        answer = self._send(lambda: self._http.get(asked, headers=headers))
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return known
        value: Json = answer.json()
        if "ETag" in answer.headers:
            self._tagged[asked] = (answer.headers["ETag"], value)
        return value

    def _send(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        for left in reversed(range(self._tries)):
            answer = self._reached(send)
            if answer.status_code not in COME_AGAIN or not left:
                break
            self._sleep(_wait_s(answer))
        if answer.is_error:
            raise _error(answer)
        return answer

    def _reached(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        try:
            return send()
        except httpx.HTTPError as failure:
            raise self._unreached(failure) from failure

    def _unreached(self, failure: httpx.HTTPError) -> UnavailableError:
        message = f"{self._http.base_url} does not answer: {failure}."
        return UnavailableError([Problem("", None, message, "Check that it runs, and HEADROOM_URL.")])


def _lines(response: httpx.Response) -> Iterator[Json]:
    for line in filter(str.strip, response.iter_lines()):
        value = json.loads(line)
        if "error" in value:
            raise QuestionError(_problems(value), response.status_code)
        yield value


def _wait_s(answer: httpx.Response) -> float:
    text = answer.headers.get("Retry-After", "1")
    return min(float(text) if text.isascii() and text.isdigit() else 1.0, LONGEST_WAIT_S)


def _problems(value: Any) -> list[Problem]:
    listed = value.get("errors") or [value["error"]]
    return [Problem(*(each.get(name) for name in ("field", "value", "message", "remedy"))) for each in listed]


def _error(answer: httpx.Response) -> HeadroomError:
    try:
        problems = _problems(answer.json())
    except (ValueError, KeyError, AttributeError, TypeError):
        message = f"The server answered {answer.status_code} without saying why."
        problems = [Problem("", None, message, "Check that the address is a Headroom server's.")]
    if answer.status_code in (401, 403):
        return NotAllowedError(problems, answer.status_code)
    if answer.status_code in COME_AGAIN or answer.is_server_error:
        return UnavailableError(problems, answer.status_code)
    return QuestionError(problems, answer.status_code)
