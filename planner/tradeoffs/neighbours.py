"""A plan's neighbours: the same run bought elsewhere, laid out otherwise, by other stacks or on better ones.

Makes questions of a question and asks the engine all of them at once. Independent of templates and database.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from planner.catalog.facts.catalog import Catalog, UnknownSlugError
from planner.contract.cluster import priced_cluster
from planner.contract.precision import unit_flops_per_s
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import Cluster, LayoutRequest, PlanRequest, Purchase
from planner.engine.question.result import PlanResult
from planner.engine.question.specs import AcceleratorSpec, ComputePrecision
from planner.engine.question.words import FRAMEWORKS, RECOMPUTES, SHARDINGS
from planner.plans.answers import answer_at, answer_each
from planner.plans.assumptions import PRECISIONS, stack_names
from planner.plans.room import VERDICTS
from planner.plans.variations import NodePoint, free_layout
from planner.web import formats

#: How far each quantity of the tornado is turned either way.
TURN = 0.2
DEGREES = (1, 2, 4, 8, 16, 32)
NODE_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The plan bought in a region in one way. usd, total_s: of the run, None where it has no price.

    commitment, rule, unavailable: in words, "" for none.  mine: the plan's own.
    """

    region: str
    purchase: Purchase
    usd: float | None
    total_s: float | None
    commitment: str
    rule: str
    unavailable: str
    mine: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The plan with a tensor and a pipeline degree, the rest chosen. total_s: None where it does not run."""

    tensor: int
    pipeline: int
    total_s: float | None
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """One quantity turned by TURN. low, high: dollars, or seconds without a price; None: no fit."""

    label: str
    low: float | None
    high: float | None
    verdicts: str

    def reach(self, base: float) -> float:
        """The distance between both ends, the plan's own standing for an end that does not fit."""
        return abs((self.high or base) - (self.low or base))


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The run by a stack in a precision. mine: as the plan is."""

    label: str
    mine: bool
    result: PlanResult


def offers_of(question: PlanRequest, plan: PlanResult, catalog: Catalog) -> list[Offer]:
    """The plan with its layout in every region and way to pay in which its machine has a price."""
    own = plan.cluster
    try:
        spec = catalog.instance(own.instance_type or "").spec
    except UnknownSlugError:
        return []
    as_of = own.price_asked_as_of
    clusters = [
        priced_cluster(
            spec, catalog, region=region, purchase=purchase, nodes=own.nodes, as_of=as_of, asked=own
        )
        for region in catalog.regions(spec.slug)
        for purchase in catalog.purchases(spec.slug, region)
    ]
    if not clusters:
        return []
    answers = answer_at(plan.layout, [replace(question, cluster=cluster) for cluster in clusters])
    return [_offer(cluster, answer, own) for cluster, answer in zip(clusters, answers, strict=True)]


def nodes_of(question: PlanRequest, plan: PlanResult) -> list[NodePoint]:
    """The run on 1 to 1,024 nodes and on the plan's own number, its layout chosen anew for each."""
    own = plan.cluster.nodes or 1
    counts = sorted({*NODE_COUNTS, own})
    asked = [
        replace(
            question,
            cluster=replace(plan.cluster, nodes=nodes),
            layout=free_layout(question.layout),
            deadline_days=None,
        )
        for nodes in counts
    ]
    return [NodePoint(nodes, answer) for nodes, answer in zip(counts, answer_each(asked), strict=True)]


def splits_of(question: PlanRequest, plan: PlanResult) -> list[Split]:
    """Every pair of degrees that the machines and the model allow."""
    cluster = replace(plan.cluster, nodes=plan.cluster.nodes or 1)
    chips, model = plan.accelerators, question.model
    heads = max(model.kv_heads or model.attention_heads, 1)
    tensors = [degree for degree in DEGREES if degree <= min(heads, 16) and degree <= chips]
    pipelines = [degree for degree in DEGREES if degree <= max(model.layers, 1) and degree <= chips]
    pairs = [(one, other) for other in pipelines for one in tensors if one * other <= chips]
    asked = [
        replace(
            question,
            cluster=cluster,
            layout=LayoutRequest(tensor_parallel=one, pipeline_parallel=other),
            deadline_days=None,
        )
        for one, other in pairs
    ]
    return [
        _split(one, other, answer) for (one, other), answer in zip(pairs, answer_each(asked), strict=True)
    ]


def swings_of(question: PlanRequest, plan: PlanResult) -> list[Swing]:
    """Price, arithmetic, memory and bandwidth of the plan's machines, each turned both ways; layouts anew."""
    cluster = replace(plan.cluster, nodes=plan.cluster.nodes or 1)
    turned: list[tuple[str, Cluster, Cluster]] = [
        (label, turn(cluster, 1.0 - TURN), turn(cluster, 1.0 + TURN))
        for label, turn in (
            ("Price", _at_price),
            ("Rate of arithmetic (MFU)", _at_rate),
            ("Memory", _with_memory),
            ("Bandwidth of memory and links", _with_bandwidth),
        )
        if label != "Price" or cluster.usd_per_node_hour is not None
    ]
    free = replace(question, layout=free_layout(question.layout), deadline_days=None)
    asked = [replace(free, cluster=each) for _, *both in turned for each in both]
    answers = iter(answer_each(asked))
    return [_swing(label, next(answers), next(answers)) for label, _, _ in turned]


