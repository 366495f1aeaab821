"""Charts of one plan: what fills the memory, and where a step's time goes."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from planner.engine.question.result import PlanResult
from planner.plans.room import room
from planner.web import formats
from planner.web.figure import Cell, Chart, Table

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
#: What the seconds of a step are spent on; none of these colours stands for a part of the memory.
COMPUTE, COMMUNICATION, IDLE = "token:c-compute", "token:c-yellow", "token:c-idle"
STEP_LEGEND = ((COMPUTE, "computing"), (COMMUNICATION, "communicating"), (IDLE, "waiting and the rest"))
STEP_PARTS = (
    ("forward", "Forward", COMPUTE),
    ("backward", "Backward", COMPUTE),
    ("recompute", "Recompute", COMPUTE),
    ("generation", "Generation", COMPUTE),
    ("scoring", "Scoring", COMPUTE),
    ("optimizer", "Optimizer step", COMPUTE),
    ("tensor_communication", "Tensor comms", COMMUNICATION),
    ("context_communication", "Context comms", COMMUNICATION),
    ("expert_communication", "Expert comms", COMMUNICATION),
    ("pipeline_communication", "Pipeline comms", COMMUNICATION),
    ("data_communication", "Data comms", COMMUNICATION),
    ("weight_synchronization", "Weights to the engine", COMMUNICATION),
    ("pipeline_bubble", "Pipeline bubble", IDLE),
    ("waiting", "Waiting for answers", IDLE),
    ("other", "Other", IDLE),
)
#: Ends a hover text; without it Plotly adds a box with the trace's name.
NO_BOX = "<extra></extra>"
LABEL_SHARE = 0.11
NEGLIGIBLE_SHARE = 5e-4


def host_memory_chart(result: PlanResult) -> Chart | None:
    """A second bar: what offload puts into each node's host memory, against what that has where it is known.

    None where nothing is offloaded.
    """
    held, usable = float(result.memory.host_bytes), result.memory.host_usable_bytes
    if not held:
        return None
    longest = max(held, usable or 0.0)
    line = (
        [] if usable is None else [{"type": "line", "x0": usable / formats.GIB, "x1": usable / formats.GIB}]
    )
    known = "not known" if usable is None else formats.gib(usable)
    does = "is not checked" if usable is None else "fits" if held <= usable else "does not fit"
    return Chart(
        slug="chart-host-memory",
        title="Host memory of each node",
        finding=f"What is offloaded takes {formats.gib(held)} of each node's memory ({known}); it {does}.",
        figure={
            "data": [
                {
                    "type": "bar",
                    "orientation": "h",
                    "y": [""],
                    "x": [held / formats.GIB],
                    "name": "Offloaded",
                    "marker": {"color": "token:c-green"},
                    "hovertemplate": f"offloaded: {formats.gib(held)}{NO_BOX}",
                }
            ],
            "layout": {
                "height": 130,
                "bargap": 0.3,
                "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
                "xaxis": {
                    "title": {"text": "GiB in each node's host memory"},
                    "range": [0, 1.06 * longest / formats.GIB],
                },
                "yaxis": {"showticklabels": False, "showgrid": False},
                "showlegend": False,
                "shapes": [
                    {**each, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": "token:text", "width": 2}}
                    for each in line
                ],
            },
        },
        table=Table(columns=("Part", "Memory"), rows=[("Offloaded", formats.gib(held)), ("Host has", known)]),
        css="short wide",
    )


def memory_chart(result: PlanResult) -> Chart:
    """One stacked bar: what fills the fullest accelerator, against what it can use."""
    memory = result.memory
    parts = [
        (name, label, colour, ink, float(getattr(memory.per_accelerator_bytes, name)))
        for name, label, colour, ink in MEMORY_PARTS
    ]
    total, usable = float(memory.per_accelerator_bytes.total), float(memory.usable_bytes)
    longest = max(total, usable, memory.interval_bytes[1])
    starts = [end - part[-1] for part, end in zip(parts, accumulate(part[-1] for part in parts), strict=True)]
    traces: list[dict[str, Any]] = [
        {
            "type": "bar",
            "orientation": "h",
            "y": [""],
            "x": [value / formats.GIB],
            "name": label,
            "marker": {"color": colour, "line": {"color": "token:surface", "width": 1}},
            "text": [f"{label}<br>{formats.gib(value)}" if value > LABEL_SHARE * longest else ""],
            "textposition": "inside",
            "insidetextanchor": "start" if _struck(start, value, usable) else "middle",
            "textangle": 0,
            "constraintext": "inside",
            "insidetextfont": {"color": ink},
            "hovertemplate": f"{label}: {formats.gib(value)}, {formats.percent(value / total)}{NO_BOX}",
        }
        for (_, label, colour, ink, value), start in zip(parts, starts, strict=True)
        if value > 0
    ]
    low, high = memory.interval_bytes
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": [total / formats.GIB],
            "y": [""],
            "showlegend": False,
            "marker": {"color": "token:text", "size": 7, "symbol": "line-ns-open"},
            "error_x": {
                "type": "data",
                "symmetric": False,
                "color": "token:text",
                "thickness": 1.5,
                "width": 5,
                "array": [max(0.0, high - total) / formats.GIB],
                "arrayminus": [max(0.0, total - low) / formats.GIB],
            },
            "hovertemplate": f"total {formats.gib(total)}, 80 % range {formats.gib_range(low, high)}{NO_BOX}",
        }
    )
    layout = {
        "barmode": "stack",
        "uniformtext": {"mode": "hide", "minsize": 11},
        "height": 170,
        "bargap": 0.3,
        "margin": {"l": 8, "r": 12, "t": 26, "b": 8},
        "xaxis": {"title": {"text": "GiB on the fullest GPU"}, "range": [0, 1.06 * longest / formats.GIB]},
        "yaxis": {"showticklabels": False, "showgrid": False},
        "showlegend": False,
        "shapes": [
            {
                "type": "line",
                "x0": usable / formats.GIB,
                "x1": usable / formats.GIB,
                "y0": 0,
                "y1": 1,
                "yref": "paper",
                "line": {"color": "token:text", "width": 2, "dash": "dot"},
            }
        ],
        "annotations": [
            {
                "x": usable / formats.GIB,
                "y": 1,
                "yref": "paper",
                "yanchor": "bottom",
                "showarrow": False,
                "xanchor": "right" if usable > 0.5 * longest else "left",
                "text": f"usable {formats.gib(usable)}",
            }
        ],
    }
    rows: list[tuple[Cell, ...]] = [
        (label, formats.gib(value), formats.percent(value / total)) for _, label, _, _, value in parts
    ]
    rows += [("Total", formats.gib(total), formats.percent(1.0)), ("Usable", formats.gib(usable), "")]
    largest = max(parts, key=lambda part: part[-1])
    does = "it leaves" if result.fits else "it does not fit,"
    most = f"{formats.gib(largest[-1])} of {formats.gib(total)}"
    take = "take" if largest[1].endswith("s") else "takes"
    finding = f"{largest[1]} {take} the most, {most}; {does} {room(result)}."
    return Chart(
        slug="chart-memory",
        title="Memory on the fullest GPU",
        finding=finding,
        figure={"data": traces, "layout": layout},
        table=Table(columns=("Part", "Memory", "Share"), rows=rows),
        css="short wide",
        legend=(
            *((label, colour.removeprefix("token:")) for _, label, colour, _, value in parts if value > 0),
            ("usable", "mark-dots"),
            ("80 % range of the total", "mark-range"),
        ),
    )


def _struck(start: float, value: float, usable: float) -> bool:
    """The usable line would cross a label in the middle of this part."""
    return abs(usable - (start + value / 2)) < LABEL_SHARE / 2 * max(usable, start + value)


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
        "type": "bar",
        "orientation": "h",
        "y": [label for label, _, _ in parts],
        "x": [value / size for _, _, value in parts],
        "marker": {"color": [colour for _, colour, _ in parts]},
        "text": labels,
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = {
        "height": 60 + 26 * len(parts),
        "showlegend": False,
        "bargap": 0.35,
        "xaxis": {
            "title": {"text": f"{'seconds' if unit == 's' else unit} per step"},
            "range": [0, 1.3 * parts[0][2] / size],
        },
        "yaxis": {"autorange": "reversed", "ticks": "", "showgrid": False},
    }
    rows: list[tuple[Cell, ...]] = [
        (label, formats.duration(value), formats.percent(value / step_s))
        for label, _, value in everything
        if value
    ]
    rows.append(("Step", formats.duration(step_s), formats.percent(1.0)))
    compute = sum(value for label, _, value in everything if label in ("Forward", "Backward"))
    finding = (
        f"A step takes {formats.duration(step_s)}; {formats.percent(compute / step_s)} of it is forward and "
        f"backward, the longest part is {parts[0][0].lower()}."
    )
    return Chart(
        slug="chart-step",
        title="Where a step's time goes",
        finding=finding,
        figure={
            "data": [trace],
            "layout": layout,
            "narrow": {"xaxis": {"range": [0, 1.9 * parts[0][2] / size]}},
        },
        table=Table(columns=("Part", "Time", "Share"), rows=rows),
        css="wide",
        legend=tuple(
            (words, colour.removeprefix("token:"))
            for colour, words in STEP_LEGEND
            if any(colour == used for _, used, _ in parts)
        ),
    )
