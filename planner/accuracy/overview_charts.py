"""Two charts of everything: public bills against ours, and how often the ranges hold, by class."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from planner.accuracy.bills import Bill
from planner.accuracy.errors import HONEST, held
from planner.accuracy.report import CLASSES, PEAK, STEP, ValidatedRun, ValidationReport, share, signed
from planner.accuracy.totals import median_error
from planner.web import formats
from planner.web.figure import Chart, Table, log_axis

#: A bill counts as met within this share.
NEAR = 0.15
#: Colours of the two kinds of figures.
COVERED = ((STEP, "c-blue"), (PEAK, "c-orange"))
ROW_HEIGHT = 26


def bill_chart(found: Sequence[Bill]) -> Chart:
    """Ours over the published total of each training, with its range, around a band of 15 %."""
    names = [each.name for each in found]
    ratios = [each.predicted_hours / each.published_hours for each in found]
    lows = [each.low / each.published_hours for each in found]
    highs = [each.high / each.published_hours for each in found]
    axis = log_axis(min(*lows, 0.8), max(*highs, 1.25), lambda value: f"{formats.trimmed(value)}×")
    near = sum(abs(ratio - 1.0) <= NEAR for ratio in ratios)
    return Chart(
        slug="chart-bills",
        title="Public bills, what we would have said",
        finding=(
            f"{near} of {len(found)} published totals are met within {NEAR * 100:.0f} % (the band), half of "
            f"all within {share(median_error(found))}; {sum(each.covered for each in found)} lie "
            "inside the range. Totals also hold restarts and trials; nothing is fitted to them."
        ),
        figure={
            "data": [
                _band(names, 1.0 - NEAR, 1.0 + NEAR),
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": [_rounded(ratio) for ratio in ratios],
                    "y": names,
                    "error_x": _bars(ratios, lows, highs),
                    "marker": {"color": "token:c-blue", "size": 9},
                    "text": [_hover(each) for each in found],
                    "hovertemplate": "%{text}<extra></extra>",
                },
            ],
            "layout": _layout(
                len(found), {"type": "log", "title": {"text": "ours / published (log)"}} | axis
            ),
        },
        table=Table(
            columns=(
                "Training",
                "Machines",
                "Published, hours",
                "Ours, hours",
                "80 % range",
                "Error",
                "From",
            ),
            rows=[
                (
                    each.name,
                    each.machines,
                    formats.count(each.published_hours),
                    formats.count(each.predicted_hours),
                    f"{formats.count(each.low)} to {formats.count(each.high)}",
                    signed(each.error),
                    f"{each.source}, {each.as_of}"
                    + (f"; {formats.dollars(each.published_usd)}" if each.published_usd else "")
                    + f"; {each.note}",
                )
                for each in found
            ],
        ),
    )


def coverage_chart(report: ValidationReport) -> Chart:
    """How often ranges made without a source hold its figures, by class, beside what an honest one holds."""
    found: list[tuple[str, str, float, int | None, int]] = [
        (f"{label}, {short}", colour, share_held, len(judged), len({run.source for run in judged}))
        for kind, label in CLASSES.items()
        for (figure, colour), short in zip(COVERED, ("time", "memory"), strict=True)
        if (share_held := held(judged := _judged(report.chosen(kind=kind, figure=figure)))) is not None
    ]
    if report.rl_held:
        # Their ranges are judged where they are fitted, by source.
        rounds, of = report.rl_held.values(), f"{CLASSES['rlhf']}, time"
        found.append((of, COVERED[0][1], fmean(rounds), None, len(rounds)))
    names = [name for name, *_ in found]
    low, high = HONEST
    good = sum(low <= value <= high for _, _, value, *_ in found)
    return Chart(
        slug="chart-coverage",
        title="How often the 80 % ranges hold on unseen sources, by class",
        finding=(
            f"{good} of {len(found)} lie between {low * 100:.0f} and {high * 100:.0f} % (the band). Below it "
            "the ranges promise too much, above it they are wider than they need be. Classes of few figures "
            "move by chance."
        ),
        figure={
            "data": [
                _band(names, low * 100, high * 100),
                {
                    "type": "scatter",
                    "mode": "markers",
                    "x": [_rounded(100.0 * value) for _, _, value, *_ in found],
                    "y": names,
                    "marker": {"color": [f"token:{colour}" for _, colour, *_ in found], "size": 10},
                    "text": [
                        f"{name}: {share(value)} of {_of(figures, sources)}"
                        for name, _, value, figures, sources in found
                    ],
                    "hovertemplate": "%{text}<extra></extra>",
                },
            ],
            "layout": _layout(
                len(found),
                {
                    "title": {"text": "held, % of figures"},
                    "range": [0, 103],
                    "tickvals": [0, 25, 50, 75, 100],
                },
            ),
        },
        table=Table(
            columns=("Class", "Figures judged", "Sources", "Held"),
            rows=[
                (name, "by source" if figures is None else f"{figures:,}", str(sources), share(value))
                for name, _, value, figures, sources in found
            ],
        ),
        legend=(("step time", "c-blue"), ("peak memory", "c-orange")),
    )


def _judged(runs: Sequence[ValidatedRun]) -> list[ValidatedRun]:
    return [run for run in runs if run.covered_by_source is not None]


def _of(figures: int | None, sources: int) -> str:
    return f"{sources} sources, each counting the same" if figures is None else f"{figures:,} figures"


def _hover(each: Bill) -> str:
    return (
        f"{each.name} on {each.machines}<br>published {formats.count(each.published_hours)} hours, ours "
        f"{formats.count(each.predicted_hours)} ({signed(each.error)})"
    )


def _bars(values: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "color": "token:muted",
        "thickness": 1.5,
        "width": 3,
        "array": [_rounded(high - value) for value, high in zip(values, highs, strict=True)],
        "arrayminus": [_rounded(value - low) for value, low in zip(values, lows, strict=True)],
    }


def _band(names: Sequence[str], low: float, high: float) -> dict[str, Any]:
    """A grey band across all rows: bars from its lower to its upper end, without gaps."""
    return {
        "type": "bar",
        "orientation": "h",
        "y": list(names),
        "base": [low] * len(names),
        "x": [high - low] * len(names),
        "width": 1.0,
        "marker": {"color": "rgba(140,151,155,0.22)"},
        "hoverinfo": "skip",
    }


def _layout(rows: int, axis: dict[str, Any]) -> dict[str, Any]:
    return {
        "height": 80 + ROW_HEIGHT * rows,
        "showlegend": False,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "bargap": 0,
        "hovermode": "closest",
        "xaxis": axis,
        "yaxis": {"automargin": True, "autorange": "reversed", "showgrid": False},
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
