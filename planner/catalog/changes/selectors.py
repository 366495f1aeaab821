"""Reading change sets, refreshes, spot days and exchange rates. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Count, Max, Q, QuerySet

from planner.catalog.changes.models import Change, ChangeSet, ExchangeRate, RefreshRun, SpotDay
from planner.catalog.models import Price


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAge:
    """One source: its last run, the last that brought rows, and its failures since."""

    slug: str
    last: RefreshRun | None
    good_at: datetime | None
    failures: int


def change_sets() -> QuerySet[ChangeSet]:
    """All of them, the newest first, with how many changes wait."""
    return ChangeSet.objects.annotate(
        total=Count("changes"),
        waiting=Count("changes", filter=Q(changes__state=Change.State.PROPOSED)),
        flagged=Count("changes", filter=Q(changes__state=Change.State.PROPOSED) & ~Q(changes__flags=[])),
    )


def change_set(pk: int) -> ChangeSet | None:
    """One change set."""
    return change_sets().filter(pk=pk).first()


def changes_of(change_set_pk: int, pks: list[int] | None = None) -> list[Change]:
    """Changes of a set: all, or those named."""
    found = Change.objects.filter(change_set_id=change_set_pk).select_related("change_set")
    return list(found if pks is None else found.filter(pk__in=pks))


def unflagged(change_set_pk: int, state: str) -> list[Change]:
    """Changes of a set in one state that nothing speaks against."""
    return [change for change in changes_of(change_set_pk) if change.state == state and not change.flags]


def moved_prices(run: RefreshRun, most_percent: float) -> list[Change]:
    """Prices that a run found moved by more than so many per cent, the largest first."""
    found = Change.objects.filter(change_set__run=run, table="price", field="usd_per_hour")
    moved = [change for change in found if abs(change.percent or 0.0) > most_percent]
    return sorted(moved, key=lambda change: -abs(change.percent or 0.0))


def source_ages(slugs: list[str]) -> list[SourceAge]:
    """How old what each source says is."""
    good = (RefreshRun.State.DONE, RefreshRun.State.PARTIAL)
    found = []
    for slug in slugs:
        runs = RefreshRun.objects.filter(source=slug)
        good_at = runs.filter(state__in=good).aggregate(at=Max("ended_at"))["at"]
        since = runs.filter(state__in=(RefreshRun.State.FAILED, RefreshRun.State.LOST))
        if good_at is not None:
            since = since.filter(started_at__gt=good_at)
        found.append(SourceAge(slug=slug, last=runs.first(), good_at=good_at, failures=since.count()))
    return found


def spot_days(instance: str, region: str) -> list[SpotDay]:
    """The spot market of a machine in a region, day by day."""
    return list(SpotDay.objects.filter(instance=instance, region=region))


def exchange_rate(currency: str, day: date | None = None) -> ExchangeRate | None:
    """The last rate of a currency, up to a day."""
    found = ExchangeRate.objects.filter(currency=currency)
    return (found if day is None else found.filter(day__lte=day)).first()


def currencies() -> list[str]:
    """Currencies with a rate."""
    return list(ExchangeRate.objects.order_by("currency").values_list("currency", flat=True).distinct())


def price_ages() -> list[dict[str, Any]]:
    """By provider: prices in force, the oldest and newest day on which one was seen."""
    found = (
        Price.objects.filter(withdrawn=False, valid_to=None)
        .values("instance_type__provider")
        .annotate(count=Count("pk"), as_of=Max("as_of"), seen_on=Max("seen_on"))
        .order_by("instance_type__provider")
    )
    return [dict(each) for each in found]
