"""Time and cost of a run against the number of nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from planner.engine.question.result import PlanResult
from planner.plans.variations import NodePoint
from planner.web import formats
from planner.web.figure import MINE, Cell, Chart, Table, dollar_tick, log_axis, nodes_in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    """One quantity against nodes: how it is read from a result, and how it is formatted."""

    slug: str
    title: str
    axis: str
    scale: float

    def value(self, result: PlanResult) -> tuple[float, float, float] | None:
        if self.slug == "chart-time":
            return (result.time.total_s, *result.time.total_interval_s)
        return None if result.cost is None else (result.cost.usd, *result.cost.usd_interval)

    def tick(self, value: float) -> str:
        return formats.trimmed(value) if self.slug == "chart-time" else dollar_tick(value)

    def text(self, value: float) -> formats.Quantity:
        return formats.duration(value) if self.slug == "chart-time" else formats.dollars(value)


def node_charts(points: Sequence[NodePoint], plan: PlanResult) -> list[Chart]:
    """Time, and cost where a price is known, against the number of nodes; both axes are logarithmic."""
    size, name = formats.time_axis(plan.time.total_s)
    curves = [_Curve(slug="chart-time", title="Time against nodes", axis=f"{name} (log)", scale=size)]
    if plan.cost is not None:
        curves.append(_Curve(slug="chart-cost", title="Cost against nodes", axis="dollars (log)", scale=1.0))
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
        traces.append(_range_band(curve, line))
    for label, rows, colour, symbol in (
        ("fits", line, "token:c-blue", "circle"),
        ("does not fit", [row for row in found if not row[1].fits], "token:c-red", "x-thin-open"),
    ):
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if label == "fits" else "markers",
                "name": label,
                "x": [nodes for nodes, _, _ in rows],
                "y": [values[0] / curve.scale for _, _, values in rows],
                "line": {"color": colour, "width": 2},
                "marker": {
                    "color": colour,
                    "size": 8,
                    "symbol": symbol,
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
            "y": [mine[0] / curve.scale],
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
    ends = [end / curve.scale for _, _, values in found for end in values]
    layout = {
        "height": 280,
        "margin": {"l": 8, "r": 20, "t": 16, "b": 8},
        "xaxis": {
            "type": "log",
            "title": {"text": "nodes (log)"},
            "tickvals": shown,
            "ticktext": [f"{n:,}" for n in shown],
        },
        "yaxis": {"type": "log", "title": {"text": curve.axis}} | log_axis(min(ends), max(ends), curve.tick),
    }
    return Chart(
        slug=curve.slug,
        title=curve.title,
        finding=_node_finding(curve, line, points),
        figure={"data": traces, "layout": layout},
        table=Table(
            columns=("Nodes", "Fits", curve.title.split()[0], "80 % range"), rows=_node_rows(curve, points)
        ),
    )


def _range_band(
    curve: _Curve, line: Sequence[tuple[int, PlanResult, tuple[float, float, float]]]
) -> dict[str, Any]:
    nodes = [row[0] for row in line]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": nodes + nodes[::-1],
        "y": [row[2][2] / curve.scale for row in line] + [row[2][1] / curve.scale for row in reversed(line)],
        "fill": "toself",
        "fillcolor": "rgba(0,114,178,0.16)",
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
        f"to {curve.text(last[2][0])} on {nodes_in_words(last[0])}; "
        "the band is the 80 % range."
    )


def _node_rows(curve: _Curve, points: Sequence[NodePoint]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for point in points:
        if not isinstance(point.answer, PlanResult):
            rows.append((f"{point.nodes:,}", "no", point.answer.errors[0].message, ""))
            continue
        values = curve.value(point.answer)
        shown: tuple[Cell, Cell] = ("no price", "")
        if values is not None:
            shown = (curve.text(values[0]), f"{curve.text(values[1])} to {curve.text(values[2])}")
        rows.append((f"{point.nodes:,}", "yes" if point.answer.fits else "no", *shown))
    return rows
