"""Chart of a run on the slices of one chip: time on each MIG profile, and where it fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from planner.engine.question.result import PlanResult
from planner.engine.question.result import Verdict as VerdictKind
from planner.plans.room import room
from planner.plans.variations import ProfilePoint
from planner.web import formats
from planner.web.figure import VERDICT_COLOURS, VERDICTS, Cell, Chart, Table


def profile_chart(points: Sequence[ProfilePoint], plan: PlanResult) -> Chart:
    """One bar a profile, smallest first; its colour and words say whether the run fits."""
    own = plan.cluster.mig_profile
    found = [(point.profile, point.answer) for point in points if isinstance(point.answer, PlanResult)]
    size, unit = formats.time_axis(plan.time.total_s)
    longest = max(result.time.total_s for _, result in found) / size
    names = [f"{spec.profile}{', your plan' if spec == own else ''}" for spec, _ in found]
    traces: list[dict[str, Any]] = [
        {
            "type": "bar",
            "orientation": "h",
            "y": names,
            "x": [result.time.total_s / size for _, result in found],
            "marker": {"color": [VERDICT_COLOURS[result.verdict] for _, result in found]},
            "text": [f"{formats.duration(result.time.total_s)}, {room(result)}" for _, result in found],
            "textposition": "outside",
            "cliponaxis": False,
            "hovertemplate": "%{y}: %{text}<extra></extra>",
        }
    ]
    rows: list[tuple[Cell, ...]] = [
        (
            spec.profile,
            formats.gib(spec.memory_bytes),
            formats.gib(result.memory.per_accelerator_bytes.total),
            VERDICTS[result.verdict],
            formats.duration(result.time.total_s),
        )
        for spec, result in found
    ]
    fitting = [spec.profile for spec, result in found if result.fits]
    finding = (
        f"It fits on {len(fitting)} of {len(found)} profiles of this chip; the smallest is {fitting[0]}."
        if fitting
        else f"It fits on none of the {len(found)} profiles of this chip."
    )
    shown: list[VerdictKind] = [kind for kind in VERDICTS if any(r.verdict == kind for _, r in found)]
    return Chart(
        slug="chart-profiles",
        title="The same run on each slice",
        finding=finding,
        figure={
            "data": traces,
            "layout": {
                "height": 70 + 30 * len(found),
                "showlegend": False,
                "bargap": 0.35,
                "xaxis": {"title": {"text": f"time of the run, {unit}"}, "range": [0, 1.6 * longest]},
                "yaxis": {"autorange": "reversed", "ticks": "", "showgrid": False},
            },
            "narrow": {"xaxis": {"range": [0, 2.8 * longest]}},
        },
        table=Table(columns=("Profile", "Memory", "Needed", "Verdict", "Time"), rows=rows),
        css="wide",
        legend=tuple((VERDICTS[kind], VERDICT_COLOURS[kind].removeprefix("token:")) for kind in shown),
    )
