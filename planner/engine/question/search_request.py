"""What ``search`` is asked and answers: one run, many machines, and an objective.

A question is frozen and validated once by ``planner.contract.search``; inside the engine it is trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

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
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """One question to ``search``.

    clusters: at least one, each with its number of nodes, no two equal, in the order asked for.
    deadline_days, budget_usd: plans beyond them are rejected (None: no such limit).
    vary: the parts of a layout that may be chosen freely; the others keep their default (degree 1,
    micro-batch 1, no sharding, the workload's recompute).
    limit: how many plans ``top`` holds.
    notes: warnings raised while the question was read (code, message).
    today: as in ``PlanRequest``.
    """

    model: ModelSpec
    workload: Workload
    clusters: tuple[Cluster, ...]
    objective: Objective
    vary: tuple[Variable, ...]
    deadline_days: float | None = None
    budget_usd: float | None = None
    limit: int = 20
    id: Any = None
    notes: tuple[tuple[str, str], ...] = ()
    today: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejections:
    """Counts of rejected layouts by reason: memory, indivisible degrees, deadline, budget, not sold."""

    memory: int = 0
    divisibility: int = 0
    deadline: int = 0
    budget: int = 0
    unavailable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """evaluated: layouts looked at; fitting: those within memory and limits.

    best: the first of ``top``, None where nothing fits.
    pareto: the plans for which no other plan is both cheaper and faster (in total time).
    top: the best by the objective, at most ``limit``. Each plan is exactly what ``estimate`` says of it.
    """

    evaluated: int
    fitting: int
    best: PlanResult | None
    pareto: tuple[PlanResult, ...]
    top: tuple[PlanResult, ...]
    rejected: Rejections
