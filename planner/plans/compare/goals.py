"""How a comparison's machines stand to the scenario's deadline and budget."""

from __future__ import annotations

from dataclasses import dataclass

from planner.engine.question.errors import PlanErrors
from planner.engine.question.result import PlanResult
from planner.engine.run.length import SECONDS_PER_DAY
from planner.web import formats

#: How a machine stands to the scenario's deadline and budget.
GOALS = {"met": "met", "late": "deadline missed", "over": "over the budget"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the scenario asks of a run: days, dollars; None for nothing."""

    deadline_days: float | None = None
    budget_usd: float | None = None


NOTHING = Wish()


def standing(result: PlanResult) -> str:
    """How a run stands to the scenario's deadline and budget (GOALS); without a price no budget is missed."""
    if result.meets_deadline is False:
        return "late"
    return "over" if result.meets_budget is False else "met"


def missed(answer: PlanResult | PlanErrors, goal: Wish) -> tuple[str, ...]:
    """``misses the deadline by 12.0 days``, ``$30k over the budget``: what a run that fits misses."""
    if not isinstance(answer, PlanResult) or not answer.fits:
        return ()
    said = []
    if answer.meets_deadline is False and goal.deadline_days is not None:
        late_s = answer.time.total_s - goal.deadline_days * SECONDS_PER_DAY
        said.append(f"misses the deadline by {formats.duration(late_s)}")
    if answer.meets_budget is False and goal.budget_usd is not None and answer.cost is not None:
        said.append(f"{formats.dollars(answer.cost.usd - goal.budget_usd)} over the budget")
    return tuple(said)
