"""What tests of the fleet's pages share: hosts that were heard of, and pages that open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.test import Client

from inventory.store import services
from inventory.store.models import Host
from inventory.store.services import Taken
from tests.inventory.builders import snapshot


def add(name: str, *gpus: Any, minutes_ago: float = 0.5, **more: Any) -> Host:
    """A host that was last heard of some minutes ago."""
    host, _ = Host.objects.get_or_create(name=name)
    when = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    one = Taken(uuid4(), host.pk, snapshot(*gpus, name=name, when=when, **more), when, "worker")
    services.record_snapshot(one, now=when)
    return host


def page(client: Client, path: str, status: int = 200, **headers: str) -> str:
    answer = client.get(path, headers=headers or None)
    assert answer.status_code == status, answer.content[:500]
    return answer.content.decode()
