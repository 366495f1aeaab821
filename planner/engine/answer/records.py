"""The records of an answer, from those of the plan: memory, time and cost with their ranges.

Every number here is a field of a record or the result of a named function; nothing is looked up by a word.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

from planner.engine.choose.plan import Choice
from planner.engine.evaluate import Evaluation
from planner.engine.grid.plan_grid import PlanGrid
from planner.engine.grid.scalars import on_scalars
from planner.engine.grid.stack import real_tokens
from planner.engine.layout.refusals import total_ranks
from planner.engine.memory.peak import MemoryTerms
from planner.engine.question.request import Cluster, PlanRequest
from planner.engine.question.result import (
    Cost,
    GenerationPool,
    InterruptedTime,
    Memory,
    MemoryParts,
    Parameters,
    StepBreakdown,
    Time,
)
from planner.engine.question.sale import Sale
from planner.engine.rl.rollout import range_scale, rollout_of
from planner.engine.run import money, throughput
from planner.engine.run.interruptions import (
    checkpoint_interval_s,
    lasting_ends_s,
    lasting_s,
    rate_per_s,
)
from planner.engine.run.length import SECONDS_PER_DAY, total_steps
from planner.engine.sure.calibration import Calibration
from planner.engine.sure.intervals import bounds, chance_within, run_class, spread, time_scale, what_is_far
from planner.engine.time import flops
from planner.engine.time.step import StepTime, computed_rows

Record = TypeVar("Record", MemoryTerms, StepTime)

MEMORY_PARTS = tuple(item.name for item in fields(MemoryParts))
STEP_PARTS = tuple(item.name for item in fields(StepTime) if item.name not in ("step", "terms"))
FIELDS_OF = {kind: tuple(item.name for item in fields(kind)) for kind in (MemoryTerms, StepTime)}


@dataclass(frozen=True, slots=True)
class Work:
    """FLOPs of one step over all ranks, and the number of ranks whose peak they are held against.

    real_tokens: of a mean sequence that are trained on.  processed_tokens: that are computed, with padding.
    """

    model_flops: float
    recomputed_flops: float
    ranks: float
    real_tokens: float
    processed_tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that is said of one plan in numbers. far: what of it lies outside all that was measured."""

    plan: Evaluation
    far: tuple[str, ...]
    work: Work
    parameters: Parameters
    memory: Memory
    time: Time
    cost: Cost | None
    sale: Sale
    generation: GenerationPool | None


def figures_of(choice: Choice, plan: Evaluation, calibration: Calibration) -> Figures:
    """The figures of the plan, which is a grid of one in plain numbers."""
    request = choice.request
    far = what_is_far(plan.grid, calibration.intervals)
    work = work_of(choice, plan)
    time = time_of(plan, request, work=work, far=far, calibration=calibration)
    return Figures(
        plan=plan,
        far=far,
        work=work,
        parameters=parameters_of(plan.grid),
        memory=memory_of(plan, request, far=far, calibration=calibration),
        time=time,
        cost=cost_of(plan, request, time, idle_share=idle_share(choice)),
        sale=request.cluster.sale,
        generation=generation_of(plan, request, calibration),
    )


def plain(values: Any) -> float:
    """The one number of a scalar or an array of one."""
    return float(values.item() if isinstance(values, np.ndarray) else values)


def in_plain_numbers(record: Record) -> Record:
    """A record of one plan with each number a plain float, its terms too."""
    kind = type(record)
    numbers: dict[str, Any] = {
        name: plain(getattr(record, name)) for name in FIELDS_OF[kind] if name != "terms"
    }
    return kind(**numbers, terms={name: plain(value) for name, value in record.terms.items()})  # type: ignore[misc]


def one_plan(result: Evaluation) -> Evaluation:
    """The evaluation of a grid of one: its records in plain numbers, its grid in scalars."""
    memory, step = in_plain_numbers(result.memory), in_plain_numbers(result.step)
    return Evaluation(on_scalars(result.grid), memory, step)


def billed_nodes(cluster: Cluster) -> int:
    """Nodes that are paid for: all of the cluster, one where their number is open."""
    return cluster.nodes or 1


def work_of(choice: Choice, plan: Evaluation) -> Work:
    """GPU instances beside the plan's own are other jobs'; idle machines of the plan's are billed to it."""
    grid, cluster = plan.grid, choice.request.cluster
    available = billed_nodes(cluster) * float(grid.ranks_per_node)
    computed = computed_rows(grid)
    model_flops: Any = plan.step.terms.get("ppo_model_flops")
    if model_flops is None:
        model_flops = grid.global_batch_size * flops.model_flops_per_sequence(computed)
    return Work(
        model_flops=float(model_flops),
        recomputed_flops=float(grid.global_batch_size * flops.recomputed_flops_per_sequence(computed)),
        ranks=available if cluster.mig_profile is None else available - choice.idle_ranks,
        real_tokens=real_tokens_of(choice.request),
        processed_tokens=float(computed.sequence_length),
    )


