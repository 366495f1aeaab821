"""What ``search`` is asked and answers: one run, many machines, and an objective.

A question is frozen and validated once by ``planner.contract.search``; inside the engine it is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal, overload

from planner.engine.question.request import Cluster, Workload
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
class SearchResult:
    """evaluated: layouts looked at, those included that a bound ruled out; fitting: those within memory and
    limits, as far as they were looked at.

    best: the first of ``top``, None where nothing fits.
    pareto: the plans for which no other plan is both cheaper and faster (in total time).
    top: the best plan of each cluster by the objective, then runners-up, at most ``limit``. Each plan is
    exactly what ``estimate`` says of it.
    nearest: where nothing fits, the plan that lacks least memory, with what would make it fit.
    """

    evaluated: int
    fitting: int
    best: PlanResult | None
    pareto: tuple[PlanResult, ...]
    top: tuple[PlanResult, ...]
    rejected: Rejections
    nearest: PlanResult | None = None
