"""Several questions in one grid, each over layouts of its own: what they share stays a scalar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from planner.engine.grid.build import COUNTED_IN_SAMPLES, cluster_scalars, grid_over_layouts, run_scalars
from planner.engine.grid.clock import family
from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.running import stack_scalars
from planner.engine.question import effort
from planner.engine.question.request import PlanRequest


def grid_over_questions(
    asked: Sequence[PlanRequest], sizes: Sequence[int], layouts: Mapping[str, Array]
) -> PlanGrid:
    """Several questions, each over layouts of its own, in one grid.

    sizes: count of layouts of each question.  layouts: the layout arrays of all questions one after the
    other, shape (sum of sizes,). What all questions share stays a scalar, as in ``grid_over_layouts``.
    Raises PlanErrors where the questions' budget does not reach (``effort``).
    """
    if len(asked) == 1:
        return grid_over_layouts(asked[0], layouts)
    effort.plans_ahead(sum(sizes))
    runs = [run_scalars(request.model, request.workload) for request in asked]
    machines = [cluster_scalars(request.cluster, request.workload.precision) for request in asked]
    stacks = [stack_scalars(request.workload, family(request.cluster.accelerator)) for request in asked]
    fields: dict[str, Any] = {}
    for each in (runs, machines, stacks):
        first = each[0]
        fields |= first
        distinct = [other for other in {id(one): one for one in each}.values() if other is not first]
        for name, value in first.items():
            if any(other[name] != value for other in distinct):
                fields[name] = np.repeat(np.array([one[name] for one in each], dtype=float), sizes)
    fields |= layouts
    answers = [request.workload.answers_per_sample for request in asked]
    if max(answers) > 1:
        factor = np.repeat(np.array(answers, dtype=float), sizes)
        fields |= {name: fields[name] * factor for name in COUNTED_IN_SAMPLES}
    return PlanGrid(**fields)
