"""What would give every demand a place that something among these GPUs could serve: the least of each kind.

Double-memory profiles are let serve; or jobs that run are moved: instances in use are destroyed and made
again elsewhere, as few as can be, so that every job still has one; or GPUs are added, as few as can be of
whatever kinds are there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from planner.mig.placement.clock import Clock
from planner.mig.placement.program import OPTIMAL, DemandType, Program, columns, demand_types, merged
from planner.mig.placement.question import ADD_GPUS, ALL_PROFILES, MOVE_JOBS, Change, Demand, Question

LITTLE, ROUNDING = 1e-3, 1e-6
SHARE = 0.5
"""Part of the time that is left which each kind of change may take."""


def nearest(question: Question, types: Sequence[DemandType], clock: Clock) -> Iterator[Change]:
    """The least change of each kind that serves all, as far as one is found in time."""
    for found in (_wider(question, clock), _moved(question, clock), _added(question, types, clock)):
        if found is not None:
            yield found


def _wider(question: Question, clock: Clock) -> Change | None:
    """Whether double-memory profiles would do, where they were not to serve."""
    if not any(demand.wider for demand in question.demands):
        return None
    demands = [replace(demand, accepts=demand.wider or demand.accepts) for demand in question.demands]
    present, _ = merged(replace(question, demands=demands))
    types, _ = demand_types(present)
    program = Program(present, types, columns(present))
    found = _least(program, np.zeros(program.size), clock)
    return None if found is None else Change(ALL_PROFILES, 0)


def _added(question: Question, types: Sequence[DemandType], clock: Clock) -> Change | None:
    """The fewest further GPUs, empty ones, of the kinds that are there."""
    present, _ = merged(question)
    wanted = sum(each.count for each in types)
    kinds = {gpus.chip.slug: gpus for gpus in present.gpus}
    extra = [
        replace(gpus, count=max(wanted, 1), standing=(), hosts=(), per_node=1, mig_mode=True)
        for gpus in kinds.values()
    ]
    wider = replace(present, gpus=(*present.gpus, *extra))
    groups = range(len(present.gpus), len(wider.gpus))
    program = Program(wider, types, columns(wider))
    costs = program.used_of(groups)
    # Among equally few the cheaper ones: by so little that no number of them weighs as much as one GPU.
    dearest = sorted(extra, key=lambda gpus: gpus.usd_per_gpu_hour or math.inf)
    for rank, gpus in enumerate(dearest):
        at = len(present.gpus) + extra.index(gpus)
        costs += program.used_of((at,)) * min(LITTLE, 0.5 / (wanted * len(extra))) * rank
    found = _least(program, costs, clock)
    if found is None:
        return None
    x, proven = found
    counts: Counter[str] = Counter()
    for column, (group, _) in enumerate(program.columns):
        if group in groups:
            counts[wider.gpus[group].chip.slug] += round(float(x[column]))
    added = tuple((slug, count) for slug, count in counts.items() if count)
    return Change(ADD_GPUS, sum(counts.values()), added, proven)


def _moved(question: Question, clock: Clock) -> Change | None:
    """The fewest running jobs that have to be moved, each of which keeps a place."""
    if question.may_destroy_in_use or not any(gpus.in_use for gpus in question.gpus):
        return None
    free = jobs_among_demands(question)
    present, _ = merged(free)
    types, _ = demand_types(present)
    program = Program(present, types, columns(present))
    costs = np.zeros(program.size)
    for column, (_, pattern) in enumerate(program.columns):
        costs[column] = pattern.stopped
    found = _least(program, costs, clock)
    if found is None:
        return None
    x, proven = found
    count = round(float(costs @ x))
    return Change(MOVE_JOBS, count, proven=proven) if count else None


def jobs_among_demands(question: Question) -> Question:
    """The question in which running jobs may be moved: what is beside the demands becomes one of them."""
    jobs: Counter[tuple[str, str]] = Counter()
    for gpus in question.gpus:
        for each in gpus.standing:
            if each.in_use and not each.foreign:
                jobs[gpus.chip.slug, each.place.profile] += gpus.count
    beside = [
        Demand(count=count, accepts={slug: (name,)}, label=f"the jobs in {name}")
        for (slug, name), count in jobs.items()
    ]
    return replace(
        question,
        demands=[*question.demands, *([] if question.in_use_serves else beside)],
        in_use_serves=True,
        may_destroy_in_use=True,
    )


def _least(program: Program, costs: np.ndarray, clock: Clock) -> tuple[np.ndarray, bool] | None:
    """What serves all at the least cost, and whether that is proven; None where nothing does.

    Costs count whole things, with less than half of one beside them for what is to be preferred among equals.
    """
    if not program.columns:
        return None
    found = program.solve(costs, [(program.unserved(), 0.0)], clock.share(SHARE))
    if found.x is None:
        return None
    bound = found.mip_dual_bound if found.mip_dual_bound is not None else 0.0
    return found.x, found.status == OPTIMAL or bound > math.floor(float(costs @ found.x) + ROUNDING) - 0.5
