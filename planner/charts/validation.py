"""Predicted against measured, every published figure a point."""

from __future__ import annotations

from collections.abc import Sequence

from planner import formats
from planner.charts.figure import Chart, Table, log_axis
from planner.validation_report import ValidatedRun

WITHIN = 0.1
#: Quantities drawn together, by the end of their name: chart slug, title, ending, size of the unit, its name.
DRAWN = (
    ("chart-times", "Step time, predicted against measured", "step time", 1.0, "s"),
    ("chart-memories", "Memory, predicted against measured", "memory", formats.GIB, "GiB"),
)


def validation_charts(runs: Sequence[ValidatedRun]) -> list[Chart]:
    """One chart for each kind of quantity that has runs."""
    found = []
    for slug, title, ending, size, name in DRAWN:
        drawn = [run for run in runs if run.quantity.endswith(ending) and run.measured > 0 < run.predicted]
        if drawn:
            found.append(_chart(slug, title, drawn, size=size, unit=name))
    return found


def _chart(slug: str, title: str, runs: Sequence[ValidatedRun], *, size: float, unit: str) -> Chart:
    measured = [run.measured / size for run in runs]
    predicted = [run.predicted / size for run in runs]
    axis = log_axis(min(measured + predicted), max(measured + predicted), formats.trimmed)
    ends = [10**end for end in axis["range"]]
    near = sum(abs(run.predicted / run.measured - 1) <= WITHIN for run in runs) / len(runs)
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": ends,
            "y": ends,
            "line": {"color": "token:line-strong", "width": 1, "dash": "dot"},
            "hoverinfo": "skip",
            "name": "exact",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "x": measured,
            "y": predicted,
            "marker": {"color": "token:c-blue", "size": 6, "opacity": 0.55},
            "text": [f"{run.name}: {run.shown[0]} measured, {run.shown[1]} predicted" for run in runs],
            "hovertemplate": "%{text}<extra></extra>",
            "name": "runs",
        },
    ]
    layout = {
        "height": 340,
        "showlegend": False,
        "margin": {"l": 8, "r": 16, "t": 8, "b": 8},
        "xaxis": {"type": "log", "title": {"text": f"measured, {unit} (log)"}} | axis,
        "yaxis": {"type": "log", "title": {"text": f"predicted, {unit} (log)"}} | axis,
    }
    sources = sorted({run.source for run in runs})
    return Chart(
        slug=slug,
        title=title,
        finding=f"{formats.percent(near)} of {len(runs)} published figures are predicted to within a tenth.",
        figure={"data": traces, "layout": layout},
        table=Table(
            columns=("Source", "Figures", "Within a tenth"), rows=[_row(name, runs) for name in sources]
        ),
    )


def _row(source: str, runs: Sequence[ValidatedRun]) -> tuple[str, str, str]:
    mine = [run for run in runs if run.source == source]
    near = sum(abs(run.predicted / run.measured - 1) <= WITHIN for run in mine)
    return source, f"{len(mine):,}", f"{near:,}"
