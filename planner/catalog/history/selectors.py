"""The catalog's rows as they were on a day.

Prices say themselves from when to when they hold. Other facts are today's with every change since undone,
the newest first: what the log has (edits, imports, accepted and undone changes) and what the change sets of
shipped editions have, which are written in bulk and not logged. What was there when a table was first filled
has no beginning: facts are of machines, not of this installation.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, TypeVar

from auditlog.models import LogEntry
from django.db.models import Field, JSONField, Q
from django.utils import timezone

from planner.catalog.changes.models import Change, ChangeSet
from planner.catalog.models import (
    Accelerator,
    Availability,
    CatalogRow,
    InstanceType,
    MigProfile,
    Price,
    TransformerModel,
)

TABLES: tuple[type[CatalogRow], ...] = (
    Accelerator,
    InstanceType,
    Price,
    Availability,
    MigProfile,
    TransformerModel,
)
_Row = TypeVar("_Row", bound=CatalogRow)
UNSHOWN = {"id", "shipped", "changed_at"}


def rows_as_of(table: type[CatalogRow], day: date) -> Iterator[dict[str, Any]]:
    """Values of every row that held on a day, by field."""
    if table is Price:
        held = Price.objects.filter(withdrawn=False, valid_from__lte=day).filter(
            Q(valid_to=None) | Q(valid_to__gt=day)
        )
        yield from held.order_by("pk").values(*columns(table))
        return
    changed = _changed_since(table, day)
    for row in table.objects.order_by("pk").values("pk", *columns(table)):
        pk = row.pop("pk")
        before = changed.get(pk, {})
        if before is None:
            continue  # it was added later
        row |= before
        if not row["withdrawn"]:
            yield row


def providers_of_machines() -> dict[str, str]:
    """Of all machines there ever were: a price may be older than the row of its machine."""
    return dict(InstanceType.objects.values_list("slug", "provider"))


def as_it_was(row: _Row, day: date) -> _Row | None:
    """A row with the facts of a day, not to be saved; None where it came later or was withdrawn."""
    before = _changed_since(type(row), day, row.pk).get(row.pk, {})
    if before is None:
        return None
    then = copy.copy(row)
    for name, value in before.items():
        setattr(then, name, value)
    return None if then.withdrawn else then


def columns(table: type[CatalogRow]) -> list[str]:
    """The names under which a table's facts are written."""
    return [field.attname for field in table._meta.concrete_fields if field.name not in UNSHOWN]


def _changed_since(
    table: type[CatalogRow], day: date, pk: int | None = None
) -> dict[int, dict[str, Any] | None]:
    """By primary key: what fields were before their first change after a day; None where the row is newer.

    pk: of the only row that is asked about; None for all.
    """
    moment = timezone.make_aware(datetime.combine(day + timedelta(days=1), time()))
    fields: dict[str, Field[Any, Any]] = {field.name: field for field in table._meta.concrete_fields}
    fields |= {field.attname: field for field in table._meta.concrete_fields}
    found: dict[int, dict[str, Any] | None] = {}
    steps = [*_logged(table, moment, pk), *_of_editions(table, moment, pk)]
    for _, changed, before in sorted(steps, key=lambda step: step[0], reverse=True):
        if before is None:
            found[changed] = None
            continue
        known = found.setdefault(changed, {})
        if known is None:
            continue
        for name, old in before.items():
            if name in fields:
                known[fields[name].attname] = _read(fields[name], old)
    return found


def _read(field: Field[Any, Any], old: Any) -> Any:
    """A value as the log or a change keeps it, as the row had it."""
    if isinstance(field, JSONField) and isinstance(old, str):
        return json.loads(old)
    return old if old is None else field.to_python(old)


#: When, which row, and what its fields were before; None where the row was made then.
_Step = tuple[tuple[datetime, int], int, dict[str, Any] | None]


def _logged(table: type[CatalogRow], moment: datetime, only: int | None) -> Iterator[_Step]:
    entries = LogEntry.objects.get_for_model(table).filter(timestamp__gte=moment)
    if only is not None:
        entries = entries.filter(object_id=only)
    for pk, at, row, action, changes in entries.values_list(
        "pk", "timestamp", "object_id", "action", "changes"
    ):
        if action == LogEntry.Action.CREATE:
            yield (at, pk), row, None
        else:
            before = {name: None if old == "None" else old for name, (old, _) in (changes or {}).items()}
            yield (at, pk), row, before


def _of_editions(table: type[CatalogRow], moment: datetime, only: int | None) -> Iterator[_Step]:
    """What editions changed, whatever became of it later: to undo it is a step of its own, in the log."""
    changes = Change.objects.filter(
        table=table._meta.model_name,
        change_set__kind=ChangeSet.Kind.EDITION,
        change_set__made_at__gte=moment,
    ).values_list("pk", "change_set__made_at", "field", "before", "undo")
    for pk, at, name, before, undo in changes:
        if only not in (None, undo.get("row"), undo.get("created")):
            continue
        if "row" in undo:
            said = {"source": undo["source"], "as_of": undo["as_of"]}
            yield (at, pk), undo["row"], said | {name: before}
        elif not name:
            yield (at, pk), undo["created"], None