def idle_share(choice: Choice) -> float:
    """Share of the billed ranks that have no work; GPU instances beside the plan's own are other jobs'."""
    cluster = choice.request.cluster
    if cluster.mig_profile is not None or not choice.idle_ranks:
        return 0.0
    return choice.idle_ranks / total_ranks(cluster, billed_nodes(cluster))


def parameters_of(grid: PlanGrid) -> Parameters:
    """Parameters of the grid of one: in total, met by a token, trained."""
    return Parameters(
        total=int(grid.total_parameters),
        active=int(grid.active_parameters),
        trainable=int(grid.trainable_parameters),
    )


def memory_of(
    plan: Evaluation, request: PlanRequest, *, far: tuple[str, ...], calibration: Calibration
) -> Memory:
    """far: in words, what of the plan lies outside everything that was measured."""
    memory: Any = plan.memory
    intervals = calibration.intervals
    return Memory(
        per_accelerator_bytes=MemoryParts(**{name: getattr(memory, name) for name in MEMORY_PARTS}),
        resident_bytes=memory.resident,
        allocated_bytes=memory.allocated,
        reserved_bytes=memory.reserved,
        usable_bytes=float(plan.grid.memory_bytes),
        interval_bytes=bounds(memory.total, "memory", intervals, far),
        allocated_interval_bytes=bounds(memory.allocated, "memory", intervals, far, "allocated"),
        reserved_interval_bytes=bounds(memory.reserved, "memory", intervals, far, "reserved"),
        needed_bytes=float(memory.needed),
        worst_stage=int(memory.worst_stage),
        host_bytes=float(memory.host),
        host_usable_bytes=request.cluster.host_bytes,
        fit_probability=chance_within(
            memory.needed, float(plan.grid.memory_bytes), spread("memory", intervals, far, "allocated")
        ),
    )


def time_of(
    plan: Evaluation, request: PlanRequest, *, work: Work, far: tuple[str, ...], calibration: Calibration
) -> Time:
    """far: as in ``memory_of``. The ranges are those of the class of plans where it has enough runs."""
    grid, step_s = plan.grid, float(plan.step.step)
    intervals = calibration.intervals
    key = "ppo" if request.workload.ppo else run_class(grid)
    scale = range_scale(request.workload) if request.workload.ppo else time_scale(grid, intervals)
    low, high = bounds(step_s, "time", intervals, far, key, scale)
    steps = total_steps(request)
    batch = float(grid.global_batch_size)
    tokens_per_s = throughput.tokens_per_s(batch * work.real_tokens, step_s)
    peak = {"ranks": work.ranks, "peak_flops_per_s": float(grid.peak_flops_per_s)}
    utilization = throughput.model_flops_utilization(work.model_flops, step_s, **peak)
    interruptions, nodes = request.cluster.sale.interruptions, billed_nodes(request.cluster)
    total_s = float(lasting_s(steps * step_s, nodes, interruptions))
    return Time(
        step_s=step_s,
        step_breakdown_s=breakdown_of(plan.step),
        step_interval_s=(low, high),
        tokens_per_s=tokens_per_s,
        processed_tokens_per_s=throughput.tokens_per_s(batch * work.processed_tokens, step_s),
        tokens_per_s_per_accelerator=throughput.tokens_per_s_per_accelerator(
            tokens_per_s, work.ranks, float(grid.ranks_per_accelerator)
        ),
        model_flops_utilization=utilization,
        hardware_flops_utilization=throughput.hardware_flops_utilization(
            work.model_flops, work.recomputed_flops, step_s, **peak
        ),
        model_flops_utilization_interval=(utilization * step_s / high, utilization * step_s / low),
        steps=steps,
        total_s=total_s,
        total_interval_s=lasting_ends_s((steps * low, steps * high), nodes, interruptions),
        samples_per_s=throughput.samples_per_s(float(request.workload.global_batch_size), step_s),
        interruptions=interrupted(request, computing_s=steps * step_s, total_s=total_s),
    )


def interrupted(request: PlanRequest, *, computing_s: float, total_s: float) -> InterruptedTime | None:
    """What the run loses to interruptions; None where its machines are not taken back.

    computing_s: seconds of the steps alone.  total_s: of the run.
    """
    interruptions = request.cluster.sale.interruptions
    if interruptions is None or (interruptions.per_node_day <= 0.0 and interruptions.kept_share >= 1.0):
        return None
    rate = float(rate_per_s(billed_nodes(request.cluster), interruptions))
    interval = float(checkpoint_interval_s(rate, interruptions)) if rate > 0.0 else computing_s
    return InterruptedTime(
        expected=rate * total_s,
        computing_s=computing_s,
        lost_s=total_s - computing_s,
        checkpoint_interval_s=min(computing_s, interval),
    )


