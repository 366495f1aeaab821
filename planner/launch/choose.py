"""Which stacks a plan is shown for, and why the others are not.

The plan's own framework where it names one, else every stack that can do exactly this plan. Asks the stacks
and writes no setting itself.
"""

from __future__ import annotations

from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.launch import reasons
from planner.launch.keys import editions
from planner.launch.plan import LaunchPlan
from planner.launch.records import LaunchTable, Stack
from planner.launch.stacks import STACKS


def launch_tables(request: PlanRequest, result: PlanResult) -> tuple[LaunchTable, ...]:
    """A table for each stack that is asked for and can do this plan exactly; none where none can."""
    plan = LaunchPlan(request, result)
    return tuple(_table(stack, plan) for stack in STACKS if not _reasons(stack, plan))


def why_not(request: PlanRequest, result: PlanResult) -> dict[str, str]:
    """One sentence for each stack that gives no table, by its slug."""
    plan = LaunchPlan(request, result)
    found = {stack.slug: _reasons(stack, plan) for stack in STACKS}
    return {slug: reasons[0] for slug, reasons in found.items() if reasons}


def _reasons(stack: Stack, plan: LaunchPlan) -> list[str]:
    asked = plan.workload.framework
    if asked != "generic" and asked not in stack.frameworks:
        return [f"The plan is for {asked}."]
    return reasons.of_unwritten(plan) or stack.reasons(plan)


def _table(stack: Stack, plan: LaunchPlan) -> LaunchTable:
    edition = editions()[stack.slug]
    return LaunchTable(
        stack=stack.slug,
        label=edition.label,
        version=edition.version,
        source=edition.source,
        program=stack.program(plan),
        settings=tuple(stack.settings(plan)),
        left_to_you=tuple(stack.left_to_you(plan)),
    )
