"""A lower bound of a step on a kind of machine, whatever the layout: what the whole step computes, on all
ranks.

No layout computes less than the model's matmuls, attention and memory passes, and none does so on more ranks
than there are, at more than the achievable rate. So the seconds of all ranks together, divided by their
number, are at most the step's; what a layout adds (short sides, recompute, bubbles, communication, the
optimizer) is left out. A search skips machines whose bound is beaten by a plan that it has found.

A layout's own bound is nearer: what its blocks compute and wait for is the same for all layouts that split
a block alike, so it is timed once for each way to split one and shared out over stages and micro-batches.
What is left out (hand-overs, gradients, the optimizer) only adds to it. Likewise what a rank holds between
steps is a bound of its memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from planner.engine.grid.alike import Whole, alike, spread
from planner.engine.grid.build import grid_over_layouts
from planner.engine.grid.plan_grid import FRAMEWORKS, Array, PlanGrid
from planner.engine.grid.questions import grid_over_questions
from planner.engine.grid.scalars import where
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.held import HELD_BY, HELD_IF_SEVERAL, held_per_rank
from planner.engine.question.request import PlanRequest
from planner.engine.time import attention_rates, flops, kernels
from planner.engine.time.attention import AttentionTime, attention_core_s, fused_rate
from planner.engine.time.block import all_blocks
from planner.engine.time.compute import blocks_compute
from planner.engine.time.constants import TimingConstants
from planner.engine.time.experts import load_of_the_fullest
from planner.engine.time.step import (
    SPLITTING,
    communication_of_blocks,
    computed_rows,
    fullest_stage,
    nodes_in_use,
    ways_apart,
)

#: Sums in another order round otherwise; a bound is lowered by more than that.
ROUNDING = 1e-9
#: What of a layout says how many machines it takes.
PLACING = ("tensor_parallel", "pipeline_parallel", "context_parallel", "data_parallel", "nodes")
#: The layout that splits nothing, so that every term is that of one rank doing all the work of one sequence.
UNDIVIDED = {
    "tensor_parallel": 1.0,
    "sequence_parallel": 0.0,
    "pipeline_parallel": 1.0,
    "interleaved_stages": 1.0,
    "context_parallel": 1.0,
    "expert_parallel": 1.0,
    "data_parallel": 1.0,
    "sharding": 0.0,
    "sharding_group": 1.0,
    "micro_batch_size": 1.0,
    "gradient_accumulation": 1.0,
    "recompute": 0.0,
}


def batch_bounds_s(asked: Sequence[PlanRequest], constants: TimingConstants) -> Array:
    """Rank-seconds that one batch takes at least on each question's machines, shape (questions,); 0 for a
    round of reinforcement learning, which has no bound.

    Source: ``sequence_bound_s``, in one grid for all.
    """
    bounds = np.zeros(len(asked))
    bounded = [place for place, request in enumerate(asked) if request.workload.ppo is None]
    if bounded:
        undivided: dict[str, Any] = {name: np.full(len(bounded), value) for name, value in UNDIVIDED.items()}
        questions = [asked[place] for place in bounded]
        grid = computed_rows(grid_over_questions(questions, [1] * len(bounded), undivided))
        # grid counts the batch in sequences; micro_batch_size is one sample of so many sequences.
        samples = grid.global_batch_size / grid.micro_batch_size
        bounds[bounded] = samples * sequence_bound_s(grid, constants) * (1.0 - ROUNDING)
    return bounds


def step_bound_s(
    asked: PlanRequest, batch_s: float, nodes: Array, ranks: Array, constants: TimingConstants
) -> Array:
    """Seconds that a step takes at least on each number of nodes, shape (sizes,); 0 where nothing is known.

    batch_s: rank-seconds of the whole batch (``batch_bounds_s``).  nodes, ranks: counts of machines, and of
    ranks that may compute, shape (sizes,).  Each rank's blocks take ``batch / data`` sequences, each split
    evenly or worse over the tensor, context and pipeline ranks, so the ranks' mean is the batch's seconds
    over the ranks, and the slowest rank takes no less than the mean. Jitter multiplies it as in
    ``step_time``. A round of reinforcement learning has no bound.
    """
    if asked.workload.ppo is not None:
        return np.zeros_like(nodes)
    jitter = 1.0 + constants.jitter * np.log2(np.maximum(nodes, 1.0))
    slack_s = float(constants.step_slack_s[FRAMEWORKS.index(asked.workload.framework)])
    bound: Array = batch_s / ranks * jitter + slack_s
    return bound


def layout_bounds_s(asked: PlanRequest, layouts: Mapping[str, Array], constants: TimingConstants) -> Array:
    """Seconds that a step takes at least with each layout, shape (plans,).

    layouts: layout fields and ``nodes`` by PlanGrid field name, shape (plans,). Blocks compute, and wait for
    the ranks that split them, alike wherever tensor, context and expert degrees, micro-batch and recompute
    are alike. Not for reinforcement learning, whose rounds have no such parts.
    Source: ``step_time`` without hand-overs, gradients, optimizer and transfers, each of which adds to it.
    """
    first, kind = split_alike(layouts)
    one = {name: values[first] for name, values in layouts.items()}
    some = computed_rows(grid_over_layouts(asked, one))
    compute = blocks_compute(some, constants)
    communication = communication_of_blocks(some, constants, compute)
    parts = ("forward", "backward", "recompute", "head")
    whole = replace(compute, terms={}, **{name: spread(getattr(compute, name), kind) for name in parts})
    tensor, context, expert = (spread(values, kind) for values in communication)
    chunks, stages = layouts["interleaved_stages"], layouts["pipeline_parallel"]
    grid = replace(some, pipeline_parallel=stages, interleaved_stages=chunks)
    stage = fullest_stage(grid, whole, (tensor, context, expert))
    slack = constants.micro_batch_slack_s * chunks
    forward = (1.0 + grid.reference_forwards) * (stage.forward + stage.head_forward)
    waits = stage.tensor + stage.context + stage.expert
    micro_batch = forward + stage.backward + stage.head_backward + stage.recompute + waits
    micro_batches = layouts["gradient_accumulation"]
    busy = micro_batches * micro_batch + (stages - 1.0) / chunks * (stage.blocks + slack)
    placed = replace(grid, **{name: layouts[name] for name in PLACING})
    jitter = 1.0 + constants.jitter * np.log2(np.maximum(nodes_in_use(placed), 1.0))
    beside = constants.step_slack_s[int(grid.framework)] + micro_batches * slack
    bounds: Array = (busy * jitter + beside) * (1.0 - ROUNDING)
    return bounds


def filled_at_least(asked: PlanRequest, layouts: Mapping[str, Array], constants: MemoryConstants) -> Array:
    """The share of a rank's memory that each layout fills at least, shape (plans,); above 1 none fits.

    layouts: layout fields and ``nodes`` by PlanGrid field name, shape (plans,).  Source: ``held_per_rank``.
    """
    several = [layouts[name] > 1 for name in HELD_IF_SEVERAL]
    first, kind = alike([*(layouts[name] for name in HELD_BY), *several])
    some = grid_over_layouts(asked, {name: values[first] for name, values in layouts.items()})
    least = np.broadcast_to(held_per_rank(some, constants) / some.memory_bytes, first.shape)
    shares: Array = least[kind] * (1.0 - ROUNDING)
    return shares


def split_alike(layouts: Mapping[str, Array]) -> tuple[Whole, Whole]:
    """(position of the first layout of each way to split a block, the way of each layout, shape (plans,))."""
    return alike([*(layouts[name] for name in SPLITTING), ways_apart(layouts)])


def sequence_bound_s(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Rank-seconds of one sample, forward and backward, without anything that a layout adds.

    grid: of an undivided layout, with rows as long as they are computed. Matmuls run at their achievable
    rate; attention, scans and memory passes are those of an undivided sequence, which every split divides by
    its ranks at best.
    Source: ``blocks_compute``, ``head_s`` and ``step_time``, each term of which is at least its share of
    this.
    """
    tokens = grid.tokens_per_rank
    targets = where(grid.decoder_blocks > 0, grid.micro_batch_size * grid.decoder_sequence_length, tokens)
    main = attention_bound_s(grid, constants, grid.sequence_length)
    own = attention_bound_s(grid, constants, np.maximum(grid.decoder_sequence_length, 1.0))
    blocks = grid.dense_blocks + grid.moe_blocks
    linear = linear_bound_s(grid, constants, tokens, targets)
    passes = kernels.elementwise_s(grid, constants, moved_bytes(grid, tokens, targets))
    adapters = all_blocks(grid) * kernels.adapter_s(grid, constants, tokens, all_blocks(grid))
    # An encoder-decoder's adapters see two lengths; nothing is counted for them.
    adapters = where(grid.decoder_blocks > 0, 0.0, adapters)
    head = min(constants.misaligned, 1.0) * targets * grid.head_share * 2.0 * grid.head_matmul
    head = head / kernels.head_rate(grid, constants)
    forward = linear + blocks * main.forward + grid.decoder_blocks * own.forward + passes + adapters + head
    backward = (
        (flops.BACKWARD_MATMULS - grid.frozen) * linear
        + blocks * main.backward
        + grid.decoder_blocks * own.backward
        + flops.ELEMENTWISE_BACKWARD * passes
        + 2.0 * adapters
        + (2.0 - grid.frozen) * head
    )
    return np.asarray(forward + backward)


