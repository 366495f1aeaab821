"""Saved scenarios in words: their figures, what changed by cause, and several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.contract.fields import LAYOUT
from planner.engine.question.words import FRAMEWORKS, PURCHASES
from planner.plans.room import VERDICTS
from planner.tradeoffs.models import Scenario
from planner.tradeoffs.scenarios.changes import Changes, Figures
from planner.web import formats
from planner.web.formats import Quantity

Cell = str | Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """One cause and what it did."""

    label: str
    time: str
    cost: str
    memory: str
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRow:
    """One quantity of several scenarios. differs: they are not all the same."""

    label: str
    cells: tuple[Cell, ...]
    differs: bool


def headline(answer: Mapping[str, Any]) -> str:
    """``fits; 31.2 days; $655k``."""
    cost = answer["cost"]
    money = "no price" if cost is None else formats.dollars(cost["usd"]).text
    return f"{VERDICTS[answer['verdict']]}; {formats.duration(answer['time']['total_s'])}; {money}"


def machines_told(scenario: Scenario) -> str:
    """``16 × p5.48xlarge, on demand in us-east-1``."""
    cluster = scenario.answer["cluster"]
    slug = cluster.get("instance_type") or cluster.get("accelerator")
    name = slug if isinstance(slug, str) else slug.get("name", "own accelerator")
    bought = PURCHASES[cluster["purchase"]].in_sentence() if cluster.get("purchase") else ""
    where = f" in {cluster['region']}" if cluster.get("region") else ""
    return f"{cluster['nodes']} × {name}" + (f", {bought}{where}" if bought else "")


def model_told(scenario: Scenario) -> str:
    """The model's name."""
    model = scenario.question["model"]
    return model if isinstance(model, str) else str(model.get("name") or "own model")


def fact_rows(scenario: Scenario) -> list[tuple[str, Cell]]:
    """The saved answer, one fact a line."""
    answer, workload = scenario.answer, scenario.question["workload"]
    time, memory, cost = answer["time"], answer["memory"], answer["cost"]
    stack = workload.get("framework", "generic")
    rows: list[tuple[str, Cell]] = [
        ("Model", model_told(scenario)),
        ("Task", str(workload.get("task", ""))),
        ("Stack", FRAMEWORKS[stack].label if stack in FRAMEWORKS else stack),
        ("Machines", machines_told(scenario)),
        ("Accelerators", f"{answer['accelerators']:,}"),
        ("Verdict", VERDICTS[answer["verdict"]]),
        ("Time", formats.duration(time["total_s"])),
        ("Time, 80 % range", range_of(time)),
        ("Cost", "no price" if cost is None else formats.dollars(cost["usd"])),
        ("Cost, 80 % range", "" if cost is None else formats.dollar_range(*cost["usd_interval"])),
        (
            "Node-hour",
            "no price" if cost is None else formats.dollars_per_hour(cost["price_usd_per_node_hour"]),
        ),
        ("Memory", formats.gib(memory["per_accelerator_bytes"]["total"])),
        ("MFU", formats.percent(time["model_flops_utilization"])),
        ("Tokens a second", formats.count(time["tokens_per_s"])),
    ]
    return rows + [
        (LAYOUT[name].label, said(value)) for name, value in answer["layout"].items() if name in LAYOUT.names
    ]


def said(value: Any) -> str:
    """A value of a layout as people say it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def range_of(time: Mapping[str, Any]) -> Quantity:
    """The 80 % range of a run's time."""
    low, high = time["total_interval_s"]
    return formats.duration_range(low, high, time["total_s"])


def change_rows(found: Changes) -> list[ChangeRow]:
    """Each cause with its differences, and the whole."""
    rows = [_change(step.label, step.before, step.after, step.changed) for step in found.steps]
    if found.now is not None:
        rows.append(_change("Altogether", found.saved, found.now, any(row.changed for row in rows)))
    return rows


def side_by_side(scenarios: Sequence[Scenario]) -> list[SideRow]:
    """Every fact of several scenarios, with what differs marked."""
    columns = [dict(fact_rows(scenario)) for scenario in scenarios]
    labels = list(dict.fromkeys(label for column in columns for label in column))
    rows = []
    for label in labels:
        cells = tuple(column.get(label, "") for column in columns)
        rows.append(SideRow(label=label, cells=cells, differs=len({str(cell) for cell in cells}) > 1))
    rows.append(
        SideRow(
            label="Saved",
            cells=tuple(formats.day(scenario.saved_at.date()) for scenario in scenarios),
            differs=False,
        )
    )
    return rows


def _change(label: str, before: Figures, after: Figures, changed: bool) -> ChangeRow:
    return ChangeRow(
        label=label,
        time=_difference(before.total_s, after.total_s, formats.duration),
        cost=_difference(before.usd, after.usd, formats.dollars),
        memory=_difference(before.memory_bytes, after.memory_bytes, formats.gib),
        changed=changed,
    )


def _difference(before: float | None, after: float | None, write: Any) -> str:
    if before is None or after is None:
        return "no price"
    moved = after - before
    if abs(moved) <= 1e-9 * max(abs(before), 1e-30):
        return "none"
    sign = "+" if moved > 0 else "\N{MINUS SIGN}"
    return f"{sign}{write(abs(moved))} ({sign}{formats.significant(abs(moved / before) * 100, 2)} %)"
