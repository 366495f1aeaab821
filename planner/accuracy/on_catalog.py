"""Measured runs as the catalog's pages tell them: what ran on a chip, and on what a model ran.

Grouped, so that a table of a benchmark is one line. Shares are of the dense peak that the catalog has today.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any
from urllib.parse import urlencode

from planner.accuracy.achieved import AchievedRun, achieved_runs, shape_of
from planner.accuracy.report import CLASSES
from planner.catalog.facts.records import ModelRecord
from planner.catalog.facts.shapes import built_model
from planner.catalog.pages.evidence import ChipAsked, Evidence, RunsAlike
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.shape.parameters import count_parameters
from planner.web import formats
from planner.web.figure import Chart, Table, log_axis

#: Models of one shape differ in vocabulary and positions; a count further off is another model (judgement).
SAME_COUNT = 0.05
LINES = 12
#: The order and the colours of precisions on the chart.
COLOURS = {"bf16": "c-blue", "fp16": "c-sky", "fp8": "c-orange", "tf32": "c-green", "fp32": "c-pink"}


def of_chip(asked: ChipAsked) -> Evidence:
    """What was trained on a chip; for a machine, the runs in nodes of as many chips stand first."""
    on_chip = [each for each in achieved_runs() if each.run.accelerator == asked.slug]
    if not on_chip:
        return Evidence(
            sentence=f"No published run on {asked.name} is on record: plans on it follow from its data sheet."
        )
    alike = [each for each in on_chip if asked.per_node in (None, each.per_node)]
    where = "" if asked.per_node is None else f" in nodes of {asked.per_node}"
    if not alike:
        where, alike = f", none{where}", on_chip
    groups = _grouped(alike, lambda each: (*_of_one_model(each), each.run.kind))
    groups.sort(key=lambda group: (-group[0].parameters, group[0].run.model))
    chart = None if asked.per_node else _chart(asked, on_chip)
    return Evidence(
        sentence=f"{_counted(alike)} on {asked.name}{where}{_reach(alike, asked.peaks_tflops)}.",
        lines=tuple(_line(group, asked.peaks_tflops) for group in groups[:LINES]),
        left=max(0, len(groups) - LINES),
        query=urlencode({"accelerator": asked.slug}),
        chart=chart,
    )


def of_model(record: ModelRecord) -> Evidence:
    """On what models of this shape were trained, whatever they are called."""
    try:
        model = built_model(record)
        shape, count = shape_of(model), count_parameters(model).total
    except (PlanError, PlanErrors):
        return Evidence(sentence="Its shape cannot be counted, so that no run can be held beside it.")
    alike = [
        each
        for each in achieved_runs()
        if each.shape == shape and abs(each.parameters / count - 1) <= SAME_COUNT
    ]
    if not alike or model.towers:
        return Evidence(sentence="No published run of a model of this shape is on record.")
    groups = _grouped(alike, lambda each: (each.run.accelerator, each.run.kind))
    groups.sort(key=lambda group: (-len(group), group[0].run.accelerator))
    return Evidence(
        sentence=f"{_counted(alike)} of models of this shape.",
        reached="Model TFLOP/s of one chip",
        lines=tuple(_line(group, {}) for group in groups[:LINES]),
        left=max(0, len(groups) - LINES),
    )


def _of_one_model(run: AchievedRun) -> tuple[str, str]:
    """What sources that name a model differently agree on: its shape, and its size to two digits."""
    return run.shape, f"{run.parameters:.1e}"


def _grouped(
    runs: Iterable[AchievedRun], key: Callable[[AchievedRun], tuple[str, ...]]
) -> list[list[AchievedRun]]:
    found: dict[tuple[str, ...], list[AchievedRun]] = {}
    for each in runs:
        found.setdefault(key(each), []).append(each)
    return list(found.values())


def _line(group: Sequence[AchievedRun], peaks: Mapping[str, float]) -> RunsAlike:
    first = group[0].run
    names = Counter(each.run.model for each in group)
    counts = sorted({each.run.accelerators for each in group})
    span = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return RunsAlike(
        model=names.most_common(1)[0][0],
        what=CLASSES.get(first.kind, first.kind),
        machines=f"{span} × {first.accelerator}",
        stacks=", ".join(sorted({each.run.framework for each in group})),
        runs=len(group),
        sources=len({each.run.source for each in group}),
        share=_shares(group, peaks),
        query=urlencode(
            {"accelerator": first.accelerator, "kind": first.kind}
            | ({"text": first.model} if len(names) == 1 else {})
        ),
    )


def share_of_peak(run: AchievedRun, peaks: Mapping[str, float]) -> float | None:
    """The run's share of the dense peak of its precision; None where either is unknown."""
    peak = peaks.get(run.precision)
    return run.tflops / peak if run.tflops is not None and peak else None


