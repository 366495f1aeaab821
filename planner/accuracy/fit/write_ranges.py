"""Make the ranges of time anew from the errors on record, without a fit: after a change of the method.

``make calibrate`` does the same at its end, from the errors that it has just found.
"""

from __future__ import annotations

import numpy as np

from planner.accuracy.calibration import INTERVALS_FILE, shipped_calibration
from planner.accuracy.fit import ranges, timing
from planner.accuracy.runs import every_run, grid_of_runs, timed
from planner.accuracy.validate.predictions import held_out


def main() -> None:
    """Write the file of ranges."""
    seen = held_out("time")
    runs = [run for run in timed(every_run(shipped_calibration())) if run.row_id in seen]
    grid = grid_of_runs(runs)
    residuals = np.array([seen[run.row_id][1] for run in runs])
    tables = ranges.tables(grid, residuals, np.array([run.source for run in runs]))
    timing.write(INTERVALS_FILE, {**tables, "seen": timing.what_was_seen(runs, grid)})


if __name__ == "__main__":
    main()
