"""A refresh from beginning to end: one at a time a source, heard of as it goes, kept as far as it got."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from planner.catalog.changes.models import (
    HEARD_EVERY_S,
    LOST_AFTER,
    ExchangeRate,
    RefreshRun,
    SpotDay,
)
from planner.catalog.changes.observed import (
    Asked,
    Fault,
    KnownAccelerator,
    KnownMachine,
    NotSetUpError,
    Observed,
    ObservedRate,
    ObservedSpotDay,
    Source,
    UnknownField,
)
from planner.catalog.changes.services import accept_by_rules, propose
from planner.catalog.models import Accelerator, InstanceType

State = RefreshRun.State
#: Faults and unknown fields that a run keeps; the first ones tell what is wrong.
MOST_KEPT = 200
#: Rows between two times that a run says how far it is.
ROWS_A_SIGN = 200
LOST_MESSAGE = "The worker ended without a word; what it had read was not kept."


def begin(source: str, *, asked_by: str, now: datetime) -> RefreshRun | None:
    """Open a run; None where one of this source is running. One that fell silent is closed first."""
    close_lost(now, source)
    try:
        with transaction.atomic():
            return RefreshRun.objects.create(
                source=source, asked_by=asked_by, started_at=now, heard_at=now, state=State.RUNNING
            )
    except IntegrityError:
        return None


def close_lost(now: datetime, source: str | None = None) -> None:
    """Write down that runs, of one source or all, have ended without a word."""
    silent = RefreshRun.objects.filter(state=State.RUNNING, heard_at__lt=now - LOST_AFTER)
    for lost in silent if source is None else silent.filter(source=source):
        lost.state, lost.ended_at = State.LOST, now
        lost.message = LOST_MESSAGE
        lost.save()


@contextmanager
def heard(run: RefreshRun, every_s: float = HEARD_EVERY_S) -> Iterator[None]:
    """Signs of life from a thread, since a source may wait for minutes; they end with the process."""
    over = threading.Event()

    def beat() -> None:
        try:
            while not over.wait(every_s):
                with suppress(DatabaseError):  # a locked database: the next beat is soon
                    RefreshRun.objects.filter(pk=run.pk, state=State.RUNNING).update(heard_at=timezone.now())
        finally:
            connection.close()

    thread = threading.Thread(target=beat, name=f"heard-{run.source}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def refresh(source: Source, run: RefreshRun) -> RefreshRun:
    """Read a source to its end, or as far as it gets; what was read becomes a change set."""
    observed: list[Observed] = []
    days: list[ObservedSpotDay] = []
    rates: list[ObservedRate] = []
    faults: list[Fault] = []
    strangers: dict[str, UnknownField] = {}

    def progress(done: int, expected: int | None, words: str) -> None:
        run.done, run.expected, run.message = done, expected, words[:1000]
        _heard(run, len(observed) + len(days) + len(rates))

    try:
        for number, item in enumerate(source.read(_asked(progress)), start=1):
            match item:
                case Observed():
                    observed.append(item)
                case ObservedSpotDay():
                    days.append(item)
                case ObservedRate():
                    rates.append(item)
                case Fault():
                    faults.append(item)
                case UnknownField():
                    strangers.setdefault(item.path, item)
            if number % ROWS_A_SIGN == 0:
                _heard(run, len(observed) + len(days) + len(rates))
    except NotSetUpError as missing:
        return _ended(run, State.NOT_SET_UP, str(missing))
    except Exception as failure:  # whatever a source meets must not lose what was read before
        faults.append(Fault(part=run.message or "start", message=f"{type(failure).__name__}: {failure}"))
    run.faults = [
        {"part": fault.part, "message": fault.message, "remedy": fault.remedy} for fault in faults[:MOST_KEPT]
    ]
    run.unknown_fields = [
        {"path": field.path, "example": field.example} for field in list(strangers.values())[:MOST_KEPT]
    ]
    run.rows_read = len(observed) + len(days) + len(rates)
    now = timezone.now()
    words = f"{run.rows_read:,} rows read"
    if observed:
        made = propose(
            observed, source=source.slug, title=f"{source.title}, {now:%Y-%m-%d}", now=now, run=run
        )
        done = accept_by_rules(made, now=now)
        words += f", {made.changes.count()} changes, {done.done} accepted by rules"
    _keep_days(days)
    _keep_rates(rates)
    if faults:
        words += f"; {len(faults)} parts could not be read: {faults[0].message} {faults[0].remedy}"
    state = State.DONE if not faults else State.PARTIAL if run.rows_read else State.FAILED
    return _ended(run, state, words)


def due(sources: Sequence[tuple[str, int]], *, now: datetime) -> list[str]:
    """The sources, by (slug, hours between readings), whose last reading is older than that."""
    close_lost(now)
    found = []
    for slug, hours in sources:
        last = RefreshRun.objects.filter(source=slug).exclude(state=State.LOST).first()
        if last is None or last.started_at <= now - timedelta(hours=hours, minutes=-10):
            found.append(slug)
    return found


def _asked(progress: object) -> Asked:
    machines = tuple(
        KnownMachine(
            slug=row["slug"],
            provider=row["provider"],
            family=row["family"],
            accelerator=str(row["accelerator_id"]),
            accelerators=row["accelerators_per_node"],
            vcpus=row["vcpus"],
            host_memory_gib=row["host_memory_gib"],
        )
        for row in InstanceType.objects.filter(withdrawn=False).values()
    )
    chips = tuple(
        KnownAccelerator(slug=row["slug"], name=row["name"], memory_mib=row["memory_mib"])
        for row in Accelerator.objects.filter(withdrawn=False).values()
    )
    return Asked(
        machines=machines,
        accelerators=chips,
        regions={name: tuple(regions) for name, regions in settings.CATALOG_REGIONS.items()},
        now=timezone.now(),
        progress=progress,  # type: ignore[arg-type]
    )


def _heard(run: RefreshRun, rows: int) -> None:
    run.rows_read, run.heard_at = rows, timezone.now()
    run.save(update_fields=["done", "expected", "message", "rows_read", "heard_at"])


def _ended(run: RefreshRun, state: str, words: str) -> RefreshRun:
    run.state, run.message = state, words[:1000]
    run.ended_at = run.heard_at = timezone.now()
    run.save()
    return run


def _keep_days(days: Sequence[ObservedSpotDay]) -> None:
    SpotDay.objects.bulk_create(
        [
            SpotDay(
                instance=day.instance, region=day.region, day=day.day, zones=day.zones, usd_low=day.usd_low,
                usd_q25=day.usd_q25, usd_median=day.usd_median, usd_q75=day.usd_q75, usd_high=day.usd_high,
            )
            for day in days
        ],
        batch_size=500,
        update_conflicts=True,
        unique_fields=["instance", "region", "day"],
        update_fields=["zones", "usd_low", "usd_q25", "usd_median", "usd_q75", "usd_high"],
    )  # fmt: skip


def _keep_rates(rates: Sequence[ObservedRate]) -> None:
    kept: dict[tuple[str, date], ObservedRate] = {(rate.currency, rate.day): rate for rate in rates}
    ExchangeRate.objects.bulk_create(
        [
            ExchangeRate(currency=rate.currency, day=rate.day, per_usd=rate.per_usd, source=rate.source)
            for rate in kept.values()
        ],
        batch_size=500,
        update_conflicts=True,
        unique_fields=["currency", "day"],
        update_fields=["per_usd", "source"],
    )
