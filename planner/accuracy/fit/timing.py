"""Fit the timing constants to the measured runs and write them with their intervals: ``make calibrate``.

Korthikanti et al. 2022, table 5 is never fitted: it is the held-out benchmark.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from planner.accuracy.calibration import INTERVALS_FILE, TIMING_FILE, shipped_calibration
from planner.accuracy.fit import least_squares
from planner.accuracy.runs import (
    Run,
    grid_of_runs,
    measured_step_s,
    read_runs,
    timed,
    weights,
)
from planner.engine.grid.plan_grid import ARCHITECTURES, FRAMEWORKS, Array, PlanGrid
from planner.engine.sure.intervals import model_kind, precision_kind

#: An 80 % interval: a tenth on either side.
TAIL = 0.1
#: A class has quantiles of its own from this many groups on.
ENOUGH_GROUPS = 8


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
    tail = max(TAIL - 1.0 / (effective + 1.0) * (1.0 - TAIL), 0.02)
    return [round(float(np.interp(level, cumulative, values)), 4) for level in (tail, 1.0 - tail)]


def sample_of(runs: list[Run]) -> least_squares.Sample:
    """The runs to fit to, with an offset for each source that publishes none of its runs' inputs in full."""
    full = {run.source for run in runs if run.quality == "good"}
    assumed = list(dict.fromkeys(run.source for run in runs if run.source not in full))
    return least_squares.Sample(
        grid=grid_of_runs(runs),
        measured_s=measured_step_s(runs),
        weight=weights(runs),
        shared=np.array([[float(run.source == source) for source in assumed] for run in runs]),
    )


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
    }


def error_summary(residuals: Array) -> dict[str, float]:
    """Mean and median absolute error, as shares. residuals: log(predicted / measured)."""
    errors = np.abs(np.expm1(residuals))
    return {"mean": round(float(errors.mean()), 4), "median": round(float(np.median(errors)), 4)}


def main() -> None:
    """Fit, check on runs left out, and write constants, intervals and residuals."""
    runs = timed(read_runs(shipped_calibration()))
    sample = sample_of(runs)
    fitted = least_squares.fit(sample)
    # Errors are those of the rounded constants, since those are what ships.
    shipped = least_squares.as_mapping(fitted[: len(least_squares.START)])
    fitted[: len(least_squares.START)] = least_squares.from_mapping(shipped)
    groups, sources = [run.group for run in runs], [run.source for run in runs]
    inside = sample.residuals(fitted)
    by_group = least_squares.stepped_residuals(sample, groups, fitted)
    by_source = least_squares.refitted_residuals(sample, sources, fitted)
    errors = {
        "fit": error_summary(inside),
        "leave_one_group_out": error_summary(by_group),
        "leave_one_source_out": error_summary(by_source),
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
            },
            "constants": shipped,
        },
    )
    tables = interval_tables(runs, sample.grid, by_group, by_source)
    write(INTERVALS_FILE, tables)
    held_out = {
        run.row_id: [round(float(near), 4), round(float(far), 4)]
        for run, near, far in zip(runs, by_group, by_source, strict=True)
    }
    write(TIMING_FILE.with_name("held_out_residuals.json"), held_out)
    print(json.dumps(errors, indent=2))


def interval_tables(runs: list[Run], grid: PlanGrid, by_group: Array, by_source: Array) -> dict[str, Any]:
    """Quantiles for plans like measured ones (both kinds of residual pooled) and for far ones.

    by_group, by_source: log(predicted / measured) with the run's group, or its source, left out, shape
    (runs,). A plan that resembles the measured runs may still come from a stack that no source covers, so the
    near interval pools both kinds of residual; the far one uses only those with the source left out.
    """
    count = group_weights(runs)
    near = np.concatenate([by_group, by_source])
    tables: dict[str, dict[str, list[float]]] = {
        "near": {"time": quantiles(near, np.concatenate([count, count]))},
        "far": {"time": quantiles(by_source, count)},
    }
    kinds = np.array([model_kind(grid, row) for row in range(len(runs))])
    for kind in dict.fromkeys(kinds):
        own = kinds == kind
        if len({run.group for run, mine in zip(runs, own, strict=True) if mine}) >= ENOUGH_GROUPS:
            pooled = np.concatenate([by_group[own], by_source[own]])
            tables["near"][f"time/{kind}"] = quantiles(pooled, np.concatenate([count[own], count[own]]))
            tables["far"][f"time/{kind}"] = quantiles(by_source[own], count[own])
    return {**tables, "seen": what_was_seen(runs, grid)}


def write(path: Path, data: object) -> None:
    """Write ``data`` as JSON."""
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
