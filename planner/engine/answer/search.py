"""Searching all clusters and layouts for one run: the front, the best of each cluster, and why not the
others.

The few plans that are shown are estimated again, so a search and an estimate never disagree.
"""

from __future__ import annotations

from dataclasses import replace

from planner.engine.answer.estimate import estimate
from planner.engine.answer.kept import Kept
from planner.engine.answer.relax import relaxations, without_limits
from planner.engine.answer.searching import kept_of
from planner.engine.answer.shown import Beside, Shown
from planner.engine.answer.why_not import why_not
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.result import PlanResult
from planner.engine.question.search_request import Relaxation, SearchRequest, SearchResult, WhyNot
from planner.engine.sure.calibration import Calibration


def search(request: SearchRequest, calibration: Calibration) -> SearchResult:
    """The Pareto front of time against cost over every sound layout on every cluster, and the best by the
    objective.

    Raises PlanErrors where that would be more layouts than MOST_PLANS.
    """
    return answer_of(request, calibration, kept_of(request, calibration))


def answer_of(request: SearchRequest, calibration: Calibration, kept: Kept) -> SearchResult:
    """What was kept as the contract's answer."""
    shown = Shown(request, calibration)
    listed, front = kept.top(), kept.front
    top, pareto = shown.plans(listed), shown.plans(front)
    best = estimate(shown.question(listed, 0), calibration) if top else None
    leader = (top[0], shown.workload(listed, 0)) if top else None
    beside = Beside(request, calibration, leader)
    nearest: PlanResult | None = None
    relaxed: tuple[Relaxation, ...] = ()
    if best is None:
        free, unlimited = without_limits(request, calibration, kept)
        if not len(unlimited.front) and len(unlimited.nearest):
            nearest = estimate(shown.question(unlimited.nearest, 0), calibration)
        relaxed = relaxations(free, request, calibration, unlimited.front, nearest)
    result = SearchResult(
        evaluated=kept.counts.looked_at,
        fitting=kept.counts.fitting,
        best=best,
        pareto=pareto,
        top=top,
        rejected=kept.counts.rejections(),
        top_standing=tuple(
            beside.standing(plan, shown.workload(listed, row), int(listed.place[row]))
            for row, plan in enumerate(top)
        ),
        pareto_standing=tuple(
            beside.standing(plan, shown.workload(front, row), 0) for row, plan in enumerate(pareto)
        ),
        relaxations=relaxed,
        nearest=nearest,
    )
    return replace(result, why_not=held_against(request, result, beside))


def held_against(request: SearchRequest, result: SearchResult, beside: Beside) -> tuple[WhyNot, ...]:
    """What keeps each plan that the question asks about from being the best.

    Raises PlanErrors, at its place in the question, for a layout that cannot exist.
    """
    held = []
    for index, asked in enumerate(request.why_not):
        try:
            held.append(why_not(request, asked, result, beside))
        except PlanErrors as wrong:
            raise PlanErrors(
                [
                    PlanError(f"why_not.{index}.{each.field}", each.value, each.message, each.remedy)
                    for each in wrong.errors
                ]
            ) from wrong
    return tuple(held)
