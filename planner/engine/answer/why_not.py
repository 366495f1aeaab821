"""Why a plan or a machine is not the answer: which constraint, by how much, and the least that would do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner.engine.answer.estimate import estimate
from planner.engine.answer.kept import scores
from planner.engine.answer.relax import BYTES_PER_GIB, least_days
from planner.engine.answer.searching import kept_of
from planner.engine.answer.shown import Beside, Shown, named
from planner.engine.question.request import LayoutRequest, PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.question.search_request import Relaxation, SearchRequest, SearchResult, WhyNot
from planner.engine.run.length import SECONDS_PER_DAY
from planner.engine.sure.calibration import Calibration


def why_not(request: SearchRequest, asked: PlanRequest, result: SearchResult, beside: Beside) -> WhyNot:
    """What keeps ``asked`` from being the best of ``result``.

    asked: a plan, or a machine where its layout is open.  beside: the best of the answer.  Raises PlanErrors
    for a layout that cannot exist.
    """
    plan = one_plan(request, asked, beside.calibration)
    reasons = [*missed(request, plan)]
    standing = beside.standing(plan, asked.workload, 0)
    beaten_by = None
    if not reasons and result.top:
        beaten_by = next((other for other in result.pareto if dominates(other, plan)), None)
        if behind := behind_best(request, plan, result.top[0]):
            reasons.append(behind)
    return WhyNot(plan=plan, reasons=tuple(reasons), beaten_by=beaten_by, standing=standing)


def one_plan(request: SearchRequest, asked: PlanRequest, calibration: Calibration) -> PlanResult:
    """The plan itself; of a machine its best layout by the objective, or the one that lacks least memory."""
    if asked.layout != LayoutRequest() or asked.cluster.nodes is None:
        return estimate(asked, calibration)
    alone = replace(
        request,
        workload=asked.workload,
        clusters=(asked.cluster,),
        variants=(),
        deadline_days=None,
        budget_usd=None,
        limit=1,
        why_not=(),
    )
    kept = kept_of(alone, calibration, exact=True)
    rows = kept.best if len(kept.best) else kept.nearest
    if not len(rows):
        return estimate(asked, calibration)
    return estimate(Shown(alone, calibration).question(rows, 0), calibration)


def missed(request: SearchRequest, plan: PlanResult) -> list[Relaxation]:
    """The constraints that a plan misses, in the order in which a search looks at them."""
    found: list[Relaxation] = []
    needed, usable = plan.memory.per_accelerator_bytes.total, plan.memory.usable_bytes
    if not plan.fits:
        change = f" {plan.remedies[0].change}" if plan.remedies else ""
        short = needed - usable
        found.append(
            Relaxation(
                constraint="memory",
                asked=usable,
                needed=needed,
                # Where the accelerator's would do, the host's is too small for what is offloaded.
                by=short if short > 0.0 else None,
                unit="byte",
                plan=plan,
                words=f"It lacks {short / BYTES_PER_GIB:,.3g} GiB a rank.{change}"
                if short > 0.0
                else f"{plan.reason or ''}{change}",
            )
        )
    if plan.unavailable:
        found.append(Relaxation(constraint="unavailable", words=plan.unavailable))
    total_s, cost = plan.time.total_s, plan.cost
    if request.deadline_days is not None and total_s > request.deadline_days * SECONDS_PER_DAY:
        days = least_days(total_s)
        found.append(
            Relaxation(
                constraint="deadline_days",
                asked=request.deadline_days,
                needed=days,
                by=days - request.deadline_days,
                unit="day",
                words=f"It takes {days:,.3g} days, {days - request.deadline_days:,.3g} more than the "
                "deadline.",
            )
        )
    if request.budget_usd is not None and (cost is None or cost.usd > request.budget_usd):
        over = None if cost is None else cost.usd - request.budget_usd
        found.append(
            Relaxation(
                constraint="budget_usd",
                asked=request.budget_usd,
                needed=None if cost is None else cost.usd,
                by=over,
                unit="USD",
                words="No price is known for it, so it cannot be shown to be within the budget."
                if cost is None
                else f"It costs ${cost.usd:,.0f}, ${over:,.0f} more than the budget.",
            )
        )
    return found


def behind_best(request: SearchRequest, plan: PlanResult, best: PlanResult) -> Relaxation | None:
    """By how much the best is ahead by the objective; None where the plan is as good.

    Where dollars count, ``needed`` is the price an hour at which the plan would draw level.
    """
    own, other = score(request, plan), score(request, best)
    if not own > other:
        return None
    ahead = f"{named(best.cluster)} in {best.cluster.region}" if best.cluster.region else named(best.cluster)
    if request.objective == "time":
        by = plan.time.total_s - best.time.total_s
        return Relaxation(
            constraint="time",
            asked=best.time.total_s,
            needed=plan.time.total_s,
            by=by,
            unit="s",
            plan=best,
            words=f"{ahead} is {own / other - 1.0:.0%} faster.",
        )
    if plan.cost is None:
        return Relaxation(constraint="price", plan=best, words="No price is known for it.")
    price = plan.cost.price_usd_per_node_hour
    level = price * other / own
    return Relaxation(
        constraint="price",
        asked=price,
        needed=level,
        by=price - level,
        unit="USD/hour",
        plan=best,
        words=f"{ahead} does it for {1.0 - other / own:.0%} less"
        + (" in dollars x time" if request.objective == "balanced" else "")
        + f"; it would draw level at ${level:,.4g} a node-hour instead of ${price:,.4g}.",
    )


def score(request: SearchRequest, plan: PlanResult) -> float:
    """What the objective wants small."""
    usd = np.nan if plan.cost is None else plan.cost.usd
    return float(scores(request.objective, np.asarray(plan.time.total_s), np.asarray(usd)))


def dominates(one: PlanResult, other: PlanResult) -> bool:
    """Whether a plan is as fast and as cheap as another, and better in one of both."""
    if one.cost is None or other.cost is None:
        return False
    ahead = (one.time.total_s, one.cost.usd), (other.time.total_s, other.cost.usd)
    return ahead[0] != ahead[1] and ahead[0][0] <= ahead[1][0] and ahead[0][1] <= ahead[1][1]
