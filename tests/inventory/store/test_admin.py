"""The fleet for administrators."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from inventory.store import services
from inventory.store.models import Host
from tests.fakes.nvml import states
from tests.inventory.conftest import SetState

pytestmark = pytest.mark.django_db


def test_admin_pages_open(admin_client: Client, fake_driver: SetState) -> None:
    fake_driver(states.a100_with_mig())
    call_command("probe")
    services.note_refusal("malformed", "not JSON", "10.0.0.1")
    services.add_host("node-9", now=datetime.now(UTC))
    for model in (
        "host",
        "hostgroup",
        "hosttoken",
        "gpu",
        "gpuplacement",
        "miginstance",
        "probe",
        "event",
        "refusal",
    ):
        answer = admin_client.get(f"/admin/inventory/{model}/")
        assert answer.status_code == 200, model
    host = Host.objects.get(name="gpu-host-1")
    assert admin_client.get(f"/admin/inventory/host/{host.pk}/change/").status_code == 200


def test_admin_shows_a_token_once_and_never_its_key(admin_client: Client) -> None:
    host = Host.objects.create(name="node-1")
    data = {"action": "make_token", "_selected_action": [host.pk]}
    text = admin_client.post("/admin/inventory/host/", data, follow=True).content.decode()
    token = text.split("kept nowhere: ")[1].split("<")[0].strip()
    assert services.host_of_token(token) == host
    stored = host.tokens.get()
    shown = admin_client.get(f"/admin/inventory/hosttoken/{stored.pk}/change/").content.decode()
    assert stored.key not in shown


def test_admin_probes_now_and_refuses_a_second_one(
    admin_client: Client, fake_driver: SetState, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_driver(states.a100(1))
    host = Host.objects.create(name="gpu-host-1")
    data = {"action": "probe_now", "_selected_action": [host.pk]}
    text = admin_client.post("/admin/inventory/host/", data, follow=True).content.decode()
    assert "Asked gpu-host-1 for a probe." in text
    assert host.gpus.count() == 1
    assert services.probe_now(host, now=datetime.now(UTC)) is not None
    text = admin_client.post("/admin/inventory/host/", data, follow=True).content.decode()
    assert "pu-host-1 is being probed already." in text  # Django begins it with a capital


def test_admin_says_when_the_broker_is_away(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from kombu.exceptions import OperationalError

    from inventory.store import tasks

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(tasks.probe_host, "apply_async", away)
    host = Host.objects.create(name="node-1")
    data = {"action": "probe_now", "_selected_action": [host.pk]}
    text = admin_client.post("/admin/inventory/host/", data, follow=True).content.decode()
    assert "The broker cannot be reached: connection refused" in text
