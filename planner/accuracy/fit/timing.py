"""Fit the timing constants to the measured runs and write them with their intervals: ``make calibrate``.

Korthikanti et al. 2022, table 5 is never fitted: it is the held-out benchmark.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.calibration import INTERVALS_FILE, TIMING_FILE, shipped_calibration
from planner.accuracy.fit import least_squares, ranges
from planner.accuracy.runs import (
    Run,
    every_run,
    grid_of_runs,
    measured_step_s,
    timed,
    weights,
)
from planner.engine.grid.plan_grid import ARCHITECTURES, FRAMEWORKS, Array, PlanGrid
from planner.engine.sure.intervals import model_kind, precision_kind

#: Share of the prior's own precision below which the runs say hardly anything of a constant.
HARDLY = 0.1


def sample_of(runs: list[Run]) -> least_squares.Sample:
    """The runs to fit to."""
    return least_squares.Sample(
        grid=grid_of_runs(runs), measured_s=measured_step_s(runs), weight=weights(runs)
    )


def quantiles(residuals: Array, count: Array) -> list[float]:
    """Low and high of log(measured / predicted), with a finite-sample correction.

    residuals: log(predicted / measured), shape (runs,).  count: weight of each run. The split-conformal rank
    (n + 1)(1 - a) of n effective runs widens the interval where runs are few.
    Source: Lei et al. 2018.
    """
    order = np.argsort(-residuals)
    values, shares = -residuals[order], count[order] / count.sum()
    effective = 1.0 / np.sum(shares**2)
    cumulative = np.cumsum(shares) - 0.5 * shares
    tail = max(ranges.TAIL - 1.0 / (effective + 1.0) * (1.0 - ranges.TAIL), 0.02)
    return [round(float(np.interp(level, cumulative, values)), 4) for level in (tail, 1.0 - tail)]


def group_weights(runs: list[Run]) -> Array:
    """Weight of each run, shape (runs,): each group counts once, however many near-duplicates it has."""
    groups: dict[str, int] = {}
    for run in runs:
        groups[run.group] = groups.get(run.group, 0) + 1
    return np.array([1.0 / groups[run.group] for run in runs])


def what_was_seen(runs: list[Run], grid: PlanGrid) -> dict[str, Any]:
    """The combinations that the runs cover, as ``intervals.what_is_far`` looks them up."""
    architectures = [ARCHITECTURES[int(index)] for index in grid.architecture]
    largest: dict[str, float] = {}
    for name, ranks in zip(architectures, grid.ranks, strict=True):
        largest[name] = max(largest.get(name, 0.0), float(ranks))
    rows = range(len(runs))
    return {
        "architectures": sorted(set(architectures)),
        "precisions": sorted({f"{architectures[row]}/{precision_kind(grid, row)}" for row in rows}),
        "kinds": sorted({model_kind(grid, row) for row in rows}),
        "frameworks": sorted({FRAMEWORKS[int(index)] for index in grid.framework}),
        "largest_ranks": largest,
        "longest_sequence": float(grid.sequence_length.max()),
        "offload": bool(np.any(grid.offload)),
    }


def error_summary(residuals: Array, runs: list[Run]) -> dict[str, Any]:
    """Mean and median absolute error, and the mean of the sources' means over all and by class, as shares.

    residuals: log(predicted / measured), shape (runs,).
    """
    errors = np.abs(np.expm1(residuals))
    sources = np.array([run.source for run in runs])
    kinds = np.array([run.kind for run in runs])

    def balanced(own: NDArray[np.bool_]) -> float:
        weight = ranges.source_weights(sources[own])
        return round(float(np.sum(weight * errors[own]) / weight.sum()), 4)

    return {
        "mean": round(float(errors.mean()), 4),
        "median": round(float(np.median(errors)), 4),
        "by_source": balanced(np.ones(len(runs), dtype=bool)),
        "by_source_and_class": {str(kind): balanced(kinds == kind) for kind in np.unique(kinds)},
    }


def main() -> None:
    """Fit, check on runs left out, and write constants, intervals and residuals."""
    everything = every_run(shipped_calibration())
    runs = timed(everything)
    sample = sample_of(runs)
    # Errors are those of the rounded constants, since those are what ships.
    shipped = least_squares.as_mapping(least_squares.fit(sample))
    fitted = least_squares.from_mapping(shipped)
    groups, sources = [run.group for run in runs], [run.source for run in runs]
    inside = sample.residuals(fitted)
    by_source = least_squares.refitted_residuals(sample, sources, fitted)
    slopes = least_squares.jacobian(sample, fitted, inside)
    by_group = least_squares.refitted_residuals(sample, groups, fitted, slopes)
    errors = {
        "fit": error_summary(inside, runs),
        "leave_one_group_out": error_summary(by_group, runs),
        "leave_one_source_out": error_summary(by_source, runs),
    }
    write(
        TIMING_FILE,
        {
            "provenance": {
                "fitted_on": date.today().isoformat(),
                "command": "make calibrate",
                "runs": len(runs),
                "groups": len(set(groups)),
                "sources": len(set(sources)),
                "relative_error": errors,
                "of_one_source": rules_of_one_source(sample, runs, fitted),
            },
            "constants": shipped,
        },
    )
    tables = ranges.tables(sample.grid, by_source, np.array(sources))
    write(INTERVALS_FILE, {**tables, "seen": what_was_seen(runs, sample.grid)})
    held_out = {
        run.row_id: [round(float(near), 4), round(float(far), 4)]
        for run, near, far in zip(runs, by_group, by_source, strict=True)
    }
    write(TIMING_FILE.with_name("held_out_residuals.json"), held_out)
    print(json.dumps(errors, indent=2))


def rules_of_one_source(sample: least_squares.Sample, runs: list[Run], fitted: Array) -> dict[str, str]:
    """Constants of whose pull on the fit one source has more than half, and that source.

    The pull of a run is its weight times the square of the constant's slope. Where hardly any run pulls, the
    constant stands at its prior, which is said instead.
    """
    slopes = least_squares.jacobian(sample, fitted, sample.residuals(fitted))
    pull = sample.weight[:, None] * slopes**2 / least_squares.NOISE**2
    sources = np.array([run.source for run in runs])
    names = np.unique(sources)
    by_source = np.stack([pull[sources == name].sum(axis=0) for name in names])
    found = {}
    for index, unknown in enumerate(least_squares.UNKNOWNS):
        own, total = by_source[:, index], by_source[:, index].sum()
        label = f"{unknown.name}/{unknown.key}".rstrip("/")
        if total < HARDLY / unknown.spread**2:
            found[label] = "prior"
        elif own.max() > 0.5 * total:
            found[label] = str(names[own.argmax()])
    return found


def write(path: Path, data: object) -> None:
    """Write ``data`` as JSON."""
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
