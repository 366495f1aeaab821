"""Variations of the reader's question: the same run on other node counts and on other machines.

Makes ``PlanRequest``s from a ``PlanRequest`` and the catalog, and asks the engine all of them at once.
Independent of forms, templates and the database.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from planner.accuracy.calibration import shipped_calibration
from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.records import InstanceRecord
from planner.contract.cluster import priced_cluster
from planner.contract.parse import check_precision
from planner.contract.section import Problems
from planner.engine.answer.estimate import estimate_many
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import Cluster, LayoutRequest, PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.question.specs import ComputePrecision

Answer = PlanResult | PlanErrors
Spread = Literal["accelerators", "nodes", "fewest"]
NODE_COUNTS = (1, 2, 4, 8, 16, 32, 64)
MAX_NODES = 100_000


@dataclass(frozen=True, slots=True)
class NodePoint:
    """The run on some number of nodes."""

    nodes: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class MachineRow:
    """The run on one instance type. cluster.nodes: None for the fewest that fit.

    precision: what replaces the run's precision where the chip has no unit for it; else None.
    """

    record: InstanceRecord
    cluster: Cluster
    answer: Answer
    precision: ComputePrecision | None = None


def answer_node_counts(request: PlanRequest, plan: PlanResult) -> list[NodePoint]:
    """The same run on 1 to 64 nodes and on the plan's own number; degrees that were asked for are kept."""
    own = plan.cluster.nodes or 1
    counts = sorted({*NODE_COUNTS, own})
    others = [nodes for nodes in counts if nodes != own]
    layout = free_layout(request.layout)
    asked = [replace(request, cluster=replace(plan.cluster, nodes=nodes), layout=layout) for nodes in others]
    answers = dict(zip(others, estimate_many(asked, shipped_calibration()), strict=True))
    return [NodePoint(nodes, plan if nodes == own else answers[nodes]) for nodes in counts]


def answer_machines(
    request: PlanRequest, plan: PlanResult, catalog: Catalog, *, spread: Spread
) -> list[MachineRow]:
    """The same run on every instance type of the catalog.

    spread: on as many accelerators as the plan has, on as many nodes, or on the fewest nodes that fit.

    The layout is chosen again for each machine, since one that suits a machine may not suit another. Chips
    too old for bf16 are asked in fp16, which takes the same bytes; any other precision that a chip lacks is
    an error of its row.
    """
    rows: list[tuple[InstanceRecord, Cluster]] = []
    for record in catalog.instances():
        nodes = _nodes(record, plan, spread)
        rows.append((record, _priced(record, request, catalog, nodes=nodes)))
    precisions = [_stand_in(request, cluster) for _, cluster in rows]
    asked = {
        index: replace(
            request,
            cluster=cluster,
            layout=LayoutRequest(),
            workload=replace(request.workload, precision=precisions[index] or request.workload.precision),
            deadline_days=None,
            notes=(),
            id=None,
        )
        for index, (record, cluster) in enumerate(rows)
        if not (record.slug == plan.cluster.instance_type and cluster.nodes == plan.cluster.nodes)
    }
    wrong = {
        index: problem for index, one in asked.items() if (problem := _precision_problem(one)) is not None
    }
    sound = [index for index in asked if index not in wrong]
    answers: dict[int, Answer] = {
        **wrong,
        **dict(zip(sound, _estimates(tuple(asked[i] for i in sound)), strict=True)),
    }
    return [
        MachineRow(record, cluster, answers.get(index, plan), precisions[index])
        for index, (record, cluster) in enumerate(rows)
    ]


def _stand_in(request: PlanRequest, cluster: Cluster) -> ComputePrecision | None:
    chip = cluster.accelerator
    old = chip.bf16_flops_per_s <= 0 < chip.fp16_flops_per_s
    return "fp16" if request.workload.precision == "bf16" and old else None


@lru_cache(maxsize=8)
def _estimates(asked: tuple[PlanRequest, ...]) -> tuple[Answer, ...]:
    """Cached: sorting a table asks the same questions again."""
    return tuple(estimate_many(asked, shipped_calibration()))


def free_layout(layout: LayoutRequest) -> LayoutRequest:
    """The layout without fields that hold for one number of nodes only; they follow from the rest."""
    return replace(layout, data_parallel=None, gradient_accumulation=None, sharding_group=None)


def _nodes(record: InstanceRecord, plan: PlanResult, spread: Spread) -> int | None:
    if spread == "fewest":
        return None
    if spread == "nodes":
        return plan.cluster.nodes or 1
    return min(MAX_NODES, max(1, math.ceil(plan.accelerators / record.spec.accelerators_per_node)))


def _priced(record: InstanceRecord, request: PlanRequest, catalog: Catalog, *, nodes: int | None) -> Cluster:
    """In the reader's region where the machine is offered there, else where its provider offers it first."""
    offered = catalog.regions(record.slug)
    asked = request.cluster.region
    default = catalog.default_region(record.spec.provider)
    region = asked if asked in offered else next(iter(offered), default)
    return priced_cluster(
        record.spec,
        catalog,
        region=region or default,
        purchase=request.cluster.purchase or "on_demand",
        nodes=nodes,
        as_of=request.cluster.price_asked_as_of,
    )


def _precision_problem(request: PlanRequest) -> PlanErrors | None:
    problems = Problems()
    check_precision(request.workload, request.cluster.accelerator, problems)
    return PlanErrors(problems.errors) if problems.errors else None


def fitting(rows: Sequence[MachineRow]) -> list[tuple[MachineRow, PlanResult]]:
    """The rows whose plan fits, with its result."""
    return [(row, row.answer) for row in rows if isinstance(row.answer, PlanResult) and row.answer.fits]
