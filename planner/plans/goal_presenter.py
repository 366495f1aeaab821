"""The machines that meet a goal, in words: a short table from which one takes its choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from planner.engine.question.request import Cluster
from planner.engine.question.result import PlanResult
from planner.plans.goal import Found
from planner.plans.presenters import machines
from planner.plans.room import in_ten, room
from planner.web import formats
from planner.web.formats import Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalRow:
    """One plan that was found. chosen: it is the one shown.  query: the address that names its machines."""

    machines: str
    accelerators: str
    kind: str
    room: str
    time: Quantity
    cost: Quantity | str
    chosen: bool
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalPage:
    """rows: the best first.  missed: why none meets the goal, "" where one does.  title: of the table."""

    rows: tuple[GoalRow, ...]
    missed: str
    title: str


def present_goal(found: Found, link: Callable[[Cluster], str]) -> GoalPage:
    """The offers as rows. link: the address of the plan with these machines named."""
    first = found.offers[0].result
    return GoalPage(
        rows=tuple(_row(offer.result, first, link(offer.result.cluster)) for offer in found.offers),
        missed=found.missed,
        title="The nearest to your goal"
        if found.missed
        else "Machines that meet your goal"
        if found.limited
        else "The cheapest on each kind of chip",
    )


def _row(result: PlanResult, first: PlanResult, query: str) -> GoalRow:
    cluster = result.cluster
    tight = f"tight, {in_ten(result.memory.fit_probability)} of 10"
    return GoalRow(
        machines=machines(cluster),
        accelerators=f"{result.accelerators:,} × {cluster.accelerator.name}",
        kind=result.verdict,
        room=tight if result.verdict == "tight" else room(result),
        time=formats.duration(result.time.total_s),
        cost="no price" if result.cost is None else formats.dollars(result.cost.usd),
        chosen=result is first,
        query=query,
    )
