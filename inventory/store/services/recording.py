"""Recording snapshots: once each, in any order, whole batches in a few statements.

A snapshot's identity is its probe's id: a second one with the same id changes nothing. A snapshot older than
what is known of its host adds its samples to the history and leaves the present unchanged. Changes become
events in the same transaction, so none is recorded twice or lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from django.db import models, transaction
from django.db.models import Q, Value
from django.db.models.functions import Greatest

from inventory.store import changes
from inventory.store.changes import Change
from inventory.store.models import Event, Gpu, GpuPlacement, Host, HostLatest, MigInstance, Probe
from inventory.store.services.bulk import insert_samples, update_readings
from inventory.store.services.clocks import forget_the_future
from inventory.store.services.pacing import next_probe_at
from inventory.store.services.rows import copy_readings, identity, lasting, new_gpu, note_result
from inventory.wire.policy import RAW
from inventory.wire.snapshot import Gpu as GpuReading
from inventory.wire.snapshot import HostSnapshot, Missing, value_or_none
from inventory.wire.snapshot_json import pack

Row = TypeVar("Row", bound=models.Model)


class Outcome(StrEnum):
    """What happened to a snapshot.

    Recorded, recorded as history only (late), or known already (duplicate).
    """

    RECORDED = "recorded"
    LATE = "late"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot of one host. `taken_at` is on this server's clock; `id` is the same each time it is sent."""

    id: UUID
    host_id: int
    snapshot: HostSnapshot
    taken_at: datetime
    source: str
    # The original JSON, packed by `snapshot_json.pack_json`; None: packed when it is stored.
    packed: bytes | None = None


# Columns of a row that a snapshot may change; identity and settings are not among them.
GPU_COLUMNS = [
    "name", "serial", "host", "index", "state", "first_seen_at", "last_seen_at", "memory_total_bytes",
    "memory_used_bytes", "utilization_percent", "temperature_c", "power_w", "mig_mode", "ecc_corrected",
    "ecc_uncorrected", "faults", "throttled", "last_xid_at", "idle_since", "idle_reported_at",
]  # fmt: skip
HOST_COLUMNS = [
    "machine_id", "driver_version", "cuda_version", "status", "reason", "gpu_count", "last_probe_at",
    "last_good_probe_at", "stale_at", "last_taken_at", "next_probe_at", "failures",
]  # fmt: skip
PROBE_COLUMNS = ["state", "ended_at", "taken_at", "status", "reason", "gpu_count"]


def record_snapshot(taken: Taken, *, now: datetime) -> Outcome:
    """Record one snapshot; see `record_snapshots`."""
    return record_snapshots([taken], now=now)[0]


def record_snapshots(batch: Sequence[Taken], *, now: datetime) -> list[Outcome]:
    """Record snapshots of any hosts in one transaction; outcomes are in the order of `batch`.

    Idempotent by `Taken.id`. Hosts are locked in order of their key, so that batches that share hosts wait
    for each other and do not deadlock. Raises `Host.DoesNotExist` for an unknown host.
    """
    # A snapshot of the future would make its host look fresh until then, and all later ones look late.
    batch = [taken if taken.taken_at <= now else replace(taken, taken_at=now) for taken in batch]
    with transaction.atomic():
        forget_the_future(now=now, hosts={taken.host_id for taken in batch})
        recorder = _Recorder(batch, now)
        outcomes: dict[int, Outcome] = {}
        for position in sorted(range(len(batch)), key=lambda i: batch[i].taken_at):
            outcomes[position] = recorder.apply(batch[position])
        recorder.flush()
    return [outcomes[position] for position in range(len(batch))]


