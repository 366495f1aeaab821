"""What ``search`` is asked and answers: one run, many machines, and an objective.

A question is frozen and validated once by ``planner.contract.search``; inside the engine it is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal, overload

from planner.engine.question.request import Cluster, PlanRequest, Workload
from planner.engine.question.result import PlanResult
from planner.engine.question.specs import ModelSpec

Objective = Literal["cost", "time", "balanced"]
Variable = Literal[
    "tensor_parallel",
    "sequence_parallel",
    "pipeline_parallel",
    "interleaved_stages",
    "context_parallel",
    "expert_parallel",
    "sharding",
    "micro_batch_size",
    "activation_recompute",
    "framework",
    "precision",
]


@dataclass(frozen=True, slots=True)
class Market(Sequence[Cluster]):
    """Every offer in every number of nodes, made when it is looked at: a million clusters take no memory.

    offers: machines as they are sold, their number of nodes open.  sizes: numbers of nodes.
    """

    offers: tuple[Cluster, ...]
    sizes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.offers) * len(self.sizes)

    @overload
    def __getitem__(self, place: int) -> Cluster: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Cluster]: ...
    def __getitem__(self, place: int | slice) -> Cluster | Sequence[Cluster]:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        offer, size = divmod(place % len(self), len(self.sizes))
        return replace(self.offers[offer], nodes=self.sizes[size])


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """One question to ``search``.

    clusters: at least one, each with its number of nodes, no two equal, in the order asked for.
    variants: the workload by other stacks and in other precisions, to be searched beside it.
    deadline_days, budget_usd: plans beyond them are rejected (None: no such limit).
    vary: the parts of a layout that may be chosen freely; the others keep their default (degree 1,
    micro-batch 1, no sharding, the workload's recompute).
    limit: how many plans ``top`` holds.
    exact: count every layout, also where a bound shows that it cannot be among the answers.
    notes: warnings raised while the question was read (code, message).
    why_not: plans to be held against the answer.
    today: as in ``PlanRequest``.
    """

    model: ModelSpec
    workload: Workload
    clusters: Sequence[Cluster]
    objective: Objective
    vary: tuple[Variable, ...]
    deadline_days: float | None = None
    budget_usd: float | None = None
    variants: tuple[Workload, ...] = ()
    exact: bool = False
    why_not: tuple[PlanRequest, ...] = ()
    limit: int = 20
    id: Any = None
    notes: tuple[tuple[str, str], ...] = ()
    today: date | None = None

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """The workload and its variants, none twice."""
        return tuple(dict.fromkeys((self.workload, *self.variants)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejections:
    """Counts of rejected layouts by reason: memory, indivisible degrees, deadline, budget, not sold.

    bound: those never looked at, since a lower bound of time and cost shows that others beat them all.
    """

    bound: int = 0
    memory: int = 0
    divisibility: int = 0
    deadline: int = 0
    budget: int = 0
    unavailable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a plan of the answer stands beside the others.

    workload: the one of the request's variants that it runs.  place: on its cluster, 0 for the best.
    time_chance, cost_chance, chance: that the best plan of the answer is faster, cheaper, better by the
    objective than this one, 0 to 1 (None: no price).  equal: neither is better with any confidence.
    """

    workload: Workload
    place: int
    time_chance: float | None
    cost_chance: float | None
    chance: float | None
    equal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """The least change of one constraint that lets a plan through.

    constraint: ``memory``, ``deadline_days``, ``budget_usd``, ``deadline_days and budget_usd``,
    ``unavailable``.  asked, needed, by: its value, the least one that will do, and their difference, in
    ``unit`` (None where there is no number).  plan: what it lets through.  words: all of it in a sentence.
    """

    constraint: str
    asked: float | None = None
    needed: float | None = None
    by: float | None = None
    unit: str = ""
    plan: PlanResult | None = None
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyNot:
    """What keeps one plan from being the best of the answer.

    plan: as it was asked for, or the best on the machine that was asked for.  reasons: constraints that it
    misses, each with the least relaxation, and ``beaten`` by the best plan; empty for one that is as good.
    beaten_by: a plan of the answer that is faster and cheaper, None for one on the front or out of bounds.
    """

    plan: PlanResult
    reasons: tuple[Relaxation, ...]
    beaten_by: PlanResult | None = None
    standing: Standing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """evaluated: layouts looked at, those included that a bound ruled out; fitting: those within memory and
    limits, as far as they were looked at.

    best: the first of ``top``, None where nothing fits.
    pareto: the plans for which no other plan is both cheaper and faster (in total time).
    top: the best plan of each cluster by the objective, then runners-up, at most ``limit``. Each plan is
    exactly what ``estimate`` says of it.
    top_standing, pareto_standing: how each of these stands beside the best.
    relaxations: where nothing fits, each constraint that alone would do if relaxed, and by how much.
    nearest: where nothing fits in memory, the plan that lacks least of it.
    """

    evaluated: int
    fitting: int
    best: PlanResult | None
    pareto: tuple[PlanResult, ...]
    top: tuple[PlanResult, ...]
    rejected: Rejections
    top_standing: tuple[Standing, ...] = ()
    pareto_standing: tuple[Standing, ...] = ()
    relaxations: tuple[Relaxation, ...] = ()
    nearest: PlanResult | None = None
    why_not: tuple[WhyNot, ...] = ()
