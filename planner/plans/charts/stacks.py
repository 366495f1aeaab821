"""The same run by each training stack: time as bars, the reader's plan marked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from planner.engine.question.result import PlanResult
from planner.plans.assumptions import Alternative
from planner.plans.room import VERDICTS, room
from planner.web import formats
from planner.web.figure import Cell, Chart, Table

#: Share of the time by which stacks are not told apart in words.
NOTHING = 0.01
#: Bars by whether the run fits: their colour, and that of the text in them.
COLOURS = {True: ("token:c-blue", "#ffffff"), False: ("token:c-grey", "#000000")}


def stack_chart(found: Sequence[Alternative], plan: PlanResult, own: str) -> Chart | None:
    """Time of the run by stack, the quickest on top. own: the plan's stack. None where there is one alone.

    Stacks that the engine does not tell apart on this run share a bar.
    """
    bars = same_figures(found)
    if len(bars) < 2:
        return None
    size, unit = formats.time_axis(plan.time.total_s)
    shown = list(reversed(bars))
    mine = [any(each.value == own for each in bar) for bar in shown]
    results = [bar[0].result for bar in shown]
    values = [result.time.total_s for result in results]
    lows, highs = zip(*(result.time.total_interval_s for result in results), strict=True)
    texts = [
        f"{formats.duration(result.time.total_s)}{', your plan' if is_mine else ''}"
        f"{'' if result.fits else ', does not fit'}"
        for result, is_mine in zip(results, mine, strict=True)
    ]
    figure = {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "y": [names(bar) for bar in shown],
                "x": [value / size for value in values],
                "text": texts,
                "textposition": "inside",
                "insidetextanchor": "start",
                "insidetextfont": {"color": [COLOURS[result.fits][1] for result in results]},
                "marker": {
                    "color": [COLOURS[result.fits][0] for result in results],
                    "line": {"color": "token:text", "width": [2 if is_mine else 0 for is_mine in mine]},
                },
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "color": "token:text",
                    "thickness": 1.5,
                    "width": 4,
                    "array": [(end - value) / size for value, end in zip(values, highs, strict=True)],
                    "arrayminus": [(value - end) / size for value, end in zip(values, lows, strict=True)],
                },
                "hovertemplate": "%{y}: %{text}<extra></extra>",
                "showlegend": False,
            }
        ],
        "layout": {
            "height": 70 + 34 * len(bars),
            "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
            "bargap": 0.3,
            "xaxis": {"title": {"text": unit}, "rangemode": "tozero"},
            "yaxis": {"automargin": True},
        },
    }
    return Chart(
        slug="chart-stacks",
        title="The same run by each stack",
        finding=_finding(bars, own),
        figure=figure,
        table=Table(
            columns=("Stack", "Time", "80 % range", "Memory", "Verdict"), rows=[_row(bar) for bar in bars]
        ),
    )


def same_figures(found: Sequence[Alternative]) -> list[list[Alternative]]:
    """Stacks with the same time and memory together, in the order given."""

    def figures(each: Alternative) -> tuple[float, ...]:
        memory = each.result.memory.per_accelerator_bytes.total
        return float(f"{each.result.time.total_s:.6g}"), float(f"{memory:.6g}")

    ordered = sorted(found, key=lambda each: (not each.result.fits, each.result.time.total_s, figures(each)))
    return [list(bar) for _, bar in groupby(ordered, key=figures)]


def names(bar: Sequence[Alternative]) -> str:
    """``Generic, TRL and axolotl``; a long list is cut."""
    labels = [each.label for each in bar]
    return labels[0] if len(labels) == 1 else f"{labels[0]} and {len(labels) - 1} more"


def _row(bar: Sequence[Alternative]) -> tuple[Cell, ...]:
    result = bar[0].result
    return (
        ", ".join(each.label for each in bar),
        formats.duration(result.time.total_s),
        formats.duration_range(*result.time.total_interval_s, result.time.total_s),
        formats.gib(result.memory.per_accelerator_bytes.total),
        f"{VERDICTS[result.verdict]}, {room(result)}",
    )


def _finding(bars: Sequence[Sequence[Alternative]], own: str) -> str:
    mine = next(bar for bar in bars if any(each.value == own for each in bar))
    best = bars[0]
    taken, quickest = (formats.duration(bar[0].result.time.total_s) for bar in (mine, best))
    label = next(each.label for each in mine if each.value == own)
    if mine is best:
        return f"{label} is the quickest of them: {taken}."
    if best[0].result.fits and not mine[0].result.fits:
        return f"With {label} it does not fit; with {best[0].label} it does, in {quickest}."
    share = 1.0 - best[0].result.time.total_s / mine[0].result.time.total_s
    if share < NOTHING:
        return f"{label} is as quick as any of them: {taken}."
    return f"{taken} with {label}, {quickest} with {best[0].label}: {formats.percent(share)} less."
