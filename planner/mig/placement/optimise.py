"""The exact plan: the best use of the GPUs, as it gets better, with what is proven of it. HiGHS solves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from planner.mig.placement.clock import Clock
from planner.mig.placement.patterns import Pattern
from planner.mig.placement.program import OPTIMAL, DemandType, Kind, Program, columns, merged
from planner.mig.placement.question import Gpus, Question

SERVE_ALL_SHARE, TIE_SHARE = 0.5, 0.5
"""Parts of the time that is left: for the attempt to serve all, and for each choice among equals."""
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the program chose.

    taken: (group, pattern, GPUs).  served: instances of each kind given to each demand type.
    unserved: by type.  value, bound: of the objective, bound as far as it was proven.
    fewest_destroyed: whether it is proven that no layout as good destroys less.
    """

    taken: tuple[tuple[int, Pattern, int], ...]
    served: tuple[dict[Kind, int], ...]
    unserved: tuple[int, ...]
    value: float
    bound: float
    optimal: bool
    fewest_destroyed: bool = False


@dataclass(frozen=True, slots=True)
class _Best:
    """The best that was found of the objective.

    lacking: instances without a place; fewest: the fewest that any layout leaves without, as far as proven.
    """

    x: np.ndarray
    value: float
    bound: float
    lacking: int
    fewest: int
    optimal: bool


def optimise(question: Question, types: Sequence[DemandType], clock: Clock) -> Chosen | None:
    """The best use of the GPUs; None where the time was too short for any."""
    best = None
    for best in improved(question, types, clock):  # noqa: B007 - the last one is the best
        pass
    return best


def improved(
    question: Question, types: Sequence[DemandType], clock: Clock, looks: Sequence[float] = ()
) -> Iterator[Chosen]:
    """Uses of the GPUs, each better than the one before or with more proven of it; none where time is short.

    All demands are served where that is possible, else as many instances as can be; the objective is met
    among such layouts, then as little is destroyed as can be. looks: seconds after which the search for the
    objective is looked at and begun again, so that what it has can be shown.
    """
    whole_question, (question, members) = question, merged(question)
    program = Program(question, types, columns(question)) if types else None
    if program is None or not program.columns:
        lack = tuple(each.count for each in types)
        yield Chosen((), tuple({} for _ in types), lack, 0.0, 0.0, optimal=True, fewest_destroyed=True)
        return

    def chosen(x: np.ndarray, best: _Best, *, fewest_destroyed: bool) -> Chosen:
        found = _chosen(program, x, best, fewest_destroyed=fewest_destroyed)
        return replace(found, taken=_apart(found.taken, whole_question.gpus, members))

    objective = _objective(program)
    losses = program.losses()
    best = None
    for best in _of_objective(program, objective, clock, looks):
        yield chosen(best.x, best, fewest_destroyed=losses is None)
    if best is None:
        return
    limits = [
        (program.unserved(), best.lacking + 0.25),
        (objective, best.value + ROUNDING * max(1.0, abs(best.value))),
    ]
    least = losses is None
    for costs in (losses, program.tie()):
        if costs is None:
            continue
        better = program.solve(costs, limits, clock.share(TIE_SHARE))
        if better.x is None:
            return
        if costs is losses:
            least = better.status == OPTIMAL
        limits.append((costs, float(costs @ better.x) + 0.25))
        yield chosen(better.x, best, fewest_destroyed=least)


def _objective(program: Program) -> np.ndarray:
    """What is made small once as much as can be is served."""
    objectives: dict[str, Callable[[], np.ndarray]] = {
        "fewest_gpus": program.gpus_used,
        "least_cost": program.usd_per_hour,
        "most_demand": program.gpus_used,
        "fewest_changes": program.changes,
    }
    return objectives[program.question.objective]()


def _of_objective(
    program: Program, objective: np.ndarray, clock: Clock, looks: Sequence[float]
) -> Iterator[_Best]:
    """The best of the objective, after each look and in the end; nothing where the time was too short."""
    all_can_be = True
    for look in (*looks, math.inf):
        seconds = min(look, clock.share(1.0))
        found, all_can_be = _attempt(program, objective, seconds, all_can_be=all_can_be)
        if found is None:
            continue
        yield found
        if found.optimal or clock.left_s <= 0:
            return


def _attempt(
    program: Program, objective: np.ndarray, seconds: float, *, all_can_be: bool
) -> tuple[_Best | None, bool]:
    """The best that is found in some seconds, and whether all demands may still be served together."""
    unserved = program.unserved()
    if all_can_be:
        found = program.solve(objective, [(unserved, 0.0)], seconds * SERVE_ALL_SHARE)
        if found.x is not None:
            return _best(program, objective, found, 0, 0, most_served=True), True
        all_can_be = found.status != INFEASIBLE
        seconds *= 1 - SERVE_ALL_SHARE
    fewest = program.solve(unserved, [], seconds)
    if fewest.x is None:
        return None, all_can_be
    lacking = round(float(unserved @ fewest.x))
    least = max(0, math.ceil((fewest.mip_dual_bound or 0.0) - ROUNDING))
    proven = fewest.status == OPTIMAL
    found = program.solve(objective, [(unserved, lacking + 0.25)], seconds)
    if found.x is None:
        found = fewest
        found.mip_dual_bound, found.status = 0.0, INFEASIBLE
    return _best(program, objective, found, lacking, least, most_served=proven), all_can_be


INFEASIBLE = 2


def _best(
    program: Program, objective: np.ndarray, found: Any, lacking: int, least: int, *, most_served: bool
) -> _Best:
    value = float(objective @ found.x)
    bound = found.mip_dual_bound if found.mip_dual_bound is not None else 0.0
    optimal = most_served and (found.status == OPTIMAL or program.question.objective == "most_demand")
    return _Best(found.x, value, bound, lacking, least, optimal)


def _apart(
    taken: Sequence[tuple[int, Pattern, int]], groups: Sequence[Gpus], members: Sequence[Sequence[int]]
) -> tuple[tuple[int, Pattern, int], ...]:
    """Patterns of merged groups given to the groups themselves, one filled after the other."""
    left = [gpus.count for gpus in groups]
    nexts = [0] * len(members)
    found = []
    for kind, pattern, count in taken:
        while count:
            number = members[kind][nexts[kind]]
            here = min(count, left[number])
            if here:
                found.append((number, pattern, here))
            left[number] -= here
            count -= here
            if not left[number]:
                nexts[kind] += 1
    return tuple(found)


def _chosen(program: Program, x: np.ndarray, best: _Best, *, fewest_destroyed: bool) -> Chosen:
    whole = np.rint(x).astype(int)
    taken = tuple(
        (group, pattern, int(whole[column]))
        for column, (group, pattern) in enumerate(program.columns)
        if whole[column] > 0
    )
    served: list[dict[Kind, int]] = [Counter() for _ in program.types]
    for pair, (number, kind) in enumerate(program.pairs):
        if count := int(whole[program.give[pair]]):
            served[number][program.kinds[kind]] = count
    lack = tuple(int(whole[column]) for column in program.lack)
    value, bound = best.value, best.bound
    if program.question.objective == "most_demand":
        wanted = sum(each.count for each in program.types)
        value, bound = float(wanted - sum(lack)), float(wanted - best.fewest)
    return Chosen(taken, tuple(served), lack, value, bound, best.optimal, fewest_destroyed)
