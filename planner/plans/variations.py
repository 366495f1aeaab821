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

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.records import InstanceRecord
from planner.contract.cluster import REGION_UNAVAILABLE, priced_cluster
from planner.contract.market_fields import MAX_NODES
from planner.contract.parse import PRICE_STALE
from planner.contract.precision import (
    ASSUMED_PRECISION,
    STAND_IN_PRECISION,
    check_precision,
    on_other_chip,
)
from planner.contract.section import Problems
from planner.engine.answer.remarks import meets_deadline
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import Cluster, LayoutRequest, PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.question.specs import ComputePrecision, MigProfileSpec
from planner.plans.answers import answer_each

Answer = PlanResult | PlanErrors
Spread = Literal["accelerators", "nodes", "fewest"]
NODE_COUNTS = (1, 2, 4, 8, 16, 32, 64)
#: Warnings that are about the machines that were asked for.
OF_MACHINES = frozenset({PRICE_STALE, REGION_UNAVAILABLE, ASSUMED_PRECISION, STAND_IN_PRECISION})
#: What of a layout only one number of nodes allows, and follows from the rest on another.
FOLLOWING = ("data_parallel", "gradient_accumulation", "sharding_group")


@dataclass(frozen=True, slots=True)
class NodePoint:
    """The run on some number of nodes."""

    nodes: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class ProfilePoint:
    """The run on GPU instances of one profile."""

    profile: MigProfileSpec
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
    answers = dict(zip(others, answer_each(asked), strict=True))
    return [NodePoint(nodes, plan if nodes == own else answers[nodes]) for nodes in counts]


def answer_profiles(request: PlanRequest, plan: PlanResult, catalog: Catalog) -> list[ProfilePoint]:
    """The same run on every MIG profile of the plan's chip, smallest first; degrees asked for are kept."""
    own = plan.cluster.mig_profile
    specs = [record.spec for record in catalog.mig_profiles(plan.cluster.accelerator.slug)]
    specs.sort(key=lambda spec: (spec.memory_bytes, spec.compute_slices))
    layout = free_layout(request.layout)
    asked = [
        replace(request, cluster=replace(plan.cluster, mig_profile=spec), layout=layout)
        for spec in specs
        if spec != own
    ]
    answers = iter(answer_each(asked))
    return [ProfilePoint(spec, plan if spec == own else next(answers)) for spec in specs]


def answer_machines(
    request: PlanRequest, plan: PlanResult, catalog: Catalog, *, spread: Spread
) -> list[MachineRow]:
    """The same run on every instance type of the catalog.

    spread: on as many accelerators as the plan has, on as many nodes, or on the fewest nodes that fit.

    The layout is chosen again for each machine, since one that suits a machine may not suit another. A
    precision that a chip lacks, and for which none stands in, is an error of its row.
    """
    rows: list[tuple[InstanceRecord, Cluster]] = []
    for record in catalog.instances():
        nodes = _nodes(record, plan, spread)
        rows.append((record, _priced(record, request, catalog, nodes=nodes)))
    moved = [_moved(request, cluster) for _, cluster in rows]
    asked = {
        index: question
        for index, ((record, cluster), question) in enumerate(zip(rows, moved, strict=True))
        if isinstance(question, PlanRequest)
        and not (record.slug == plan.cluster.instance_type and cluster.nodes == plan.cluster.nodes)
    }
    answers = dict(zip(asked, _answers(tuple(asked.values())), strict=True))
    found: list[MachineRow] = []
    for index, ((record, cluster), question) in enumerate(zip(rows, moved, strict=True)):
        if isinstance(question, PlanErrors):
            found.append(MachineRow(record, cluster, question))
            continue
        own = question.workload.precision
        other = None if own == request.workload.precision else own
        found.append(MachineRow(record, cluster, _timed(answers.get(index, plan), request), other))
    return found


def _timed(answer: Answer, request: PlanRequest) -> Answer:
    """The answer held against the deadline, which rows are asked without: it would change their nodes."""
    if isinstance(answer, PlanErrors):
        return answer
    met = meets_deadline(request, answer.time)
    return answer if met == answer.meets_deadline else replace(answer, meets_deadline=met)


def remedy_of(request: PlanRequest, row: MachineRow) -> str:
    """What would make the run fit on a row's machines, in a sentence; "" where nothing was found."""
    try:
        (answer,) = answer_each([on_machines(request, row.cluster)], most_remedies=1)
    except PlanErrors:
        return ""
    nearest = answer.nearest_fit if isinstance(answer, PlanResult) else None
    return "" if nearest is None else f"Would fit with: {nearest.change}."


def on_machines(request: PlanRequest, cluster: Cluster) -> PlanRequest:
    """The same run on other machines, its layout chosen anew and without a deadline.

    Warnings that reading gave stay, but for those about the machines that were asked for. Raises PlanErrors
    where the chip lacks the precision and none stands in for it.
    """
    problems = Problems()
    for code, message in request.notes:
        if code not in OF_MACHINES:
            problems.note(code, message)
    named = all(code != ASSUMED_PRECISION for code, _ in request.notes)
    workload = on_other_chip(request.workload, cluster.accelerator, problems, named=named)
    check_precision(workload, cluster.accelerator, problems)
    problems.raise_if_any()
    return replace(
        request,
        cluster=cluster,
        workload=workload,
        layout=LayoutRequest(),
        deadline_days=None,
        notes=tuple(problems.notes),
        id=None,
    )


def _moved(request: PlanRequest, cluster: Cluster) -> PlanRequest | PlanErrors:
    try:
        return on_machines(request, cluster)
    except PlanErrors as wrong:
        return wrong


@lru_cache(maxsize=8)
def _answers(asked: tuple[PlanRequest, ...]) -> tuple[Answer, ...]:
    """Cached: sorting a table asks the same questions again."""
    return tuple(answer_each(asked))


def free_layout(layout: LayoutRequest) -> LayoutRequest:
    """The layout without fields that hold for one number of nodes only; they follow from the rest."""
    return replace(layout, **dict.fromkeys(FOLLOWING))


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
        asked=request.cluster,
    )


def fitting(rows: Sequence[MachineRow]) -> list[tuple[MachineRow, PlanResult]]:
    """The rows whose plan fits, with its result."""
    return [(row, row.answer) for row in rows if isinstance(row.answer, PlanResult) and row.answer.fits]