def tokens_per_step(grid: PlanGrid, request: PlanRequest) -> float:
    """Tokens of one optimizer step over all replicas that are trained on, without padding."""
    return float(grid.global_batch_size) * real_tokens_of(request)


def real_tokens_of(request: PlanRequest) -> float:
    """Tokens of a mean sequence that are trained on."""
    workload = request.workload
    return real_tokens(workload.sequences, float(workload.sequence_length))


def breakdown_of(step: StepTime) -> StepBreakdown:
    """Seconds of one step by part, exposed communication only; generation and scoring where there are any."""
    terms: dict[str, Any] = step.terms
    return StepBreakdown(
        **{name: getattr(step, name) for name in STEP_PARTS},
        generation=terms.get("generation"),
        scoring=terms.get("scoring"),
        weight_synchronization=terms.get("weight_synchronization"),
        waiting=terms.get("waiting"),
    )


def generation_of(plan: Evaluation, request: PlanRequest, calibration: Calibration) -> GenerationPool | None:
    """The pool that generates; None except in reinforcement learning."""
    if request.workload.ppo is None:
        return None
    terms: dict[str, Any] = plan.step.terms
    return GenerationPool(
        engine=rollout_of(request.workload, calibration.rollout.response_variation).engine,
        accelerators=int(terms["generation_ranks"] / plan.grid.ranks_per_accelerator),
        tensor_parallel=int(terms["generation_tensor"]),
        pipeline_parallel=int(terms["generation_stages"]),
        replicas=int(terms["generation_replicas"]),
        concurrent_sequences=int(terms["generation_sequences"]),
        decode_step_s=terms["decode_step_s"],
        round_s=terms["generation_whole"],
        idle_s=terms["generation_idle"],
    )


def cost_of(plan: Evaluation, request: PlanRequest, time: Time, *, idle_share: float = 0.0) -> Cost | None:
    """The bill; None where no price is known. idle_share: of the machines that have no work, from 0 to 1."""
    cluster, sale = request.cluster, request.cluster.sale
    price = cluster.usd_per_node_hour
    if price is None:
        return None
    nodes = billed_nodes(cluster)
    each_s = float(money.billed_s(time.total_s, sale))
    usd, *ends = (
        float(money.run_usd(nodes, money.billed_s(seconds, sale), price))
        for seconds in (time.total_s, *time.total_interval_s)
    )
    used_usd = float(money.run_usd(nodes, time.total_s, price)) * (1.0 - idle_share)
    low, high = money.price_ends(sale.spread, age_days=price_age_days(request), run_s=time.total_s)
    years = float(sale.commitment_years * money.commitment_terms(time.total_s, sale))
    owed = money.commitment_usd(nodes, price, years=years) if years else None
    billed_usd = usd if owed is None else owed
    blocks = sale.blocks
    return Cost(
        usd=usd,
        usd_interval=money.usd_ends(usd, (ends[0], ends[1]), (low, high)),
        price_usd_per_node_hour=price,
        price_as_of=cluster.price_as_of,
        price_source=cluster.price_source,
        purchase=cluster.purchase,
        usd_per_million_tokens=money.usd_per_million_tokens(
            usd, time.steps * tokens_per_step(plan.grid, request)
        ),
        billed_usd=billed_usd,
        billed_hours=each_s / money.SECONDS_PER_HOUR,
        idle_usd=max(0.0, usd - used_usd),
        commitment_usd=owed,
        commitment_years=years or None,
        upfront_usd=billed_usd * money.UPFRONT_SHARES.get(sale.payment_option or "", 0.0),
        payment_option=sale.payment_option,
        blocks=None if blocks is None else math.ceil(nodes / blocks.nodes_a_block),
        block_days=None if blocks is None else each_s / SECONDS_PER_DAY,
        price_interval_usd_per_node_hour=(price * math.exp(low), price * math.exp(high)),
        list_usd_per_node_hour=sale.list_usd_per_node_hour,
        discount_percent=sale.discount_percent,
        own_price=sale.own_price,
        price_note=sale.price_note,
    )


def price_age_days(request: PlanRequest) -> float:
    """Days between the day on which the price was seen and the one that it is used for; 0 where unknown."""
    seen, used_for = request.cluster.price_as_of, request.cluster.price_asked_as_of or request.today
    return 0.0 if seen is None or used_for is None else max(0.0, float((used_for - seen).days))
