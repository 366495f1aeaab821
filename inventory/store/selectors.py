"""Everything that reads the fleet's tables. Returns rows or plain records; texts and colours are in `pages`.

Each function costs a fixed number of queries, however large the fleet is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    IntegerField,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)

from inventory.store.models import (
    Event,
    Gpu,
    GpuPlacement,
    Host,
    HostLatest,
    MigInstance,
    Probe,
    Refusal,
    Sample,
)
from inventory.wire import policy
from inventory.wire.snapshot import HostSnapshot
from inventory.wire.snapshot_json import SnapshotError, unpack

HOSTS_A_PAGE = 40
EVENTS_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class Summary:
    """The fleet in numbers. Bytes count GPUs whose driver reported them lately; `unknown` GPUs report too
    little.
    """

    hosts: int
    stale_hosts: int
    failing_hosts: int
    gpus: int
    lost: int
    faulty: int
    idle: int
    busy: int
    unknown: int
    memory_total_bytes: int
    memory_used_bytes: int
    memory_of_idle_bytes: int
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class Filters:
    """What the address asks to see."""

    text: str = ""
    show: str = ""
    gpu_name: str = ""
    group: str = ""

    def __bool__(self) -> bool:
        return bool(self.text or self.show or self.gpu_name or self.group)


def stale(now: datetime) -> Q:
    """Hosts without a good probe for too long, or ever."""
    return Q(stale_at__isnull=True) | Q(stale_at__lte=now)


_PLACED = Q(host__isnull=False)


def fleet_summary(*, now: datetime) -> Summary:
    """The whole fleet in two queries. The last report of a stale host's GPUs counts as unknown."""
    hosts = Host.objects.aggregate(
        hosts=Count("pk"),
        stale=Count("pk", filter=stale(now)),
        failing=Count("pk", filter=Q(failures__gt=0)),
    )
    fresh = Q(host__stale_at__gt=now)
    busy = fresh & Q(idle_since__isnull=True) & (Q(utilization_percent__gt=0) | Q(memory_used_bytes__gt=0))
    gpus = Gpu.objects.filter(_PLACED).aggregate(
        gpus=Count("pk"),
        lost=Count("pk", filter=Q(state=Gpu.State.LOST)),
        faulty=Count("pk", filter=~Q(faults="")),
        idle=Count("pk", filter=fresh & Q(idle_since__isnull=False)),
        busy=Count("pk", filter=busy & Q(state=Gpu.State.PRESENT)),
        total=Sum("memory_total_bytes", filter=fresh & Q(memory_used_bytes__isnull=False)),
        used=Sum("memory_used_bytes", filter=fresh),
        idle_memory=Sum("memory_total_bytes", filter=fresh & Q(idle_since__isnull=False)),
    )
    newest = Host.objects.order_by(F("last_probe_at").desc(nulls_last=True)).values_list(
        "last_probe_at", flat=True
    )
    return Summary(
        hosts=hosts["hosts"],
        stale_hosts=hosts["stale"],
        failing_hosts=hosts["failing"],
        gpus=gpus["gpus"],
        lost=gpus["lost"],
        faulty=gpus["faulty"],
        idle=gpus["idle"],
        busy=gpus["busy"],
        unknown=gpus["gpus"] - gpus["idle"] - gpus["busy"],
        memory_total_bytes=gpus["total"] or 0,
        memory_used_bytes=gpus["used"] or 0,
        memory_of_idle_bytes=gpus["idle_memory"] or 0,
        newest=newest.first(),
    )


def hosts(filters: Filters, *, now: datetime) -> QuerySet[Host]:
    """Hosts that match, with their GPUs: those that need attention first, then by name."""
    faulty = Gpu.objects.filter(host=OuterRef("pk")).exclude(faults="")
    found = Host.objects.select_related("group").annotate(
        needs=Case(
            When(Q(failures__gt=0), then=Value(0)),
            When(stale(now), then=Value(1)),
            When(Exists(faulty), then=Value(2)),
            default=Value(3),
            output_field=IntegerField(),
        )
    )
    if filters.text:
        by_gpu = Gpu.objects.filter(host=OuterRef("pk"), uuid__icontains=filters.text)
        found = found.filter(Q(name__icontains=filters.text) | Exists(by_gpu))
    if filters.group:
        found = found.filter(group__name=filters.group)
    if filters.gpu_name:
        found = found.filter(Exists(Gpu.objects.filter(host=OuterRef("pk"), name=filters.gpu_name)))
    idle = Gpu.objects.filter(host=OuterRef("pk"), idle_since__isnull=False)
    shown = {
        "attention": Q(needs__lt=3),
        "stale": stale(now),
        "faulty": Exists(faulty),
        "idle": Exists(idle) & Q(stale_at__gt=now),
        "busy": ~Exists(idle) & Q(gpu_count__gt=0, stale_at__gt=now),
    }
    if filters.show in shown:
        found = found.filter(shown[filters.show])
    return found.prefetch_related(Prefetch("gpus", Gpu.objects.order_by("index"))).order_by("needs", "name")


