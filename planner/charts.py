"""Charts: functions from results to figures in Plotly's words, each with its finding and its table.

Plain dictionaries, so that a page needs no plotting library on the server; colours are names of the page's
own variables ("token:c-blue"), so that one figure suits both themes. Tests hold them against Plotly's schema.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from planner import formats
from planner.engine.result import PlanResult
from planner.questions import MachineRow, NodePoint, fitting

Cell = str | formats.Quantity

#: The same colour for the same thing everywhere.
MEMORY_PARTS = (
    ("weights", "Weights", "token:c-blue", "#ffffff"),
    ("gradients", "Gradients", "token:c-orange", "#000000"),
    ("optimizer_states", "Optimizer states", "token:c-green", "#000000"),
    ("activations", "Activations", "token:c-red", "#000000"),
    ("logits", "Logits", "token:c-pink", "#000000"),
    ("temporary", "Temporary", "token:c-sky", "#000000"),
    ("framework", "Framework", "token:c-grey", "#000000"),
)
STEP_PARTS = (
    ("forward", "Forward", "token:c-blue"),
    ("backward", "Backward", "token:c-sky"),
    ("recompute", "Recompute", "token:c-yellow"),
    ("generation", "Generation", "token:c-orange"),
    ("scoring", "Scoring", "token:c-pink"),
    ("pipeline_bubble", "Pipeline bubble", "token:c-grey"),
    ("tensor_communication", "Tensor comms", "token:c-red"),
    ("context_communication", "Context comms", "token:c-red"),
    ("expert_communication", "Expert comms", "token:c-red"),
    ("pipeline_communication", "Pipeline comms", "token:c-red"),
    ("data_communication", "Data comms", "token:c-red"),
    ("optimizer", "Optimizer step", "token:c-green"),
    ("other", "Other", "token:c-grey"),
)
LABEL_SHARE = 0.11
NEGLIGIBLE_SHARE = 5e-4
MINE = {
    "color": "token:accent",
    "size": 15,
    "symbol": "circle-open",
    "line": {"width": 3, "color": "token:accent"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One figure. finding: what it shows, in words.  css: classes of its frame.

    legend: (name, class of its swatch), where direct labels do not say it all.
    """

    slug: str
    title: str
    finding: str
    figure: dict[str, Any]
    table: Table
    css: str = field(default="")
    legend: tuple[tuple[str, str], ...] = ()

    @property
    def data_id(self) -> str:
        return f"{self.slug}-data"


