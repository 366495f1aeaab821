"""Connections that send a byte now and then, or nothing, or do not read: none of them holds a thread."""

import contextlib
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from config import web
from config.web import make_server

HEADERS = b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n"


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"x" * 4_000_000] if environ["PATH_INFO"] == "/long" else [b"ok" + body]


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(web, "REQUEST_DEADLINE_S", 2)
    monkeypatch.setattr(web, "SWEEP_EVERY_S", 0.2)
    server: Any = make_server(application, listen="127.0.0.1:0", threads=2)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield int(server.effective_port)
    server.close()


def answered_in_s(port: int) -> float:
    began = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        assert answer.read() == b"ok"
    return time.monotonic() - began


@pytest.mark.parametrize("opening", [HEADERS, b"GET / HT", b"", b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_slow_connections_hold_no_thread(port: int, opening: bytes) -> None:
    with contextlib.ExitStack() as held:
        slow = [held.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(40)]
        for connection in slow:
            connection.sendall(opening)
        time.sleep(0.3)
        assert answered_in_s(port) < 2


def test_a_request_that_does_not_come_to_its_end_is_cut_off(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(HEADERS)
        connection.settimeout(0.05)
        end = time.monotonic() + 15
        while time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                try:
                    connection.sendall(b"1")
                    if connection.recv(1) == b"":
                        return
                except OSError as closed:
                    if isinstance(closed, TimeoutError):
                        continue
                    return
    pytest.fail("the connection was kept open")


def test_headers_of_proxies_are_believed_from_the_named_one_alone() -> None:
    seen: list[dict[str, Any]] = []

    def tell(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(dict(environ))
        start_response("200 OK", [])
        return [b""]

    for trusted in ("", "192.0.2.9", "127.0.0.1"):
        server: Any = make_server(tell, listen="127.0.0.1:0", threads=1, trusted_proxy=trusted)
        threading.Thread(target=server.run, daemon=True).start()
        forged = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}
        request = urllib.request.Request(f"http://127.0.0.1:{server.effective_port}/", headers=forged)
        urllib.request.urlopen(request, timeout=10).close()
        server.close()
    assert [one["wsgi.url_scheme"] for one in seen] == ["http", "http", "https"]
    assert [one["REMOTE_ADDR"] for one in seen] == ["127.0.0.1", "127.0.0.1", "198.51.100.7"]
    assert ["HTTP_X_FORWARDED_PROTO" in one for one in seen] == [False, False, True]
