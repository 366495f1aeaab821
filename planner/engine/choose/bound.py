"""A lower bound of a step on a kind of machine, whatever the layout: what the whole step computes, on all
ranks.

No layout computes less than the model's matmuls, attention and memory passes, and none does so on more ranks
than there are, at more than the achievable rate. So the seconds of all ranks together, divided by their
number, are at most the step's; what a layout adds (short sides, recompute, bubbles, communication, the
optimizer) is left out. A search skips machines whose bound is beaten by a plan that it has found.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from planner.engine.grid.build import grid_over_layouts
from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.scalars import where
from planner.engine.question.request import PlanRequest
from planner.engine.time import flops, kernels
from planner.engine.time.attention import AttentionTime
from planner.engine.time.block import all_blocks, self_attention_s
from planner.engine.time.constants import TimingConstants

#: Sums in another order round otherwise; a bound is lowered by more than that.
ROUNDING = 1e-9
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


def step_bound_s(asked: PlanRequest, nodes: Array, ranks: Array, constants: TimingConstants) -> Array:
    """Seconds that a step takes at least on each number of nodes, shape (sizes,); 0 where nothing is known.

    nodes, ranks: counts of machines, and of ranks that may compute, shape (sizes,).  Each rank's blocks take
    ``batch / data`` sequences, each split evenly or worse over the tensor, context and pipeline ranks, so the
    ranks' mean is the sequence's seconds x batch / ranks, and the slowest rank takes no less than the mean.
    Jitter multiplies it as in ``step_time``. A round of reinforcement learning has no bound.
    """
    if asked.workload.ppo is not None:
        return np.zeros_like(nodes)
    undivided: dict[str, Any] = {name: np.float64(value) for name, value in UNDIVIDED.items()}
    grid = grid_over_layouts(asked, undivided)
    each_s = sequence_bound_s(grid, constants) * (1.0 - ROUNDING)
    # grid counts the batch in sequences; micro_batch_size is one sample of so many sequences.
    samples = grid.global_batch_size / grid.micro_batch_size
    jitter = 1.0 + constants.jitter * np.log2(np.maximum(nodes, 1.0))
    bound: Array = samples * each_s / ranks * jitter + constants.step_slack_s
    return bound


def sequence_bound_s(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Rank-seconds of one sample, forward and backward, without anything that a layout adds.

    grid: of an undivided layout. Matmuls run at their achievable rate; attention, scans and memory passes are
    those of an undivided sequence, which every split divides by its ranks at best.
    Source: ``blocks_compute``, ``head_s`` and ``step_time``, each term of which is at least its share of
    this.
    """
    tokens = grid.tokens_per_rank
    targets = where(grid.decoder_blocks > 0, grid.micro_batch_size * grid.decoder_sequence_length, tokens)
    compiled = where(grid.compiled > 0, constants.compiled_gain, 1.0)
    factor = constants.framework_factor[kernels.kernel_stack(grid)] / compiled
    rate, head_rate = kernels.matmul_rate(grid, constants), kernels.head_rate(grid, constants)
    aligned = min(constants.misaligned, 1.0)
    fullest = min(constants.expert_imbalance, 1.0)
    dense = grid.attention_matmul + grid.ffn_matmul
    routed = fullest * grid.experts_per_token * grid.expert_matmul
    experts = grid.attention_matmul + routed + grid.shared_expert_matmul + grid.router_matmul
    linear = (
        aligned
        * 2.0
        * (
            tokens * (grid.dense_blocks * dense + grid.moe_blocks * experts)
            + targets * grid.decoder_blocks * dense
        )
        / rate
    )
    main = self_attention_s(grid, constants, grid.sequence_length)
    own = self_attention_s(grid, constants, np.maximum(grid.decoder_sequence_length, 1.0))
    blocks = grid.dense_blocks + grid.moe_blocks
    attention = AttentionTime(
        forward=blocks * main.forward + grid.decoder_blocks * own.forward,
        backward=blocks * main.backward + grid.decoder_blocks * own.backward,
    )
    passes = kernels.elementwise_s(grid, constants, moved_bytes(grid, tokens, targets))
    adapters = all_blocks(grid) * kernels.adapter_s(grid, constants, tokens, all_blocks(grid))
    # An encoder-decoder's adapters see two lengths, and its shorter one stands for both.
    adapters = where(grid.decoder_blocks > 0, 0.0, adapters)
    head = head_bound_s(grid, constants, targets, aligned / head_rate)
    matmuls = flops.BACKWARD_MATMULS - grid.frozen
    forward = linear + attention.forward + passes + adapters + head
    backward = (
        matmuls * linear
        + attention.backward
        + flops.ELEMENTWISE_BACKWARD * passes
        + 2.0 * adapters
        + (2.0 - grid.frozen) * head
    )
    return factor * (forward + backward)


def moved_bytes(grid: PlanGrid, tokens: Array, targets: Array) -> Array:
    """Bytes that the kernels between the matmuls of all blocks move for one sample, forward.

    tokens, targets: of the sample in the main stack and in a decoder, counts.  Source: ``elementwise_bytes``
    of each kind of block, and the copies of tokens that go to experts and back.
    """
    copies = np.maximum(grid.experts_per_token, 1.0)
    inner = grid.expert_ffn_size * copies + grid.shared_expert_ffn_size
    dense = kernels.elementwise_bytes(grid, tokens, grid.ffn_size)
    # Copies are moved whole on each tensor-parallel rank, so any split of them moves at least as much.
    routed = kernels.elementwise_bytes(grid, tokens, inner) + (
        4.0 * copies * tokens * grid.hidden_size * grid.element_bytes
    )
    decoder = kernels.elementwise_bytes(grid, targets, grid.ffn_size)
    return grid.dense_blocks * dense + grid.moe_blocks * routed + grid.decoder_blocks * decoder


def head_bound_s(grid: PlanGrid, constants: TimingConstants, targets: Array, per_flop: Array) -> Array:
    """Seconds of the output head and its loss for one sample, forward: ``head_s`` at the full rate.

    targets: tokens that it sees, a count.  per_flop: seconds of one FLOP at the achievable rate.
    """
    rows, columns = targets * grid.head_share, grid.head_matmul / grid.hidden_size
    written = where(grid.loss_whole + grid.loss_chunked > 0, grid.element_bytes + 12.0, grid.element_bytes)
    share = where(grid.finetuning > 0, 1.0, constants.loss_traffic)
    loss = share * rows * columns * written / kernels.achievable_bandwidth(grid, constants)
    return 2.0 * rows * grid.hidden_size * columns * per_flop + loss
