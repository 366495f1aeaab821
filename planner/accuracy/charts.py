"""Predicted against measured, every published figure a point, coloured by the kind of accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from planner.accuracy.report import ValidatedRun
from planner.web import formats
from planner.web.figure import Chart, Table, log_axis

WITHIN = 0.1
#: Quantities drawn together, by the end of their name: slug, title, ending, size of the unit, its name.
DRAWN = (
    ("chart-times", "Step time, predicted against measured", "step time", 1.0, "s"),
    ("chart-memories", "Memory, predicted against measured", "memory", formats.GIB, "GiB"),
)
#: Accelerators by the beginning of their slug: name in the legend, colour.
FAMILIES = (
    ("a100", "A100", "c-blue"),
    ("h100", "H100", "c-orange"),
    ("h200", "H200", "c-red"),
    ("b200", "B200", "c-green"),
    ("v100", "V100", "c-pink"),
    ("trainium", "Trainium", "c-sky"),
)
OTHERS = ("other", "c-grey")


def validation_charts(runs: Sequence[ValidatedRun]) -> list[Chart]:
    """One chart for each kind of quantity that has runs."""
    found = []
    for slug, title, ending, size, name in DRAWN:
        drawn = [
            run for run in runs if run.quantity.endswith(ending) and run.measured > 0 < unseen_prediction(run)
        ]
        if drawn:
            found.append(_chart(slug, title, drawn, size=size, unit=name))
    return found


def unseen_prediction(run: ValidatedRun) -> float:
    """The run's prediction by constants that had not seen its source, in its unit (seconds or bytes).

    Where no such fit exists, that of the constants in use, which were never fitted to it.
    """
    return run.measured * (1.0 + run.unseen)


def family(run: ValidatedRun) -> tuple[str, str]:
    """(name, colour) of the run's kind of accelerator."""
    return next(
        ((name, colour) for start, name, colour in FAMILIES if run.accelerator.startswith(start)), OTHERS
    )


def _chart(slug: str, title: str, runs: Sequence[ValidatedRun], *, size: float, unit: str) -> Chart:
    values = [value / size for run in runs for value in (run.measured, unseen_prediction(run))]
    axis = log_axis(min(values), max(values), formats.trimmed)
    ends = [10**end for end in axis["range"]]
    families = [each for each in _families() if any(family(run) == each for run in runs)]
    layout = {
        "height": 400,
        "showlegend": False,
        "margin": {"l": 8, "r": 16, "t": 8, "b": 8},
        "hovermode": "closest",
        "xaxis": {"type": "log", "title": {"text": f"measured, {unit} (log)"}} | axis,
        "yaxis": {"type": "log", "title": {"text": f"predicted, {unit} (log)"}} | axis,
    }
    return Chart(
        slug=slug,
        title=title,
        finding=(
            f"{formats.percent(_near(runs))} of {len(runs):,} published figures are predicted to within 10 % "
            "(the band) by constants fitted without the run's source."
        ),
        figure={
            "data": [
                _band(ends),
                _identity(ends),
                *(_points([run for run in runs if family(run) == each], each, size) for each in families),
            ],
            "layout": layout,
            "narrow": {"height": 320},
        },
        table=Table(
            columns=("Accelerator", "Figures", "Within 10 %"),
            rows=[_row(name, [run for run in runs if family(run)[0] == name]) for name, _ in families],
        ),
        legend=tuple(families),
    )


def _families() -> list[tuple[str, str]]:
    return [*((name, colour) for _, name, colour in FAMILIES), OTHERS]


def _band(ends: Sequence[float]) -> dict[str, Any]:
    low, high = ends
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [low, high, high, low],
        "y": [low * (1 - WITHIN), high * (1 - WITHIN), high * (1 + WITHIN), low * (1 + WITHIN)],
        "fill": "toself",
        "fillcolor": "rgba(140,151,155,0.22)",
        "line": {"width": 0},
        "hoverinfo": "skip",
        "name": "within 10 %",
    }


def _identity(ends: Sequence[float]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(ends),
        "y": list(ends),
        "line": {"color": "token:line-strong", "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
        "name": "exact",
    }


def _points(runs: Sequence[ValidatedRun], of: tuple[str, str], size: float) -> dict[str, Any]:
    name, colour = of
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [_rounded(run.measured / size) for run in runs],
        "y": [_rounded(unseen_prediction(run) / size) for run in runs],
        "marker": {"color": f"token:{colour}", "size": 7, "opacity": 0.7},
        "text": [
            f"{run.model} on {run.machines}, {run.framework}<br>{run.source}: {run.name}<br>"
            f"measured {run.shown[0]}, predicted {formats.in_unit(unseen_prediction(run), run.unit)}"
            for run in runs
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _rounded(value: float) -> float:
    """Four digits are more than a chart shows, and keep the page small."""
    return float(f"{value:.4g}")


def _near(runs: Sequence[ValidatedRun]) -> float:
    return sum(abs(unseen_prediction(run) / run.measured - 1) <= WITHIN for run in runs) / len(runs)


def _row(name: str, runs: Sequence[ValidatedRun]) -> tuple[str, str, str]:
    return name, f"{len(runs):,}", formats.percent(_near(runs)).text