class _Recorder:
    """The rows that a batch touches, in memory; `flush` writes what has changed."""

    def __init__(self, batch: Sequence[Taken], now: datetime) -> None:
        self.now = now
        ids = {taken.host_id for taken in batch}
        locked = Host.objects.select_for_update(of=("self",)).select_related("group").order_by("pk")
        self.hosts = {host.pk: host for host in locked.filter(pk__in=ids)}
        if missing := ids - self.hosts.keys():
            raise Host.DoesNotExist(f"no host {min(missing)}")
        self.probes = Probe.objects.in_bulk([taken.id for taken in batch])
        self.ended = {pk for pk, probe in self.probes.items() if probe.taken_at is not None}
        self._load_gpus(batch)
        self.samples: dict[tuple[int, int], tuple[Any, ...]] = {}
        self.events: list[Event] = []
        self.latest: dict[int, Taken] = {}
        # Rows whose readings alone are new, and rows that must be written whole.
        self.read: dict[int, Gpu] = {}
        self.changed: dict[int, Gpu] = {}

    def _load_gpus(self, batch: Sequence[Taken]) -> None:
        """Every GPU that the batch names or that is placed in its hosts; unknown ones are made."""
        named = {
            identity(gpu, self.hosts[taken.host_id]): (gpu, taken)
            for taken in sorted(batch, key=lambda t: t.taken_at, reverse=True)
            for gpu in taken.snapshot.gpus
        }
        named.pop(None, None)
        uuids = {uuid for uuid in named if uuid is not None}
        # A GPU's own row says where it is; its placements are read only when that changes.
        rows = self._locked(host__in=self.hosts)
        if strangers := uuids - {gpu.uuid for gpu in rows}:
            rows += self._locked(uuid__in=strangers)
        self.new = uuids - {gpu.uuid for gpu in rows}
        if self.new:
            made = [new_gpu(uuid, named[uuid][0], named[uuid][1].taken_at) for uuid in sorted(self.new)]
            Gpu.objects.bulk_create(made, ignore_conflicts=True)
            rows += self._locked(uuid__in=self.new)
        self.gpus = {gpu.uuid: gpu for gpu in rows}
        self.inside: dict[int, dict[int, Gpu]] = {pk: {} for pk in self.hosts}
        for row in rows:
            if row.host_id is not None:
                self.inside.setdefault(row.host_id, {})[row.pk] = row
        self.made: dict[int, GpuPlacement] = {}
        self.closed: list[GpuPlacement] = []
        self.stays: dict[int, dict[int, GpuPlacement]] = {}
        self._load_mig([row.pk for row in rows if row.host_id not in self.hosts])

    def _locked(self, **wanted: Any) -> list[Gpu]:
        """GPUs by key. If two hosts report one at once, the second waits and sees what the first did."""
        return list(Gpu.objects.filter(**wanted).select_for_update().order_by("pk"))

    def _load_mig(self, elsewhere: list[int]) -> None:
        """Open MIG instances of the GPUs in the batch's hosts, and of those that may come to them."""
        self.mig: dict[int, list[MigInstance]] = {}
        where = Q(gpu__host__in=self.hosts)
        if elsewhere:
            where |= Q(gpu__in=elsewhere)
        for instance in MigInstance.objects.filter(where, until__isnull=True):
            self.mig.setdefault(instance.gpu_id, []).append(instance)

    def _leave(self, row: Gpu, at: datetime) -> None:
        """End the GPU's stay where it is. One that began in this batch is not in the table yet."""
        self.inside.get(row.host_id or 0, {}).pop(row.pk, None)
        begun = self.made.pop(row.pk, None)
        if begun is not None:
            begun.until = max(at, begun.since)
            self.closed.append(begun)
        else:
            stay = GpuPlacement.objects.filter(gpu=row, until__isnull=True)
            stay.update(until=Greatest("since", Value(at)))

    # --- one snapshot ---

    def apply(self, taken: Taken) -> Outcome:
        host = self.hosts[taken.host_id]
        if taken.id in self.ended:
            return Outcome.DUPLICATE
        self.ended.add(taken.id)
        self._end_probe(taken)
        found = list(self._identified(host, taken.snapshot))
        for row, reading in found:
            self._sample(row, reading, taken.taken_at)
        if host.last_taken_at is not None and taken.taken_at <= host.last_taken_at:
            for row, _ in found:
                self._extend_back(row, host, taken.taken_at)
            return Outcome.LATE
        for row, reading in found:
            if row.uuid in self.new or row.last_seen_at <= taken.taken_at:
                self._update_gpu(row, reading, host, taken.taken_at)
        if taken.snapshot.status == "ok":
            self._close_absent(host, {row.pk for row, _ in found}, taken.taken_at)
        self._update_host(host, taken)
        return Outcome.RECORDED

    def _identified(self, host: Host, snapshot: HostSnapshot) -> Iterable[tuple[Gpu, GpuReading]]:
        """Rows and readings; a GPU without a UUID is taken to be the one that was in its slot."""
        slots = {row.index: row for row in self.inside[host.pk].values()}
        for reading in snapshot.gpus:
            uuid = identity(reading, host)
            row = self.gpus.get(uuid) if uuid else slots.get(reading.index)
            if row is not None:
                yield row, reading

    def _sample(self, row: Gpu, reading: GpuReading, at: datetime) -> None:
        at_s = int(at.timestamp())
        utilization = value_or_none(reading.utilization.gpu_percent)
        memory = value_or_none(reading.memory.used_bytes)
        temperature = value_or_none(reading.temperature.gpu_c)
        # In the order of `bulk.SAMPLE_COLUMNS`; of one reading mean and maximum are the same.
        self.samples[row.pk, at_s] = (
            row.pk,
            RAW,
            at_s,
            1,
            utilization,
            utilization,
            memory,
            memory,
            value_or_none(reading.power.usage_w),
            temperature,
            temperature,
        )

    def _update_gpu(self, row: Gpu, reading: GpuReading, host: Host, at: datetime) -> None:
        before = lasting(row)
        is_new = row.uuid in self.new
        self._place(row, reading, host, at, is_new)
        self.new.discard(row.uuid)
        if not is_new:
            found = changes.of_health(row, reading, host.name) + changes.of_errors(row, reading, host.name)
            self._tell(found, at, host, row)
        self._update_mig(row, reading, host, at, is_new)
        copy_readings(row, reading, at)
        if row.pk not in self.changed:
            (self.read if lasting(row) == before else self.changed)[row.pk] = row

    def _place(self, row: Gpu, reading: GpuReading, host: Host, at: datetime, is_new: bool) -> None:
        if (row.host_id, row.index) == (host.pk, reading.index):
            return
        before = row.host_id
        if before is not None:
            self._leave(row, at)
        row.host, row.index = host, reading.index
        where = changes.label(row, host.name)
        if is_new:
            self._tell(
                [Change(Event.Kind.GPU_ADDED, f"{where} added: {row.name or row.uuid}.")], at, host, row
            )
        elif before is None:
            self._tell([Change(Event.Kind.GPU_BACK, f"{where} is present again.")], at, host, row)
        elif before != host.pk:
            origin = self.hosts[before].name if before in self.hosts else Host.objects.get(pk=before).name
            text = f"{row.name or row.uuid} moved from {origin} to {host.name}."
            self._tell([Change(Event.Kind.GPU_MOVED, text, {"from": origin, "to": host.name})], at, host, row)
        self.made[row.pk] = GpuPlacement(gpu=row, host=host, index=reading.index, since=at)
        self.inside[host.pk][row.pk] = row

    def _update_mig(self, row: Gpu, reading: GpuReading, host: Host, at: datetime, is_new: bool) -> None:
        before = self.mig.get(row.pk, [])
        change = changes.of_mig(row, reading, before, host.name)
        if change is None or isinstance(reading.mig.instances, Missing):
            return
        if not is_new:
            self._tell([change], at, host, row)
        keys = {changes.mig_key(instance): instance for instance in reading.mig.instances}
        kept = [instance for instance in before if changes.mig_row_key(instance) in keys]
        for instance in before:
            if instance not in kept:
                instance.until = max(at, instance.since)
                instance.save(update_fields=["until"])
        known = {changes.mig_row_key(instance) for instance in kept}
        made = [
            MigInstance(
                gpu=row,
                uuid=(value_or_none(instance.uuid) or "")[:128],
                profile=key[2],
                gpu_instance_id=key[0],
                compute_instance_id=key[1],
                start=key[3],
                size=key[4],
                memory_total_bytes=value_or_none(instance.memory_total_bytes),
                since=at,
            )
            for key, instance in keys.items()
            if key is not None and key not in known
        ]
        self.mig[row.pk] = kept + MigInstance.objects.bulk_create(made)

    def _close_absent(self, host: Host, present: set[int], at: datetime) -> None:
        """GPUs that were in the host and are no longer listed, though the driver answered to the end."""
        for row in [row for pk, row in self.inside[host.pk].items() if pk not in present]:
            text = f"{changes.label(row, host.name)} is no longer listed by the driver."
            self._tell([Change(Event.Kind.GPU_LOST, text, {"uuid": row.uuid})], at, host, row)
            self._leave(row, at)
            row.host, row.state, row.idle_since = None, Gpu.State.GONE, None
            self.changed[row.pk] = row

    def _extend_back(self, row: Gpu, host: Host, at: datetime) -> None:
        """An older snapshot shows that the GPU was in this host before it was first seen here."""
        if row.first_seen_at > at:
            row.first_seen_at = at
            self.changed[row.pk] = row
        if row.host_id != host.pk:
            return
        begun = self.made.get(row.pk)
        stay = begun or self._stays(host).get(row.pk)
        if stay is None or stay.since <= at or row.placements.filter(until__gt=at).exists():
            return
        stay.since = at
        if begun is None:
            stay.save(update_fields=["since"])

    def _stays(self, host: Host) -> dict[int, GpuPlacement]:
        """Open placements in a host, by GPU; read once, and only when a late snapshot needs them."""
        if host.pk not in self.stays:
            placed = GpuPlacement.objects.filter(host=host, until__isnull=True)
            self.stays[host.pk] = {place.gpu_id: place for place in placed}
        return self.stays[host.pk]

    # --- the host itself ---

    def _update_host(self, host: Host, taken: Taken) -> None:
        snapshot, at = taken.snapshot, taken.taken_at
        seen = snapshot.host
        driver = value_or_none(seen.driver_version) or ""
        if driver and host.driver_version and driver != host.driver_version:
            text = f"{host.name}: driver changed from {host.driver_version} to {driver}."
            detail = {"from": host.driver_version, "to": driver}
            self._tell([Change(Event.Kind.DRIVER_CHANGED, text, detail)], at, host)
        placed = len(self.inside[host.pk])
        good = snapshot.status == "ok" or (snapshot.status == "no_nvml" and placed == 0)
        note_result(host, good=good, status=snapshot.status, reason=snapshot.reason, at=at, tell=self._tell)
        host.machine_id = (value_or_none(seen.machine_id) or host.machine_id)[:64]
        host.driver_version = (driver or host.driver_version)[:80]
        host.cuda_version = (value_or_none(seen.cuda_version) or host.cuda_version)[:20]
        host.gpu_count = placed
        host.last_taken_at = at
        host.next_probe_at = next_probe_at(host, self.now)
        self.latest[host.pk] = taken

    def _end_probe(self, taken: Taken) -> None:
        probe = self.probes.get(taken.id)
        if probe is None:
            probe = Probe(
                id=taken.id, host_id=taken.host_id, source=taken.source, requested_at=taken.taken_at
            )
            self.probes[taken.id] = probe
        probe.state = Probe.State.ENDED
        probe.ended_at = self.now
        probe.taken_at = taken.taken_at
        probe.status = taken.snapshot.status[:40]
        probe.reason = taken.snapshot.reason[:512]
        probe.gpu_count = len(taken.snapshot.gpus)

    def _tell(self, found: Iterable[Change], at: datetime, host: Host, row: Gpu | None = None) -> None:
        for change in found:
            self.events.append(
                Event(
                    kind=change.kind, at=at, host=host, gpu=row, text=change.text[:600], detail=change.detail
                )
            )

    def flush(self) -> None:
        """Write every changed row, each table in one statement (or a few, by the database's limits)."""
        _upsert(Gpu, self.changed.values(), GPU_COLUMNS)
        # Ended placements are closed before new ones are added, since a GPU is in one place at a time.
        GpuPlacement.objects.bulk_create([*self.closed, *self.made.values()], batch_size=2000)
        update_readings([row for pk, row in self.read.items() if pk not in self.changed])
        _upsert(Host, (host for pk, host in self.hosts.items() if pk in self.latest), HOST_COLUMNS)
        _upsert(
            Probe, (probe for pk, probe in self.probes.items() if probe.ended_at == self.now), PROBE_COLUMNS
        )
        insert_samples(list(self.samples.values()))
        Event.objects.bulk_create(self.events)
        latest = [HostLatest(host_id=pk, packed=_packed(taken)) for pk, taken in self.latest.items()]
        _upsert(HostLatest, latest, ["packed"])


def _packed(taken: Taken) -> bytes:
    return pack(taken.snapshot) if taken.packed is None else taken.packed


def _upsert(model: type[Row], rows: Iterable[Row], columns: list[str]) -> None:
    """Insert or update whole rows by primary key: one statement where `bulk_update` needs a CASE per cell."""
    model._default_manager.bulk_create(
        list(rows), update_conflicts=True, unique_fields=["pk"], update_fields=columns, batch_size=2000
    )
