"""Seconds that the blocks of a model compute for one micro-batch, forward and backward, on one rank.

Dense, mixture-of-experts and decoder (cross-attention) blocks, and the output head. Communication, pipeline
and optimizer are counted elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.engine.grid.plan_grid import FULL_RECOMPUTE, SELECTIVE_RECOMPUTE, TORCHTITAN, Array, PlanGrid
from planner.engine.grid.scalars import where
from planner.engine.time import flops, kernels
from planner.engine.time.block import BlockTime, all_blocks, decoder_block, dense_block
from planner.engine.time.constants import TimingConstants
from planner.engine.time.experts import moe_block


@dataclass(frozen=True, slots=True)
class StageCompute:
    """Seconds of one micro-batch over all blocks of the model on one rank, shape (plans,).

    head: forward seconds of the output head.  blocks: count of blocks.  terms: seconds of one block by kind
    of kernel, for the explanation.
    """

    forward: Array
    backward: Array
    recompute: Array
    head: Array
    blocks: Array
    terms: dict[str, Array]


def target_tokens(grid: PlanGrid) -> Array:
    """Tokens of one micro-batch on one rank that the output head and the decoder see, a count, shape
    (plans,).

    Source: definition.
    """
    own = grid.micro_batch_size * grid.decoder_sequence_length / grid.context_parallel
    return where(grid.decoder_blocks > 0, own, grid.tokens_per_rank)


def kinds_of_blocks(grid: PlanGrid, constants: TimingConstants) -> list[tuple[Array, BlockTime]]:
    """(count of blocks, seconds of one block) for each kind of block that any plan of the grid has."""
    tokens = grid.tokens_per_rank
    kinds = []
    if np.any(grid.moe_blocks > 0):
        kinds.append((grid.moe_blocks, moe_block(grid, constants, tokens)))
    if np.any(grid.dense_blocks > 0) or not kinds:
        kinds.append((grid.dense_blocks, dense_block(grid, constants, tokens, grid.sequence_length)))
    if np.any(grid.decoder_blocks > 0):
        targets = np.maximum(target_tokens(grid), 1.0)
        kinds.append((grid.decoder_blocks, decoder_block(grid, constants, tokens, targets)))
    return kinds


def blocks_compute(grid: PlanGrid, constants: TimingConstants) -> StageCompute:
    """Seconds of all blocks of the model for one micro-batch on one tensor- and context-parallel rank.

    Backward: two matmuls for each of the forward (one where the weight is frozen), five for two in flash
    attention, and ELEMENTWISE_BACKWARD times the memory passes. Per block, device work and kernel launches
    run side by side, so that mostly the slower one counts.
    Source: Dao et al. 2022, algorithms 1 and 4; our own count of the passes.
    """
    kinds = kinds_of_blocks(grid, constants)
    compiled = where(grid.compiled > 0, constants.compiled_gain, 1.0)
    factor = constants.framework_factor[kernels.kernel_stack(grid)] / compiled
    launch = constants.launch_s * where(grid.compiled > 0, constants.compiled_traffic, 1.0)
    launch = launch * (1.0 + constants.adapter_launch * grid.frozen) + where(
        grid.moe_blocks > 0, constants.expert_launch_s * grid.experts / grid.expert_parallel, 0.0
    )
    matmuls = flops.BACKWARD_MATMULS - grid.frozen
    forward: Array = np.asarray(0.0)
    backward: Array = np.asarray(0.0)
    core: Array = np.asarray(0.0)
    matmul: Array = np.asarray(0.0)
    for count, block in kinds:
        beside = block.elementwise + block.casts
        device = block.linear + block.attention.forward + beside + block.adapters + block.dequantisation
        device_backward = (
            matmuls * block.linear
            + block.attention.backward
            + flops.ELEMENTWISE_BACKWARD * block.elementwise
            + 2.0 * (block.casts + block.adapters)
            + block.dequantisation
        )
        forward = forward + count * kernels.root_of_squares(factor * device, launch)
        backward = backward + count * kernels.root_of_squares(factor * device_backward, 2.0 * launch)
        core = core + count * factor * block.attention.forward
        matmul = matmul + count * factor * (block.linear + block.casts)
    main = kinds[0][1]
    return StageCompute(
        forward=forward,
        backward=backward,
        recompute=recompute_s(grid, forward, core, matmul),
        head=head_s(grid, constants) * factor,
        blocks=all_blocks(grid),
        terms={
            "matmul_rate_flops_per_s": kernels.matmul_rate(grid, constants),
            "block_matmul_s": factor * main.linear,
            "block_attention_s": factor * main.attention.forward,
            "block_elementwise_s": factor * main.elementwise,
            "block_cast_s": factor * main.casts,
            "block_adapter_s": factor * main.adapters,
            "block_dequantisation_s": factor * main.dequantisation,
            "block_launch_s": launch,
            "framework_factor": factor,
        },
    )


def recompute_s(grid: PlanGrid, forward: Array, core: Array, matmul: Array) -> Array:
    """Seconds of recomputation in the backward pass of all blocks, shape (plans,).

    forward, core, matmul: forward seconds of all blocks, and of their attention cores and matmuls among them.
    Full recompute repeats the blocks' forward. Selective means what the named stack does: torchtitan's
    per-operator policy keeps every second matmul and the attention output; Megatron repeats the attention
    core, which a flash kernel recomputes anyway.
    Source: Korthikanti et al. 2022, section 5; torchtitan's activation checkpointing.
    """
    selective = where(
        grid.framework == TORCHTITAN, forward - 0.5 * matmul - core, where(grid.flash > 0, 0.0, core)
    )
    return where(
        grid.recompute == FULL_RECOMPUTE,
        forward,
        where(grid.recompute == SELECTIVE_RECOMPUTE, selective, 0.0),
    )


def head_s(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Forward seconds of output projection and cross-entropy of one micro-batch, on the last stage, (plans,).

    The loss reads the logits, writes their fp32 copy and reads it twice (maximum and sum of exponentials).
    Source: our own count of the memory passes; PyTorch cross_entropy.
    """
    rows = np.maximum(target_tokens(grid) * grid.head_share, 1.0)
    columns = np.maximum(grid.head_matmul / grid.hidden_size / grid.tensor_parallel, 1.0)
    projection = kernels.matmul_s(
        grid,
        constants,
        rate=kernels.head_rate(grid, constants),
        rows=rows,
        inner=grid.hidden_size,
        columns=columns,
    )
    written = where(grid.loss_whole + grid.loss_chunked > 0, grid.element_bytes + 12.0, grid.element_bytes)
    share = where(grid.finetuning > 0, 1.0, constants.loss_traffic)
    loss = share * rows * columns * written / kernels.achievable_bandwidth(grid, constants)
    return where(grid.head_matmul > 0, projection + loss, 0.0)
