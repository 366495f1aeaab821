"""Where a search finds nothing: which constraint to relax, by how much, and what that lets through."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from planner.engine.answer.kept import Kept, Rows
from planner.engine.answer.searching import kept_of
from planner.engine.answer.shown import Shown, figures, named
from planner.engine.question.result import PlanResult
from planner.engine.question.search_request import Relaxation, SearchRequest
from planner.engine.run.length import SECONDS_PER_DAY
from planner.engine.sure.calibration import Calibration

BYTES_PER_GIB = 2**30


def without_limits(
    request: SearchRequest, calibration: Calibration, kept: Kept
) -> tuple[SearchRequest, Kept]:
    """The question without deadline and budget, and what a search of it keeps.

    kept: what one of the question as it is has kept.
    """
    if request.deadline_days is None and request.budget_usd is None:
        return request, kept
    free = replace(request, deadline_days=None, budget_usd=None, why_not=())
    return free, kept_of(free, calibration)


def relaxations(
    free: SearchRequest,
    request: SearchRequest,
    calibration: Calibration,
    front: Rows,
    nearest: PlanResult | None,
) -> tuple[Relaxation, ...]:
    """What to relax, and by how much, where a search has found nothing: the least change of each constraint
    that does by itself, or of both where neither does.

    free: the question without limits.  front: what a search of it keeps; it holds the fastest plan within any
    budget and the cheapest within any deadline.  nearest: where nothing fits, what lacks least memory.
    """
    if not len(front):
        return (lacking(nearest),)
    shown = Shown(free, calibration)
    deadline_s = math.inf if request.deadline_days is None else request.deadline_days * SECONDS_PER_DAY
    budget = math.inf if request.budget_usd is None else request.budget_usd
    # Without a price nothing is known to be within a budget.
    usd = front.usd if request.budget_usd is None else np.where(np.isnan(front.usd), np.inf, front.usd)
    usd_ratio, time_ratio = usd / budget, front.total_s / deadline_s
    found = []
    within_budget = np.flatnonzero(~(usd_ratio > 1.0))
    if request.deadline_days is not None and within_budget.size:
        row = int(within_budget[np.argmin(front.total_s[within_budget])])
        found.append(later(request.deadline_days, shown, front, row))
    in_time = np.flatnonzero((time_ratio <= 1.0) & np.isfinite(usd))
    if request.budget_usd is not None and in_time.size:
        row = int(in_time[np.argmin(usd[in_time])])
        found.append(dearer(request.budget_usd, shown, front, row))
    if not found and np.isfinite(usd).any():
        row = int(np.argmin(np.maximum(usd_ratio, time_ratio)))
        found.append(both(request, shown, front, row))
    return tuple(found) or (lacking(nearest),)


def least_days(total_s: float) -> float:
    """The least deadline in days that a run of ``total_s`` seconds meets, to the last digit."""
    days = total_s / SECONDS_PER_DAY
    return days if total_s <= days * SECONDS_PER_DAY else math.nextafter(days, math.inf)


def later(asked_days: float, shown: Shown, front: Rows, row: int) -> Relaxation:
    """More days for one plan of the front."""
    plan = figures([shown.question(front, row)], shown.calibration)[0]
    needed = least_days(plan.time.total_s)
    return Relaxation(
        constraint="deadline_days",
        asked=asked_days,
        needed=needed,
        by=needed - asked_days,
        unit="day",
        plan=plan,
        words=f"Nothing meets the deadline of {asked_days:,.3g} days; {named(plan.cluster)} "
        f"needs {needed:,.3g}.",
    )


def dearer(asked_usd: float, shown: Shown, front: Rows, row: int) -> Relaxation:
    """More dollars for one plan of the front."""
    plan = figures([shown.question(front, row)], shown.calibration)[0]
    assert plan.cost is not None
    needed = plan.cost.usd
    return Relaxation(
        constraint="budget_usd",
        asked=asked_usd,
        needed=needed,
        by=needed - asked_usd,
        unit="USD",
        plan=plan,
        words=f"Nothing is within ${asked_usd:,.0f}; {named(plan.cluster)} costs ${needed:,.0f}.",
    )


def both(request: SearchRequest, shown: Shown, front: Rows, row: int) -> Relaxation:
    """More days and more dollars, where neither alone does."""
    plan = figures([shown.question(front, row)], shown.calibration)[0]
    assert plan.cost is not None
    days = least_days(plan.time.total_s)
    return Relaxation(
        constraint="deadline_days and budget_usd",
        plan=plan,
        words=f"Neither {request.deadline_days:,.3g} days nor ${request.budget_usd:,.0f} will do by itself;"
        f" {named(plan.cluster)} needs {days:,.3g} days and ${plan.cost.usd:,.0f}.",
    )


def lacking(nearest: PlanResult | None) -> Relaxation:
    """More memory, or another way to buy, where no limit is in the way."""
    if nearest is None:
        return Relaxation(
            constraint="unavailable",
            words="What fits is not sold for so long or in such numbers, or no layout divides these machines:"
            " add other purchases, machines or node counts.",
        )
    memory = nearest.memory
    needed, usable = memory.per_accelerator_bytes.total, memory.usable_bytes
    change = f" {nearest.remedies[0].change}" if nearest.remedies else ""
    return Relaxation(
        constraint="memory",
        asked=usable,
        needed=needed,
        by=needed - usable,
        unit="byte",
        plan=nearest,
        words=f"Nothing fits in memory; the nearest, on {named(nearest.cluster)}, lacks"
        f" {(needed - usable) / BYTES_PER_GIB:,.3g} GiB a rank.{change}",
    )
