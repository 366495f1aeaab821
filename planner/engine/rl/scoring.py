"""Seconds of the scoring phase: one forward pass of each model over the finished sequences."""

from __future__ import annotations

import numpy as np

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.time.compute import blocks_compute
from planner.engine.time.constants import TimingConstants


def scoring_s(grids: list[PlanGrid], constants: TimingConstants) -> Array:
    """One forward pass of each model over the finished sequences, pipelined like a training step is."""
    seconds: Array = np.asarray(0.0)
    for grid in grids:
        compute = blocks_compute(grid, constants)
        stage = compute.forward / grid.pipeline_parallel + compute.head
        seconds = seconds + (grid.gradient_accumulation + grid.pipeline_parallel - 1.0) * stage
    return seconds
