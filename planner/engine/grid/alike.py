"""Plans of a grid that are alike in some fields: what depends on these alone is computed once a kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from planner.engine.grid.plan_grid import FIELD_NAMES, Array, Flags, PlanGrid
from planner.engine.grid.scalars import is_shared

Whole = NDArray[np.int64]
Record = TypeVar("Record")

#: Fewer plans are computed one by one: telling them apart would take as long.
LEAST_PLANS = 256
#: Kinds that a table of them is made for; where there may be more, they are sorted.
MOST_IN_TABLE = 1 << 18
#: What may vary in a grid of many layouts of one question: the layout, and how many nodes there are.
LAID_OUT = (*FIELD_NAMES[FIELD_NAMES.index("tensor_parallel") :], "nodes", "global_batch_size")
ASKED = tuple(name for name in FIELD_NAMES if name not in LAID_OUT)


def alike(columns: Sequence[Array | Flags]) -> tuple[Whole, Whole]:
    """(position of the first row of each kind, the kind of each row), by columns of whole numbers from 0 on.

    columns: each of shape (rows,).
    """
    code, kinds = np.zeros(len(columns[0]), dtype=np.int64), 1
    for column in columns:
        values = column.astype(np.int64)
        most = int(values.max(initial=0)) + 1
        code, kinds = code * most + values, kinds * most
    if kinds > MOST_IN_TABLE:
        _, first, kind = np.unique(code, return_index=True, return_inverse=True)
        return first, kind
    # As unique does, without sorting: the first row of each code, and the codes' places among those that are.
    row_of = np.full(kinds, -1, dtype=np.int64)
    row_of[code[::-1]] = np.arange(len(code))[::-1]
    found = np.flatnonzero(row_of >= 0)
    place = np.empty(kinds, dtype=np.int64)
    place[found] = np.arange(len(found))
    return row_of[found], place[code]


def kinds_of_layouts(grid: PlanGrid, names: Sequence[str], *beside: Any) -> tuple[Whole, Whole] | None:
    """The kinds of plans by the named fields, as ``alike`` has them; None where it would not pay.

    beside: flags of the plans that tell kinds apart too.  It does not pay for few plans, nor for plans of
    several questions, which hardly ever are alike.
    """
    columns = [values for name in names if not is_shared(values := getattr(grid, name))]
    if not columns or len(columns[0]) < LEAST_PLANS:
        return None
    if not all(is_shared(getattr(grid, name)) for name in ASKED):
        return None
    columns += [flags for flags in beside if np.ndim(flags)]
    first, kind = alike(columns)
    return (first, kind) if 2 * len(first) <= len(kind) else None


def spread(values: Any, kind: Whole) -> Any:
    """What was computed for each kind (the last axis), for each plan; what all kinds share stays as it is."""
    return values.take(kind, axis=-1) if np.ndim(values) and values.shape[-1] > 1 else values


def spread_record(record: Record, kind: Whole) -> Record:
    """A dataclass of such arrays, for each plan."""
    arrays: Any = record
    return type(record)(**{item.name: spread(getattr(arrays, item.name), kind) for item in fields(arrays)})
