"""One set of formulas for a grid of many plans and for a single plan: scalars where all plans agree."""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.engine.grid.plan_grid import Array, PlanGrid


def where(condition: Any, chosen: Array | float, otherwise: Array | float) -> Array:
    """``numpy.where``, but a condition that is the same for all plans picks one side as it is.

    A scalar thus stays a scalar, with which numpy computes about ten times faster than with an array of shape
    (), and a side that all plans share is not copied. Arrays broadcast later just as they would have here.
    """
    if isinstance(condition, np.bool_):
        picked: Any = chosen if condition else otherwise
    else:
        picked = np.where(condition, chosen, otherwise)
    result: Array = picked
    return result


def on_scalars(grid: PlanGrid) -> PlanGrid:
    """A grid of one plan as numpy scalars: several times faster than arrays of one, with the same digits."""
    return grid.rows(0) if grid.tensor_parallel.shape == (1,) else grid
