"""One grid in, memory and time of every plan out: the single code path under estimate and search."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from planner.engine.grid.plan_grid import PlanGrid
from planner.engine.grid.scalars import on_scalars
from planner.engine.memory.peak import MemoryTerms, memory_per_rank
from planner.engine.sure.calibration import Calibration
from planner.engine.time.step import StepTime, step_time


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The estimate of each plan of ``grid``; arrays of shape (plans,), scalars for a grid of one."""

    grid: PlanGrid
    memory: MemoryTerms
    step: StepTime

    @property
    def fits(self) -> NDArray[np.bool_]:
        """Flags, shape (plans,): whether the peak stays within the rank's memory, and what
        is offloaded within the host's, where that is known."""
        within = (self.memory.total <= self.grid.memory_bytes) & ~(
            self.memory.host > self.grid.host_memory_bytes
        )
        return np.asarray(within)

    def split(self, plans: int) -> list[Evaluation]:
        """The figures of each of the grid's plans as a grid of one, without the terms that explain them."""
        return [
            Evaluation(self.grid.rows(row), figures(self.memory, row), figures(self.step, row))
            for row in range(plans)
        ]


Record = TypeVar("Record", MemoryTerms, StepTime)


def figures(record: Record, row: int) -> Record:
    """The record's numbers of one plan, without its terms."""
    named = ((item.name, getattr(record, item.name)) for item in fields(record) if item.name != "terms")
    return type(record)(**{name: value[row] if np.ndim(value) else value for name, value in named}, terms={})


def evaluate(grid: PlanGrid, calibration: Calibration) -> Evaluation:
    """Memory in bytes and seconds of a step of every plan of the grid."""
    plain = on_scalars(grid)
    return Evaluation(plain, memory_per_rank(plain, calibration.memory), step_time(plain, calibration.timing))
