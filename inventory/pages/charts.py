"""A GPU's time series as charts: functions from samples to Plotly figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from inventory.store.models import Sample
from inventory.wire import policy
from planner.web import formats
from planner.web.figure import Chart, Table

# Longer pauses than this, by resolution, are drawn as a gap instead of a line.
GAP_S = {policy.RAW: 600, policy.FIVE_MINUTES: 900, policy.HOURLY: 10800}


@dataclass(frozen=True, slots=True)
class Curve:
    """What one chart shows: a column, and the column of its maximum where there is one."""

    slug: str
    title: str
    axis: str
    column: str
    scale: float
    colour: str
    maximum: str = ""
    ceiling: float | None = None


CURVES = (
    Curve(
        "chart-utilization",
        "Utilisation",
        "%",
        "utilization_percent",
        1,
        "token:c-blue",
        "utilization_max_percent",
        100,
    ),
    Curve(
        "chart-memory",
        "Memory in use",
        "GiB",
        "memory_used_bytes",
        2**30,
        "token:c-green",
        "memory_used_max_bytes",
    ),
    Curve("chart-power", "Power", "W", "power_w", 1, "token:c-orange"),
    Curve("chart-temperature", "Temperature", "°C", "temperature_c", 1, "token:c-red", "temperature_max_c"),
)


def series_charts(samples: Sequence[Sample], memory_total_bytes: int | None) -> list[Chart]:
    """One chart per quantity; a quantity that could not be read in the whole period has none."""
    found = [_chart(curve, samples, memory_total_bytes) for curve in CURVES]
    return [chart for chart in found if chart is not None]


def _chart(curve: Curve, samples: Sequence[Sample], memory_total_bytes: int | None) -> Chart | None:
    rows = [(s, getattr(s, curve.column)) for s in samples if getattr(s, curve.column) is not None]
    if not rows:
        return None
    values = [value / curve.scale for _, value in rows]
    of_memory = curve.slug == "chart-memory" and memory_total_bytes
    ceiling = memory_total_bytes / curve.scale if of_memory and memory_total_bytes else curve.ceiling
    times, lifted = _with_gaps([(sample, value) for (sample, _), value in zip(rows, values, strict=True)])
    traces = [
        {
            "type": "scatter", "mode": "lines+markers" if len(rows) < 3 else "lines", "name": "mean",
            "x": times, "y": lifted, "line": {"color": curve.colour, "width": 2}, "connectgaps": False,
            "hovertemplate": f"%{{x}}: %{{y:.4g}} {curve.axis}<extra></extra>", "showlegend": False,
        }
    ]  # fmt: skip
    if curve.maximum and any(sample.weight > 1 for sample, _ in rows):
        highest = [(sample, getattr(sample, curve.maximum)) for sample, _ in rows]
        peaks = [(sample, peak / curve.scale) for sample, peak in highest if peak is not None]
        at, high = _with_gaps(peaks)
        traces.append(
            {
                "type": "scatter", "mode": "lines", "name": "highest", "x": at, "y": high,
                "line": {"color": curve.colour, "width": 1, "dash": "dot"}, "connectgaps": False,
                "hovertemplate": f"%{{x}}: highest %{{y:.4g}} {curve.axis}<extra></extra>",
                "showlegend": False,
            }
        )  # fmt: skip
    top = max([*values, ceiling or 0.0]) or 1.0
    layout = {
        "height": 220, "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "xaxis": {"type": "date", "title": {"text": "time (UTC)"}},
        "yaxis": {"title": {"text": curve.axis}, "range": [0, top * 1.06]},
    }  # fmt: skip
    return Chart(
        slug=curve.slug,
        title=curve.title,
        finding=_finding(curve, values, ceiling),
        figure={"data": traces, "layout": layout},
        table=Table(columns=("Time (UTC)", "Mean", "Samples"), rows=_table(curve, rows)),
    )


def _with_gaps(rows: Sequence[tuple[Sample, float]]) -> tuple[list[str], list[float | None]]:
    """Times and values, with a gap wherever there was no sample for too long."""
    times: list[str] = []
    values: list[float | None] = []
    last: Sample | None = None
    for sample, value in rows:
        if last is not None and sample.at_s - last.at_s > GAP_S[last.resolution_s]:
            times.append(_iso(last.at_s + 1))
            values.append(None)
        times.append(_iso(sample.at_s))
        values.append(value)
        last = sample
    return times, values


def _finding(curve: Curve, values: Sequence[float], ceiling: float | None) -> str:
    low, high, mean = min(values), max(values), sum(values) / len(values)
    of = f" of {formats.significant(ceiling)}" if curve.slug == "chart-memory" and ceiling else ""
    spoken = f"Mean {formats.significant(mean)} {curve.axis}{of}"
    return f"{spoken}, between {formats.significant(low)} and {formats.significant(high)}."


# The table shows the last rows; the CSV has all of them.
MOST_ROWS = 200


def _table(curve: Curve, rows: Sequence[tuple[Sample, float]]) -> list[tuple[str | formats.Quantity, ...]]:
    return [
        (
            _iso(sample.at_s),
            formats.Quantity(f"{formats.significant(value / curve.scale)} {curve.axis}", repr(value)),
            str(sample.weight),
        )
        for sample, value in rows[-MOST_ROWS:]
    ]


def _iso(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
