"""One set of formulas for a grid of many plans and for a single plan: scalars where all plans agree."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from planner.engine.grid.plan_grid import Array, Flags, PlanGrid

#: What a condition is that all plans share.
FLAG = (np.bool_, bool)
#: Nothing, in the form in which a single plan's numbers are.
NONE: Array = np.float64(0.0)  # type: ignore[assignment]


def where(condition: Any, chosen: Array | float, otherwise: Array | float) -> Array:
    """``numpy.where``, but a condition that is the same for all plans picks one side as it is.

    A scalar thus stays a scalar, with which numpy computes about ten times faster than with an array of shape
    (), and a side that all plans share is not copied. Arrays broadcast later just as they would have here.
    """
    if isinstance(condition, FLAG):
        picked: Any = chosen if condition else otherwise
    else:
        picked = np.where(condition, chosen, otherwise)
    result: Array = picked
    return result


def anywhere(flags: Any) -> bool:
    """``numpy.any`` as a bool; of a single plan's flag in a hundredth of the time."""
    return bool(flags) if isinstance(flags, FLAG) else bool(np.any(flags))


def is_shared(values: Any) -> bool:
    """Whether it is one number for all plans."""
    return isinstance(values, float)


def whole(index: Any) -> Any:
    """Indices, which the grid keeps as floats, as ints; one where all plans share it."""
    return int(index) if is_shared(index) else index.astype(int)


def entries(table: Array, index: Array) -> Array:
    """The table's last axis at each plan's index: shape (..., plans), or (...) where all plans share it."""
    # An ellipsis would make an array of shape () of a number.
    found: Array = table[whole(index)] if table.ndim == 1 else table[..., whole(index)]
    return found


def one_of(values: Array, choices: Sequence[float]) -> Flags:
    """``numpy.isin`` for a few choices, which takes a hundred times as long for a single plan."""
    flags: Flags = reduce(or_, (values == choice for choice in choices))
    return flags


def larger(first: Any, second: Any) -> Array:
    """``numpy.maximum``, about six times faster for a single plan; as there, both in one unit.

    A scalar that is not a number is not passed on, unlike there: no formula leaves one to compare.
    """
    if isinstance(first, float) and isinstance(second, float):
        return _as_numpy(first if first > second else second)
    result: Array = np.maximum(first, second)
    return result


def smaller(first: Any, second: Any) -> Array:
    """``numpy.minimum``, as ``larger`` is its maximum."""
    if isinstance(first, float) and isinstance(second, float):
        return _as_numpy(first if first < second else second)
    result: Array = np.minimum(first, second)
    return result


def _as_numpy(number: Any) -> Array:
    """Python's own floats raise where they are divided by zero, and have no flags to combine."""
    result: Any = np.float64(number) if number.__class__ is float else number
    return result  # type: ignore[no-any-return]


def within(values: Array, least: Array | float, most: Array | float) -> Array:
    """``numpy.clip``, several times faster for a single plan. least, most: in the unit of the values."""
    return smaller(larger(values, least), most)


def on_scalars(grid: PlanGrid) -> PlanGrid:
    """A grid of one plan as numpy scalars: several times faster than arrays of one, with the same digits."""
    return grid.rows(0) if grid.tensor_parallel.shape == (1,) else grid
