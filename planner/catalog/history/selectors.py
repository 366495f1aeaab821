"""The catalog's rows as they were on a day.

Prices say themselves from when to when they hold. Other facts are today's with every logged change since
undone:
edits, imports and accepted changes. What a new shipped edition changed is not in the log, so that facts
before the
last edition are those of that edition; the change sets of editions say what it changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from auditlog.models import LogEntry
from django.db.models import Field, Q
from django.utils import timezone

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


def columns(table: type[CatalogRow]) -> list[str]:
    """The names under which a table's facts are written."""
    return [field.attname for field in table._meta.concrete_fields if field.name not in UNSHOWN]


def _changed_since(table: type[CatalogRow], day: date) -> dict[int, dict[str, Any] | None]:
    """By primary key: what fields were before their first change after a day; None where the row is newer."""
    moment = timezone.make_aware(datetime.combine(day + timedelta(days=1), time()))
    entries = (
        LogEntry.objects.get_for_model(table)
        .filter(timestamp__gte=moment)
        .order_by("-timestamp", "-pk")
        .values_list("object_id", "action", "changes")
    )
    fields: dict[str, Field[Any, Any]] = {field.name: field for field in table._meta.concrete_fields}
    found: dict[int, dict[str, Any] | None] = {}
    for pk, action, changes in entries:
        if action == LogEntry.Action.CREATE:
            found[pk] = None
            continue
        before = found.setdefault(pk, {})
        if before is None:
            continue
        for name, (old, _) in (changes or {}).items():
            if name in fields:
                field = fields[name]
                before[field.attname] = None if old == "None" else field.to_python(old)
    return found