def memory_chart(result: PlanResult) -> Chart:
    """One stacked bar: what fills the fullest accelerator, against what it can use."""
    memory = result.memory
    parts = [
        (name, label, colour, ink, float(getattr(memory.per_accelerator_bytes, name)))
        for name, label, colour, ink in MEMORY_PARTS
    ]
    total, usable = float(memory.per_accelerator_bytes.total), float(memory.usable_bytes)
    longest = max(total, usable, memory.interval_bytes[1])
    traces = [
        {
            "type": "bar", "orientation": "h", "y": [""], "x": [value / formats.GIB], "name": label,
            "marker": {"color": colour, "line": {"color": "token:surface", "width": 1}},
            "text": [f"{label}<br>{formats.gib(value)}" if value > LABEL_SHARE * longest else ""],
            "textposition": "inside", "insidetextanchor": "middle", "textangle": 0, "constraintext": "inside",
            "insidetextfont": {"color": ink},
            "hovertemplate": f"{label}: {formats.gib(value)}, {formats.percent(value / total)}<extra></extra>",
        }
        for _, label, colour, ink, value in parts
        if value > 0
    ]  # fmt: skip
    low, high = memory.interval_bytes
    traces.append(
        {
            "type": "scatter", "mode": "markers", "x": [total / formats.GIB], "y": [""], "showlegend": False,
            "marker": {"color": "token:text", "size": 7, "symbol": "line-ns-open"},
            "error_x": {
                "type": "data", "symmetric": False, "color": "token:text", "thickness": 1.5, "width": 5,
                "array": [max(0.0, high - total) / formats.GIB], "arrayminus": [max(0.0, total - low) / formats.GIB],
            },
            "hovertemplate": f"total {formats.gib(total)}, 80 % range {formats.gib_range(low, high)}<extra></extra>",
        }
    )  # fmt: skip
    layout = {
        "barmode": "stack", "height": 170, "bargap": 0.3, "margin": {"l": 8, "r": 12, "t": 26, "b": 8},
        "xaxis": {"title": {"text": "GiB on the fullest GPU"}, "range": [0, 1.06 * longest / formats.GIB]},
        "yaxis": {"showticklabels": False, "showgrid": False},
        "showlegend": False,
        "shapes": [
            {
                "type": "line", "x0": usable / formats.GIB, "x1": usable / formats.GIB, "y0": 0, "y1": 1, "yref": "paper",
                "line": {"color": "token:text", "width": 2, "dash": "dot"},
            }
        ],
        "annotations": [
            {
                "x": usable / formats.GIB, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False,
                "xanchor": "right" if usable > 0.5 * longest else "left", "text": f"usable {formats.gib(usable)}",
            }
        ],
    }  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (label, formats.gib(value), formats.percent(value / total)) for _, label, _, _, value in parts
    ]
    rows += [("Total", formats.gib(total), formats.percent(1.0)), ("Usable", formats.gib(usable), "")]
    largest = max(parts, key=lambda part: part[-1])
    spare = usable - total
    finding = (
        f"{largest[1]} take the most, {formats.gib(largest[-1])} of {formats.gib(total)}; "
        + (f"{formats.gib(spare)} stay free." if spare >= 0 else f"{formats.gib(-spare)} too much.")
    )  # fmt: skip
    return Chart(
        slug="chart-memory",
        title="Memory on the fullest GPU",
        finding=finding,
        figure={"data": traces, "layout": layout},
        table=Table(columns=("Part", "Memory", "Share"), rows=rows),
        css="short wide",
        legend=tuple((label, colour.removeprefix("token:")) for _, label, colour, _, value in parts if value > 0),
    )


