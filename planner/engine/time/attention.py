"""Seconds of one attention core on one rank: scores, softmax and weighted values, fused or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.engine.grid.plan_grid import (
    DEEPSPEED,
    MEGATRON,
    Array,
    PlanGrid,
)
from planner.engine.grid.scalars import where
from planner.engine.time import flops
from planner.engine.time.constants import TimingConstants
from planner.engine.time.kernels import achievable_bandwidth, tuned


@dataclass(frozen=True, slots=True)
class AttentionTime:
    """Seconds of one attention core on one rank, forward and backward."""

    forward: Array
    backward: Array


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

    Flash attention runs at a rate of its own, which grows with sequence and head width. Unfused attention is
    two batched matmuls plus ``score_passes`` memory passes over the queries x keys scores.
    Source: Dao et al. 2022, algorithms 1 and 4; Dao 2023; rates and passes are fitted (``TimingConstants``).
    """
    operations = flops.attention_core_flops(grid, sequences * queries, keys_met)
    peak = where(grid.full_precision > 0, grid.peak_flops_per_s, grid.bf16_flops_per_s)
    gain = where(tuned(grid), constants.engine_attention_gain, 1.0)
    narrow = 1.0 + constants.narrow_head / grid.head_dim
    efficiency = constants.attention_efficiency[grid.architecture.astype(int)]
    short = 1.0 + constants.short_attention / np.maximum(queries, 1.0)
    fused = operations / (peak * efficiency) * narrow / gain * short
    # Unfused, the two products are batched matmuls whose inner side is the head.
    base = constants.matmul_efficiency[grid.architecture.astype(int)]
    arithmetic = operations / (peak * base) * (1.0 + constants.shallow_inner / grid.head_dim)
    scores = sequences * queries * keys * grid.attention_heads / grid.tensor_parallel
    fused_softmax = (grid.framework == MEGATRON) | (grid.framework == DEEPSPEED)
    count = where(fused_softmax, constants.fused_score_passes, constants.score_passes)
    passes = count * scores * grid.element_bytes / achievable_bandwidth(grid, constants)
    fused_backward = flops.FLASH_BACKWARD * constants.attention_backward * fused
    unfused_backward = flops.BACKWARD_MATMULS * arithmetic + flops.SCORES_BACKWARD * passes
    return AttentionTime(
        forward=where(grid.flash > 0, fused, arithmetic + passes),
        backward=where(grid.flash > 0, fused_backward, unfused_backward),
    )
