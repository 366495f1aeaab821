"""What a search keeps while it goes on: the front, the best of each cluster and its runners-up, and counts.

Its size does not grow with the space. Parts of a search that ran apart are joined to what one would have
kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from planner.engine.grid.plan_grid import RECOMPUTES, SHARDINGS, Array
from planner.engine.question.request import Layout
from planner.engine.question.search_request import Objective, Rejections

#: Plans that are beaten by less than this may be equal to the one that beats them.
LITTLE_LESS = 1.0 - 1e-12

Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: The fields of a layout as ``Candidates`` holds them, in the order of a kept row.
LAYOUT_FIELDS = (
    "tensor_parallel",
    "sequence_parallel",
    "pipeline_parallel",
    "interleaved_stages",
    "context_parallel",
    "expert_parallel",
    "data_parallel",
    "sharding",
    "sharding_group",
    "micro_batch_size",
    "gradient_accumulation",
    "recompute",
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Plans, one a row: shape (plans,), layouts (plans, fields).

    total_s, usd: of the run (usd nan: no price).  cluster, variant: positions in the request.  place: 0 for
    the best of its cluster, 1 for the first runner-up.
    """

    total_s: Array
    usd: Array
    cluster: Whole
    variant: Whole
    place: Whole
    layout: Array

    @classmethod
    def none(cls) -> Rows:
        """No plans."""
        whole = np.zeros(0, dtype=np.int64)
        return cls(np.zeros(0), np.zeros(0), whole, whole, whole, np.zeros((0, len(LAYOUT_FIELDS))))

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """The plans of all parts, one after the other."""
        return cls(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)))

    def __len__(self) -> int:
        return len(self.total_s)

    def at(self, rows: Whole | Mask) -> Rows:
        """These plans."""
        return Rows(*(getattr(self, item.name)[rows] for item in fields(self)))

    def layout_at(self, row: int) -> Layout:
        """The layout of one plan."""
        whole = {name: int(value) for name, value in zip(LAYOUT_FIELDS, self.layout[row], strict=True)}
        recompute, sharding = RECOMPUTES[whole.pop("recompute")], SHARDINGS[whole.pop("sharding")]
        sequence = bool(whole.pop("sequence_parallel"))
        return Layout(sequence_parallel=sequence, sharding=sharding, activation_recompute=recompute, **whole)


@dataclass(slots=True)
class Counts:
    """Layouts by what became of them. looked_at: all, those included that a bound ruled out."""

    looked_at: int = 0
    fitting: int = 0
    indivisible: int = 0
    no_memory: int = 0
    late: int = 0
    dear: int = 0
    unsold: int = 0
    bound: int = 0

    def add(self, other: Counts) -> None:
        """Count the other's too."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))

    def rejections(self) -> Rejections:
        """In the contract's words."""
        return Rejections(
            memory=self.no_memory,
            divisibility=self.indivisible,
            deadline=self.late,
            budget=self.dear,
            unavailable=self.unsold,
            bound=self.bound,
        )