def _shares(group: Sequence[AchievedRun], peaks: Mapping[str, float]) -> str:
    """``38 to 52 % of bf16``; without the chip's peaks the rates themselves."""
    said = []
    for precision in COLOURS:
        of = [each for each in group if each.precision == precision and each.tflops is not None]
        shares = [share for each in of if (share := share_of_peak(each, peaks)) is not None]
        if shares:
            low, high = round(100 * min(shares)), round(100 * max(shares))
            said.append(f"{low} % of {precision}" if low == high else f"{low} to {high} % of {precision}")
        elif of and not peaks:
            rates = [each.tflops or 0.0 for each in of]
            ends = dict.fromkeys(formats.trimmed(end) for end in (min(rates), max(rates)))
            said.append(f"{' to '.join(ends)} TFLOP/s in {precision}")
    return ", ".join(said)


def _counted(runs: Sequence[AchievedRun]) -> str:
    sources = len({each.run.source for each in runs})
    return (
        f"{len(runs):,} published {'run' if len(runs) == 1 else 'runs'} from {sources} "
        f"{'source' if sources == 1 else 'sources'}"
    )


def _reach(runs: Sequence[AchievedRun], peaks: Mapping[str, float]) -> str:
    """How much of the peak of the precision most runs are in, at the middle and at best."""
    by_precision = {
        precision: [
            share
            for each in runs
            if each.precision == precision and (share := share_of_peak(each, peaks)) is not None
        ]
        for precision in COLOURS
    }
    precision, shares = max(by_precision.items(), key=lambda item: len(item[1]))
    if not shares:
        return ""
    if len(shares) == 1:
        return f": {_whole(shares[0])} of the {precision} peak"
    return (
        f": half of those in {precision} reach {_whole(median(shares))} of its peak, "
        f"the best {_whole(max(shares))}"
    )


def _whole(share: float) -> str:
    return f"{100 * share:.0f} %"


def _chart(asked: ChipAsked, runs: Sequence[AchievedRun]) -> Chart | None:
    """Each timed run's model TFLOP/s of a chip, by size of its model, beneath the peaks."""
    drawn = [each for each in runs if share_of_peak(each, asked.peaks_tflops) is not None]
    if not drawn:
        return None
    axis = log_axis(
        min(each.parameters for each in drawn),
        max(each.parameters for each in drawn),
        lambda value: formats.count(value).text,
    )
    ends = [10**end for end in axis["range"]]
    traces: list[dict[str, Any]] = []
    rows: list[tuple[str, ...]] = []
    notes: list[dict[str, Any]] = []
    for precision, colour in COLOURS.items():
        of = [each for each in drawn if each.precision == precision]
        if not of:
            continue
        peak = asked.peaks_tflops[precision]
        shares = [each.tflops / peak for each in of if each.tflops is not None]
        traces += [_points(of, precision, colour), _peak(peak, precision, colour, ends)]
        notes.append(_named(peak, precision, colour))
        rows.append(
            (
                precision, formats.trimmed(peak), f"{len(of):,}", f"{len({each.run.source for each in of})}",
                _whole(median(shares)), _whole(max(shares)),
            )
        )  # fmt: skip
    return Chart(
        slug="chart-reached",
        title=f"What runs reach of {asked.name}'s peak",
        finding=f"Model TFLOP/s of one chip in {len(drawn):,} published runs, beneath the dense peaks (lines)"
        f"{_reach(drawn, asked.peaks_tflops)}.",
        figure={
            "data": traces,
            "layout": {
                "height": 380,
                "showlegend": False,
                "hovermode": "closest",
                "margin": {"l": 8, "r": 16, "t": 24, "b": 8},
                "xaxis": {"type": "log", "title": {"text": "parameters of the model (log)"}} | axis,
                "yaxis": {"title": {"text": "TFLOP/s of one chip"}, "rangemode": "tozero"},
                "annotations": notes,
            },
        },
        table=Table(
            columns=("Precision", "Peak (TFLOP/s)", "Runs", "Sources", "Half reach", "Best"), rows=list(rows)
        ),
        css="wide",
    )


def _points(runs: Sequence[AchievedRun], precision: str, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": precision,
        "x": [each.parameters for each in runs],
        "y": [each.tflops for each in runs],
        "marker": {"color": f"token:{colour}", "size": 7, "opacity": 0.7},
        "text": [
            f"{each.run.model}, {each.run.accelerators:,} chips, {each.run.framework}<br>{each.run.source}"
            for each in runs
        ],
        "hovertemplate": "%{text}<br>%{y:.0f} TFLOP/s<extra>" + precision + "</extra>",
    }


def _peak(peak: float, precision: str, colour: str, ends: Sequence[float]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{precision} peak",
        "x": list(ends),
        "y": [peak, peak],
        "line": {"color": f"token:{colour}", "dash": "dash", "width": 2},
        "hovertemplate": f"{precision} peak: %{{y:.0f}} TFLOP/s<extra></extra>",
    }


def _named(peak: float, precision: str, colour: str) -> dict[str, Any]:
    return {
        "xref": "paper",
        "x": 0.0,
        "y": peak,
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
        "text": f"{precision} peak",
        "font": {"color": f"token:{colour}"},
    }
