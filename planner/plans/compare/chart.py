"""Time against cost of a run on every machine that fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from planner.engine.question.result import Cost, PlanResult
from planner.plans.variations import MachineRow, fitting
from planner.web import formats
from planner.web.figure import MINE, Chart, Table, dollar_tick, log_axis, nodes_in_words, time_axis


def machines_chart(
    rows: Sequence[MachineRow],
    *,
    mine: str | None,
    deadline_s: float | None = None,
    budget_usd: float | None = None,
) -> Chart | None:
    """Time against cost for every machine that fits and has a price; both axes are logarithmic.

    deadline_s, budget_usd: drawn as lines, None for none.
    """
    found = [(row, result, result.cost) for row, result in fitting(rows) if result.cost is not None]
    if not found:
        return None
    usd = [cost.usd for _, _, cost in found]
    times = [result.time.total_s for _, result, _ in found]
    best = {
        row.record.slug for row, result, cost in found if not _beaten(result.time.total_s, cost.usd, found)
    }
    traces = []
    for label, colour, chosen in (
        ("on the front", "token:text", [one for one in found if one[0].record.slug in best]),
        ("beaten", "token:c-idle", [one for one in found if one[0].record.slug not in best]),
    ):
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text" if label == "on the front" else "markers",
                "name": label,
                "x": [cost.usd for _, _, cost in chosen],
                "y": [result.time.total_s for _, result, _ in chosen],
                "marker": {"color": colour, "size": 10},
                "textposition": "top right",
                "text": [row.record.slug for row, _, _ in chosen],
                "customdata": [
                    f"{row.record.slug}, {nodes_in_words(result.cluster.nodes or 1)}: "
                    f"{formats.duration(result.time.total_s)}, {formats.dollars(cost.usd)}"
                    for row, result, cost in chosen
                ],
                "hovertemplate": "%{customdata}<extra></extra>",
                "cliponaxis": False,
            }
        )
    own = [one for one in found if one[0].record.slug == mine]
    if own:
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "name": "your plan",
                "marker": MINE,
                "hoverinfo": "skip",
                "text": ["your plan"],
                "textposition": "bottom right",
                "cliponaxis": False,
                "x": [own[0][2].usd],
                "y": [own[0][1].time.total_s],
            }
        )
    finding = _machines_finding(found)
    return Chart(
        slug="chart-machines",
        title="Time against cost",
        finding=finding,
        figure={
            "data": traces,
            "layout": {
                "height": 330,
                "margin": {"l": 8, "r": 90, "t": 16, "b": 8},
                "showlegend": False,
                "shapes": [
                    *([] if deadline_s is None else [_limit("y", deadline_s)]),
                    *([] if budget_usd is None else [_limit("x", budget_usd)]),
                ],
                "xaxis": {"type": "log", "title": {"text": "cost of the run, dollars (log)"}}
                | log_axis(min(usd), max(usd), dollar_tick),
                "yaxis": {"type": "log", "title": {"text": "time of the run (log)"}}
                | time_axis(min(times), max(times)),
            },
            "narrow": {"height": 340, "margin": {"r": 20}},
        },
        table=Table(
            columns=("Instance type", "Nodes", "Time", "Cost"),
            rows=[
                (
                    row.record.slug,
                    f"{result.cluster.nodes or 1:,}",
                    formats.duration(result.time.total_s),
                    formats.dollars(cost.usd),
                )
                for row, result, cost in found
            ],
        ),
        legend=(
            *((("your plan", "mark-mine"),) if own else ()),
            ("no other machine is both cheaper and faster", "mark-front"),
            ("another one is", "mark-beaten"),
            *((("dashed: deadline, budget", "mark-limit"),) if deadline_s or budget_usd else ()),
        ),
    )


def _limit(axis: str, value: float) -> dict[str, Any]:
    """A dashed line across the chart. axis: "x" or "y", which holds ``value``."""
    across = "y" if axis == "x" else "x"
    return {
        "type": "line",
        f"{across}ref": "paper",
        f"{across}0": 0,
        f"{across}1": 1,
        f"{axis}0": value,
        f"{axis}1": value,
        "line": {"color": "token:text", "width": 1.5, "dash": "dash"},
    }


def _machines_finding(found: Sequence[tuple[MachineRow, PlanResult, Cost]]) -> str:
    cheapest = min(found, key=lambda one: one[2].usd)
    quickest = min(found, key=lambda one: one[1].time.total_s)

    def told(one: tuple[MachineRow, PlanResult, Cost]) -> str:
        row, result, cost = one
        return f"{row.record.slug}, {formats.dollars(cost.usd)} in {formats.duration(result.time.total_s)}"

    if cheapest is quickest:
        return f"Cheapest and fastest: {told(cheapest)}."
    return f"Cheapest: {told(cheapest)}. Fastest: {told(quickest)}."


def _beaten(total_s: float, usd: float, found: Sequence[tuple[MachineRow, PlanResult, Cost]]) -> bool:
    """Another machine is neither slower nor more expensive, and better in one of the two."""
    return any(
        other.time.total_s <= total_s and cost.usd <= usd and (other.time.total_s < total_s or cost.usd < usd)
        for _, other, cost in found
    )
