"""Rows of hosts and GPUs, filled from a snapshot. Writes no table: the caller does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from inventory.store import changes
from inventory.store.changes import Change
from inventory.store.models import Event, Gpu, Host
from inventory.wire import health, policy
from inventory.wire.snapshot import Gpu as GpuReading
from inventory.wire.snapshot import Missing, value_or_none

Teller = Callable[[Iterable[Change], datetime, Host], None]

# Identities are used in page addresses and file names.
IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

# Columns that change now and then, unlike the readings, which change with every probe.
LASTING_COLUMNS = (
    "name", "serial", "host_id", "index", "state", "first_seen_at", "memory_total_bytes", "mig_mode",
    "ecc_corrected", "ecc_uncorrected", "faults", "throttled", "last_xid_at", "idle_since",
    "idle_reported_at",
)  # fmt: skip


def lasting(row: Gpu) -> tuple[Any, ...]:
    """Everything in a GPU's row except its readings; where it is unchanged, only the readings are written."""
    return tuple([getattr(row, column) for column in LASTING_COLUMNS])


def note_result(host: Host, *, good: bool, status: str, reason: str, at: datetime, tell: Teller) -> None:
    """Store the result of a probe on the host, and record when it first fails or works again."""
    failed_before = host.failures > 0
    host.status, host.reason = status[:40], reason[:512]
    host.last_probe_at = at
    if good:
        host.last_good_probe_at, host.failures = at, 0
        host.stale_at = at + timedelta(seconds=policy.STALE_AFTER_INTERVALS * host.interval_s)
        if failed_before:
            tell([Change(Event.Kind.PROBE_BACK, f"{host.name}: probes work again.")], at, host)
        return
    host.failures += 1
    if not failed_before:
        text = f"{host.name}: probe failed ({status.replace('_', ' ')}). {reason}"
        tell([Change(Event.Kind.PROBE_FAILED, text, {"status": status})], at, host)


def identity(reading: GpuReading, host: Host) -> str | None:
    """UUID of a GPU, or host and bus address for devices without one. None where neither is valid."""
    found = None
    if isinstance(reading.uuid, str):
        found = reading.uuid
    elif reading.kind == "neuron" and isinstance(reading.pci.bus_id, str):
        found = f"NEURON-{host.name}-{reading.pci.bus_id}"
    return found if found is not None and IDENTITY.fullmatch(found) else None


def new_gpu(uuid: str, reading: GpuReading, at: datetime) -> Gpu:
    """A GPU seen for the first time, not yet in any host."""
    row = Gpu(uuid=uuid, kind=reading.kind[:10], state=Gpu.State.GONE, index=reading.index)
    row.first_seen_at = row.last_seen_at = at
    row.name = (value_or_none(reading.name) or "")[:200]
    return row


def copy_readings(row: Gpu, reading: GpuReading, at: datetime) -> None:
    """Copy the present readings to the row. Unknown ones become null, except properties a GPU cannot lose."""
    slugs = health.faults(reading)
    row.state = Gpu.State.LOST if "gpu_lost" in slugs else Gpu.State.PRESENT
    row.name = (value_or_none(reading.name) or row.name)[:200]
    row.serial = (value_or_none(reading.serial) or row.serial)[:64]
    row.memory_total_bytes = value_or_none(reading.memory.total_bytes) or row.memory_total_bytes
    row.memory_used_bytes = value_or_none(reading.memory.used_bytes)
    utilization = value_or_none(reading.utilization.gpu_percent)
    row.utilization_percent = None if utilization is None else min(utilization, 100)
    row.temperature_c = value_or_none(reading.temperature.gpu_c)
    row.power_w = value_or_none(reading.power.usage_w)
    row.mig_mode = value_or_none(reading.mig.mode)
    row.ecc_corrected = _known(reading.ecc.aggregate_corrected, row.ecc_corrected)
    row.ecc_uncorrected = _known(reading.ecc.aggregate_uncorrected, row.ecc_uncorrected)
    row.faults = " ".join(slugs)[:200]
    row.throttled = " ".join(health.throttling(reading))[:200]
    row.last_xid_at = (changes.last_xid(reading) or row.last_xid_at)[:32]
    row.idle_since = changes.idle_since(row, reading, at)
    if row.idle_since is None:
        row.idle_reported_at = None
    row.last_seen_at = at


def _known(reading: int | Missing, before: int | None) -> int | None:
    return before if isinstance(reading, Missing) else reading
