"""What every measured run reached of its chips, whatever we predict: ``make validate`` writes the table.

The FLOP/s are model FLOPs (no recomputation) over the published step time; beside them stands what tells runs
of one shape of model and one make of machine apart. The catalog's pages read it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from planner.accuracy.achieved import ACHIEVED_FILE, COLUMNS, shape_of
from planner.accuracy.calibration import shipped_calibration
from planner.accuracy.runs import (
    FURTHER,
    GOLDEN,
    MEASURED,
    Run,
    grid_of_runs,
    measured_step_s,
    read_runs,
    timed,
)
from planner.engine.shape.parameters import count_parameters
from planner.engine.time.flops import model_flops_per_sequence

TERA = 1e12


def achieved_rows(runs: Sequence[Run]) -> list[list[Any]]:
    """One row a run, in the order of ``COLUMNS``; without a step time there is no rate (None).

    Rate: model FLOPs of the global batch / (step seconds x chips), in TFLOP/s of one chip (Chowdhery et al.
    2022, appendix B, before it is divided by the peak).
    """
    with_step = timed(list(runs))
    rates: dict[str, float] = {}
    if with_step:
        grid = grid_of_runs(with_step)
        work = model_flops_per_sequence(grid) * grid.global_batch_size
        chips = grid.ranks / grid.ranks_per_accelerator
        found = work / (measured_step_s(with_step) * chips) / TERA
        rates = {run.row_id: float(f"{rate:.4g}") for run, rate in zip(with_step, found, strict=True)}
    return [
        [
            run.row_id,
            shape_of(run.request.model),
            count_parameters(run.request.model).total,
            run.request.cluster.accelerators_per_node,
            run.request.workload.sequence_length,
            run.request.workload.precision,
            rates.get(run.row_id),
        ]
        for run in runs
    ]


def write() -> None:
    """Write the file anew from the measured runs."""
    calibration = shipped_calibration()
    runs = [run for path in (MEASURED, FURTHER, GOLDEN) for run in read_runs(calibration, path)]
    rows = ",\n".join("  " + json.dumps(row) for row in achieved_rows(runs))
    ACHIEVED_FILE.write_text(
        f'{{\n "columns": {json.dumps(COLUMNS)},\n "rows": [\n{rows}\n ]\n}}\n', encoding="utf-8"
    )


if __name__ == "__main__":
    write()