@dataclass(slots=True)
class Kept:
    """The best plans so far. limit: of ``top``.

    front: plans that no other beats in both time and dollars, fastest first.  best: the best of each cluster,
    then runners-up, the ``limit`` that would be listed.  nearest: where nothing fits, the plan that lacks
    least memory, and the share of its rank's memory that it needs.
    """

    objective: Objective
    limit: int
    front: Rows = field(default_factory=Rows.none)
    best: Rows = field(default_factory=Rows.none)
    nearest: Rows = field(default_factory=Rows.none)
    nearest_share: float = float("inf")
    counts: Counts = field(default_factory=Counts)

    def add(self, rows: Rows) -> None:
        """Keep what of these belongs to the front or to the list."""
        if len(rows):
            # What is beaten by more than rounding is neither; most are, and sorting them would take long.
            usd = np.where(np.isnan(rows.usd), np.inf, rows.usd)
            rows = rows.at(~self.beaten(rows.total_s * LITTLE_LESS, usd * LITTLE_LESS))
        if len(rows):
            self.front = front_of(Rows.joined([self.front, rows.at(rows.place == 0)]))
            self.best = self.listed(Rows.joined([self.best, rows]))

    def listed(self, rows: Rows) -> Rows:
        """What of these would be listed: each cluster's best before any runner-up."""
        rows = placed(rows)
        order = np.lexsort((rows.cluster, rows.total_s, self.score(rows), rows.place))
        return rows.at(order[: self.limit])

    def score(self, rows: Rows) -> Array:
        """What the objective wants small."""
        return scores(self.objective, rows.total_s, rows.usd)

    def near(self, share: float, row: Rows) -> None:
        """Remember a plan that does not fit, where it lacks less than the one remembered."""
        if share < self.nearest_share:
            self.nearest_share, self.nearest = share, row

    def threshold(self) -> float:
        """The score that the best of another cluster must not exceed to be listed; inf while any would be."""
        full = len(self.best) >= self.limit and not self.best.place.any()
        return float(self.score(self.best).max()) if full else float("inf")

    def beaten(self, total_s: Array, usd: Array) -> Mask:
        """Whether plans no better than these (seconds, dollars; inf: no price), of any shape, can be neither
        on the front nor on the list.
        """
        if not len(self.front):
            return np.zeros(np.shape(usd), dtype=bool)
        place = np.searchsorted(self.front.total_s, total_s, side="right") - 1
        dollars = np.where(np.isnan(self.front.usd), np.inf, self.front.usd)
        dominated: Mask = (place >= 0) & (dollars[np.maximum(place, 0)] <= usd)
        return dominated & (scores(self.objective, total_s, usd) > self.threshold())

    def top(self) -> Rows:
        """The plans to list, best first; of equal ones the faster, then the one asked for first."""
        order = np.lexsort((self.best.cluster, self.best.total_s, self.score(self.best)))
        return self.best.at(order)

    def join(self, other: Kept) -> None:
        """Take in what a search of other machines kept."""
        self.front = front_of(Rows.joined([self.front, other.front]))
        self.best = self.listed(Rows.joined([self.best, other.best]))
        self.near(other.nearest_share, other.nearest)
        self.counts.add(other.counts)


def placed(rows: Rows) -> Rows:
    """The plans with their place on their cluster, the fastest first: on one cluster it is the cheapest
    too.
    """
    order = np.lexsort((*rows.layout.T, rows.variant, rows.total_s, rows.cluster))
    rows = rows.at(order)
    # Parts of a search that know of each other's plans bring them along: each counts once.
    known = np.column_stack([rows.cluster, rows.variant, rows.layout])
    rows = rows.at(np.append(True, np.any(known[1:] != known[:-1], axis=1))[: len(rows)])
    starts = np.flatnonzero(np.diff(rows.cluster, prepend=-1))
    lengths = np.diff(np.append(starts, len(rows)))
    return replace(rows, place=np.arange(len(rows)) - np.repeat(starts, lengths))


def front_of(rows: Rows) -> Rows:
    """The plans on the front; of equal ones the one asked for first."""
    rows = rows.at(np.lexsort((rows.cluster, rows.variant)))
    return rows.at(front(rows.total_s, rows.usd))


def best_by(objective: Objective, total_s: Array, usd: Array) -> Whole:
    """Positions from best to worst. total_s: seconds; usd: dollars (nan: no price), shape (plans,).

    A plan without a price comes after those that have one, unless time alone matters. Ties are broken by the
    other measure.
    """
    dollars = np.where(np.isnan(usd), np.inf, usd)
    other = dollars if objective == "time" else total_s
    return np.lexsort((other, scores(objective, total_s, usd)))


def front(total_s: Array, usd: Array) -> Whole:
    """Positions on the Pareto front, fastest first: plans for which no other is both cheaper and faster.

    total_s: seconds; usd: dollars (nan: no price), shape (plans,). Plans without a price cannot be compared;
    where none has one, the fastest stands alone.
    """
    priced = np.flatnonzero(~np.isnan(usd))
    if not priced.size:
        return np.argsort(total_s, kind="stable")[:1]
    order = priced[np.lexsort((usd[priced], total_s[priced]))]
    cheapest_before = np.minimum.accumulate(np.concatenate([[np.inf], usd[order][:-1]]))
    return order[usd[order] < cheapest_before]


def scores(objective: Objective, total_s: Array, usd: Array) -> Array:
    """What is to be small, shape as given. usd: dollars, nan or inf where there is no price.

    Balanced: dollars x seconds, so that halving either counts the same.
    """
    if objective == "time":
        return np.broadcast_to(total_s, np.broadcast_shapes(np.shape(total_s), np.shape(usd)))
    dollars = np.where(np.isnan(usd), np.inf, usd)
    return dollars * total_s if objective == "balanced" else dollars * np.ones_like(total_s)