def step_chart(result: PlanResult) -> Chart:
    """Where the time of one optimizer step goes, longest part first."""
    step_s = result.time.step_s
    everything = [
        (label, colour, float(getattr(result.time.step_breakdown_s, name) or 0.0))
        for name, label, colour in STEP_PARTS
    ]
    parts = sorted(
        (part for part in everything if part[2] > NEGLIGIBLE_SHARE * step_s), key=lambda part: -part[2]
    )
    labels = [f"{formats.duration(value)}, {formats.percent(value / step_s)}" for _, _, value in parts]
    size, unit = formats.time_axis(step_s)
    trace = {
        "type": "bar", "orientation": "h",
        "y": [label for label, _, _ in parts], "x": [value / size for _, _, value in parts],
        "marker": {"color": [colour for _, colour, _ in parts]},
        "text": labels, "textposition": "outside", "cliponaxis": False,
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }  # fmt: skip
    layout = {
        "height": 60 + 26 * len(parts), "showlegend": False, "bargap": 0.35,
        "xaxis": {"title": {"text": f"{'seconds' if unit == 's' else unit} a step"}, "range": [0, 1.2 * parts[0][2] / size]},
        "yaxis": {"autorange": "reversed", "ticks": "", "showgrid": False},
    }  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (label, formats.duration(value), formats.percent(value / step_s))
        for label, _, value in everything
        if value
    ]
    rows.append(("Step", formats.duration(step_s), formats.percent(1.0)))
    compute = sum(value for label, _, value in everything if label in ("Forward", "Backward"))
    finding = (
        f"A step takes {formats.duration(step_s)}; {formats.percent(compute / step_s)} of it is forward and backward, "
        f"the longest part is {parts[0][0].lower()}."
    )
    return Chart(
        slug="chart-step",
        title="Where a step's time goes",
        finding=finding,
        figure={"data": [trace], "layout": layout, "narrow": {"xaxis": {"range": [0, 1.9 * parts[0][2] / size]}}},
        table=Table(columns=("Part", "Time", "Share"), rows=rows),
        css="wide",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    """One quantity against nodes: how it is read from a result, and how it is written."""

    slug: str
    title: str
    axis: str
    scale: float

    def value(self, result: PlanResult) -> tuple[float, float, float] | None:
        if self.slug == "chart-time":
            return (result.time.total_s, *result.time.total_interval_s)
        return None if result.cost is None else (result.cost.usd, *result.cost.usd_interval)

    def tick(self, value: float) -> str:
        return formats.trimmed(value) if self.slug == "chart-time" else _dollar_tick(value)

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
                "type": "scatter", "mode": "lines+markers" if label == "fits" else "markers", "name": label,
                "x": [nodes for nodes, _, _ in rows], "y": [values[0] / curve.scale for _, _, values in rows],
                "line": {"color": colour, "width": 2},
                "marker": {"color": colour, "size": 8, "symbol": symbol, "line": {"width": 2, "color": colour}},
                "text": [f"{_nodes(nodes)}: {curve.text(values[0])}, {label}" for nodes, _, values in rows],
                "hovertemplate": "%{text}<extra></extra>", "showlegend": False,
            }
        )  # fmt: skip
    mine = curve.value(plan)
    assert mine is not None, "a curve is only drawn where the plan itself has the quantity"
    shown = [nodes for nodes, _, _ in found]
    falling, right = curve.slug == "chart-time", own > shown[len(shown) // 2]
    place = ("bottom left" if right else "top right") if falling else ("top left" if right else "bottom right")
    traces.append(
        {
            "type": "scatter", "mode": "markers+text", "x": [own], "y": [mine[0] / curve.scale], "name": "your plan",
            "marker": MINE, "text": [f"your plan, {curve.text(mine[0])}"], "textposition": place,
            "textfont": {"color": "token:text"}, "hoverinfo": "skip", "showlegend": False, "cliponaxis": False,
        }
    )  # fmt: skip
    ends = [end / curve.scale for _, _, values in found for end in values]
    layout = {
        "height": 280, "margin": {"l": 8, "r": 20, "t": 16, "b": 8},
        "xaxis": {
            "type": "log", "title": {"text": "nodes (log)"}, "tickvals": shown, "ticktext": [f"{n:,}" for n in shown],
        },
        "yaxis": {"type": "log", "title": {"text": curve.axis}} | log_axis(min(ends), max(ends), curve.tick),
    }  # fmt: skip
    return Chart(
        slug=curve.slug,
        title=curve.title,
        finding=_node_finding(curve, line, points),
        figure={"data": traces, "layout": layout},
        table=Table(
            columns=("Nodes", "Fits", curve.title.split()[0], "80 % range"), rows=_node_rows(curve, points)
        ),
    )


def log_axis(low: float, high: float, write: Callable[[float], str]) -> dict[str, Any]:
    """Range and ticks of a logarithmic axis: at least half a decade, so that a flat line looks flat."""
    middle = math.log10(low * high) / 2
    half = max(0.25, math.log10(high / low) / 2 * 1.12)
    ends = (10 ** (middle - half), 10 ** (middle + half))
    steps = (1.0,) if half > 1.6 else (1.0, 2.0, 5.0) if half > 0.5 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    decades = range(math.floor(math.log10(ends[0])), math.ceil(math.log10(ends[1])) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    ticks = [tick for tick in ticks if ends[0] <= tick <= ends[1]]
    return {"range": [middle - half, middle + half], "tickvals": ticks, "ticktext": [write(tick) for tick in ticks]}


def _range_band(
    curve: _Curve, line: Sequence[tuple[int, PlanResult, tuple[float, float, float]]]
) -> dict[str, Any]:
    nodes = [row[0] for row in line]
    return {
        "type": "scatter", "mode": "lines", "x": nodes + nodes[::-1],
        "y": [row[2][2] / curve.scale for row in line] + [row[2][1] / curve.scale for row in reversed(line)],
        "fill": "toself", "fillcolor": "rgba(0,114,178,0.16)", "line": {"width": 0}, "hoverinfo": "skip",
        "showlegend": False, "name": "80 % range",
    }  # fmt: skip


def _nodes(count: int) -> str:
    return f"{count:,} node" if count == 1 else f"{count:,} nodes"


def _node_finding(
    curve: _Curve,
    line: Sequence[tuple[int, PlanResult, tuple[float, float, float]]],
    points: Sequence[NodePoint],
) -> str:
    if not line:
        return f"It fits on none of {points[0].nodes} to {points[-1].nodes} nodes with this layout."
    first, last = line[0], line[-1]
    if first[0] == last[0]:
        return f"It fits on {_nodes(first[0])} alone: {curve.text(first[2][0])}."
    return (
        f"From {curve.text(first[2][0])} on {_nodes(first[0])} to {curve.text(last[2][0])} on {_nodes(last[0])}; "
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


def machines_chart(rows: Sequence[MachineRow], *, mine: str | None) -> Chart | None:
    """Time against cost for every machine that fits and has a price; both axes are logarithmic."""
    found = [
        (row, result, result.cost)
        for row, result in fitting(rows)
        if result.cost is not None
    ]  # fmt: skip
    if not found:
        return None
    size, name = formats.time_axis(min(result.time.total_s for _, result, _ in found))
    usd = [cost.usd for _, _, cost in found]
    times = [result.time.total_s / size for _, result, _ in found]
    best = {
        row.record.slug for row, result, cost in found if not _beaten(result.time.total_s, cost.usd, found)
    }
    traces = []
    for label, colour, chosen in (
        ("on the front", "token:c-blue", [one for one in found if one[0].record.slug in best]),
        ("beaten", "token:c-grey", [one for one in found if one[0].record.slug not in best]),
    ):
        traces.append(
            {
                "type": "scatter", "mode": "markers+text" if label == "on the front" else "markers", "name": label,
                "x": [cost.usd for _, _, cost in chosen], "y": [result.time.total_s / size for _, result, _ in chosen],
                "marker": {"color": colour, "size": 10}, "textposition": "top right",
                "text": [row.record.slug for row, _, _ in chosen],
                "customdata": [
                    f"{row.record.slug}, {_nodes(result.cluster.nodes or 1)}: "
                    f"{formats.duration(result.time.total_s)}, {formats.dollars(cost.usd)}"
                    for row, result, cost in chosen
                ],
                "hovertemplate": "%{customdata}<extra></extra>", "cliponaxis": False,
            }
        )  # fmt: skip
    own = [one for one in found if one[0].record.slug == mine]
    if own:
        traces.append(
            {
                "type": "scatter", "mode": "markers", "name": "your plan", "marker": MINE, "hoverinfo": "skip",
                "x": [own[0][2].usd], "y": [own[0][1].time.total_s / size],
            }
        )  # fmt: skip
    cheapest = min(found, key=lambda one: one[2].usd)
    quickest = min(found, key=lambda one: one[1].time.total_s)
    finding = (
        f"Cheapest: {cheapest[0].record.slug}, {formats.dollars(cheapest[2].usd)} in "
        f"{formats.duration(cheapest[1].time.total_s)}. Quickest: {quickest[0].record.slug}, "
        f"{formats.duration(quickest[1].time.total_s)} for {formats.dollars(quickest[2].usd)}."
    )
    return Chart(
        slug="chart-machines",
        title="Time against cost",
        finding=finding,
        figure={
            "data": traces,
            "layout": {
                "height": 420, "margin": {"l": 8, "r": 90, "t": 16, "b": 8}, "legend": {"y": -0.2},
                "xaxis": {"type": "log", "title": {"text": "cost of the run, dollars (log)"}}
                | log_axis(min(usd), max(usd), _dollar_tick),
                "yaxis": {"type": "log", "title": {"text": f"time of the run, {name} (log)"}}
                | log_axis(min(times), max(times), formats.trimmed),
            },
            "narrow": {"height": 340, "margin": {"r": 20}},
        },
        table=Table(
            columns=("Instance type", "Nodes", "Time", "Cost"),
            rows=[
                (row.record.slug, f"{result.cluster.nodes or 1:,}", formats.duration(result.time.total_s), formats.dollars(cost.usd))
                for row, result, cost in found
            ],
        ),
        css="tall",
    )  # fmt: skip


def _dollar_tick(usd: float) -> str:
    """$200k, $1.5M: an axis label without zeros at the end."""
    return re.sub(r"\.?0+(?=[kMB]?$)", "", text) if "." in (text := formats.dollars(usd).text) else text


def _beaten(total_s: float, usd: float, found: Sequence[tuple[MachineRow, PlanResult, Any]]) -> bool:
    """Another machine is both no slower and no dearer, and better in one."""
    return any(
        other.time.total_s <= total_s and cost.usd <= usd and (other.time.total_s < total_s or cost.usd < usd)
        for _, other, cost in found
    )
