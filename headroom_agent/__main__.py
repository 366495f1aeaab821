"""``python -m headroom_agent``: probe, spool, deliver, wait; until told to stop."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import logging
import os
import random
import signal
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from headroom_agent.client import Client, ServerAddressError
from headroom_agent.spool import Spool
from inventory.driver.probing import read_snapshot
from inventory.wire.snapshot_json import to_json

log = logging.getLogger("headroom_agent")

MEBIBYTE = 2**20
# While the server is away the wait doubles up to this, with as much again left to chance.
LONGEST_BACKOFF_S = 300.0
FIRST_BACKOFF_S = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Run the agent. Exit status: 0 when stopped, 1 when --once could not deliver, 2 for a wrong call."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    if options.name:
        os.environ["HEADROOM_HOSTNAME"] = options.name
    if not options.token:
        log.error("no token: set HEADROOM_TOKEN to the one that `manage.py add_host` printed")
        return 2
    try:
        context = ssl.create_default_context(cafile=options.ca_file) if options.ca_file else None
        client = Client(options.server, options.token, context)
    except (ServerAddressError, OSError) as error:
        log.error("%s", error)
        return 2
    try:
        spool = Spool(options.spool, limit_bytes=int(options.spool_limit_mib * MEBIBYTE))
        with _alone(options.spool):
            if options.once:
                take(spool, options.deadline)
                return 0 if client.deliver(spool) else 1
            run(client, spool, interval_s=options.interval, deadline_s=options.deadline)
    except BlockingIOError:
        log.error("another agent uses the spool %s", options.spool)
        return 2
    return 0


def run(client: Client, spool: Spool, *, interval_s: float, deadline_s: float) -> None:
    """Probe every `interval_s` and deliver as soon as the server lets it, until SIGTERM or Ctrl-C."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    next_probe = next_delivery = time.monotonic()
    backoff_s = FIRST_BACKOFF_S
    while not stopping.is_set():
        now = time.monotonic()
        if now >= next_probe:
            take(spool, deadline_s)
            next_probe = max(next_probe + interval_s, now)
            next_delivery = min(next_delivery, now) if backoff_s == FIRST_BACKOFF_S else next_delivery
        if time.monotonic() >= next_delivery:
            if client.deliver(spool):
                backoff_s, next_delivery = FIRST_BACKOFF_S, next_probe
            else:
                next_delivery = time.monotonic() + backoff_s * random.uniform(1, 2)
                backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)
        stopping.wait(max(0.0, min(next_probe, next_delivery) - time.monotonic()))


def take(spool: Spool, deadline_s: float) -> None:
    """Probe once and keep the snapshot; a full disk is logged and survived."""
    snapshot = to_json(read_snapshot(deadline_s=deadline_s))
    try:
        spool.add(str(uuid4()), snapshot, taken_ms=time.time_ns() // 1_000_000)
    except OSError as error:
        log.error("the snapshot could not be kept: %s", error)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the spool; two agents on one would send everything twice and race for the files."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _parser() -> argparse.ArgumentParser:
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    parser = argparse.ArgumentParser(
        prog="headroom_agent",
        description="Probe this host's accelerators and post signed snapshots to a Headroom server.",
    )
    parser.add_argument("--server", required=True, help="address of the server, https://...")
    parser.add_argument(
        "--token", default=os.environ.get("HEADROOM_TOKEN", ""), help="better: HEADROOM_TOKEN"
    )
    parser.add_argument("--name", default="", help="what the server calls this host (default: its hostname)")
    parser.add_argument("--interval", type=float, default=60.0, help="seconds between probes (default 60)")
    parser.add_argument("--deadline", type=float, default=20.0, help="seconds the driver gets (default 20)")
    parser.add_argument("--spool", type=Path, default=state / "headroom-agent", help="folder for what waits")
    parser.add_argument("--spool-limit-mib", type=float, default=64.0, help="size of the spool (default 64)")
    parser.add_argument("--ca-file", help="certificates to trust, for a server with its own authority")
    parser.add_argument("--once", action="store_true", help="probe and deliver once, then end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
