"""How history ages: raw samples become five-minute and then hourly ones, and old rows are deleted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from django.db import connection, transaction
from django.db.models import F, Q

from inventory.store import changes
from inventory.store.models import Event, Gpu, Nonce, Probe, Refusal, Sample
from inventory.wire import policy

# Means are weighted by the raw samples behind each row, over the rows that have the reading at all.
# A late sample may belong to a period that exists already; the two are merged, weighted as well.
_MEANS = ("utilization_percent", "memory_used_bytes", "power_w", "temperature_c")
_MAXIMA = ("utilization_max_percent", "memory_used_max_bytes", "temperature_max_c")


@dataclass(frozen=True, slots=True)
class Thinned:
    """How many rows were removed, by table."""

    samples: int
    probes: int
    events: int
    refusals: int


def thin_history(*, now: datetime) -> Thinned:
    """Apply `policy.KEEP_S` to samples and the other limits to the rest."""
    now_s = int(now.timestamp())
    steps = sorted(policy.KEEP_S)
    removed = 0
    for fine, coarse in pairwise(steps):
        before_s = now_s - policy.KEEP_S[fine]
        # Whole periods only, so that one is not split between two runs.
        removed += _roll(fine, coarse, before_s - before_s % coarse)
    last = steps[-1]
    removed += _delete_samples(last, now_s - policy.KEEP_S[last])
    return Thinned(samples=removed, **_delete_old_rows(now))


def _roll(fine: int, coarse: int, before_s: int) -> int:
    """Merge samples of resolution `fine` older than `before_s` into periods of `coarse` seconds."""
    means = ", ".join(f"{_rounded(column)} AS {column}" for column in _MEANS)
    maxima = ", ".join(f"MAX({column}) AS {column}" for column in _MAXIMA)
    columns = ", ".join((*_MEANS, *_MAXIMA))
    merged = ", ".join(
        [f"{column} = {_merged_mean(column)}" for column in _MEANS]
        + [f"{column} = {_larger(column)}" for column in _MAXIMA]
    )
    table = Sample._meta.db_table
    sql = f"""
        INSERT INTO {table} (gpu_id, resolution_s, at_s, weight, {columns})
        SELECT gpu_id, {coarse}, at_s - at_s %% {coarse}, SUM(weight), {means}, {maxima}
        FROM {table} WHERE resolution_s = %s AND at_s < %s
        GROUP BY gpu_id, at_s - at_s %% {coarse}
        ON CONFLICT (gpu_id, resolution_s, at_s) DO UPDATE SET
            weight = {table}.weight + excluded.weight, {merged}
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(sql, [fine, before_s])
        return _delete_samples(fine, before_s)


def _rounded(column: str) -> str:
    mean = f"SUM(weight * {column} * 1.0) / NULLIF(SUM(CASE WHEN {column} IS NULL THEN 0 ELSE weight END), 0)"
    return f"CAST(ROUND({mean}) AS BIGINT)" if column.endswith("_bytes") else f"({mean})"


def _merged_mean(column: str) -> str:
    old, new = f"{Sample._meta.db_table}.{column}", f"excluded.{column}"
    weight, more = f"{Sample._meta.db_table}.weight", "excluded.weight"
    mean = f"({old} * {weight} * 1.0 + {new} * {more}) / ({weight} + {more})"
    if column.endswith("_bytes"):
        mean = f"CAST(ROUND({mean}) AS BIGINT)"
    return f"CASE WHEN {old} IS NULL THEN {new} WHEN {new} IS NULL THEN {old} ELSE {mean} END"


def _larger(column: str) -> str:
    old, new = f"{Sample._meta.db_table}.{column}", f"excluded.{column}"
    return f"CASE WHEN {old} IS NULL OR {new} > {old} THEN {new} ELSE {old} END"


def _delete_samples(resolution: int, before_s: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {Sample._meta.db_table} WHERE resolution_s = %s AND at_s < %s",
            [resolution, before_s],
        )
        return int(cursor.rowcount)


def _delete_old_rows(now: datetime) -> dict[str, int]:
    def ago(seconds: int) -> datetime:
        return now - timedelta(seconds=seconds)

    good = Q(status__in=("ok", "no_nvml"), ended_at__lt=ago(policy.KEEP_GOOD_PROBES_S)) & ~Q(source="agent")
    delivered = Q(
        status__in=("ok", "no_nvml"), ended_at__lt=ago(policy.KEEP_DELIVERED_PROBES_S), source="agent"
    )
    old = Q(ended_at__lt=ago(policy.KEEP_FAILED_PROBES_S))
    Nonce.objects.filter(seen_at__lt=ago(2 * policy.CLOCK_TOLERANCE_S)).delete()
    return {
        "probes": Probe.objects.filter(state=Probe.State.ENDED).filter(good | delivered | old).delete()[0],
        "events": Event.objects.filter(at__lt=ago(policy.KEEP_EVENTS_S)).delete()[0],
        "refusals": Refusal.objects.filter(at__lt=ago(policy.KEEP_REFUSALS_S)).delete()[0],
    }


def report_idle_gpus(*, now: datetime) -> int:
    """Record one event per idle period for each GPU idle longer than the policy says; returns how many."""
    since = now - timedelta(seconds=policy.IDLE_EVENT_AFTER_S)
    with transaction.atomic():
        idle = list(
            Gpu.objects.select_for_update(of=("self",))
            .select_related("host")
            .filter(idle_since__lte=since, idle_reported_at__isnull=True, host__isnull=False)
            # The GPUs of a stale host may be busy by now.
            .filter(last_seen_at__gte=F("host__last_taken_at"))
        )
        events = []
        for gpu in idle:
            assert gpu.idle_since is not None
            assert gpu.host is not None
            days = (now - gpu.idle_since).days
            text = f"{changes.label(gpu, gpu.host.name)} has been idle for {days} days."
            events.append(
                Event(kind=Event.Kind.IDLE, at=now, host=gpu.host, gpu=gpu, text=text, detail={"days": days})
            )
            gpu.idle_reported_at = now
        Event.objects.bulk_create(events)
        Gpu.objects.bulk_update(idle, ["idle_reported_at"], batch_size=500)
    return len(idle)
