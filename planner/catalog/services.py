"""Writing the catalog: loading what is shipped beside what people have edited, and recording a new price.

Loading is idempotent and never loses a person's edit: a row that was changed here keeps its values, and a
shipped change to it is reported. Nothing is deleted; what is no longer shipped is withdrawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from planner.catalog.facts.catalog import Catalog
from planner.catalog.models import CatalogRow, Price
from planner.catalog.rows import ALSO_ONCE, KEYS, Values, shipped_values
from planner.engine.question.words import PAYMENT_OPTIONS

BATCH = 500


@dataclass(slots=True)
class TableChanges:
    """What loading did to one table, each row by its key in words.

    before: facts of the rows that were brought up to date, as they were, by primary key.
    first: whether the table was empty, so that everything in it is new.
    created, gone: the rows behind ``added`` and ``withdrawn``.  replaced: mistaken prices and what stands in
    their place, (old, new).
    """

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    unchanged: int = 0
    before: dict[int, dict[str, Any]] = field(default_factory=dict)
    first: bool = False
    created: list[CatalogRow] = field(default_factory=list)
    gone: list[CatalogRow] = field(default_factory=list)
    replaced: list[tuple[Price, Price]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.updated or self.withdrawn or self.kept)


@dataclass(slots=True)
class _Work:
    create: list[CatalogRow] = field(default_factory=list)
    update: list[CatalogRow] = field(default_factory=list)


class _DryRunError(Exception):
    """Takes a rehearsed load back."""


Scope = Callable[[CatalogRow], bool]


def everything(row: CatalogRow) -> bool:
    """The scope of a whole edition."""
    return True


def load_catalog(
    catalog: Catalog, *, dry_run: bool = False, scope: Scope = everything
) -> dict[str, TableChanges]:
    """Bring the tables up to date with a catalog; what changed, by table name. All or nothing.

    dry_run: say what would change, and change nothing.
    scope: the rows that this catalog speaks of; rows outside are neither changed nor withdrawn, so that one
    source's silence takes nothing from another.
    """
    changes: dict[str, TableChanges] = {}
    try:
        with transaction.atomic():
            for table, values in shipped_values(catalog).items():
                changes[str(table._meta.verbose_name_plural)] = _load_table(table, values, scope)
            if dry_run:
                raise _DryRunError
    except _DryRunError:
        pass
    return changes


def record_price(price: Price) -> list[Price]:
    """Store a new price; the one in force before it, of the same kind, ends on the day this one begins.

    One of the past ends on the day on which the next known one begins. Returns the prices that ended.
    """
    with transaction.atomic():
        alike = Price.objects.filter(
            instance_type__slug=price.instance_type_id,
            region=price.region,
            purchase=price.purchase,
            payment_option__in=_same_payment(price),
            negotiated=price.negotiated,
            withdrawn=False,
        ).exclude(pk=price.pk)
        if price.valid_to is None and not price.withdrawn:
            later = alike.filter(valid_from__gt=price.valid_from).order_by("valid_from")
            price.valid_to = later.values_list("valid_from", flat=True).first()
        earlier = alike.filter(valid_from__lt=price.valid_from, valid_to__isnull=True)
        ended = [] if price.withdrawn else list(earlier)
        for row in ended:
            row.valid_to = price.valid_from
            row.save()
        price.save()
    return ended


def _same_payment(price: Price) -> list[str]:
    """Payment options that a price replaces: its own, and the one of a source that did not say.

    A price without one replaces every option: that is what it says of the purchase as a whole.
    """
    return [price.payment_option, ""] if price.payment_option else ["", *PAYMENT_OPTIONS]


def _load_table(table: type[CatalogRow], shipped: Iterable[Values], scope: Scope) -> TableChanges:
    key_names = KEYS[table]
    known = {
        (*_key(row, key_names), *_aside(row)): row
        for row in table.objects.order_by("withdrawn", "pk").reverse()
        if not getattr(row, "negotiated", False)
    }
    changes, work = TableChanges(first=not known), _Work()
    shipped_keys = set()
    for values in shipped:
        fresh = table(**values)
        fresh.shipped = fresh.facts()
        key = _key(fresh, key_names)
        shipped_keys.add(key)
        if not scope(fresh):
            continue
        _place(known.get(key) or known.get((*key, _payment_of(fresh))), fresh, key, changes, work)
    for key, row in known.items():
        if key not in shipped_keys and row.shipped is not None and not row.withdrawn and scope(row):
            _withdraw(row, key, changes, work)
    if table in ALSO_ONCE:
        _give_way(list(known.values()), ALSO_ONCE[table], changes, work)
    _write(table, work)
    return changes


def _aside(row: CatalogRow) -> tuple[str, ...]:
    """What a refreshed price is told by besides its key, since a source gives every payment option."""
    return (_payment_of(row),) if row.kept_by and isinstance(row, Price) else ()


def _payment_of(row: CatalogRow) -> str:
    """The payment option of a price; nothing for other rows."""
    return row.payment_option if isinstance(row, Price) else ""


def _place(row: Any, fresh: Any, key: tuple[Any, ...], changes: TableChanges, work: _Work) -> None:
    """Decide what becomes of one shipped row beside the one that is there, if any."""
    name = " ".join(str(part) for part in key)
    before = None if row is None else row.shipped if row.shipped is not None else row.facts()
    if row is None:
        work.create.append(fresh)
        changes.created.append(fresh)
        changes.added.append(name)
    elif row.shipped == fresh.shipped:
        changes.unchanged += 1
    elif row.facts() == fresh.shipped:
        _adopt(row, fresh, work)
        changes.unchanged += 1
    elif row.is_edited:
        differing = _differences(row.shipped, fresh.shipped) if row.shipped else "a row of its own"
        changes.kept.append(f"{name}: edited here; shipped now has {differing}")
    elif isinstance(fresh, Price) and row.usd_per_hour != fresh.usd_per_hour:
        # A price that was stored is never overwritten: the mistaken one is withdrawn, for the record.
        changes.updated.append(f"{name}: {_differences(before, fresh.shipped)}")
        row.withdrawn = True
        row.shipped = {**(before or {}), "withdrawn": True}
        work.update.append(row)
        work.create.append(fresh)
        changes.replaced.append((row, fresh))
    else:
        changes.updated.append(f"{name}: {_differences(before, fresh.shipped)}")
        changes.before[row.pk] = row.facts()
        _adopt(row, fresh, work)


def _adopt(row: Any, fresh: Any, work: _Work) -> None:
    for name in (*row.FACTS, "source", "as_of", "note", "withdrawn"):
        setattr(row, name, getattr(fresh, name))
    row.shipped = fresh.shipped
    work.update.append(row)


def _withdraw(row: CatalogRow, key: tuple[Any, ...], changes: TableChanges, work: _Work) -> None:
    name = " ".join(str(part) for part in key)
    if row.is_edited:
        changes.kept.append(f"{name}: edited here; no longer shipped")
        return
    row.withdrawn = True
    row.shipped = row.facts()
    work.update.append(row)
    changes.gone.append(row)
    changes.withdrawn.append(f"{name}: no longer shipped")


def _give_way(known: list[CatalogRow], names: tuple[str, ...], changes: TableChanges, work: _Work) -> None:
    """A new row gives way to one in force that a person edited, where both cannot be."""
    held = {_key(row, names): row for row in known if not row.withdrawn}
    for fresh in list(work.create):
        row = held.get(_key(fresh, names))
        if row is None:
            continue
        work.create.remove(fresh)
        changes.added.pop(changes.created.index(fresh))
        changes.created.remove(fresh)
        changes.kept.append(f"{row}: edited here; shipped now is {fresh}")


def _write(table: type[CatalogRow], work: _Work) -> None:
    if work.update:
        names = (*table.FACTS, "source", "as_of", "note", "withdrawn", "shipped")
        columns = [name.removesuffix("_id") if name == "accelerator_id" else name for name in names]
        # What goes makes room for what comes, where only one of them can be in force.
        for goes in (True, False):
            rows = [row for row in work.update if row.withdrawn is goes]
            table.objects.bulk_update(rows, columns, batch_size=BATCH)
    if work.create:
        table.objects.bulk_create(work.create, batch_size=BATCH)


def _key(row: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in names)


def _differences(before: Any, after: Any) -> str:
    """Changed facts in words, as ``usd_per_hour 98.32 → 55.04``."""
    changed = [name for name in after if before.get(name) != after[name]]
    return ", ".join(f"{name} {_short(before.get(name))} → {_short(after[name])}" for name in changed)


def _short(value: Any) -> str:
    text = "empty" if value in (None, "") else str(value)
    return text if len(text) <= 60 else text[:59] + "…"
