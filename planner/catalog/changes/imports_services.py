"""An import, or a new shipped edition, as a change set whose changes are accepted already and can be
undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from planner.catalog.changes.models import Change, ChangeSet
from planner.catalog.models import CatalogRow, Price
from planner.catalog.rows import KEYS
from planner.catalog.services import TableChanges


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRow:
    """A row as it was (None: it is new) and as it is now."""

    before: CatalogRow | None
    after: CatalogRow


def record_import(
    table: type[CatalogRow], rows: Iterable[ImportedRow], *, who: str, file: str, now: datetime
) -> ChangeSet | None:
    """Write down what an import did; None where it did nothing."""
    changes = [change for row in rows for change in _changes(table, row, who, f"import of {file}", now)]
    if not changes:
        return None
    made = ChangeSet.objects.create(
        kind=ChangeSet.Kind.IMPORT,
        source="import",
        title=f"Import of {file}, {now:%Y-%m-%d %H:%M}",
        made_at=now,
    )
    for change in changes:
        change.change_set = made
    Change.objects.bulk_create(changes, 500)
    return made


def record_edition(loaded: Mapping[str, TableChanges], *, now: datetime) -> ChangeSet | None:
    """Write down which facts a new shipped edition changed; None where it changed none.

    Rows that it added or withdrew are counted in the title: they are in the tables, and the files say the
    rest.
    """
    tables = {str(table._meta.verbose_name_plural): table for table in KEYS}
    changes = []
    for name, found in loaded.items():
        table = tables[name]
        for row in table.objects.filter(pk__in=found.before):
            before = found.before[row.pk]
            old = table(**{fact: before[fact] for fact in table.FACTS})
            old.source, old.as_of, old.kept_by = before["source"], before["as_of"], row.kept_by
            pair = ImportedRow(before=old, after=row)
            changes += list(_changes(table, pair, "shipped edition", "loaded", now))
    if not changes:
        return None
    added = sum(len(found.added) for found in loaded.values())
    withdrawn = sum(len(found.withdrawn) for found in loaded.values())
    made = ChangeSet.objects.create(
        kind=ChangeSet.Kind.EDITION,
        source="edition",
        title=f"Shipped edition, {now:%Y-%m-%d}: {added} rows added, {withdrawn} withdrawn",
        made_at=now,
    )
    for change in changes:
        change.change_set = made
    Change.objects.bulk_create(changes, 500)
    return made


def _changes(
    table: type[CatalogRow], row: ImportedRow, who: str, why: str, now: datetime
) -> Iterable[Change]:
    key = {name: plain(getattr(row.after, name)) for name in KEYS[table]}
    shared: dict[str, Any] = {
        "table": table._meta.model_name,
        "key": key,
        "row": " ".join(str(part) for part in key.values())[:250],
        "purchase": row.after.purchase if isinstance(row.after, Price) else "",
        "source": row.after.source,
        "as_of": row.after.as_of,
        "confidence": 1.0,
        "state": Change.State.ACCEPTED,
        "decided_by": who,
        "decided_at": now,
        "why": why[:500],
    }
    if row.before is None:
        yield Change(**shared, field="", values=_facts(row.after), undo={"created": row.after.pk})
        return
    before, after = _facts(row.before), _facts(row.after)
    for name in table.FACTS:
        if before[name] != after[name]:
            undo = {
                "row": row.after.pk,
                "source": row.before.source,
                "as_of": row.before.as_of,
                "kept_by": row.before.kept_by,
            }
            yield Change(**shared, field=name, before=before[name], after=after[name], undo=undo)


def _facts(row: CatalogRow) -> Mapping[str, Any]:
    return {name: plain(getattr(row, name)) for name in row.FACTS}


def plain(value: Any) -> Any:
    """A value as JSON keeps it."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value
