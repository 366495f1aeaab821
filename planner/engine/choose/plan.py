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
    nodes_each,
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
    open_ones: dict[int, PlanRequest] = {}
    for index, request in enumerate(requests):
        if request.cluster.nodes is not None:
            known[index] = request
        elif is_split(request) or request.deadline_days is not None:
            found[index] = _choose_or_say(request, calibration)
        else:
            open_ones[index] = request
    first = {memory_key(request): request for request in open_ones.values()}
    nodes = dict(zip(first, nodes_each(list(first.values()), calibration), strict=True))
    for index, request in open_ones.items():
        count = nodes[memory_key(request)]
        if isinstance(count, PlanErrors):
            found[index] = count
        else:
            known[index] = on_nodes(request, count)
    found |= zip(known, choose_layouts(list(known.values()), calibration), strict=True)
    return [found[index] for index in range(len(requests))]


def _choose_or_say(request: PlanRequest, calibration: Calibration) -> Choice | PlanErrors:
    try:
        return choose_nodes(request, calibration)
    except PlanErrors as errors:
        return errors
    except PlanError as error:
        return PlanErrors([error])
