"""One grid in, memory and time of every plan out: the single code path under estimate and search."""

from __future__ import annotations

from dataclasses import dataclass

from planner.engine.calibration import Calibration
from planner.engine.grid import Array, PlanGrid
from planner.engine.memory import MemoryTerms, memory_per_rank
from planner.engine.timing import StepTime, step_time


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is known of each plan of ``grid``; arrays of shape (plans,)."""

    grid: PlanGrid
    memory: MemoryTerms
    step: StepTime

    @property
    def fits(self) -> Array:
        return self.memory.total <= self.grid.memory_bytes


def evaluate(grid: PlanGrid, calibration: Calibration) -> Evaluation:
    return Evaluation(grid, memory_per_rank(grid, calibration.memory), step_time(grid, calibration.timing))