def gpu_names() -> list[str]:
    """Product names in the fleet, for the filter."""
    return list(
        Gpu.objects.filter(_PLACED)
        .exclude(name="")
        .order_by("name")
        .values_list("name", flat=True)
        .distinct()
    )


def all_gpus() -> QuerySet[Gpu]:
    """Every GPU that is in a host, with the host: for exports and metrics."""
    return Gpu.objects.filter(_PLACED).select_related("host", "host__group").order_by("host__name", "index")


@dataclass(frozen=True, slots=True)
class HostKind:
    """What the price of a host's GPUs depends on."""

    gpu_name: str
    gpus: int
    instance_type: str
    region: str


def idle_kinds(*, now: datetime) -> list[tuple[HostKind, int]]:
    """How many GPUs of each kind of host are idle, for hosts heard of lately. One query."""
    columns = ("name", "host__gpu_count", "host__instance_type", "host__region")
    found = (
        Gpu.objects.filter(_PLACED, idle_since__isnull=False, host__stale_at__gt=now)
        .order_by(*columns)
        .values_list(*columns)
        .annotate(count=Count("pk"))
    )
    return [(HostKind(*row[:4]), row[4]) for row in found]


def all_hosts() -> list[Host]:
    """Every host, by name."""
    return list(Host.objects.order_by("name"))


def host_named(name: str) -> Host | None:
    """The host of this name, with its group; None where there is none."""
    return Host.objects.select_related("group").filter(name=name).first()


def latest_snapshot(host: Host) -> HostSnapshot | None:
    """The newest snapshot as a record; None before the first, or where this version cannot read it."""
    return next(iter(latest_snapshots([host])), None)


def latest_snapshots(hosts: Iterable[Host]) -> list[HostSnapshot]:
    """The newest snapshots of these hosts that this version can read, in order. One query."""
    ids = [host.pk for host in hosts]
    packed = dict(HostLatest.objects.filter(host__in=ids).values_list("host_id", "packed"))
    found = []
    for host_id in ids:
        if host_id in packed:
            with suppress(SnapshotError):
                found.append(unpack(bytes(packed[host_id])))
    return found


def gpus_of(host: Host) -> list[Gpu]:
    """The host's GPUs, by index."""
    return list(host.gpus.order_by("index"))


def gpu_with_uuid(uuid: str) -> Gpu | None:
    """The GPU of this UUID, with its host; None where there is none."""
    return Gpu.objects.select_related("host", "host__group").filter(uuid=uuid).first()


def recent_probes(host: Host, count: int = 10) -> list[Probe]:
    """The host's last probes, newest first."""
    return list(host.probes.order_by("-requested_at")[:count])


def placements(gpu: Gpu) -> list[GpuPlacement]:
    """Where the GPU has been, newest first."""
    return list(gpu.placements.select_related("host").order_by("-since"))


def mig_history(gpu: Gpu, count: int = 30) -> list[MigInstance]:
    """The GPU's MIG instances: present ones first, then the newest past ones."""
    return list(gpu.mig_instances.order_by(F("until").desc(nulls_first=True), "-since", "start")[:count])


def events(
    *,
    host: Host | None = None,
    gpu: Gpu | None = None,
    kind: str = "",
    before: int | None = None,
    count: int = EVENTS_A_PAGE,
) -> list[Event]:
    """Newest first. `before` is the id of the last event of the page before."""
    found = Event.objects.select_related("host", "gpu").order_by("-at", "-pk")
    if host is not None:
        found = found.filter(host=host)
    if gpu is not None:
        found = found.filter(gpu=gpu)
    if kind in Event.Kind.values:
        found = found.filter(kind=kind)
    if before is not None and (last := Event.objects.filter(pk=before).first()) is not None:
        found = found.filter(Q(at__lt=last.at) | Q(at=last.at, pk__lt=last.pk))
    return list(found[:count])


def refusals_since(moment: datetime) -> dict[str, int]:
    """How many deliveries were refused since then, by kind."""
    found = Refusal.objects.filter(at__gte=moment).values("kind").annotate(count=Count("pk")).order_by("kind")
    return {row["kind"]: row["count"] for row in found}


# --- history ---


def series(gpu: Gpu, *, since: datetime, until: datetime) -> list[Sample]:
    """Samples of a period, oldest first, each moment once: at the finest resolution that is kept for it."""
    start_s, end_s = int(since.timestamp()), int(until.timestamp())
    rows = Sample.objects.filter(gpu=gpu, at_s__gte=start_s, at_s__lte=end_s, resolution_s__in=policy.KEEP_S)
    # A thinned period has no finer rows left, except late ones that the next run merges.
    return sorted(rows, key=lambda row: (row.at_s, row.resolution_s))


@dataclass(frozen=True, slots=True)
class GpuThen:
    """A GPU as it was: where, and its last sample before that moment."""

    uuid: str
    name: str
    host: str
    index: int
    since: datetime
    mig: tuple[str, ...]
    sample: Sample | None


