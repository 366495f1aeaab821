"""Charts of one plan among its neighbours: how it scales, its stack, and what moves it."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

from planner.engine.question.result import PlanResult
from planner.plans.room import VERDICTS
from planner.plans.variations import NodePoint
from planner.tradeoffs.neighbours import Swing, Variant
from planner.web import formats
from planner.web.figure import MINE, Chart, Table, nodes_in_words, time_axis

#: Share of the speed that more nodes ought to bring from which on they are said to pay.  A judgement: below
#: it nearly a third of what is added is lost.
WORTHWHILE = 0.7


def scaling_chart(points: Sequence[NodePoint], plan: PlanResult) -> Chart | None:
    """Time against nodes beside ideal scaling, with the knee: where more nodes stop paying."""
    line = [(point.nodes, point.answer) for point in points if isinstance(point.answer, PlanResult)]
    line = [(nodes, answer) for nodes, answer in line if answer.fits]
    if len(line) < 2:
        return None
    first_nodes, first = line[0]
    ideal = [first.time.total_s * first_nodes / nodes for nodes, _ in line]
    knee = knee_of([nodes for nodes, _ in line], [answer.time.total_s for _, answer in line])
    times = [answer.time.total_s for _, answer in line]
    at_knee = next(answer for nodes, answer in line if nodes == knee)
    own = plan.cluster.nodes or 1
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "ideal",
            "x": [nodes for nodes, _ in line],
            "y": ideal,
            "line": {"color": "token:c-idle", "width": 1.5, "dash": "dot"},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "time",
            "x": [nodes for nodes, _ in line],
            "y": times,
            "line": {"color": "token:c-blue", "width": 2},
            "marker": {"size": 7},
            "hovertext": [
                f"{nodes_in_words(nodes)}: {formats.duration(answer.time.total_s)}, "
                f"{formats.percent(share * first_nodes / nodes)} of ideal"
                for (nodes, answer), share in zip(line, [times[0] / each for each in times], strict=True)
            ],
            "hovertemplate": "%{hovertext}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "markers+text",
            "name": "knee",
            "x": [knee],
            "y": [at_knee.time.total_s],
            "text": [f"knee, {nodes_in_words(knee)}"],
            "textposition": "top right",
            "marker": {"color": "token:c-orange", "size": 13, "symbol": "diamond"},
            "hoverinfo": "skip",
            "cliponaxis": False,
        },
    ]
    if plan.fits:
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "your plan",
                "x": [own],
                "y": [plan.time.total_s],
                "marker": MINE,
                "hoverinfo": "skip",
                "cliponaxis": False,
            }
        )
    counts = [nodes for nodes, _ in line]
    return Chart(
        slug="chart-scaling",
        title="Time against nodes",
        finding=_knee_finding(knee, own, counts),
        figure={
            "data": data,
            "layout": {
                "height": 320,
                "margin": {"l": 8, "r": 40, "t": 16, "b": 8},
                "showlegend": False,
                "xaxis": {
                    "type": "log",
                    "title": {"text": "nodes (log)"},
                    "tickvals": counts,
                    "ticktext": [f"{nodes:,}" for nodes in counts],
                },
                "yaxis": {"type": "log", "title": {"text": "time of the run (log)"}}
                | time_axis(min([*times, *ideal]), max(times)),
            },
        },
        table=Table(
            columns=("Nodes", "Time", "Cost", "Of ideal speed"),
            rows=[
                (
                    f"{nodes:,}",
                    formats.duration(answer.time.total_s),
                    "no price" if answer.cost is None else formats.dollars(answer.cost.usd),
                    formats.percent(times[0] / answer.time.total_s * first_nodes / nodes),
                )
                for nodes, answer in line
            ],
        ),
        legend=(
            *((("your plan", "mark-mine"),) if plan.fits else ()),
            ("as planned", "c-blue"),
            ("twice the nodes, half the time", "c-idle"),
        ),
    )


def knee_of(nodes: Sequence[int], total_s: Sequence[float]) -> int:
    """The last number of nodes up to which each step brings WORTHWHILE of the speed that it ought to.

    nodes: ascending counts.  total_s: seconds of the run on each, same length.  A step's share is the growth
    of speed over the growth of nodes, both as logarithms, so that steps of any size compare.
    """
    for index in range(1, len(nodes)):
        growth = log(nodes[index] / nodes[index - 1])
        if log(total_s[index - 1] / total_s[index]) < WORTHWHILE * growth:
            return nodes[index - 1]
    return nodes[-1]


def tornado_chart(swings: Sequence[Swing], plan: PlanResult) -> Chart | None:
    """What the run costs (without a price: how long it takes) where one quantity is a fifth less or more."""
    base = plan.cost.usd if plan.cost is not None else plan.time.total_s
    found = [swing for swing in swings if swing.low is not None and swing.high is not None]
    if not found or not plan.fits:
        return None
    what = "cost" if plan.cost is not None else "time"
    ordered = sorted(found, key=lambda swing: swing.reach(base))
    sides = []
    for name, colour, less in (
        ("20 % less", "token:c-orange", True),
        ("20 % more", "token:c-blue", False),
    ):
        values = [(swing.low if less else swing.high) or base for swing in ordered]
        sides.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": name,
                "y": [swing.label for swing in ordered],
                "x": [100.0 * (value / base - 1.0) for value in values],
                "marker": {"color": colour},
                "hovertext": [
                    f"{swing.label} {name}: {_amount(value, what)} ({_signed(value, base)})"
                    for swing, value in zip(ordered, values, strict=True)
                ],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        )
    widest = ordered[-1]
    return Chart(
        slug="chart-tornado",
        title=f"What moves the {what}: each quantity 20 % less and more",
        finding=(
            f"{widest.label} moves it most: from {_amount(widest.low or base, what)} to "
            f"{_amount(widest.high or base, what)}, around {_amount(base, what)}."
        ),
        figure={
            "data": sides,
            "layout": {
                "height": 90 + 44 * len(ordered),
                "margin": {"l": 8, "r": 16, "t": 8, "b": 8},
                "barmode": "overlay",
                "bargap": 0.35,
                "showlegend": False,
                "xaxis": {"title": {"text": f"change of the {what}, %"}, "zeroline": True},
                "yaxis": {"automargin": True},
            },
        },
        table=Table(
            columns=("Quantity", "20 % less", "Change", "20 % more", "Change", "Verdicts"),
            rows=[
                (
                    swing.label,
                    _amount(swing.low or base, what),
                    _signed(swing.low or base, base),
                    _amount(swing.high or base, what),
                    _signed(swing.high or base, base),
                    swing.verdicts,
                )
                for swing in reversed(ordered)
            ],
        ),
        legend=(("20 % less", "c-orange"), ("20 % more", "c-blue")),
    )


def variants_chart(variants: Sequence[Variant], plan: PlanResult) -> Chart | None:
    """Time of the run by stack and precision, the quickest on top."""
    if len(variants) < 2:
        return None
    shown = sorted(variants, key=lambda each: (each.result.fits, -each.result.time.total_s))
    size, unit = formats.time_axis(plan.time.total_s)
    best = shown[-1]
    mine = next((each for each in shown if each.mine), None)
    finding = f"Quickest: {best.label}, {formats.duration(best.result.time.total_s)}"
    if best.mine:
        finding = f"Yours, {best.label}, is the quickest: {formats.duration(best.result.time.total_s)}"
    elif mine is not None and mine.result.fits:
        share = 1.0 - best.result.time.total_s / mine.result.time.total_s
        finding += f", {formats.percent(share)} less than {mine.label}"
    return Chart(
        slug="chart-variants",
        title="The same run by stack and precision",
        finding=f"{finding}.",
        figure={
            "data": [
                {
                    "type": "bar",
                    "orientation": "h",
                    "y": [each.label for each in shown],
                    "x": [each.result.time.total_s / size for each in shown],
                    "marker": {
                        "color": [_bar_colour(each) for each in shown],
                        "line": {"color": "token:text", "width": [2 if each.mine else 0 for each in shown]},
                    },
                    "hovertext": [
                        f"{each.label}: {formats.duration(each.result.time.total_s)}, "
                        f"{VERDICTS[each.result.verdict]}"
                        for each in shown
                    ],
                    "hovertemplate": "%{hovertext}<extra></extra>",
                }
            ],
            "layout": {
                "height": 80 + 24 * len(shown),
                "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
                "bargap": 0.25,
                "showlegend": False,
                "xaxis": {"title": {"text": unit}, "rangemode": "tozero"},
                "yaxis": {"automargin": True},
            },
        },
        table=Table(
            columns=("Stack and precision", "Time", "80 % range", "Memory", "Verdict"),
            rows=[
                (
                    each.label,
                    formats.duration(each.result.time.total_s),
                    formats.duration_range(*each.result.time.total_interval_s, each.result.time.total_s),
                    formats.gib(each.result.memory.per_accelerator_bytes.total),
                    VERDICTS[each.result.verdict],
                )
                for each in reversed(shown)
            ],
        ),
        legend=(("as your plan, outlined", "c-blue"), ("does not fit", "c-grey")),
    )


def _knee_finding(knee: int, own: int, counts: Sequence[int]) -> str:
    if knee == counts[-1]:
        return f"Every step up to {nodes_in_words(counts[-1])} pays: no knee was found."
    said = f"Past {nodes_in_words(knee)}, each step brings under {WORTHWHILE:.0%} of the speed it ought to"
    said = said.replace("%", " %")
    if own > knee:
        return f"{said}; your plan has {own:,}."
    return f"{said}."


def _bar_colour(each: Variant) -> str:
    return "token:c-blue" if each.result.fits else "token:c-grey"


def _amount(value: float, what: str) -> str:
    return (formats.dollars(value) if what == "cost" else formats.duration(value)).text


def _signed(value: float, base: float) -> str:
    share = value / base - 1.0
    if abs(share) < 5e-4:
        return "no change"
    return f"{'+' if share > 0 else chr(0x2212)}{formats.significant(abs(share) * 100, 2)} %"
