"""The comparison page's table: one run on every instance type, in the order that the address asks for.

Turns answered questions into rows; asks the engine nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import cast, get_args

from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.plans.bills import VOLATILE
from planner.plans.compare.chart import machines_chart
from planner.plans.room import in_ten, room
from planner.plans.variations import MachineRow, Spread
from planner.web import formats
from planner.web.figure import Chart

DEFAULT_SORT = "cost"
SPREADS = (
    ("accelerators", "as many accelerators as the plan"),
    ("nodes", "as many nodes as the plan"),
    ("fewest", "the fewest nodes that fit"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What stands above the table, and its chart.

    rows: machines that passed the filters.  goal: how many of them keep within what was asked for, in words,
    "" where nothing was.  price_age: when the prices in it were last seen, in words.
    prices_move: they change from day to day.
    """

    subject: str
    rows: int
    fitting: int
    goal: str
    spread: Spread
    chart: Chart | None
    price_age: str
    prices_move: bool


def spread_named(name: str) -> Spread:
    """The spread that an address names, or the default one."""
    return cast(Spread, name) if name in get_args(Spread) else "accelerators"


def compare_machines(
    question: PlanRequest, plan: PlanResult, rows: Sequence[MachineRow], *, spread: Spread, today: date
) -> Comparison:
    """What is said of all rows together."""
    return Comparison(
        subject=f"{question.model.name}, {formats.count(question.workload.tokens, 'tokens')}",
        rows=len(rows),
        fitting=sum(1 for row in rows if isinstance(row.answer, PlanResult) and row.answer.fits),
        goal=_goal(question, rows),
        spread=spread,
        chart=machines_chart(
            rows,
            mine=plan.cluster.instance_type,
            deadline_s=None if question.deadline_days is None else question.deadline_days * formats.DAY_S,
            budget_usd=question.budget_usd,
        ),
        price_age=_price_age(rows, today),
        prices_move=question.cluster.purchase in VOLATILE,
    )


def _goal(question: PlanRequest, rows: Sequence[MachineRow]) -> str:
    """``40 of them within 30 days and $2.00M``."""
    wished = []
    if question.deadline_days is not None:
        wished.append(f"{formats.duration(question.deadline_days * formats.DAY_S)}")
    if question.budget_usd is not None:
        wished.append(f"{formats.dollars(question.budget_usd)}")
    if not wished:
        return ""
    met = [
        row
        for row in rows
        if isinstance(row.answer, PlanResult)
        and row.answer.fits
        and row.answer.meets_deadline is not False
        and row.answer.meets_budget is not False
        and (question.budget_usd is None or row.answer.cost is not None)
    ]
    return f"{len(met)} of them within {' and '.join(wished)}"


def room_in_words(result: PlanResult) -> str:
    """What is left of the memory, or how sure a tight plan is."""
    if result.verdict == "tight":
        return f"tight, {in_ten(result.memory.fit_probability)} of 10"
    return room(result)


def remedy_in_words(result: PlanResult) -> str:
    """What would make it fit, or that nothing would."""
    if result.nearest_fit is not None:
        return f"Would fit with: {result.nearest_fit.change}."
    return "It fits." if result.fits else "No change that was tried makes it fit."


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
