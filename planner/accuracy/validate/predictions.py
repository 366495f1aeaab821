"""What the shipped constants predict for every published figure, next to what was measured.

Each figure is predicted as a user's question would be: by ``estimate``, with its 80 % interval. Where there
is a fit that had not seen the run, its error is given too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import log
from typing import Any

from planner.accuracy.calibration import TIMING_FILE
from planner.accuracy.fit.held_out_memory import HELD_OUT_MEMORY_FILE, figure_name
from planner.accuracy.runs import FURTHER, GOLDEN, MEASURED, Run, memory_counter, read_rows, read_runs
from planner.engine.answer.estimate import estimate
from planner.engine.question.result import PlanResult, StepBreakdown
from planner.engine.sure.calibration import Calibration

HELD_OUT_FILE = TIMING_FILE.with_name("held_out_residuals.json")
GOLDEN_SOURCE = "korthikanti-2022"
#: Tool assumed for memory figures whose source does not name it.
MEMORY_QUANTITIES = ("allocated memory", "reserved memory", "nvidia-smi memory", "resident memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One published figure and ours. unit: ``s`` or ``byte``.

    by_group, by_source: log(predicted / measured) of a fit that saw no run of the same group, of the same
    source; None where no such fit is on record.  fitted: whether the constants were fitted to this figure.
    low, high: 80 % interval around ``predicted``, None where the answer gives none.
    """

    row_id: str
    model: str
    source: str
    group: str
    kind: str
    accelerator: str
    accelerators: int
    framework: str
    quantity: str
    unit: str
    measured: float
    predicted: float
    low: float | None
    high: float | None
    by_group: float | None
    by_source: float | None
    fitted: bool
    note: str

    @property
    def residual(self) -> float:
        """log(predicted / measured) of the constants in use."""
        return log(self.predicted / self.measured)

    @property
    def covered(self) -> bool | None:
        """Whether the interval holds the measured value; None where there is no interval."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.measured <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One published figure before its run is added. interval, held_out: as in ``Prediction``."""

    quantity: str
    unit: str
    measured: float
    predicted: float
    interval: tuple[float, float] | None = None
    held_out: tuple[float, float] | None = None


def held_out(name: str) -> dict[str, tuple[float, float]]:
    """(group left out, source left out) residuals by figure, of ``time`` or ``memory``."""
    path = HELD_OUT_FILE if name == "time" else HELD_OUT_MEMORY_FILE
    return {key: (pair[0], pair[1]) for key, pair in json.loads(path.read_text(encoding="utf-8")).items()}


def predictions(calibration: Calibration) -> list[Prediction]:
    """Every published figure that the engine has a number for, in the order of the data files."""
    seen = {"time": held_out("time"), "memory": held_out("memory")}
    found = []
    for path in (MEASURED, FURTHER, GOLDEN):
        runs = read_runs(calibration, path)
        names = {run.row_id for run in runs}
        rows = [row for row in read_rows(path) if row["row_id"] in names]
        for run, row in zip(runs, rows, strict=True):
            result = estimate(run.request, calibration)
            found += [
                beside(run, row, result, figure)
                for figure in (
                    *time_figures(run, result, seen["time"]),
                    *memory_figures(run, result, seen["memory"]),
                )
            ]
    return found


def beside(run: Run, row: dict[str, Any], result: PlanResult, figure: Figure) -> Prediction:
    """The figure with its run."""
    low, high = figure.interval or (None, None)
    near, far = figure.held_out or (None, None)
    return Prediction(
        row_id=run.row_id,
        model=str(row["model_name"]),
        source=run.source,
        group=run.group,
        kind=run.kind,
        accelerator=result.cluster.accelerator.slug,
        accelerators=result.accelerators,
        framework=run.request.workload.framework,
        quantity=figure.quantity,
        unit=figure.unit,
        measured=figure.measured,
        predicted=figure.predicted,
        low=low,
        high=high,
        by_group=near,
        by_source=far,
        fitted=figure.held_out is not None,
        note=str(row["note"]),
    )


def time_figures(run: Run, result: PlanResult, seen: dict[str, tuple[float, float]]) -> Iterator[Figure]:
    """Step, whole run and, for reinforcement learning, the phases."""
    time, measured = result.time, run.measured
    if run.step_s is not None:
        yield Figure(
            quantity="step time",
            unit="s",
            measured=run.step_s,
            predicted=time.step_s,
            interval=time.step_interval_s,
            held_out=seen.get(run.row_id),
        )
    whole = measured.get("total_s") or measured.get("wall_s")
    # Where a step is published too, the total is that step times a count and adds no information.
    if whole and run.step_s is None:
        yield Figure(
            quantity="total time",
            unit="s",
            measured=float(whole),
            predicted=time.total_s,
            interval=time.total_interval_s,
        )
    for name, seconds in phases_of(time.step_breakdown_s).items():
        if f"{name}_s" in measured:
            yield Figure(
                quantity=f"{name} time", unit="s", measured=float(measured[f"{name}_s"]), predicted=seconds
            )


def phases_of(parts: StepBreakdown) -> dict[str, float]:
    """Seconds of a round's phases as sources count them: new weights go with generation. Empty for others."""
    beside = ("generation", "scoring", "weight_synchronization", "waiting")
    if parts.generation is None:
        return {}
    training = sum(getattr(parts, part.name) for part in fields(parts) if part.name not in beside)
    generation = parts.generation + (parts.weight_synchronization or 0.0) + (parts.waiting or 0.0)
    return {"generation": generation, "scoring": parts.scoring or 0.0, "training": training}


def memory_figures(run: Run, result: PlanResult, seen: dict[str, tuple[float, float]]) -> Iterator[Figure]:
    """The peak by the tool that read it, a second reading, and what stays between steps."""
    memory, measured = result.memory, run.measured
    total = memory.per_accelerator_bytes.total
    ours = {"allocated": memory.allocated_bytes, "reserved": memory.reserved_bytes, "nvidia-smi": total}
    kind = memory_counter(run.source, measured)
    published = {kind: measured.get("peak_memory_bytes"), "nvidia-smi": measured.get("nvidia_smi_bytes")}
    if kind == "nvidia-smi":
        published = {kind: measured.get("peak_memory_bytes")}
    low, high = (end / total for end in memory.interval_bytes)
    for name, value in published.items():
        if value:
            yield Figure(
                quantity=f"{name} memory",
                unit="byte",
                measured=float(value),
                predicted=ours[name],
                interval=(ours[name] * low, ours[name] * high),
                held_out=seen.get(figure_name(run.row_id, name)),
            )
    if resident := measured.get("resident_bytes"):
        yield Figure(
            quantity="resident memory",
            unit="byte",
            measured=float(resident),
            predicted=memory.resident_bytes,
        )
