"""The comparison page's table: one run on every instance type, in the order that the address asks for.

Turns answered questions into rows; asks the engine nothing itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import cast, get_args

from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.plans.bills import VOLATILE
from planner.plans.compare.chart import machines_chart
from planner.plans.room import in_ten, room
from planner.plans.variations import MachineRow, Spread
from planner.web import formats
from planner.web.figure import Chart
from planner.web.formats import Quantity

DEFAULT_SORT = "cost"
SPREADS = (
    ("accelerators", "as many accelerators as the plan"),
    ("nodes", "as many nodes as the plan"),
    ("fewest", "the fewest nodes that fit"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column's heading. sorted: "ascending", "descending" or "", as in aria-sort.  sort: the order that its
    link asks for.
    """

    key: str
    label: str
    number: bool
    sorted: str
    sort: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One machine. cells: in the order of the columns after the name.  why: what keeps it from fitting."""

    slug: str
    fits: bool
    mine: bool
    cells: tuple[str | Quantity, ...]
    why: str
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The table, its chart and its CSV rows.

    price_age: when the prices in it were last seen, in words.  prices_move: they change from day to day.
    """

    subject: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    fitting: int
    spread: Spread
    sort: str
    chart: Chart | None
    csv_rows: list[tuple[str, ...]]
    price_age: str
    prices_move: bool


_Key = Callable[[MachineRow, PlanResult], float | str]
KEYS: dict[str, tuple[str, bool, _Key]] = {
    "name": ("Instance type", False, lambda row, result: row.record.slug),
    "accelerators": ("Accelerators", False, lambda row, result: result.accelerators),
    "nodes": ("Nodes", True, lambda row, result: result.cluster.nodes or 1),
    "fits": ("Fits", False, lambda row, result: _share(result)),
    "memory": ("Memory", True, lambda row, result: result.memory.per_accelerator_bytes.total),
    "time": ("Time", True, lambda row, result: result.time.total_s),
    "cost": ("Cost", True, lambda row, result: math.inf if result.cost is None else result.cost.usd),
    "mfu": ("MFU", True, lambda row, result: -result.time.model_flops_utilization),
    "price": (
        "Node-hour",
        True,
        lambda row, result: math.inf if result.cost is None else result.cost.price_usd_per_node_hour,
    ),
}


def spread_named(name: str) -> Spread:
    """The spread that an address names, or the default one."""
    return cast(Spread, name) if name in get_args(Spread) else "accelerators"


def compare_machines(
    question: PlanRequest,
    plan: PlanResult,
    rows: Sequence[MachineRow],
    *,
    sort: str,
    spread: Spread,
    today: date,
    link: Callable[[MachineRow], str],
) -> Comparison:
    """The table in the order asked for.

    sort: a column's key, with "-" before it for descending.  link: the query of the plan page that shows a
    row's plan.
    """
    key = sort.removeprefix("-")
    if key not in KEYS:
        sort = key = DEFAULT_SORT
    descending = sort.startswith("-")
    ordered = _ordered(rows, key, descending=descending)
    mine = plan.cluster.instance_type
    return Comparison(
        subject=f"{question.model.name}, {formats.count(question.workload.tokens, 'tokens')}",
        columns=tuple(
            Column(
                key=name,
                label=label,
                number=number,
                sorted=("descending" if descending else "ascending") if name == key else "",
                sort=f"-{name}" if name == key and not descending else name,
            )
            for name, (label, number, _) in KEYS.items()
        ),
        rows=tuple(_row(row, mine=mine, query=link(row)) for row in ordered),
        fitting=sum(1 for row in rows if isinstance(row.answer, PlanResult) and row.answer.fits),
        spread=spread,
        sort=sort,
        chart=machines_chart(rows, mine=mine),
        csv_rows=csv_rows_of(ordered),
        price_age=_price_age(rows, today),
        prices_move=question.cluster.purchase in VOLATILE,
    )


def _ordered(rows: Sequence[MachineRow], key: str, *, descending: bool) -> list[MachineRow]:
    """Rows that fit come first in any order, then those that do not, then those that cannot be computed."""
    value = KEYS[key][2]
    answered = [(row, row.answer) for row in rows if isinstance(row.answer, PlanResult)]
    answered.sort(key=lambda pair: value(*pair), reverse=descending)
    fit = [row for row, result in answered if result.fits]
    lack = [row for row, result in answered if not result.fits]
    wrong = sorted(
        (row for row in rows if isinstance(row.answer, PlanErrors)), key=lambda row: row.record.slug
    )
    return fit + lack + wrong


