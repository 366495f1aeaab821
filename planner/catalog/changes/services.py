"""Change sets: made, accepted in whole or part by someone or by a rule, rejected, undone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from planner.catalog.changes.models import AcceptanceRule, Change, ChangeSet, RefreshRun
from planner.catalog.changes.observed import Observed
from planner.catalog.changes.proposing import Proposal, Row, key_of, proposed
from planner.catalog.facts.catalog import Catalog
from planner.catalog.models import (
    Accelerator,
    Availability,
    CatalogRow,
    InstanceType,
    MigProfile,
    Price,
    TransformerModel,
)
from planner.catalog.selectors import catalog_of_rows
from planner.catalog.services import record_price

TABLES: dict[str, type[CatalogRow]] = {
    "price": Price,
    "instancetype": InstanceType,
    "availability": Availability,
    "accelerator": Accelerator,
    "migprofile": MigProfile,
    "transformermodel": TransformerModel,
}
BATCH = 500
REFRESHED_NOTE = "Accepted from a refresh."


@dataclass(slots=True)
class Outcome:
    """What became of a decision: how many changes it reached, and which it could not, with the reason."""

    done: int = 0
    problems: list[str] = field(default_factory=list)


def propose(
    observed: Sequence[Observed],
    *,
    source: str,
    title: str,
    now: datetime,
    run: RefreshRun | None = None,
    kind: str = ChangeSet.Kind.REFRESH,
) -> ChangeSet:
    """Record what the observations would change; rows that are as observed are marked as seen today."""
    today = timezone.localdate(now)
    with transaction.atomic():
        found = proposed(observed, _known(observed), _machines(), today)
        made = ChangeSet.objects.create(
            kind=kind, source=source, title=title, made_at=now, run=run, seen_again=len(found.seen_again)
        )
        Change.objects.bulk_create([Change(change_set=made, **each) for each in found.changes], BATCH)
        _mark_seen(found, today)
    return made


def accept_by_rules(change_set: ChangeSet, *, now: datetime) -> Outcome:
    """Accept what a rule covers; flagged changes wait for a person whatever the rules say."""
    outcome = Outcome()
    rules = list(AcceptanceRule.objects.filter(active=True))
    for change in change_set.changes.filter(state=Change.State.PROPOSED):
        rule = next((rule for rule in rules if covers(rule, change, change_set.source)), None)
        if rule is not None:
            _accept(change, who=f"rule: {rule.name}", why="", now=now, outcome=outcome)
    return outcome


def covers(rule: AcceptanceRule, change: Change, source: str) -> bool:
    """Whether a rule accepts a change of a source unseen."""
    if change.flags or (rule.source and rule.source != source):
        return False
    if rule.purchase and rule.purchase != change.purchase:
        return False
    if not change.field:
        return rule.new_rows
    percent = change.percent
    return change.table == "price" and percent is not None and abs(percent) <= rule.most_change_percent


def accept(changes: Iterable[Change], *, who: str, why: str, now: datetime) -> Outcome:
    """Apply changes, each by itself: one that no longer fits its row is left, with the reason."""
    outcome = Outcome()
    for change in changes:
        _accept(change, who=who, why=why, now=now, outcome=outcome)
    return outcome


class _TakeBackError(Exception):
    """Ends a rehearsal."""


def rehearse(changes: Iterable[Change]) -> tuple[Outcome, Catalog]:
    """What accepting would do, and the catalog it would make. Nothing is kept."""
    try:
        with transaction.atomic():
            outcome = accept(changes, who="preview", why="", now=timezone.now())
            after = catalog_of_rows()
            raise _TakeBackError
    except _TakeBackError:
        pass
    return outcome, after


def reject(changes: Iterable[Change], *, who: str, why: str, now: datetime) -> Outcome:
    """Leave the rows as they are, for the record."""
    outcome = Outcome()
    for change in changes:
        if change.state != Change.State.PROPOSED:
            outcome.problems.append(f"{change.row}: already {change.get_state_display()}.")
            continue
        _decide(change, Change.State.REJECTED, who, why, now)
        outcome.done += 1
    return outcome


def undo(changes: Iterable[Change], *, who: str, why: str, now: datetime) -> Outcome:
    """Take accepted changes back, unless their rows have been changed since. The newest first."""
    outcome = Outcome()
    for change in sorted(changes, key=lambda change: change.pk, reverse=True):
        try:
            with transaction.atomic():
                change = Change.objects.select_for_update().get(pk=change.pk)
                if change.state != Change.State.ACCEPTED:
                    raise ValidationError(f"it is {change.get_state_display()}, not accepted")
                _take_back(change)
                _decide(change, Change.State.UNDONE, who, why, now)
        except ValidationError as problem:
            outcome.problems.append(f"{change.row} {change.field}: {' '.join(problem.messages)}.")
        else:
            outcome.done += 1
    return outcome


def _accept(change: Change, *, who: str, why: str, now: datetime, outcome: Outcome) -> None:
    try:
        with transaction.atomic():
            change = Change.objects.select_for_update().get(pk=change.pk)
            if change.state != Change.State.PROPOSED:
                raise ValidationError(f"it is already {change.get_state_display()}")
            change.undo = _applied(change)
            _decide(change, Change.State.ACCEPTED, who, why, now)
    except ValidationError as problem:
        outcome.problems.append(f"{change.row} {change.field}: {' '.join(problem.messages)}.")
    else:
        outcome.done += 1


def _decide(change: Change, state: str, who: str, why: str, now: datetime) -> None:
    change.state, change.decided_by, change.why, change.decided_at = state, who[:150], why[:500], now
    change.save(update_fields=["state", "decided_by", "why", "decided_at", "undo"])


def _applied(change: Change) -> dict[str, Any]:
    """Do what a change says; what has to be known to undo it.  Raises ValidationError where it does not
    fit."""
    if change.table == "price":
        return _price_applied(change)
    table = TABLES[change.table]
    if not change.field:
        return {"created": _created(table, change).pk}
    row = table.objects.select_for_update().filter(**change.key).first()
    if row is None:
        raise ValidationError("its row is gone")
    if _plain(getattr(row, change.field)) != _plain(change.before):
        raise ValidationError(f"it has been changed to {getattr(row, change.field)} since it was proposed")
    before = {"source": row.source, "as_of": row.as_of, "kept_by": row.kept_by}
    setattr(row, change.field, change.after)
    row.source, row.as_of = change.source, change.as_of
    _checked(row)
    row.save()
    return {"row": row.pk, **before}


def _price_applied(change: Change) -> dict[str, Any]:
    values = dict(change.values)
    begins = date.fromisoformat(str(values.pop("valid_from")))
    price = Price(
        **change.key,
        **{name: _dollars(value) for name, value in values.items()},
        valid_from=begins,
        source=change.source,
        as_of=change.as_of,
        kept_by=change.change_set.source,
    )
    alike = Price.objects.filter(
        instance_type__slug=price.instance_type_id, region=price.region, purchase=price.purchase,
        payment_option=price.payment_option, negotiated=False, withdrawn=False,
    )  # fmt: skip
    if change.field:
        now = _in_force(price)
        if now is None or abs(float(now.usd_per_hour) - float(str(change.before))) > 1e-6:
            raise ValidationError("the price in force is no longer the one it was held against")
    withdrawn = []
    for same_day in alike.filter(valid_from=begins):
        same_day.withdrawn = True
        same_day.save()
        withdrawn.append(same_day.pk)
    _checked(price)
    ended = record_price(price)
    return {
        "created": price.pk,
        "valid_to": _plain(price.valid_to),
        "ended": [row.pk for row in ended],
        "withdrawn": withdrawn,
    }


def _in_force(price: Price) -> Price | None:
    """The list price of the same kind that has not ended."""
    return (
        Price.objects.filter(
            instance_type__slug=price.instance_type_id,
            region=price.region,
            purchase=price.purchase,
            payment_option__in=[price.payment_option, ""],
            negotiated=False,
            withdrawn=False,
            valid_to=None,
        )
        .order_by("-valid_from", "-payment_option")
        .first()
    )


def _created(table: type[CatalogRow], change: Change) -> CatalogRow:
    row = table(
        **change.key,
        **change.values,
        source=change.source,
        as_of=change.as_of,
        kept_by=change.change_set.source,
    )
    _checked(row)
    row.save()
    return row


def _take_back(change: Change) -> None:
    """Undo what accepting did.  Raises ValidationError where a later change stands on it."""
    table, done = TABLES[change.table], change.undo
    if "created" in done:
        row = table.objects.select_for_update().filter(pk=done["created"]).first()
        if row is None or row.withdrawn:
            raise ValidationError("its row is gone")
        if isinstance(row, Price) and _plain(row.valid_to) != done.get("valid_to"):
            raise ValidationError("a later price has ended this one: undo that first")
        row.withdrawn = True
        row.save()
        for pk in done.get("withdrawn", ()):
            Price.objects.filter(pk=pk).update(withdrawn=False)
        for pk in done.get("ended", ()):
            Price.objects.filter(pk=pk).update(valid_to=None)
        return
    row = table.objects.select_for_update().get(pk=done["row"])
    if _plain(getattr(row, change.field)) != _plain(change.after):
        raise ValidationError(f"it has been changed to {getattr(row, change.field)} since")
    setattr(row, change.field, change.before)
    row.source, row.as_of = done["source"], date.fromisoformat(done["as_of"])
    row.save()


def _checked(row: CatalogRow) -> None:
    """Refuse what the tables refuse, in words rather than as a database error."""
    try:
        row.full_clean(exclude=["source"], validate_unique=True)
    except ValidationError as problem:
        raise ValidationError(
            [f"{name}: {' '.join(words)}" for name, words in problem.message_dict.items()]
        ) from problem


def _known(observed: Iterable[Observed]) -> dict[tuple[Any, ...], Row]:
    known: dict[tuple[Any, ...], Row] = {}
    tables = {each.table for each in observed}
    if "price" in tables:
        held = Price.objects.filter(withdrawn=False, negotiated=False, valid_to=None).order_by(
            "valid_from", "pk"
        )
        for values in map(dict, held.values()):
            known[key_of("price", values)] = Row(pk=int(str(values["id"])), values=values)
    if "instancetype" in tables:
        for values in map(dict, InstanceType.objects.values()):
            known[("instancetype", values["slug"])] = Row(pk=int(str(values["id"])), values=values)
    if "availability" in tables:
        for values in map(dict, Availability.objects.values()):
            key = ("availability", values["instance_type_id"], values["region"])
            known[key] = Row(pk=int(str(values["id"])), values=values)
    return known


def _machines() -> frozenset[str]:
    return frozenset(InstanceType.objects.filter(withdrawn=False).values_list("slug", flat=True))


def _mark_seen(found: Proposal, today: date) -> None:
    by_table: dict[str, list[int]] = {}
    for table, pk in found.seen_again:
        by_table.setdefault(table, []).append(pk)
    for table, pks in by_table.items():
        for first in range(0, len(pks), BATCH):
            TABLES[table].objects.filter(pk__in=pks[first : first + BATCH]).update(seen_on=today)


def _dollars(value: Any) -> Any:
    return Decimal(repr(value)).quantize(Decimal("0.000001")) if isinstance(value, float) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date):
        return value.isoformat()
    return value
