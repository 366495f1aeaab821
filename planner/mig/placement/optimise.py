"""The exact plan: how many GPUs take which pattern, as a mixed-integer program solved by HiGHS.

GPUs of one kind in one state are one group, and demands that accept the same profiles one type, so the
program has a column a group and pattern, and its size does not grow with the numbers of GPUs and demands.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

import numpy as np

from planner.mig.placement.patterns import Pattern, patterns
from planner.mig.placement.question import Demand, Gpus, Question

Kind = tuple[str, str]
"""A chip's slug and a profile of it: what serves a demand."""
OPTIMAL, INFEASIBLE = 0, 2
TIE_SHARE = 0.4
"""Part of the time that choosing among equally good layouts may take."""
PER_DESTROYED, PER_GPU, PER_MADE = 1000.0, 100.0, 10.0
"""Weights among equally good layouts: spare what exists, then GPUs on which nothing runs, then new instances,
then memory slices."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the program chose.

    taken: (group, pattern, GPUs).  served: instances of each kind given to each demand type.
    unserved: by type.  value, bound: of the objective, bound as far as it was proven.
    """

    taken: tuple[tuple[int, Pattern, int], ...]
    served: tuple[dict[Kind, int], ...]
    unserved: tuple[int, ...]
    value: float
    bound: float
    optimal: bool


@dataclass(frozen=True, slots=True)
class DemandType:
    """Demands that accept the same: their numbers with counts."""

    accepts: tuple[Kind, ...]
    members: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        """Instances wanted in all."""
        return sum(count for _, count in self.members)


def demand_types(question: Question) -> tuple[list[DemandType], list[int]]:
    """Demands by what serves them, and the numbers of those that nothing among these GPUs serves."""
    chips = {gpus.chip.slug: set() for gpus in question.gpus}  # type: dict[str, set[str]]
    for gpus in question.gpus:
        chips[gpus.chip.slug] |= {profile.name for profile in gpus.chip.profiles}
    grouped: dict[tuple[Kind, ...], list[tuple[int, int]]] = {}
    unserved = []
    for number, demand in enumerate(question.demands):
        kinds = accepted(demand, chips)
        if kinds:
            grouped.setdefault(kinds, []).append((number, demand.count))
        else:
            unserved.append(number)
    return [DemandType(kinds, tuple(members)) for kinds, members in grouped.items()], unserved


def accepted(demand: Demand, chips: dict[str, set[str]]) -> tuple[Kind, ...]:
    """The kinds among these chips that serve a demand."""
    return tuple(
        (slug, name)
        for slug, names in sorted(demand.accepts.items())
        for name in names
        if name in chips.get(slug, ())
    )


def columns(question: Question) -> list[tuple[int, Pattern]]:
    """Every way to use a GPU, by group; ways that hold nothing are left out."""
    found = []
    for group, gpus in enumerate(question.gpus):
        useful = question.useful(gpus.chip)
        for pattern in patterns(
            gpus.chip,
            gpus.standing,
            useful,
            in_use_serves=question.in_use_serves,
            may_destroy_in_use=question.may_destroy_in_use,
        ):
            if pattern.kept or pattern.made:
                found.append((group, pattern))
    return found


