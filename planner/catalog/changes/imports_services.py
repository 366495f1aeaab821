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

#: Who decides about a new edition's changes, and why.
EDITION = ("shipped edition", "loaded")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRow:
    """A row as it was (None: it is new) and as it is now. ended: prices that it ended, by primary key."""

    before: CatalogRow | None
    after: CatalogRow
    ended: tuple[int, ...] = ()


def record_import(
    table: type[CatalogRow],
    rows: Iterable[ImportedRow],
    *,
    who: str,
    file: str,
    now: datetime,
    into: ChangeSet | None = None,
) -> ChangeSet | None:
    """Write down what an import did; None where it did nothing. into: of the pieces before it."""
    changes = [change for row in rows for change in _changes(table, row, who, f"import of {file}", now)]
    if not changes:
        return None
    made = into or open_import(file, now)
    for change in changes:
        change.change_set = made
    Change.objects.bulk_create(changes, 500)
    return made


def open_import(file: str, now: datetime) -> ChangeSet:
    """An import's change set, empty so far."""
    return ChangeSet.objects.create(
        kind=ChangeSet.Kind.IMPORT,
        source="import",
        title=f"Import of {file}, {now:%Y-%m-%d %H:%M}"[:200],
        made_at=now,
    )


def record_edition(loaded: Mapping[str, TableChanges], *, now: datetime) -> ChangeSet | None:
    """Write down what a new shipped edition changed, added, replaced and withdrew; None where it did nothing.

    The first edition of a table is no change: there was nothing before it.
    """
    tables = {str(table._meta.verbose_name_plural): table for table in KEYS}
    later = {name: found for name, found in loaded.items() if not found.first}
    changes = [change for name, found in later.items() for change in _of_edition(tables[name], found, now)]
    if not changes:
        return None
    added = sum(len(found.added) for found in later.values())
    withdrawn = sum(len(found.withdrawn) for found in later.values())
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


def _of_edition(table: type[CatalogRow], found: TableChanges, now: datetime) -> Iterable[Change]:
    for row in found.created:
        yield from _changes(table, ImportedRow(before=None, after=row), *EDITION, now)
    for old, new in found.replaced:
        yield Change(
            **_shared(table, new, *EDITION, now),
            field="usd_per_hour",
            before=plain(old.usd_per_hour),
            after=plain(new.usd_per_hour),
            values=_facts(new) | {"valid_from": plain(new.valid_from)},
            undo={"created": new.pk, "withdrawn": [old.pk], "valid_to": plain(new.valid_to)},
        )
    for row in found.gone:
        yield Change(
            **_shared(table, row, *EDITION, now), field="withdrawn", before=False, after=True,
            undo=_undo_of(row),
        )  # fmt: skip
    for row in table.objects.filter(pk__in=found.before):
        before = found.before[row.pk]
        old_row = table(**{fact: before[fact] for fact in table.FACTS})
        old_row.source, old_row.as_of, old_row.kept_by = before["source"], before["as_of"], row.kept_by
        yield from _changes(table, ImportedRow(before=old_row, after=row), *EDITION, now)


def _changes(
    table: type[CatalogRow], row: ImportedRow, who: str, why: str, now: datetime
) -> Iterable[Change]:
    shared = _shared(table, row.after, who, why, now)
    if row.before is None:
        values = _facts(row.after)
        undone = {"created": row.after.pk, "ended": list(row.ended), "valid_to": values.get("valid_to")}
        yield Change(**shared, field="", values=values, undo=undone)
        return
    before, after = _facts(row.before), _facts(row.after)
    for name in table.FACTS:
        if before[name] != after[name]:
            undo = _undo_of(row.before) | {"row": row.after.pk}
            yield Change(**shared, field=name, before=before[name], after=after[name], undo=undo)


def _shared(table: type[CatalogRow], row: CatalogRow, who: str, why: str, now: datetime) -> dict[str, Any]:
    """What every change of a row says, as keyword values of the table of changes."""
    key = {name: plain(getattr(row, name)) for name in KEYS[table]}
    return {
        "table": table._meta.model_name,
        "key": key,
        "row": " ".join(str(part) for part in key.values())[:250],
        "purchase": row.purchase if isinstance(row, Price) else "",
        "source": row.source,
        "as_of": row.as_of,
        "confidence": 1.0,
        "state": Change.State.ACCEPTED,
        "decided_by": who,
        "decided_at": now,
        "why": why[:500],
    }


def _undo_of(row: CatalogRow) -> dict[str, Any]:
    """What has to be known to put a row back as it was."""
    return {"row": row.pk, "source": row.source, "as_of": row.as_of, "kept_by": row.kept_by}


def _facts(row: CatalogRow) -> dict[str, Any]:
    return {name: plain(getattr(row, name)) for name in row.FACTS}


def plain(value: Any) -> Any:
    """A value as JSON keeps it."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value
