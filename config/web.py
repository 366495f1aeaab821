"""The web process: waitress, which reads and writes apart from the threads that compute answers.

`python -m config.web`. A connection that sends a byte now and then costs a few KiB and no thread; one that
has not sent its request within its time is closed.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from waitress import create_server
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, MultiSocketServer

from config.local import keep_private
from config.telemetry import trace

#: Seconds within which a request has to be sent whole, its body included.
REQUEST_DEADLINE_S = 60
#: Seconds that a connection may wait for its next request.
IDLE_S = 60
#: Seconds after which an idle connection makes way while all connections are taken.
CROWDED_IDLE_S = 2
SWEEP_EVERY_S = 2
#: Open connections at most: some KiB each, and a file descriptor.
MOST_CONNECTIONS = 4000
#: File descriptors that connections leave to the database, logs and temporary files.
OTHER_FILES = 200
#: A body may be this long: the interface for programs reads it to its end, then says what is wrong.
MOST_BODY_BYTES = 64 * 2**20
#: An address holds a whole plan, with a pasted configuration if there is one.
MOST_HEADER_BYTES = 256 * 1024
#: An answer waits here for a slow reader, on disk from 1 MiB on, while its thread goes on.
MOST_WAITING_ANSWER_BYTES = 256 * 2**20


class HastyChannel(HTTPChannel):  # type: ignore[misc]  # waitress has no annotations
    """A connection that remembers since when a request has been coming in."""

    began_s: float | None = None

    def received(self, data: bytes) -> bool:
        """Take in bytes of a request; called by the reading thread."""
        if self.began_s is None:
            self.began_s = time.time()
        taken: bool = super().received(data)
        if self.request is None:  # received whole: it waits for a thread now, not for its sender
            self.began_s = None
        return taken

    def sweep(self, now_s: float, *, crowded: bool) -> None:
        """Close the connection if its request has been coming for too long, or is not coming at all."""
        if self.requests:
            return
        late = self.began_s is not None and self.began_s < now_s - REQUEST_DEADLINE_S
        idle_s = CROWDED_IDLE_S if crowded and not self.total_outbufs_len else IDLE_S
        if late or self.last_activity < now_s - idle_s:
            self.will_close = True


def serve(application: Callable[..., Any], *, listen: str, threads: int, trusted_proxy: str = "") -> None:
    """Answer requests until the process is asked to end.

    listen: address and port, several apart by spaces.  trusted_proxy: the address whose X-Forwarded-For and
    X-Forwarded-Proto are believed ("": nobody's, and they are removed).
    """
    server = make_server(application, listen=listen, threads=threads, trusted_proxy=trusted_proxy)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.run()


def make_server(
    application: Callable[..., Any], *, listen: str, threads: int, trusted_proxy: str = ""
) -> BaseWSGIServer | MultiSocketServer:
    """The server with its sockets bound.  Arguments as of ``serve``."""
    proxy: dict[str, Any] = (
        {
            "trusted_proxy": trusted_proxy,
            "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"},
        }
        if trusted_proxy
        else {}
    )
    server = create_server(
        application,
        listen=listen,
        threads=threads,
        connection_limit=_connection_limit(),
        channel_timeout=IDLE_S,
        cleanup_interval=SWEEP_EVERY_S,
        asyncore_use_poll=True,
        backlog=1024,
        ident="",
        max_request_body_size=MOST_BODY_BYTES,
        max_request_header_size=MOST_HEADER_BYTES,
        outbuf_high_watermark=MOST_WAITING_ANSWER_BYTES,
        clear_untrusted_proxy_headers=True,
        **proxy,
    )
    for each in _sockets_of(server):
        each.channel_class = HastyChannel
        each.maintenance = _sweeper(each)
    return server


def _sockets_of(server: Any) -> list[Any]:
    if isinstance(server, MultiSocketServer):
        return [one for one in server.map.values() if isinstance(one, BaseWSGIServer)]
    return [server]


def _sweeper(server: Any) -> Callable[[float], None]:
    def sweep(now_s: float) -> None:
        for channel in list(server.active_channels.values()):
            channel.sweep(now_s, crowded=server.in_connection_overflow)

    return sweep


def _connection_limit() -> int:
    """Connections that this process has files for, after raising its own limit as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        MOST_CONNECTIONS
        if soft == resource.RLIM_INFINITY
        else max(50, min(MOST_CONNECTIONS, soft - OTHER_FILES))
    )


def listening(host: str, port: int) -> str:
    """Address and port as waitress reads them."""
    with contextlib.suppress(OSError):
        socket.inet_pton(socket.AF_INET6, host)
        return f"[{host}]:{port}"
    return f"{host}:{port}"


def main() -> None:
    """Serve Headroom as its settings say."""
    keep_private()
    trace("web")
    # After the application: it is what sets Django up.
    from django.conf import settings

    from config.wsgi import application

    serve(
        application,
        listen=listening(settings.HOST, settings.PORT),
        threads=settings.WEB_THREADS,
        trusted_proxy=settings.TRUSTED_PROXY,
    )


if __name__ == "__main__":
    main()
