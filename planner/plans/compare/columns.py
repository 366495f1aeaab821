"""The comparison's columns: each with its value to sort by, its cell, and the range it is drawn with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from planner.engine.question.result import PlanResult
from planner.plans.compare.table import room_in_words
from planner.plans.variations import MachineRow
from planner.web import formats
from planner.web.formats import Quantity

Value = Callable[[MachineRow, PlanResult], float | str]
Interval = Callable[[PlanResult], tuple[float, float] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One column. value: to sort by.  cell: as shown.  interval: its 80 % range, None for none.

    usual: shown unless others are chosen.
    """

    key: str
    label: str
    value: Value
    cell: Callable[[MachineRow, PlanResult], str | Quantity]
    number: bool = True
    usual: bool = True
    interval: Interval | None = None


def usd_per_accelerator_hour(result: PlanResult) -> float:
    """Dollars of one accelerator and hour, inf without a price."""
    if result.cost is None:
        return math.inf
    return result.cost.price_usd_per_node_hour / max(result.cluster.accelerators_per_node, 1)


def usd_per_million_tokens(result: PlanResult) -> float:
    """Dollars of a million tokens, inf without a price."""
    return math.inf if result.cost is None else result.cost.usd_per_million_tokens


def _accelerators(row: MachineRow, result: PlanResult) -> str:
    spec = row.record.spec
    count = f"{spec.accelerators_per_node} × {spec.accelerator.name}"
    return count if row.precision is None else f"{count}, in {row.precision}"


def _share(result: PlanResult) -> float:
    return result.memory.per_accelerator_bytes.total / result.memory.usable_bytes


def _priced(value: float, write: Callable[[float], str | Quantity]) -> str | Quantity:
    return write(value) if math.isfinite(value) else "no price"


COLUMNS: dict[str, Shown] = {
    each.key: each
    for each in (
        Shown(
            key="accelerators",
            label="Accelerators",
            value=lambda row, result: result.accelerators,
            cell=_accelerators,
            number=False,
        ),
        Shown(
            key="nodes",
            label="Nodes",
            value=lambda row, result: result.cluster.nodes or 1,
            cell=lambda row, result: f"{result.cluster.nodes or 1:,}",
        ),
        Shown(
            key="fits",
            label="Fits",
            value=lambda row, result: _share(result),
            cell=lambda row, result: room_in_words(result),
            number=False,
        ),
        Shown(
            key="memory",
            label="Memory",
            value=lambda row, result: result.memory.per_accelerator_bytes.total,
            cell=lambda row, result: formats.gib(result.memory.per_accelerator_bytes.total),
            usual=False,
        ),
        Shown(
            key="time",
            label="Time",
            value=lambda row, result: result.time.total_s,
            cell=lambda row, result: formats.duration(result.time.total_s),
            interval=lambda result: result.time.total_interval_s,
        ),
        Shown(
            key="cost",
            label="Cost",
            value=lambda row, result: math.inf if result.cost is None else result.cost.usd,
            cell=lambda row, result: "no price" if result.cost is None else formats.dollars(result.cost.usd),
            interval=lambda result: None if result.cost is None else result.cost.usd_interval,
        ),
        Shown(
            key="mfu",
            label="MFU",
            value=lambda row, result: -result.time.model_flops_utilization,
            cell=lambda row, result: formats.percent(result.time.model_flops_utilization),
        ),
        Shown(
            key="price",
            label="Node-hour",
            value=lambda row, result: (
                math.inf if result.cost is None else result.cost.price_usd_per_node_hour
            ),
            cell=lambda row, result: (
                "no price"
                if result.cost is None
                else formats.dollars_per_hour(result.cost.price_usd_per_node_hour)
            ),
            usual=False,
        ),
        Shown(
            key="chip_hour",
            label="$/GPU-h",
            value=lambda row, result: usd_per_accelerator_hour(result),
            cell=lambda row, result: _priced(usd_per_accelerator_hour(result), formats.dollars),
        ),
        Shown(
            key="m_tokens",
            label="$/M tokens",
            value=lambda row, result: usd_per_million_tokens(result),
            cell=lambda row, result: _priced(usd_per_million_tokens(result), formats.dollars),
            usual=False,
        ),
        Shown(
            key="region",
            label="Region",
            value=lambda row, result: row.cluster.region or "",
            cell=lambda row, result: row.cluster.region or "",
            number=False,
            usual=False,
        ),
    )
}
NAME = "name"
#: Every order that can be asked for.
ORDERS: dict[str, Value] = {NAME: lambda row, result: row.record.slug} | {
    key: column.value for key, column in COLUMNS.items()
}
USUAL = tuple(key for key, column in COLUMNS.items() if column.usual)
