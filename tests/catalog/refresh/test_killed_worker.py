"""Real Celery workers killed in the middle of a refresh: the page says so, nothing half read stays, and the
next refresh runs. Two that are asked for at once are one."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from config.broker import embedded_broker
from config.local import broker_socket
from planner.catalog.changes.models import RefreshRun
from planner.catalog.refresh import services

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 90.0  # generous: test machines are shared
SENT = "from planner.catalog.refresh.tasks import refresh\nfor _ in range(2): refresh.delay('azure-retail')"
PAGE = (
    "from django.test import Client; print(Client(SERVER_NAME='localhost').get('/catalog/').content.decode())"
)


@pytest.fixture
def silent_proxy() -> Iterator[str]:
    """A proxy that takes a connection and never says a word: whoever asks through it waits."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


class Installation:
    """A data folder with a database, and what is run on it."""

    def __init__(self, data: Path, proxy: str) -> None:
        kept = ("PATH", "HOME", "LANG", "TMPDIR")
        self.data = data
        self.environment = {name: os.environ[name] for name in kept if name in os.environ} | {
            "HEADROOM_DATA": str(data), "https_proxy": proxy,
        }  # fmt: skip
        self.manage("migrate", "-v0")
        self.manage("load_catalog", "-v0")
        self.manage("collectstatic", "-v0", "--noinput")

    def manage(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def worker(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "config", "worker", "--concurrency", "2", "-l", "ERROR"],
            cwd=ROOT, env=self.environment, start_new_session=True,
        )  # fmt: skip

    def rows(self, query: str) -> list[Any]:
        with sqlite3.connect(self.data / "headroom.sqlite3", timeout=30) as base:
            return base.execute(query).fetchall()

    def states(self) -> list[str]:
        return [state for (state,) in self.rows("select state from planner_refreshrun order by id")]


def until(what: Callable[[], Any]) -> None:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.2)
    pytest.fail("not in time")


@pytest.mark.slow
def test_a_killed_worker_is_seen_and_the_next_refresh_runs(tmp_path: Path, silent_proxy: str) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    here = Installation(data, silent_proxy)
    with embedded_broker(socket_path=broker_socket(data), on_death=lambda: None):
        for expected in (["running"], ["lost", "running"]):
            worker = here.worker()
            try:
                here.manage("shell", "-v0", "-c", SENT)
                until(lambda wanted=expected: here.states() == wanted)
                time.sleep(2.0)  # the second of the two finds the first and does nothing
                assert here.states() == expected
            finally:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
            # As if a minute had passed.
            here.rows("update planner_refreshrun set heard_at = datetime('now', '-2 minutes')")
            page = here.manage("shell", "-v0", "-c", PAGE)
            assert "ended without a word: its worker is gone" in page
            assert "every 2s" not in page
        assert here.rows("select count(*) from planner_changeset") == [(0,)]
        assert here.rows("select count(*) from planner_price where kept_by != ''") == [(0,)]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_source_that_waits_is_heard_of() -> None:
    run = services.begin("told", asked_by="", now=timezone.now() - services.LOST_AFTER * 2)
    assert run is not None and run.is_lost(timezone.now())

    def is_heard() -> bool:
        return not RefreshRun.objects.get(pk=run.pk).is_lost(timezone.now())

    with services.heard(run, every_s=0.05):
        until(is_heard)
