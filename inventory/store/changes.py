"""Differences between a GPU's row and a new snapshot of it, in words.

Reads model instances and snapshot records, writes nothing. Each difference is a `Change`; the service that
records the snapshot turns it into an event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from inventory.store.models import Event, MigInstance
from inventory.store.models import Gpu as GpuRow
from inventory.wire import health
from inventory.wire.snapshot import Gpu, Missing, value_or_none
from inventory.wire.snapshot import MigInstance as MigReading


@dataclass(frozen=True, slots=True)
class Change:
    """One change, to become an event. `detail` holds the figures that `text` puts into words."""

    kind: Event.Kind
    text: str
    detail: dict[str, Any] = field(default_factory=dict)


def label(row: GpuRow, host_name: str) -> str:
    """How events name a GPU: ``GPU 3 of node-07``."""
    return f"GPU {row.index} of {host_name}"


def of_health(row: GpuRow, now: Gpu, host_name: str) -> list[Change]:
    """Faults, alarming throttling and lost or returned GPUs that `row` did not have yet."""
    found: list[Change] = []
    before, after = set(row.faults.split()), health.faults(now)
    for slug in after:
        if slug in before:
            continue
        kind = Event.Kind.GPU_LOST if slug == "gpu_lost" else Event.Kind.FAULT
        found.append(Change(kind, f"{label(row, host_name)}: {health.FAULT_WORDS[slug]}", {"fault": slug}))
    if row.state == GpuRow.State.LOST and "gpu_lost" not in after:
        found.append(Change(Event.Kind.GPU_BACK, f"{label(row, host_name)} responds again."))
    held = health.throttling(now)
    if held and not row.throttled:
        words = ", ".join(reason.replace("_", " ") for reason in held)
        found.append(
            Change(
                Event.Kind.THROTTLED,
                f"{label(row, host_name)} is slowed down: {words}.",
                {"reasons": list(held)},
            )
        )
    return found


def of_errors(row: GpuRow, now: Gpu, host_name: str) -> list[Change]:
    """Memory error counts that grew, and Xids newer than the known ones."""
    found: list[Change] = []
    for name, before, reading in (
        ("corrected", row.ecc_corrected, now.ecc.aggregate_corrected),
        ("uncorrected", row.ecc_uncorrected, now.ecc.aggregate_uncorrected),
    ):
        after = value_or_none(reading)
        if before is not None and after is not None and after > before:
            found.append(
                Change(
                    Event.Kind.ECC_ERRORS,
                    f"{label(row, host_name)}: {name} memory errors grew from {before} to {after}.",
                    {"type": name, "from": before, "to": after},
                )
            )
    if isinstance(now.xid_errors, Missing):
        return found
    for error in now.xid_errors:
        at = value_or_none(error.at) or ""
        if at > row.last_xid_at:
            found.append(
                Change(
                    Event.Kind.XID,
                    f"{label(row, host_name)}: Xid {error.code} at {at}.",
                    {"xid": error.code, "at": at},
                )
            )
    return found


def last_xid(now: Gpu) -> str:
    """When the newest Xid of a GPU was logged; empty where there is none or the log cannot be read."""
    if isinstance(now.xid_errors, Missing):
        return ""
    return max((value_or_none(error.at) or "" for error in now.xid_errors), default="")


MigKey = tuple[int, int | None, str, int | None, int | None]


def mig_key(instance: MigReading) -> MigKey | None:
    """What identifies a MIG instance; None where the driver does not say which one it is."""
    number = value_or_none(instance.gpu_instance_id)
    if number is None:
        return None
    return (
        number,
        value_or_none(instance.compute_instance_id),
        (value_or_none(instance.profile) or "")[:40],
        value_or_none(instance.start),
        value_or_none(instance.size),
    )


def mig_row_key(row: MigInstance) -> MigKey:
    """The key of a stored MIG instance, comparable with `mig_key`."""
    return (row.gpu_instance_id, row.compute_instance_id, row.profile, row.start, row.size)


def of_mig(row: GpuRow, now: Gpu, before: list[MigInstance], host_name: str) -> Change | None:
    """A switched MIG mode or another set of instances; None where nothing changed or nothing is known."""
    mode = value_or_none(now.mig.mode)
    switched = row.mig_mode is not None and mode is not None and mode != row.mig_mode
    if isinstance(now.mig.instances, Missing):
        return None
    keys = {key for instance in now.mig.instances if (key := mig_key(instance)) is not None}
    old = {mig_row_key(instance) for instance in before}
    if keys == old and not switched:
        return None
    was, is_now = _layout(old), _layout(keys)
    text = (
        f"{label(row, host_name)}: MIG changed from {was or _mode(row.mig_mode)} to {is_now or _mode(mode)}."
    )
    return Change(Event.Kind.MIG_RECONFIGURED, text, {"from": was, "to": is_now, "mode": mode})


def _layout(keys: set[MigKey]) -> str:
    """``3g.20gb@4 + 1g.5gb@0``: profiles with the memory slice they start at."""
    ordered = sorted(keys, key=lambda key: (key[3] if key[3] is not None else 99, key[0]))
    return " + ".join(f"{key[2] or '?'}@{key[3] if key[3] is not None else '?'}" for key in ordered)


def _mode(mode: bool | None) -> str:
    return {True: "no instances", False: "off", None: "unknown"}[mode]


def idle_since(row: GpuRow, now: Gpu, at: datetime) -> datetime | None:
    """Since when the GPU has been idle, as of `at`; None when it is busy or the driver does not say."""
    if health.idle(now) is not True:
        return None
    return row.idle_since or at
