"""Choosing what a question leaves open: the number of nodes and the layout."""

from __future__ import annotations

from planner.engine.choose.layout import Choice, choose_layout, evaluate_choice
from planner.engine.choose.nodes import choose_nodes, choose_nodes_apart
from planner.engine.question.request import PlanRequest
from planner.engine.run.length import total_steps
from planner.engine.sure.calibration import Calibration

__all__ = ["Choice", "choose", "evaluate_choice", "total_steps"]


def choose(request: PlanRequest, calibration: Calibration) -> Choice:
    """The complete plan for ``request``. Raises PlanErrors for a question that makes no sense."""
    ppo = request.workload.ppo
    if request.cluster.nodes is None:
        apart = ppo is not None and ppo.split
        return choose_nodes_apart(request, calibration) if apart else choose_nodes(request, calibration)
    return choose_layout(request, calibration)