def variants_of(question: PlanRequest, plan: PlanResult) -> list[Variant]:
    """The run by each stack that people run its task with, in each precision that its chip has a unit for."""
    own = question.workload
    cluster = replace(plan.cluster, nodes=plan.cluster.nodes or 1)
    stacks = dict.fromkeys((own.framework, *stack_names(question)))
    precisions = dict.fromkeys((own.precision, *PRECISIONS))
    asked = {
        (stack, precision): replace(
            question,
            cluster=cluster,
            workload=replace(own, framework=stack, precision=cast(ComputePrecision, precision)),
            deadline_days=None,
        )
        for stack in stacks
        for precision in precisions
        if unit_flops_per_s(cluster.accelerator, cast(ComputePrecision, precision)) > 0
    }
    answers = zip(asked, answer_each(asked.values()), strict=True)
    return [
        Variant(
            label=f"{FRAMEWORKS[stack].label}, {precision}",
            mine=(stack, precision) == (own.framework, own.precision),
            result=answer,
        )
        for (stack, precision), answer in answers
        if isinstance(answer, PlanResult)
    ]


def _offer(cluster: Cluster, answer: PlanResult, own: Cluster) -> Offer:
    cost, sale = answer.cost, cluster.sale
    rule = ""
    if sale.blocks is not None:
        rule = (
            f"whole blocks of up to {sale.blocks.longest_days} days, at most {sale.blocks.nodes_in_all:,} "
            f"machines, booked up to {sale.blocks.days_ahead} days ahead"
        )
    elif sale.interruptions is not None:
        rule = "may be taken back; the time has the interruptions that are expected"
    commitment = ""
    if cost is not None and cost.commitment_usd:
        commitment = f"{formats.dollars(cost.commitment_usd)} over {sale.commitment_years} years"
    return Offer(
        region=cluster.region or "",
        purchase=cluster.purchase or "on_demand",
        usd=None if cost is None else cost.usd,
        total_s=answer.time.total_s,
        commitment=commitment,
        rule=rule,
        unavailable=answer.unavailable,
        mine=(cluster.region, cluster.purchase) == (own.region, own.purchase),
    )


def _split(tensor: int, pipeline: int, answer: PlanResult | PlanErrors) -> Split:
    if isinstance(answer, PlanErrors):
        return Split(tensor=tensor, pipeline=pipeline, total_s=None, told=answer.errors[0].message)
    if not answer.fits:
        told = answer.reason or "does not fit"
        return Split(tensor=tensor, pipeline=pipeline, total_s=None, told=told)
    layout = answer.layout
    told = (
        f"{layout.data_parallel} replicas, {SHARDINGS[layout.sharding].in_sentence()}, micro-batch "
        f"{layout.micro_batch_size}, {RECOMPUTES[layout.activation_recompute].in_sentence()}"
    )
    return Split(tensor=tensor, pipeline=pipeline, total_s=answer.time.total_s, told=told)


def _swing(label: str, low: PlanResult | PlanErrors, high: PlanResult | PlanErrors) -> Swing:
    verdicts = " / ".join(
        VERDICTS[each.verdict] if isinstance(each, PlanResult) else "cannot run" for each in (low, high)
    )
    return Swing(label=label, low=_amount(low), high=_amount(high), verdicts=verdicts)


def _amount(answer: PlanResult | PlanErrors) -> float | None:
    if isinstance(answer, PlanErrors) or not answer.fits:
        return None
    return answer.time.total_s if answer.cost is None else answer.cost.usd


def _at_price(cluster: Cluster, factor: float) -> Cluster:
    return replace(cluster, usd_per_node_hour=(cluster.usd_per_node_hour or 0.0) * factor)


def _at_rate(cluster: Cluster, factor: float) -> Cluster:
    chip = cluster.accelerator
    rates = {
        f"{name}_flops_per_s": getattr(chip, f"{name}_flops_per_s") * factor
        for name in ("bf16", "fp16", "fp8", "tf32", "fp32")
    }
    return _of_chip(cluster, replace(chip, **rates))


def _with_memory(cluster: Cluster, factor: float) -> Cluster:
    chip = cluster.accelerator
    return _of_chip(cluster, replace(chip, memory_bytes=int(chip.memory_bytes * factor)))


def _with_bandwidth(cluster: Cluster, factor: float) -> Cluster:
    chip = cluster.accelerator
    faster = replace(
        chip,
        memory_bandwidth_bytes_per_s=chip.memory_bandwidth_bytes_per_s * factor,
        link_bytes_per_s=chip.link_bytes_per_s * factor,
    )
    return replace(_of_chip(cluster, faster), internode_bytes_per_s=cluster.internode_bytes_per_s * factor)


def _of_chip(cluster: Cluster, chip: AcceleratorSpec) -> Cluster:
    return replace(cluster, accelerator=chip)