def linear_bound_s(grid: PlanGrid, constants: TimingConstants, tokens: Array, targets: Array) -> Array:
    """Seconds of all blocks' matmuls for one sample, forward, at the achievable rate.

    tokens, targets: of the sample in the main stack and in a decoder, counts.  Source: each matmul's FLOPs;
    short sides, waves and operands only add to them (``kernels.matmul_s``).
    """
    dense = grid.attention_matmul + grid.ffn_matmul
    # The fullest expert rank has at least the load of one that holds all experts.
    load = load_of_the_fullest(grid, constants) * min(constants.expert_imbalance, 1.0)
    grouped = where(grid.grouped_matmul > 0, 1.0 / constants.grouped_efficiency, 1.0)
    routed = load * grouped * grid.experts_per_token * grid.expert_matmul
    experts = grid.attention_matmul + routed + grid.shared_expert_matmul + grid.router_matmul
    weights_met = tokens * (grid.dense_blocks * dense + grid.moe_blocks * experts)
    weights_met = weights_met + targets * grid.decoder_blocks * dense
    return min(constants.misaligned, 1.0) * 2.0 * weights_met / kernels.matmul_rate(grid, constants)


def attention_bound_s(grid: PlanGrid, constants: TimingConstants, sequence: Array) -> AttentionTime:
    """Seconds of the mean block's attention core and scan for one sample of ``sequence`` tokens.

    Longer queries run at a higher rate, so no context-parallel part is faster than its share of the whole;
    the scan's tokens grow with the micro-batch, so its rate is that of endless ones.
    Source: ``self_attention_s``.
    """
    core = attention_core_s(
        grid,
        constants,
        sequences=grid.micro_batch_size,
        queries=sequence,
        keys=sequence * grid.scoring_share,
        keys_met=flops.attended_tokens(grid, sequence) * grid.scoring_share,
    )
    rate = fused_rate(grid, constants, attention_rates.FORWARD, np.asarray(np.inf))
    scan = grid.micro_batch_size * sequence * grid.state_flops / rate
    return AttentionTime(forward=core.forward + scan, backward=core.backward + flops.FLASH_BACKWARD * scan)


def moved_bytes(grid: PlanGrid, tokens: Array, targets: Array) -> Array:
    """Bytes that the kernels between the matmuls of all blocks move for one sample, forward.

    tokens, targets: of the sample in the main stack and in a decoder, counts.  Source: ``elementwise_bytes``
    of each kind of block, and the copies of tokens that go to experts and back.
    """
    copies = np.maximum(grid.experts_per_token, 1.0)
    inner = grid.expert_ffn_size * copies + grid.shared_expert_ffn_size
    dense = kernels.elementwise_bytes(grid, tokens, grid.ffn_size)
    routed = kernels.elementwise_bytes(grid, tokens, inner) + (
        4.0 * copies * tokens * grid.hidden_size * grid.element_bytes
    )
    decoder = kernels.elementwise_bytes(grid, targets, grid.ffn_size)
    return grid.dense_blocks * dense + grid.moe_blocks * routed + grid.decoder_blocks * decoder