def _row(row: MachineRow, *, mine: str | None, query: str) -> Row:
    spec, result = row.record.spec, row.answer
    count = f"{spec.accelerators_per_node} × {spec.accelerator.name}"
    if row.precision is not None:
        count = f"{count}, in {row.precision}"
    slug = row.record.slug
    if not isinstance(result, PlanResult):
        nodes = "" if row.cluster.nodes is None else f"{row.cluster.nodes:,}"
        cells: tuple[str | Quantity, ...] = (count, nodes, "cannot run", "", "", "", "", "")
        first = result.errors[0]
        why = f"{first.message} {first.remedy}"
        return Row(slug=slug, fits=False, mine=slug == mine, cells=cells, why=why, query=query)
    memory, cost = result.memory, result.cost
    cells = (
        count,
        f"{result.cluster.nodes or 1:,}",
        room_in_words(result),
        formats.gib(memory.per_accelerator_bytes.total),
        formats.duration(result.time.total_s),
        "no price" if cost is None else formats.dollars(cost.usd),
        formats.percent(result.time.model_flops_utilization),
        "no price" if cost is None else formats.dollars_per_hour(cost.price_usd_per_node_hour),
    )
    return Row(
        slug=slug,
        fits=result.fits,
        mine=slug == mine,
        cells=cells,
        why=result.unavailable if result.fits else remedy_in_words(result),
        query=query,
    )


def room_in_words(result: PlanResult) -> str:
    """What is left of the memory, or how sure a tight plan is."""
    if result.verdict == "tight":
        return f"tight, {in_ten(result.memory.fit_probability)} of 10"
    return room(result)


def remedy_in_words(result: PlanResult) -> str:
    """What would make it fit, or what keeps it from fitting."""
    if result.nearest_fit is not None:
        return f"Would fit with: {result.nearest_fit.change}."
    return result.reason or ""


def _price_age(rows: Sequence[MachineRow], today: date) -> str:
    """The days between which the prices shown were last seen: once for the table, not on each row."""
    costs = [row.answer.cost for row in rows if isinstance(row.answer, PlanResult)]
    seen = sorted(cost.price_as_of for cost in costs if cost is not None and cost.price_as_of is not None)
    if not seen:
        return ""
    if seen[0] == seen[-1]:
        return f"prices of {formats.day(seen[0])}"
    oldest = max(0, (today - seen[0]).days)
    return (
        f"prices seen from {formats.day(seen[0])} to {formats.day(seen[-1])}, the oldest {oldest:,} days old"
    )


def _share(result: PlanResult) -> float:
    return result.memory.per_accelerator_bytes.total / result.memory.usable_bytes


CSV_COLUMNS = (
    "instance_type",
    "region",
    "nodes",
    "accelerators",
    "precision",
    "fits",
    "verdict",
    "fit_probability",
    "memory_bytes",
    "usable_bytes",
    "total_s",
    "total_low_s",
    "total_high_s",
    "usd",
    "usd_low",
    "usd_high",
    "usd_per_node_hour",
    "price_as_of",
    "price_source",
    "commitment_usd",
    "billed_hours",
    "unavailable",
    "model_flops_utilization",
    "reason",
)


def csv_rows_of(rows: Sequence[MachineRow]) -> list[tuple[str, ...]]:
    """The rows with exact values, names first."""
    return [CSV_COLUMNS, *(tuple(_exact(row).get(name, "") for name in CSV_COLUMNS) for row in rows)]


def _exact(row: MachineRow) -> dict[str, str]:
    """A row's numbers without formatting, by column."""
    result = row.answer
    found = {
        "instance_type": row.record.slug,
        "region": row.cluster.region or "",
        "precision": row.precision or "",
    }
    if not isinstance(result, PlanResult):
        return found | {"reason": result.errors[0].message}
    memory, time, cost = result.memory, result.time, result.cost
    found |= {
        "nodes": str(result.cluster.nodes or 1),
        "accelerators": str(result.accelerators),
        "fits": "yes" if result.fits else "no",
        "verdict": result.verdict,
        "fit_probability": repr(result.memory.fit_probability),
        "memory_bytes": repr(memory.per_accelerator_bytes.total),
        "usable_bytes": repr(memory.usable_bytes),
        "total_s": repr(time.total_s),
        "total_low_s": repr(time.total_interval_s[0]),
        "total_high_s": repr(time.total_interval_s[1]),
        "model_flops_utilization": repr(time.model_flops_utilization),
        "reason": result.reason or "",
        "unavailable": result.unavailable,
    }
    if cost is not None:
        low, high = cost.usd_interval
        found |= {"usd": repr(cost.usd), "usd_low": repr(low), "usd_high": repr(high)}
        found |= {
            "usd_per_node_hour": repr(cost.price_usd_per_node_hour),
            "price_as_of": "" if cost.price_as_of is None else cost.price_as_of.isoformat(),
            "price_source": cost.price_source or "",
            "commitment_usd": "" if cost.commitment_usd is None else repr(cost.commitment_usd),
            "billed_hours": repr(cost.billed_hours),
        }
    return found
