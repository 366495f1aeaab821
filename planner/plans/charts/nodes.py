"""Time and cost of a run against the number of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from planner.engine.question.result import PlanResult
from planner.engine.question.result import Verdict as VerdictKind
from planner.plans.variations import NodePoint
from planner.web import formats
from planner.web.figure import (
    MINE,
    VERDICT_COLOURS,
    VERDICT_SYMBOLS,
    VERDICTS,
    Cell,
    Chart,
    Table,
    dollar_tick,
    log_axis,
    nodes_in_words,
    time_axis,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    """One quantity against nodes: how it is read from a result, and how it is formatted."""

    slug: str
    title: str
    axis: str

    def value(self, result: PlanResult) -> tuple[float, float, float] | None:
        if self.slug == "chart-time":
            return (result.time.total_s, *result.time.total_interval_s)
        return None if result.cost is None else (result.cost.usd, *result.cost.usd_interval)

    def scale(self, low: float, high: float) -> dict[str, Any]:
        return time_axis(low, high) if self.slug == "chart-time" else log_axis(low, high, dollar_tick)

    def text(self, value: float) -> formats.Quantity:
        return formats.duration(value) if self.slug == "chart-time" else formats.dollars(value)


def node_charts(points: Sequence[NodePoint], plan: PlanResult) -> list[Chart]:
    """Time, and cost where a price is known, against the number of nodes; both axes are logarithmic."""
    curves = [_Curve(slug="chart-time", title="Time against nodes", axis="time (log)")]
    if plan.cost is not None:
        curves.append(_Curve(slug="chart-cost", title="Cost against nodes", axis="dollars (log)"))
    return [_node_chart(curve, points, plan) for curve in curves]


def _node_chart(curve: _Curve, points: Sequence[NodePoint], plan: PlanResult) -> Chart:
    own = plan.cluster.nodes or 1
    found = [
        (point.nodes, point.answer, values)
        for point in points
        if isinstance(point.answer, PlanResult) and (values := curve.value(point.answer)) is not None
    ]
    line = [row for row in found if row[1].fits]
    traces: list[dict[str, Any]] = []
    if line:
        traces.append(_range_band(line))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [nodes for nodes, _, _ in line],
                "y": [values[0] for _, _, values in line],
                "line": {"color": "token:line-strong", "width": 2},
                "hoverinfo": "skip",
                "showlegend": False,
                "name": "line",
            }
        )
    shown_kinds: list[VerdictKind] = []
    for kind, label in VERDICTS.items():
        rows = [row for row in found if row[1].verdict == kind]
        if not rows:
            continue
        shown_kinds.append(kind)
        colour = VERDICT_COLOURS[kind]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": label,
                "x": [nodes for nodes, _, _ in rows],
                "y": [values[0] for _, _, values in rows],
                "marker": {
                    "color": colour,
                    "size": 8,
                    "symbol": VERDICT_SYMBOLS[kind],
                    "line": {"width": 2, "color": colour},
                },
                "text": [
                    f"{nodes_in_words(nodes)}: {curve.text(values[0])}, {label}" for nodes, _, values in rows
                ],
                "hovertemplate": "%{text}<extra></extra>",
                "showlegend": False,
            }
        )
    mine = curve.value(plan)
    assert mine is not None, "a curve is only drawn where the plan itself has the quantity"
    shown = [nodes for nodes, _, _ in found]
    falling, right = curve.slug == "chart-time", own > shown[len(shown) // 2]
    place = (
        ("bottom left" if right else "top right") if falling else ("top left" if right else "bottom right")
    )
    traces.append(
        {
            "type": "scatter",
            "mode": "markers+text",
            "x": [own],
            "y": [mine[0]],
            "name": "your plan",
            "marker": MINE,
            "text": [f"your plan, {curve.text(mine[0])}"],
            "textposition": place,
            "textfont": {"color": "token:text"},
            "hoverinfo": "skip",
            "showlegend": False,
            "cliponaxis": False,
        }
    )
    ends = [end for _, _, values in found for end in values]
    layout = {
        "height": 280,
        "margin": {"l": 8, "r": 20, "t": 16, "b": 8},
        "xaxis": {
            "type": "log",
            "title": {"text": "nodes (log)"},
            "tickvals": shown,
            "ticktext": [f"{n:,}" for n in shown],
        },
        "yaxis": {"type": "log", "title": {"text": curve.axis}} | curve.scale(min(ends), max(ends)),
    }
    return Chart(
        slug=curve.slug,
        title=curve.title,
        finding=_node_finding(curve, line, points),
        figure={"data": traces, "layout": layout},
        table=Table(
            columns=("Nodes", "Verdict", curve.title.split()[0], "80 % range"), rows=_node_rows(curve, points)
        ),
        legend=(
            ("your plan", "mark-mine"),
            *((VERDICTS[kind], f"mark-{kind}") for kind in shown_kinds),
            *((("80 % range", "band"),) if line else ()),
        ),
    )


def _range_band(line: Sequence[tuple[int, PlanResult, tuple[float, float, float]]]) -> dict[str, Any]:
    nodes = [row[0] for row in line]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": nodes + nodes[::-1],
        "y": [row[2][2] for row in line] + [row[2][1] for row in reversed(line)],
        "fill": "toself",
        "fillcolor": "token:band",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
        "name": "80 % range",
    }


def _node_finding(
    curve: _Curve,
    line: Sequence[tuple[int, PlanResult, tuple[float, float, float]]],
    points: Sequence[NodePoint],
) -> str:
    if not line:
        tried = f"{points[0].nodes} to {points[-1].nodes}"
        return f"With this layout it fits on none of the node counts tried ({tried})."
    first, last = line[0], line[-1]
    if first[0] == last[0]:
        return f"It fits only on {nodes_in_words(first[0])}: {curve.text(first[2][0])}."
    return (
        f"From {curve.text(first[2][0])} on {nodes_in_words(first[0])} "
        f"to {curve.text(last[2][0])} on {nodes_in_words(last[0])}."
    )


def _node_rows(curve: _Curve, points: Sequence[NodePoint]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for point in points:
        if not isinstance(point.answer, PlanResult):
            rows.append((f"{point.nodes:,}", "cannot run", point.answer.errors[0].message, ""))
            continue
        values = curve.value(point.answer)
        shown: tuple[Cell, Cell] = ("no price", "")
        if values is not None:
            shown = (curve.text(values[0]), f"{curve.text(values[1])} to {curve.text(values[2])}")
        rows.append((f"{point.nodes:,}", VERDICTS[point.answer.verdict], *shown))
    return rows
