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
from planner.engine.choose.nodes import choose_nodes
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

    Those whose number of nodes is known are laid out together.
    """
    found: dict[int, Choice | PlanErrors] = {}
    for index, request in enumerate(requests):
        if request.cluster.nodes is None:
            try:
                found[index] = choose_nodes(request, calibration)
            except PlanErrors as errors:
                found[index] = errors
            except PlanError as error:
                found[index] = PlanErrors([error])
    known = [index for index in range(len(requests)) if index not in found]
    found |= zip(known, choose_layouts([requests[index] for index in known], calibration), strict=True)
    return [found[index] for index in range(len(requests))]