@dataclass
class Program:
    """The program's columns and rows. Columns: GPUs by pattern, instances by type and kind, unserved by type,
    made by kind, nodes by group.
    """

    question: Question
    types: Sequence[DemandType]
    columns: list[tuple[int, Pattern]]
    kinds: list[Kind] = field(init=False)
    pairs: list[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = sorted({kind for each in self.types for kind in each.accepts})
        index = {kind: number for number, kind in enumerate(self.kinds)}
        self.pairs = [(t, index[kind]) for t, each in enumerate(self.types) for kind in each.accepts]
        sizes = (
            len(self.columns), len(self.pairs), len(self.types), len(self.kinds), len(self.question.gpus),
        )  # fmt: skip
        ends = np.cumsum(sizes)
        self.use, self.give, self.lack, self.make, self.nodes = (
            range(int(end) - size, int(end)) for end, size in zip(ends, sizes, strict=True)
        )
        self.size = int(ends[-1])
        self._rows()

    def _rows(self) -> None:
        cells: list[tuple[int, int, float]] = []
        low: list[float] = []
        high: list[float] = []

        def row(entries: list[tuple[int, float]], least: float, most: float) -> None:
            cells.extend((len(low), column, value) for column, value in entries)
            low.append(least)
            high.append(most)

        by_group: dict[int, list[int]] = {}
        kept: dict[int, list[tuple[int, float]]] = {}
        holds: dict[int, list[tuple[int, float]]] = {}
        index = {kind: number for number, kind in enumerate(self.kinds)}
        for column, (group, pattern) in enumerate(self.columns):
            by_group.setdefault(group, []).append(column)
            slug = self.question.gpus[group].chip.slug
            for name, count in pattern.kept:
                if (slug, name) in index:
                    kept.setdefault(index[slug, name], []).append((column, float(count)))
            for name, count in pattern.capacity.items():
                if (slug, name) in index:
                    holds.setdefault(index[slug, name], []).append((column, float(count)))
        for group, members in by_group.items():
            gpus = self.question.gpus[group]
            row([(column, 1.0) for column in members], 0, gpus.count)
            row([*((c, 1.0) for c in members), (self.nodes[group], -float(gpus.per_node))], -math.inf, 0)
        given: dict[int, list[tuple[int, float]]] = {}
        of_type: dict[int, list[tuple[int, float]]] = {}
        for pair, (kind_type, kind) in enumerate(self.pairs):
            given.setdefault(kind, []).append((self.give[pair], 1.0))
            of_type.setdefault(kind_type, []).append((self.give[pair], 1.0))
        for number, each in enumerate(self.types):
            row([*of_type[number], (self.lack[number], 1.0)], each.count, each.count)
        for kind in range(len(self.kinds)):
            row([*given[kind], *((c, -n) for c, n in holds.get(kind, []))], -math.inf, 0)
            row(
                [*given[kind], *((c, -n) for c, n in kept.get(kind, [])), (self.make[kind], -1.0)],
                -math.inf,
                0,
            )
        # Imported where it is needed: a third of a second for which other pages need not wait at the start.
        from scipy.sparse import coo_array

        rows, cols, values = zip(*cells, strict=True)
        self.matrix = coo_array((values, (rows, cols)), shape=(len(low), self.size)).tocsr()
        self.low, self.high = np.array(low), np.array(high)
        self.most = np.full(self.size, np.inf)
        self.most[self.lack.start : self.lack.stop] = [each.count for each in self.types]

    def unserved(self) -> np.ndarray:
        """Instances without a place."""
        costs = np.zeros(self.size)
        costs[self.lack.start : self.lack.stop] = 1
        return costs

    def gpus_used(self) -> np.ndarray:
        """GPUs that serve a demand."""
        costs = np.zeros(self.size)
        costs[: len(self.columns)] = 1
        return costs

    def usd_per_hour(self) -> np.ndarray:
        """Dollars an hour, of whole nodes where GPUs are rented by the node."""
        costs = np.zeros(self.size)
        for group, gpus in enumerate(self.question.gpus):
            costs[self.nodes[group]] = (gpus.usd_per_gpu_hour or 0.0) * gpus.per_node
        return costs

    def changes(self) -> np.ndarray:
        """Instances destroyed and made."""
        costs = np.zeros(self.size)
        for column, (_, pattern) in enumerate(self.columns):
            costs[column] = pattern.destroyed
        costs[self.make.start : self.make.stop] = 1
        return costs

    def tie(self) -> np.ndarray:
        """What to prefer among layouts that are equally good."""
        costs = np.zeros(self.size)
        for column, (group, pattern) in enumerate(self.columns):
            empty = not self.question.gpus[group].in_use
            costs[column] = PER_DESTROYED * pattern.destroyed + PER_GPU * empty
        costs[self.make.start : self.make.stop] = PER_MADE
        sizes = {(g.chip.slug, p.name): p.size for g in self.question.gpus for p in g.chip.profiles}
        for pair, (_, kind) in enumerate(self.pairs):
            costs[self.give[pair]] += sizes[self.kinds[kind]]
        return costs

    def solve(self, costs: np.ndarray, limits: Sequence[tuple[np.ndarray, float]], seconds: float) -> Any:
        """scipy's result for the least of ``costs``, with each of ``limits`` at most its value."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        constraints = [LinearConstraint(self.matrix, self.low, self.high)]
        constraints += [LinearConstraint(each[None, :], -np.inf, value) for each, value in limits]
        return milp(
            costs,
            integrality=np.ones(self.size),
            bounds=Bounds(np.zeros(self.size), self.most),
            constraints=constraints,
            options={"time_limit": max(seconds, 0.05), "mip_rel_gap": 0.0},
        )


def merged(question: Question) -> tuple[Question, list[list[int]]]:
    """The question with groups in the same state as one, and the groups that each of those stands for."""
    members: dict[tuple[Any, ...], list[int]] = {}
    for number, gpus in enumerate(question.gpus):
        key = (gpus.chip, gpus.standing, gpus.usd_per_gpu_hour, gpus.per_node)
        members.setdefault(key, []).append(number)
    together = [
        replace(question.gpus[numbers[0]], count=sum(question.gpus[n].count for n in numbers))
        for numbers in members.values()
    ]
    return replace(question, gpus=together), list(members.values())


def _apart(
    taken: Sequence[tuple[int, Pattern, int]], groups: Sequence[Gpus], members: Sequence[Sequence[int]]
) -> tuple[tuple[int, Pattern, int], ...]:
    """Patterns of merged groups given to the groups themselves, one filled after the other."""
    left = [gpus.count for gpus in groups]
    found = []
    for kind, pattern, count in taken:
        for number in members[kind]:
            here = min(count, left[number])
            if here:
                found.append((number, pattern, here))
                left[number] -= here
                count -= here
    return tuple(found)


def optimise(question: Question, types: Sequence[DemandType], *, began: float) -> Chosen | None:
    """The best use of the GPUs; None where the time was too short for any.

    All demands are served where that is possible, else as many instances as can be; the objective is met
    among such layouts. ``began``: the monotonic time from which the question's limit counts.
    """
    whole_question, (question, members) = question, merged(question)
    program = Program(question, types, columns(question)) if types else None
    if program is None or not program.columns:
        lack = tuple(each.count for each in types)
        return Chosen((), tuple({} for _ in types), lack, 0.0, 0.0, True)

    def left() -> float:
        return question.time_limit_s - (monotonic() - began)

    unserved = program.unserved()
    whole = sum(each.count for each in types)
    objectives = _objectives(program)
    serve_all = [(unserved, 0.0)]
    first = program.solve(objectives[0], serve_all, left())
    limits, proven_served, most = serve_all, True, whole
    if first.x is None:
        fewest = program.solve(unserved, [], left())
        if fewest.x is None:
            return None
        lacking = round(float(unserved @ fewest.x))
        proven_served = fewest.status == OPTIMAL
        most = whole - math.ceil(fewest.mip_dual_bound - 1e-6)
        limits = [(unserved, lacking + 0.25)]
        first = program.solve(objectives[0], limits, left())
        if first.x is None:
            first = fewest
            proven_served = False
    best, value = first.x, float(objectives[0] @ first.x)
    bound = first.mip_dual_bound if first.mip_dual_bound is not None else 0.0
    optimal = first.status == OPTIMAL and proven_served
    limits = [*limits, (objectives[0], value + 1e-6 * max(1.0, abs(value)))]
    for costs in objectives[1:]:
        better = program.solve(costs, limits, min(left(), question.time_limit_s * TIE_SHARE))
        if better.x is None:
            break
        best = better.x
        limits = [*limits, (costs, float(costs @ best) + 0.25)]
    if question.objective == "most_demand":
        lacking = round(float(unserved @ best))
        chosen = _chosen(program, best, whole - lacking, most, proven_served)
    else:
        chosen = _chosen(program, best, value, bound, optimal)
    return replace(chosen, taken=_apart(chosen.taken, whole_question.gpus, members))


def _objectives(program: Program) -> list[np.ndarray]:
    """What is made small, one after the other."""
    first: dict[str, Callable[[], np.ndarray]] = {
        "fewest_gpus": program.gpus_used,
        "least_cost": program.usd_per_hour,
        "most_demand": program.gpus_used,
        "fewest_changes": program.changes,
    }
    return [first[program.question.objective](), program.tie()]


def _chosen(program: Program, x: np.ndarray, value: float, bound: float, optimal: bool) -> Chosen:
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
    return Chosen(taken, tuple(served), lack, value, bound, optimal)


def fewest_more(
    question: Question, types: Sequence[DemandType], extra: Gpus, seconds: float
) -> tuple[int, bool] | None:
    """How many GPUs like ``extra`` have to be added so that all is served, and whether that is proven.

    None where no number does, or the time was too short.
    """
    present, _ = merged(question)
    wider = replace(present, gpus=(*present.gpus, extra))
    program = Program(wider, types, columns(wider))
    costs = np.zeros(program.size)
    for column, (group, _) in enumerate(program.columns):
        costs[column] = 1.0 if group == len(present.gpus) else 0.0
    found = program.solve(costs, [(program.unserved(), 0.0)], seconds)
    if found.x is None:
        return None
    return round(float(costs @ found.x)), found.status == OPTIMAL
