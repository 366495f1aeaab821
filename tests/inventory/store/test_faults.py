"""Real processes and what befalls them: a broker that goes and comes, a worker killed in mid-probe.

A real Valkey, a real Celery worker, the fake driver below it, and a database of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.broker import embedded_broker
from tests.fakes.nvml import states

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.slow


class Installation:
    """One server and one GPU host, sharing a data folder, as processes."""

    def __init__(self, folder: Path, driver: Path) -> None:
        self.folder = folder
        self.state = folder / "driver-state"
        self.socket = folder / "run" / "b.sock"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HEADROOM_DATA": str(folder / "data"),
            "HEADROOM_HOSTNAME": "node-1",
            "HEADROOM_KERNEL_LOG": os.devnull,
            "CELERY_BROKER_URL": f"redis+socket://{self.socket}",
            "LD_LIBRARY_PATH": str(driver),
            "FAKE_NVML_STATE": str(self.state),
            "SECRET_KEY": "only-for-tests",
        }
        (folder / "data").mkdir(mode=0o700)
        states.write(self.state, states.a100(2))

    def run(self, script: str) -> Any:
        """What a few lines of Python print as JSON, with the installation's settings."""
        prologue = (
            "import json, django; django.setup()\n"
            "from django.utils import timezone\n"
            "from inventory.store import services, tasks\n"
            "from inventory.store.models import *\n"
        )
        environment = {**self.environment, "DJANGO_SETTINGS_MODULE": "config.settings"}
        done = subprocess.run(
            [sys.executable, "-c", prologue + script],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout) if done.stdout.strip() else None

    def worker(self) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "celery",
            "--quiet",
            "-A",
            "config",
            "worker",
            "--loglevel",
            "warning",
        ]
        command += ["--without-gossip", "--without-mingle", "--concurrency", "1"]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment, start_new_session=True, stderr=subprocess.DEVNULL
        )

    def probes(self) -> dict[str, int]:
        """How many probes there are, by state and status."""
        found: dict[str, int] = self.run(
            "from collections import Counter\n"
            "print(json.dumps(Counter(f'{p.state} {p.status}'.strip() for p in Probe.objects.all())))"
        )
        return found

    def broker(self) -> Any:
        return embedded_broker(socket_path=self.socket, on_death=lambda: None)


@pytest.fixture
def installation(tmp_path_factory: pytest.TempPathFactory, driver_folder: Path) -> Installation:
    made = Installation(tmp_path_factory.mktemp("f"), driver_folder)
    made.run(
        "from django.core.management import call_command\n"
        "call_command('migrate', verbosity=0)\n"
        "services.join_by_worker('node-1', now=timezone.now())"
    )
    return made


def end(worker: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    """End a worker and what it has started."""
    try:
        os.killpg(worker.pid, number)
    except ProcessLookupError:
        return
    try:
        worker.wait(timeout=15)
    except subprocess.TimeoutExpired:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(timeout=15)


def wait_until(condition: Callable[[], bool], timeout_s: float = 40) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)


def test_a_probe_travels_from_the_schedule_to_the_database(installation: Installation) -> None:
    with installation.broker():
        worker = installation.worker()
        try:
            installation.run("tasks.request_probes()")
            wait_until(lambda: installation.probes() == {"ended ok": 1})
            assert installation.run("print(json.dumps(Gpu.objects.count()))") == 2
        finally:
            end(worker)


def test_a_broker_stopped_and_started_again(installation: Installation) -> None:
    """What was asked for while it was away is withdrawn, and no host is blamed; probing goes on by itself."""
    worker = None
    try:
        with installation.broker():
            worker = installation.worker()
            installation.run("tasks.request_probes()")
            wait_until(lambda: installation.probes() == {"ended ok": 1})
        # The broker is gone: the round fails to send, and leaves no probe behind that nobody will take.
        failed = installation.run(
            "Host.objects.update(next_probe_at=None)\n"
            "from celery import current_app\n"
            "current_app.conf.broker_transport_options = {'max_retries': 0}\n"
            "current_app.conf.task_publish_retry = False\n"
            "try:\n    tasks.request_probes(); print('false')\n"
            "except Exception:\n    print('true')"
        )
        assert failed is True
        assert installation.probes() == {"ended ok": 1}
        with installation.broker():
            installation.run("Host.objects.update(next_probe_at=None)\ntasks.request_probes()")
            wait_until(lambda: installation.probes().get("ended ok") == 2, timeout_s=60)
    finally:
        if worker is not None:
            end(worker)


def test_a_worker_killed_in_mid_probe(installation: Installation) -> None:
    """The probe is closed as stuck, told once, and a new worker goes on; the old one does not come back."""
    states.write(installation.state, states.a100(2) | {"gpu.1.power_usage": "!hang"})
    with installation.broker():
        worker = installation.worker()
        installation.run("tasks.request_probes()")
        wait_until(lambda: installation.probes() == {"running": 1})
        end(worker, signal.SIGKILL)
        states.write(installation.state, states.a100(2))
        worker = installation.worker()
        try:
            time.sleep(3)
            assert installation.probes() == {"running": 1}, (
                "a probe that killed its worker must not come back"
            )
            installation.run(
                "from datetime import timedelta\n"
                "Probe.objects.update(started_at=timezone.now() - timedelta(minutes=5))\n"
                "Host.objects.update(next_probe_at=None)\n"
                "services.close_overdue_probes(now=timezone.now())\n"
                "Host.objects.update(next_probe_at=None)\n"
                "tasks.request_probes()"
            )
            wait_until(lambda: installation.probes() == {"ended ok": 1, "ended stuck": 1})
            kinds = installation.run(
                "print(json.dumps(list(Event.objects.order_by('id').values_list('kind', flat=True))))"
            )
            assert kinds == ["host_added", "probe_failed", "gpu_added", "gpu_added", "probe_back"]
        finally:
            end(worker)


def test_a_hanging_driver_does_not_stop_the_worker(installation: Installation) -> None:
    states.write(installation.state, {"init": "!hang"})
    with installation.broker():
        worker = installation.worker()
        try:
            installation.run("from inventory.wire import policy\ntasks.request_probes()")
            wait_until(lambda: installation.probes() == {"ended timeout": 1}, timeout_s=60)
            states.write(installation.state, states.a100(1))
            installation.run("Host.objects.update(next_probe_at=None)\ntasks.request_probes()")
            wait_until(lambda: installation.probes() == {"ended timeout": 1, "ended ok": 1})
        finally:
            end(worker)
