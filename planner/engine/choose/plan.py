"""Choosing what a question leaves open: the number of nodes and the layout."""

from __future__ import annotations

from collections.abc import Sequence

from planner.engine.choose.layout import (
    Choice,
    choose_layout,
    choose_layouts,
    evaluate_choice,
    evaluate_choices,
)
from planner.engine.choose.nodes import (
    choose_nodes,
    is_split,
    memory_key,
    nodes_without_deadline,
    on_nodes,
)
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.run.length import total_steps
from planner.engine.sure.calibration import Calibration

__all__ = ["Choice", "choose", "choose_each", "evaluate_choice", "evaluate_choices", "total_steps"]


def choose(request: PlanRequest, calibration: Calibration) -> Choice:
    """The complete plan for ``request``. Raises PlanErrors for a question that makes no sense."""
    if request.cluster.nodes is None:
        return choose_nodes(request, calibration)
    return choose_layout(request, calibration)


def choose_each(requests: Sequence[PlanRequest], calibration: Calibration) -> list[Choice | PlanErrors]:
    """The complete plan for each question, or what is wrong with it, in the order given.

    Their layouts are chosen together, and the fewest nodes are looked for once for machines that hold the
    same.
    """
    found: dict[int, Choice | PlanErrors] = {}
    known: dict[int, PlanRequest] = {}
    counts: dict[tuple[object, ...], int] = {}
    for index, request in enumerate(requests):
        if request.cluster.nodes is not None:
            known[index] = request
            continue
        try:
            if is_split(request) or request.deadline_days is not None:
                found[index] = choose_nodes(request, calibration)
                continue
            key = memory_key(request)
            if key not in counts:
                counts[key] = nodes_without_deadline(request, calibration)
            known[index] = on_nodes(request, counts[key])
        except PlanErrors as errors:
            found[index] = errors
        except PlanError as error:
            found[index] = PlanErrors([error])
    found |= zip(known, choose_layouts(list(known.values()), calibration), strict=True)
    return [found[index] for index in range(len(requests))]
