"""A broker that cannot be reached: whatever sends a task says so with 503, and nothing is left half done."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from kombu.exceptions import OperationalError
from kombu.messaging import Producer

from config.celery import app
from inventory.store import services as fleet
from inventory.store.models import Host, Probe
from planner.api import services

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def without_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError("Error 111 connecting to 127.0.0.1:1. Connection refused.")

    monkeypatch.setattr(Producer, "publish", refuse)
    app.conf.update(task_always_eager=False)
    yield
    app.conf.update(task_always_eager=True)


@pytest.fixture
def host(db: None) -> Host:
    return fleet.join_by_worker("gpu-1", now=timezone.now())


@pytest.mark.usefixtures("without_broker", "host")
def test_a_probe_that_cannot_be_sent_is_refused_and_withdrawn() -> None:
    boss = User.objects.create_superuser("boss")
    _, token = services.make_token(boss, name="t", scopes=["probe"], days=1, now=timezone.now())
    ask = Client(raise_request_exception=False)
    heads = {"Authorization": f"Bearer {token}", "Idempotency-Key": "once"}
    for _ in range(2):  # neither the key nor a probe left open stands in the way of the second time
        answer = ask.post("/api/v1/fleet/hosts/gpu-1/probe", headers=heads)
        assert answer.status_code == 503
        assert answer["Retry-After"]
        assert answer.json()["error"]["message"] == "The workers cannot be reached."
        assert "Connection refused" not in answer.text
    assert not Probe.objects.exists()


@pytest.mark.usefixtures("without_broker")
def test_a_refresh_that_cannot_be_sent_is_a_page_that_says_so(db: None) -> None:
    ask = Client(raise_request_exception=False)
    ask.force_login(User.objects.create_superuser("boss"))
    answer = ask.post("/catalog/refresh", {"source": "ecb-rates"})
    assert answer.status_code == 503
    assert "The workers cannot be reached." in answer.text


@pytest.mark.usefixtures("without_broker")
def test_the_admin_says_so_beside_the_hosts(admin_client: Client, host: Host) -> None:
    form = {"action": "probe_now", "_selected_action": [host.pk]}
    said = admin_client.post("/admin/inventory/host/", form, follow=True)
    assert "broker cannot be reached" in said.text
    assert not Probe.objects.exists()


@pytest.mark.slow
@pytest.mark.parametrize("address", ["redis://127.0.0.1:1/0", "redis+socket:///nowhere/broker.sock"])
def test_a_real_one_that_is_gone_is_found_out_in_seconds(tmp_path: Path, address: str) -> None:
    ask = (
        "import time, django; django.setup(); from kombu.exceptions import OperationalError\n"
        "from inventory.store.tasks import probe_host\nbegan = time.process_time(), time.monotonic()\n"
        "try: probe_host.apply_async(('x',), queue='probe.x')\n"
        "except OperationalError: print(time.monotonic() - began[1])"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "HEADROOM_DATA": str(tmp_path / "data"),
        "CELERY_BROKER_URL": address,
    }
    said = subprocess.run(
        [sys.executable, "-c", ask], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert float(said.stdout) < 10
