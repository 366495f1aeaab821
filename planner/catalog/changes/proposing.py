"""What a source observed, held against the rows: the changes that follow, flagged where they are odd.

Pure: rows come in as values, changes go out as values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from planner.catalog.changes.checking import band_flags, fact_flags, price_flags, zone_flags
from planner.catalog.changes.observed import Observed

#: Sums of parts and quotients of terms differ in the last digit; a price is kept to a millionth of a dollar.
SAME_USD = 1.5e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row as it stands, by its primary key."""

    pk: int
    values: Mapping[str, Any]


@dataclass(slots=True)
class Proposal:
    """Changes as keyword values of the table of changes, and the rows that are as the source says."""

    changes: list[dict[str, Any]] = field(default_factory=list)
    seen_again: list[tuple[str, int]] = field(default_factory=list)


Known = Mapping[tuple[Any, ...], Row]


def key_of(table: str, key: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a row of a table is looked up with."""
    if table == "price":
        return (
            table,
            key["instance_type_id"],
            key["region"],
            key["purchase"],
            key.get("payment_option", ""),
        )
    return (table, *key.values())


def proposed(observed: Iterable[Observed], known: Known, machines: frozenset[str], today: date) -> Proposal:
    """The changes that make the rows what was observed.

    machines: slugs of the instance types that there are; what speaks of another is flagged.
    """
    found = Proposal()
    for each in observed:
        row = known.get(key_of(each.table, each.key))
        if each.table == "price" and row is None:
            # A row whose source did not say how it is paid.
            row = known.get(key_of("price", {**each.key, "payment_option": ""}))
        if each.table == "price":
            _price(each, row, machines, today, found)
        else:
            _facts(each, row, machines, found)
    return found


def _price(each: Observed, row: Row | None, machines: frozenset[str], today: date, found: Proposal) -> None:
    usd = each.values["usd_per_hour"]
    before = None if row is None else float(row.values["usd_per_hour"])
    if row is not None and before is not None and abs(usd - before) <= SAME_USD:
        found.seen_again.append((each.table, row.pk))
        return
    flags = [
        *each.flags,
        *price_flags(before, usd, each.values.get("valid_from"), today),
        *band_flags(each.values),
    ]
    values = dict(each.values)
    if each.key["instance_type_id"] not in machines:
        flags.append("a machine that the catalog does not have")
    if row is not None and row.values.get("negotiated"):
        flags.append("a negotiated price")
    if row is not None and values["valid_from"] <= row.values["valid_from"]:
        # A list says since when a product is sold, not since when it costs so: the change is as old as we
        # know.
        values["valid_from"] = today
    found.changes.append(
        _change(each, flags)
        | {
            "field": "usd_per_hour" if row is not None else "",
            "before": before,
            "after": usd,
            "values": values,
            "purchase": each.key["purchase"],
        }
    )


def _facts(each: Observed, row: Row | None, machines: frozenset[str], found: Proposal) -> None:
    flags = list(each.flags)
    slug = each.key.get("instance_type_id")
    if slug is not None and slug not in machines:
        flags.append("a machine that the catalog does not have")
    if row is None:
        for name, value in each.values.items():
            flags += fact_flags(name, None, value)
        found.changes.append(
            _change(each, flags) | {"field": "", "before": None, "after": None, "values": dict(each.values)}
        )
        return
    differing = {name: value for name, value in each.values.items() if _differs(row.values.get(name), value)}
    if not differing:
        found.seen_again.append((each.table, row.pk))
    for name, value in differing.items():
        before = row.values.get(name)
        odd = zone_flags(before or "", value) if name == "zones" else fact_flags(name, before, value)
        found.changes.append(
            _change(each, [*flags, *odd])
            | {"field": name, "before": before, "after": value, "values": dict(each.values)}
        )


def _change(each: Observed, flags: list[str]) -> dict[str, Any]:
    return {
        "table": each.table,
        "key": dict(each.key),
        "row": " ".join(str(part) for part in each.key.values() if part != ""),
        "purchase": "",
        "source": f"{each.source}; {each.note}"[:1000] if each.note else each.source,
        "as_of": each.as_of,
        "confidence": each.confidence,
        "flags": flags,
    }


def _differs(before: Any, after: Any) -> bool:
    if isinstance(before, str) and isinstance(after, str):
        return before.split() != after.split()
    if isinstance(before, int | float) and isinstance(after, int | float):
        return abs(after - before) > 1e-6 * max(abs(before), 1.0)
    return bool(before != after)