@dataclass(frozen=True, slots=True)
class FleetThen:
    """The fleet at a moment. drivers: versions by host."""

    at: datetime
    gpus: tuple[GpuThen, ...]
    drivers: dict[str, str] = field(default_factory=dict)

    @property
    def hosts(self) -> int:
        """Count of hosts with GPUs."""
        return len({gpu.host for gpu in self.gpus})


def fleet_as_of(moment: datetime) -> FleetThen:
    """The fleet as it was: placements, MIG, drivers and readings in force at `moment`. Seven queries."""
    during = Q(since__lte=moment) & (Q(until__isnull=True) | Q(until__gt=moment))
    placed = list(
        GpuPlacement.objects.filter(during).select_related("gpu", "host").order_by("host__name", "index")
    )
    mig: dict[int, list[str]] = {}
    columns = ("gpu_id", "profile", "start")
    for gpu_id, profile, start in (
        MigInstance.objects.filter(during).order_by("start", "gpu_instance_id").values_list(*columns)
    ):
        mig.setdefault(gpu_id, []).append(f"{profile or '?'}@{'?' if start is None else start}")
    samples = _samples_at({place.gpu_id for place in placed}, moment)
    return FleetThen(
        at=moment,
        gpus=tuple(
            GpuThen(
                uuid=place.gpu.uuid,
                name=place.gpu.name,
                host=place.host.name,
                index=place.index,
                since=place.since,
                mig=tuple(mig.get(place.gpu_id, ())),
                sample=samples.get(place.gpu_id),
            )
            for place in placed
        ),
        drivers=_drivers_at({place.host_id: place.host for place in placed}, moment),
    )


# How long before a moment a sample of each resolution may begin and still count for it.
_REACH_S = {policy.RAW: 3 * policy.MINUTE_S, policy.FIVE_MINUTES: 900, policy.HOURLY: 2 * policy.HOUR_S}
# The same for hosts that are probed rarely, which are looked up one by one.
_LONGEST_REACH_S = 2 * policy.HOUR_S


def _samples_at(gpu_ids: set[int], moment: datetime) -> dict[int, Sample]:
    """The last sample of each GPU that began at or before `moment`, and not too long before it."""
    at_s = int(moment.timestamp())
    found: dict[int, Sample] = {}
    for resolution, reach_s in _REACH_S.items():
        if len(found) == len(gpu_ids):
            return found
        rows = Sample.objects.filter(resolution_s=resolution, at_s__gt=at_s - reach_s, at_s__lte=at_s)
        for row in rows.order_by("-at_s"):
            if row.gpu_id in gpu_ids:
                found.setdefault(row.gpu_id, row)
    missing = list(gpu_ids - found.keys())
    # A silent fleet has no rows to find, so the list may be cut.
    seldom = Sample.objects.filter(resolution_s=policy.RAW, at_s__gt=at_s - _LONGEST_REACH_S, at_s__lte=at_s)
    for row in seldom.filter(gpu__in=missing[:1000]).order_by("-at_s"):
        found.setdefault(row.gpu_id, row)
    return found


def _drivers_at(hosts_by_id: dict[int, Host], moment: datetime) -> dict[str, str]:
    """Driver versions then: today's, with every change since undone, newest first."""
    versions = {pk: host.driver_version for pk, host in hosts_by_id.items()}
    changed = Event.objects.filter(kind=Event.Kind.DRIVER_CHANGED, host__in=hosts_by_id, at__gt=moment)
    for event in changed.order_by("-at", "-pk"):
        if event.host_id is not None:
            versions[event.host_id] = event.detail.get("from", "")
    return {hosts_by_id[pk].name: version for pk, version in versions.items()}


def sample_values(figures: list[str]) -> Iterator[dict[str, Any]]:
    """Every sample with the UUID of its GPU, row by row: there may be millions."""
    uuids = dict(Gpu.objects.values_list("pk", "uuid"))
    found = Sample.objects.order_by("pk").values("gpu_id", "at_s", "resolution_s", "weight", *figures)
    for row in found.iterator(chunk_size=10_000):
        yield {"gpu": uuids.get(row.pop("gpu_id"), "")} | row


def placement_values() -> Iterator[dict[str, Any]]:
    """Every place that a GPU ever had."""
    names = {"gpu__uuid": "gpu", "gpu__name": "name", "host__name": "host"}
    rows = GpuPlacement.objects.order_by("pk").values(*names, "index", "since", "until")
    yield from ({names.get(name, name): value for name, value in row.items()} for row in rows.iterator())


def event_values() -> Iterator[dict[str, Any]]:
    """Every event, the oldest first."""
    names = {"gpu__uuid": "gpu", "host__name": "host"}
    rows = Event.objects.order_by("pk").values(*names, "kind", "at", "text")
    yield from ({names.get(name, name): value for name, value in row.items()} for row in rows.iterator())
