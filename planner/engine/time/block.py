"""Seconds of one block for one micro-batch on one rank, by kind of kernel: dense and decoder blocks."""

from __future__ import annotations

from dataclasses import dataclass

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.scalars import NONE, anywhere, larger
from planner.engine.time import attention_rates, flops, kernels
from planner.engine.time.attention import AttentionTime, attention_core_s, fused_rate
from planner.engine.time.constants import TimingConstants


@dataclass(frozen=True, slots=True)
class BlockTime:
    """Seconds of one block and micro-batch on one rank, shape (plans,): forward, attention backward as well.

    adapters, dequantisation: of frozen, quantised bases; 0 elsewhere.
    """

    linear: Array
    attention: AttentionTime
    elementwise: Array
    casts: Array
    adapters: Array
    dequantisation: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Mlp:
    """One MLP as matmuls, shape (plans,).

    weights: count over all its matrices.  width: its inner width, elements.  rows: tokens that go through it.
    split: ranks that share its matrices.
    """

    weights: Array
    width: Array
    rows: Array
    split: Array


def mlp_s(grid: PlanGrid, constants: TimingConstants, mlp: Mlp) -> Array:
    """Forward seconds of the up projection (with its gate) and the down projection, shape (plans,).

    mlp: weights, width and rows.  Source: our own count of its matmuls, each timed by ``kernels.matmul_s``.
    """
    rate, hidden, split = kernels.matmul_rate(grid, constants), grid.hidden_size, mlp.split
    down = mlp.width / split
    up = larger(mlp.weights / hidden / split - down, 0.0)
    return kernels.matmul_s(
        grid, constants, rate=rate, rows=mlp.rows, inner=hidden, columns=up
    ) + kernels.matmul_s(grid, constants, rate=rate, rows=mlp.rows, inner=down, columns=hidden)


def projections_s(grid: PlanGrid, constants: TimingConstants, tokens: Array) -> Array:
    """Forward seconds of attention's projections, shape (plans,).

    Timed as two matmuls that have the true weight count: into the heads and out of them.  tokens: rows of
    both, per micro-batch and rank.  Source: our own count, each matmul timed by ``kernels.matmul_s``.
    """
    rate, hidden, split = kernels.matmul_rate(grid, constants), grid.hidden_size, grid.tensor_parallel
    out = grid.attention_heads * grid.value_head_dim / split
    into = larger(grid.attention_matmul / hidden / split - out, 0.0)
    return kernels.matmul_s(
        grid, constants, rate=rate, rows=tokens, inner=hidden, columns=into
    ) + kernels.matmul_s(grid, constants, rate=rate, rows=tokens, inner=out, columns=hidden)


def self_attention_s(grid: PlanGrid, constants: TimingConstants, sequence: Array) -> AttentionTime:
    """Seconds of the mean block's self-attention core and scan on one rank, shape (plans,).

    sequence: tokens of one sequence, before context parallelism splits it.
    """
    core = attention_core_s(
        grid,
        constants,
        sequences=grid.micro_batch_size,
        queries=sequence / grid.context_parallel,
        keys=sequence * grid.scoring_share,
        keys_met=flops.attended_tokens(grid, sequence) * grid.scoring_share,
    )
    scan = scan_s(grid, constants, grid.micro_batch_size * sequence / grid.context_parallel)
    return AttentionTime(forward=core.forward + scan, backward=core.backward + flops.FLASH_BACKWARD * scan)


def scan_s(grid: PlanGrid, constants: TimingConstants, tokens: Array) -> Array:
    """Seconds of the mean block's state-space scan, linear attention or convolution, forward.

    No such kernel was measured: its FLOPs run at attention's share of peak (both are chunked batched matmuls,
    Dao and Gu 2024, section 6), its inputs and outputs are read and written once, whichever is slower. The
    backward recomputes the states, as flash attention does its scores.

    tokens: per micro-batch and rank.  Source: Dao and Gu 2024 for the form; the rate is our own choice.
    """
    if not anywhere(grid.state_flops + grid.state_elements > 0):
        return NONE
    rate = fused_rate(grid, constants, attention_rates.FORWARD, tokens)
    arithmetic = tokens * grid.state_flops / rate
    traffic = (
        tokens * grid.state_elements * grid.element_bytes / kernels.achievable_bandwidth(grid, constants)
    )
    return kernels.root_of_squares(arithmetic, traffic) / grid.tensor_parallel


def dense_block(grid: PlanGrid, constants: TimingConstants, tokens: Array, sequence: Array) -> BlockTime:
    """Seconds of a block with a dense MLP, forward, by kind of kernel.

    tokens: per micro-batch and rank.  sequence: tokens of one sequence.
    """
    mlp = Mlp(weights=grid.ffn_matmul, width=grid.ffn_size, rows=tokens, split=grid.tensor_parallel)
    out = grid.attention_heads * grid.value_head_dim / grid.tensor_parallel
    inner = grid.ffn_size / grid.tensor_parallel
    return BlockTime(
        linear=projections_s(grid, constants, tokens) + mlp_s(grid, constants, mlp),
        attention=self_attention_s(grid, constants, sequence),
        elementwise=kernels.elementwise_s(
            grid, constants, kernels.elementwise_bytes(grid, tokens, grid.ffn_size)
        ),
        casts=kernels.fp8_cast_s(grid, constants, tokens * (2.0 * grid.hidden_size + out + inner))
        + kernels.autocast_cast_s(grid, constants, grid.attention_matmul + grid.ffn_matmul),
        adapters=kernels.adapter_s(grid, constants, tokens, all_blocks(grid)),
        dequantisation=kernels.dequantisation_s(grid, constants, grid.attention_matmul + grid.ffn_matmul),
    )


def decoder_block(grid: PlanGrid, constants: TimingConstants, tokens: Array, targets: Array) -> BlockTime:
    """Seconds of a block of an encoder-decoder's decoder: a dense block on the targets, and cross-attention.

    tokens, targets: source and target tokens per micro-batch and rank. Cross-attention projects queries and
    outputs from the targets, keys and values from the source.
    """
    sequence = larger(grid.decoder_sequence_length, 1.0)
    own = dense_block(grid, constants, targets, sequence)
    core = attention_core_s(
        grid,
        constants,
        sequences=grid.micro_batch_size,
        queries=sequence / grid.context_parallel,
        keys=grid.sequence_length,
        keys_met=grid.sequence_length,
    )
    projected = flops.linear_flops(
        0.5 * (targets + tokens), grid.cross_attention_matmul, grid.tensor_parallel
    )
    # The block's third norm and residual: half as many passes again over the hidden width.
    third = kernels.elementwise_bytes(grid, targets, NONE) / 2.0
    return BlockTime(
        linear=own.linear + projected / kernels.matmul_rate(grid, constants),
        attention=AttentionTime(
            forward=own.attention.forward + core.forward, backward=own.attention.backward + core.backward
        ),
        elementwise=own.elementwise + kernels.elementwise_s(grid, constants, third),
        casts=own.casts,
        adapters=own.adapters,
        dequantisation=own.dequantisation,
    )


def all_blocks(grid: PlanGrid) -> Array:
    """Count of the model's blocks of all kinds, shape (plans,). Source: definition."""
    return grid.dense_blocks + grid.moe_blocks + grid.decoder_blocks
