"""Seconds of one attention core on one rank: scores, softmax and weighted values, fused or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.engine.grid.plan_grid import ARCHITECTURES, MEMORY_EFFICIENT, Array, PlanGrid
from planner.engine.grid.scalars import larger, smaller, where, whole
from planner.engine.time import attention_rates, flops
from planner.engine.time.constants import TimingConstants
from planner.engine.time.kernels import achievable_bandwidth, fuses_softmax, matmul_efficiency

TRAINIUM = float(ARCHITECTURES.index("trainium"))
#: Rate of the memory-efficient kernel on fp32 operands over that in 16 bits: it multiplies them as three TF32
#: products on tensor cores (PyTorch, mem_eff_attention/gemm_kernel_utils.h: OpMultiplyAddFastF32). A100: 23.5
#: of 104 TFLOP/s forward, 14.7 of 73 backward (facebookresearch/xformers issue 712, pull 587).
WIDE_RATIO = 0.2
#: Rate of that kernel with a mask given as a tensor, which it reads for each head and skips nothing for, over
#: that without. Our judgement on one source: masked training at 8,192 tokens on A100, H100 and RTX PRO 6000
#: (universal-llm-trainer, 2025).
MASKED_RATIO = 0.5
#: Memory passes of an unfused softmax under autocast, which runs in fp32, over those in 16 bits.
AUTOCAST_SCORES = 1.5


@dataclass(frozen=True, slots=True)
class AttentionTime:
    """Seconds of one attention core on one rank, forward and backward."""

    forward: Array
    backward: Array


def fused_rate(
    grid: PlanGrid, constants: TimingConstants, curve: attention_rates.Curves, tokens: Array
) -> Array:
    """FLOP/s of a fused attention kernel in one direction, shape (plans,).

    curve: of that direction, by kernel and chip.  tokens: queries of one sequence on this rank.  Kernels work
    on tiles of 32 elements of a head, so a width between is computed as the next multiple; from 64 to 128 the
    rate grows with the width, beyond 128 it stays. Causal masks cost short sequences more. fp32 operands, and
    masks given as tensors, leave the memory-efficient kernel alone. Power limits it as they do matmuls.
    Source: ``attention_rates``.
    """
    wide = (grid.wide_attention > 0) | (grid.full_precision > 0)
    kernel = whole(where(wide, MEMORY_EFFICIENT, grid.attention_kernel))
    chip = whole(grid.architecture)
    share = curve.share[kernel, chip]
    narrow = curve.narrow[kernel, chip]
    half = curve.half_tokens[kernel, chip] + attention_rates.CAUSAL_TOKENS * grid.causal
    tiled = np.ceil(grid.head_dim / 32.0) * 32.0
    # The reciprocal rate is linear in 1 / width: 1 at 128, 1 / narrow at 64.
    slower = 1.0 + (1.0 / narrow - 1.0) * larger(128.0 / tiled - 1.0, 0.0)
    published = grid.bf16_flops_per_s * share / slower / (1.0 + half / larger(tokens, 1.0))
    published = grid.sustained_share * published * grid.head_dim / tiled
    masked = grid.attention_kernel == MEMORY_EFFICIENT
    published = published * where(wide, WIDE_RATIO, 1.0) * where(masked, MASKED_RATIO, 1.0)
    return where(grid.architecture == TRAINIUM, grid.bf16_flops_per_s * constants.neuron_attention, published)


def attention_core_s(
    grid: PlanGrid,
    constants: TimingConstants,
    *,
    sequences: Array,
    queries: Array,
    keys: Array,
    keys_met: Array,
) -> AttentionTime:
    """Seconds of scores, softmax and weighted values of one block on one rank, shape (plans,).

    sequences: count per micro-batch.  queries: tokens per sequence on this rank.  keys: tokens per sequence.
    keys_met: tokens that one query attends to on average.

    Fused attention runs at the published rate of its kernel, by direction. Unfused attention is two batched
    matmuls plus ``score_passes`` memory passes over the queries x keys scores.
    Source: Dao et al. 2022, algorithms 1 and 4; Dao 2023; Shah et al. 2024; passes are fitted.
    """
    operations = flops.attention_core_flops(grid, sequences * queries, keys_met)
    # Short samples of packed rows are short sequences to the kernel.
    tokens = smaller(queries, grid.sample_tokens)
    forward = operations / fused_rate(grid, constants, attention_rates.FORWARD, tokens)
    backward = (
        flops.FLASH_BACKWARD * operations / fused_rate(grid, constants, attention_rates.BACKWARD, tokens)
    )
    # Unfused, the two products are batched matmuls whose inner side is the head.
    peak = where(grid.full_precision > 0, grid.peak_flops_per_s, grid.bf16_flops_per_s)
    arithmetic = operations / (peak * matmul_efficiency(grid, constants))
    arithmetic = arithmetic * (1.0 + constants.shallow_inner / grid.head_dim)
    scores = sequences * queries * keys * grid.attention_heads / grid.tensor_parallel
    count = where(fuses_softmax(grid), constants.fused_score_passes, constants.score_passes)
    count = count * where(grid.autocast > 0, AUTOCAST_SCORES, 1.0)
    passes = count * scores * grid.element_bytes / achievable_bandwidth(grid, constants)
    unfused_backward = flops.BACKWARD_MATMULS * arithmetic + flops.SCORES_BACKWARD * passes
    return AttentionTime(
        forward=where(grid.flash > 0, forward, arithmetic + passes),
        backward=where(grid.flash > 0, backward, unfused_backward),
    )
