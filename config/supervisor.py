"""One command that runs all of Headroom: broker, web, worker and scheduler, started and stopped together.

`python -m config.supervisor` (`make run`).  Larger installations start the same processes by themselves.
"""

import contextlib
import errno
import fcntl
import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from config.broker import BrokerError, embedded_broker
from config.children import Children, GaveUpError
from config.leftovers import MARK, end_leftovers, noting
from config.local import keep_private, make_private_folder
from config.prepare import LOCAL_USER, PrepareError, file_trouble, nobody_administers, prepare
from config.telemetry import count_together

WEB_DEADLINE_S = 60
BACKGROUND_DELAY_S = 2


class NotStartedError(Exception):
    """Why nothing was started, and what to do about it."""


def main() -> int:
    """Prepare, start everything, wait for Ctrl-C, stop everything.  Returns the exit status."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    keep_private()
    # Until the manager listens for signals itself, a request to end unwinds what was started so far.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        with _data_folder_to_ourselves():
            if ended := end_leftovers(settings.DATA / "run", settings.DATA):
                print(
                    f"headroom: ended what a killed supervisor had left: {', '.join(ended)}", file=sys.stderr
                )
            _check_port(settings.HOST, settings.PORT)
            prepare()
            children = Children(settings.BASE_DIR, state_file=settings.PROCESSES_FILE)
            with _broker(children):
                return _run(children)
    except (NotStartedError, BrokerError, PrepareError, ImproperlyConfigured) as refusal:
        print(f"headroom: {refusal}", file=sys.stderr)
        return 1
    except OSError as failure:
        print(f"headroom: {file_trouble(failure)}", file=sys.stderr)
        return 1
    except GaveUpError as hopeless:
        print(f"headroom: giving up: {hopeless}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 0


def _run(children: Children) -> int:
    count_together(settings.DATA / "run" / "metrics")
    environment = os.environ | {MARK: str(settings.DATA)}
    notes = {name: settings.DATA / "run" / f"{name}.pid" for name in commands()}
    for name, command in commands().items():
        # Pages say soon that the database is locked; what works in the background waits its turn.
        wait_s = os.environ.get("DATABASE_WAIT_S", "3" if name == "web" else "20")
        children.add(
            name,
            noting(command, notes[name]),
            environment | {"DATABASE_WAIT_S": wait_s},
            delay_s=0.0 if name == "web" else BACKGROUND_DELAY_S,
        )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: children.stop())
    threading.Thread(target=_greet, daemon=True).start()
    try:
        children.run()
    finally:
        for note in notes.values():
            note.unlink(missing_ok=True)
    if children.hopeless:
        raise GaveUpError(children.hopeless)
    return 0


def commands() -> dict[str, str]:
    """The shell command of each process, by name.  `exec` leaves no shell in between to swallow a signal."""
    python = shlex.quote(sys.executable)
    level = settings.LOG_LEVEL.lower()
    # The page comes first: what works in the background starts later and at a lower priority.
    celery = f"{python} -m celery --quiet -A config"
    return {
        "web": f"exec {python} -m config.web",
        "worker": f"exec nice -n 5 {celery} worker --loglevel {level} --without-gossip --without-mingle",
        # Searches have a worker of their own, at a lower priority still: they never keep a probe or a page
        # waiting.
        "searcher": f"exec nice -n 15 {celery} worker -Q {settings.SEARCH_QUEUE}"
        f" --concurrency {settings.SEARCH_CONCURRENCY}"
        f" --hostname search@%h --loglevel {level} --without-gossip --without-mingle",
        "beat": f"exec nice -n 5 {celery} beat --loglevel {level} --pidfile=",
    }


def _check_port(host: str, port: int) -> None:
    """Find out before anything is started that another program has the port."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as failure:
            if failure.errno == errno.EACCES:
                raise NotStartedError(
                    f"this user may not listen on port {port}; ports from 1024 on are free for all: PORT=8000"
                    " make run"
                ) from failure
            raise NotStartedError(
                f"cannot listen on {host}, port {port}: {failure.strerror}. Is Headroom running already?"
                f" To use another port: PORT={port % 65535 + 1} make run"
            ) from failure


@contextlib.contextmanager
def _data_folder_to_ourselves() -> Iterator[None]:
    """Hold the data folder: two supervisors on one database would run every scheduled job twice.

    A POSIX lock: children do not inherit it, so that those of a killed supervisor do not hold it.
    """
    path = make_private_folder(settings.DATA / "run") / "supervisor.lock"
    with path.open("w") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise NotStartedError(
                f"Headroom already runs on {settings.DATA}. Stop it first, or name another folder"
                " in HEADROOM_DATA."
            ) from None
        yield


def _broker(children: Children) -> contextlib.AbstractContextManager[None]:
    """The embedded broker, unless the environment names another one.

    It starts before and stops after all that talk to it.  If it cannot be kept running, all the rest ends.
    """
    if not settings.EMBEDDED_BROKER:
        return contextlib.nullcontext()

    def give_up() -> None:
        children.stop("the embedded broker keeps ending")

    return embedded_broker(socket_path=settings.BROKER_SOCKET, on_death=give_up)


def _greet() -> None:
    """Say where the pages are, once they are there."""
    wildcards = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    target = wildcards.get(settings.HOST, settings.HOST)
    deadline = time.monotonic() + WEB_DEADLINE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((target, settings.PORT), timeout=1):
            print(_greeting(), flush=True)
            return
        time.sleep(0.1)


def _greeting() -> str:
    name = "localhost" if settings.LOCAL else settings.HOST
    lines = ["", f"Headroom is ready:  http://{name}:{settings.PORT}/"]
    password_file: Path = settings.DATA / "admin-password"
    if settings.LOCAL and password_file.exists():
        password = password_file.read_text(encoding="utf-8").strip()
        lines.append(f"To save and to edit, log in as  {LOCAL_USER}  with the password  {password}")
        lines.append(f"(the first password, kept in {password_file}; change it at /admin/password_change/)")
    if not settings.LOCAL:
        lines.append("It is meant for a proxy that ends TLS in front of it: docs/operations.md has one.")
        if nobody_administers():
            lines.append(
                f"Nobody can log in yet. The first person: {sys.executable} manage.py createsuperuser"
            )
    return "\n".join([*lines, "Ctrl-C stops it.", ""])


if __name__ == "__main__":
    sys.exit(main())
