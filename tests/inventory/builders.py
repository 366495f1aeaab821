"""Snapshots and times for tests of the fleet, short to write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from inventory.store.models import Host
from inventory.store.services import Taken
from inventory.wire.snapshot import (
    Ecc,
    Gpu,
    HostSnapshot,
    Memory,
    Mig,
    MigInstance,
    Missing,
    Pci,
    Power,
    Temperature,
    Utilization,
)
from inventory.wire.snapshot import Host as HostReading

GIB = 2**30
START = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """A moment some minutes after the start of the story."""
    return START + timedelta(minutes=minutes)


def gpu(
    index: int = 0, uuid: str | None = None, *, busy: int = 50, used_gib: float | None = None, **more: Any
) -> Gpu:
    """A GPU at work, or with `busy=0` one that nobody uses."""
    used_gib = (10.0 if busy else 0.0) if used_gib is None else used_gib
    values: dict[str, Any] = {
        "uuid": uuid or f"GPU-{index}",
        "name": "NVIDIA A100-SXM4-40GB",
        "pci": Pci(f"00000000:{7 + index:02X}:00.0"),
        "memory": Memory(40 * GIB, int(used_gib * GIB), int((40 - used_gib) * GIB), 0),
        "utilization": Utilization(busy, busy),
        "power": Power(usage_w=300.0),
        "temperature": Temperature(gpu_c=50),
        "ecc": Ecc(True, True, 0, 0, 0, 0),
        "mig": Mig(False, False, ()),
        "processes": (),
        "throttle_reasons": (),
        "xid_errors": (),
    }
    return Gpu(index, **{**values, **more})


def lost(index: int) -> Gpu:
    """A GPU as the gateway reports it after it has fallen off the bus: no field but its number."""
    gone = Missing("gpu_lost")
    return Gpu(
        index, uuid=gone, processes=gone, memory=Memory(gone, gone, gone, gone), mig=Mig(gone, gone, gone)
    )


def mig_instance(number: int, profile: str, start: int, size: int) -> MigInstance:
    return MigInstance(f"MIG-{number}", profile, number, 0, start, size, 5 * GIB, 0, 1)


def snapshot(
    *gpus: Gpu, name: str = "node-1", when: datetime = START, driver: str = "550.1", **more: Any
) -> HostSnapshot:
    taken_at = when.isoformat().replace("+00:00", "Z")
    host = HostReading(name, taken_at, machine_id=f"id-{name}", driver_version=driver, cuda_version="12.4")
    return HostSnapshot(host, more.pop("status", "ok"), gpus=gpus, **more)


def taken(host: Host, *gpus: Gpu, minutes: float = 0, id: UUID | None = None, **more: Any) -> Taken:
    when = at(minutes)
    return Taken(id or uuid4(), host.pk, snapshot(*gpus, name=host.name, when=when, **more), when, "worker")
