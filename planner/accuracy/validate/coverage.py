"""How often the intervals hold runs that neither the fit nor the intervals had seen.

The constants come from a fit without the run's group (or source). So do the quantiles, and the decision what
counts as measured before: exactly the situation of a new run.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.fit import memory, memory_ranges, ranges
from planner.accuracy.fit.held_out_memory import figure_name
from planner.accuracy.fit.timing import what_was_seen
from planner.accuracy.runs import Run, every_run, grid_of_runs, timed
from planner.accuracy.validate.predictions import held_out
from planner.engine.grid.plan_grid import Array
from planner.engine.sure.calibration import Calibration
from planner.engine.sure.intervals import Intervals, run_class, spread, time_scale, what_is_far

Covered = dict[str, tuple[bool, bool]]


def time_coverage(calibration: Calibration) -> Covered:
    """By run: whether its step time lies in the intervals made without its group, and without its source."""
    seen = held_out("time")
    runs = [run for run in timed(every_run(calibration)) if run.row_id in seen]
    grid = grid_of_runs(runs)
    near, far = (np.array([seen[run.row_id][which] for run in runs]) for which in (0, 1))
    sources = np.array([run.source for run in runs])

    def judge(label: Callable[[Run], str], residuals: Array) -> list[bool]:
        names = np.array([label(run) for run in runs])
        covered = np.zeros(len(runs), dtype=bool)
        for name in dict.fromkeys(names):
            kept, out = np.flatnonzero(names != name), np.flatnonzero(names == name)
            tables = ranges.tables(grid.rows(kept), far[kept], sources[kept])
            known = what_was_seen([runs[row] for row in kept], grid.rows(kept))
            intervals = Intervals.from_mapping({**tables, "seen": known})
            for row in map(int, out):
                strange = what_is_far(grid, intervals, row)
                scale = time_scale(grid, intervals, row)
                low, high = spread("time", intervals, strange, run_class(grid, row), scale)
                covered[row] = low <= -residuals[row] <= high
        return [bool(each) for each in covered]

    by_group, by_source = judge(lambda run: run.group, near), judge(lambda run: run.source, far)
    return {run.row_id: pair for run, pair in zip(runs, zip(by_group, by_source, strict=True), strict=True)}


def memory_coverage() -> Covered:
    """The same for memory, by figure name (``run/kind``)."""
    figures, seen = memory.published_figures(), held_out("memory")
    names = [
        figure_name(figures.rows[int(plan)]["row_id"], memory.KINDS[int(kind)])
        for plan, kind in zip(figures.plan, figures.kind, strict=True)
    ]
    known = np.array([name in seen for name in names])
    pairs = [seen.get(name, (np.nan, np.nan)) for name in names]
    kinds = memory_ranges.counters(figures)
    near, far = (np.array([pair[which] for pair in pairs]) for which in (0, 1))

    def judge(labels: NDArray[np.str_], residuals: Array) -> list[bool]:
        """Whether ranges from the errors on other sources hold each figure that lies under a label."""
        covered = np.zeros(len(labels), dtype=bool)
        for label in dict.fromkeys(labels):
            others, out = known & (labels != label), labels == label
            for kind in dict.fromkeys(kinds[out]):
                low, high = memory_ranges.shrunk(figures, far, others, kinds == kind)
                chosen = out & (kinds == kind)
                covered[chosen] = (-residuals[chosen] >= low) & (-residuals[chosen] <= high)
        return [bool(each) for each in covered]

    by_group, by_source = judge(figures.labels("group"), near), judge(figures.labels("source"), far)
    judged = zip(by_group, by_source, strict=True)
    return {name: pair for name, pair, own in zip(names, judged, known, strict=True) if own}
