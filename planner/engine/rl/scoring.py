"""Seconds of the scoring phase: one forward pass of each model over the finished sequences."""

from __future__ import annotations

import numpy as np

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.time.compute import blocks_compute
from planner.engine.time.constants import TimingConstants


def scoring_s(grids: list[PlanGrid], constants: TimingConstants) -> Array:
    """Seconds of one forward pass of each model over the finished sequences, pipelined like a training step.

    grids: one per model, each of shape (plans,). (micro-batches + stages - 1) x the seconds of one stage.
    Source: Narayanan et al. 2021, section 2.2.
    """
    seconds: Array = np.asarray(0.0)
    for grid in grids:
        compute = blocks_compute(grid, constants)
        stage = compute.forward / grid.pipeline_parallel + compute.head
        seconds = seconds + (grid.gradient_accumulation + grid.pipeline_parallel - 1.0) * stage
    return seconds
