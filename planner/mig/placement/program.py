"""The mixed-integer program: how many GPUs take which pattern, with what can be made small in it.

GPUs of one kind in one state are one group, and demands that accept the same profiles one type, so the
program has a column a group and pattern, and its size does not grow with the numbers of GPUs and demands.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from planner.mig.placement.patterns import Pattern, patterns
from planner.mig.placement.question import Demand, Question

Kind = tuple[str, str]
"""A chip's slug and a profile of it: what serves a demand."""
OPTIMAL = 0
"""The status of a solution than which none is better."""
PER_MODE, PER_GPU, PER_MADE = 1000.0, 100.0, 10.0
"""Weights among layouts that are as good and destroy as little: spare GPUs whose MIG mode would have to be
switched, then those on which nothing runs, then new instances, then memory slices."""


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

    def used_of(self, groups: Container[int]) -> np.ndarray:
        """GPUs of some groups that serve a demand."""
        costs = np.zeros(self.size)
        for column, (group, _) in enumerate(self.columns):
            costs[column] = 1.0 if group in groups else 0.0
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

    def losses(self) -> np.ndarray | None:
        """Instances destroyed, those in use before all others; None where no pattern destroys any."""
        costs = np.zeros(self.size)
        standing = sum(gpus.count * len(gpus.standing) for gpus in self.question.gpus)
        for column, (_, pattern) in enumerate(self.columns):
            costs[column] = pattern.destroyed + (1 + standing) * pattern.stopped
        return costs if costs.any() else None

    def tie(self) -> np.ndarray:
        """What to prefer among layouts that are as good and destroy as little."""
        costs = np.zeros(self.size)
        for column, (group, _) in enumerate(self.columns):
            gpus = self.question.gpus[group]
            costs[column] = PER_GPU * (not gpus.in_use) + PER_MODE * (not gpus.mig_mode)
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
        key = (gpus.chip, gpus.standing, gpus.usd_per_gpu_hour, gpus.per_node, gpus.mig_mode)
        members.setdefault(key, []).append(number)
    together = [
        replace(question.gpus[numbers[0]], count=sum(question.gpus[n].count for n in numbers))
        for numbers in members.values()
    ]
    return replace(question, gpus=together), list(members.values())
