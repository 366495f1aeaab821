"""Floating-point operations of one micro-batch on one rank, counted matmul by matmul.

A multiply-add is two FLOPs. *Model* FLOPs are what the mathematics asks for (the yardstick of utilization);
*hardware* FLOPs are what is really executed: recomputation added, and the masked half of causal attention
left out where the kernel skips it. This room knows nothing of how fast they run.
"""

from __future__ import annotations

import numpy as np

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.scalars import where

#: A backward pass computes two matmuls (input and weight gradients) for each one of the forward.
BACKWARD_MATMULS = 2.0
#: Flash attention's backward recomputes the scores: five matmuls against the forward's two
#: (Dao et al. 2022, algorithms 1 and 4).
FLASH_BACKWARD = 2.5
#: Memory passes of the backward against the forward. Between matmuls: a norm reads two, writes one (for two),
#: branch gradients are summed as residuals were, a gate reads and writes five for three: 26 against 20 passes
#: over the hidden width. Over unfused scores: 9.5 against 6.5 (dropout, softmax and four matmul operands).
ELEMENTWISE_BACKWARD = 1.3
SCORES_BACKWARD = 1.46


def attended_tokens(grid: PlanGrid, sequence: Array) -> Array:
    """Keys that one query meets on average, as the kernel executes it.

    Causal masks are skipped by flash kernels only (half of the T x T square, Dao et al. 2022, section 3.1);
    unfused attention computes the whole square. A sliding window bounds the windowed share of the blocks.
    """
    skipped = grid.causal * grid.flash
    full = sequence * (1.0 - 0.5 * skipped)
    window = np.minimum(where(grid.window > 0, grid.window, sequence), sequence)
    windowed = where(grid.flash > 0, np.minimum(full, window), full)
    return (1.0 - grid.windowed_share) * full + grid.windowed_share * windowed


def attention_core_flops(grid: PlanGrid, queries: Array, keys_met: Array) -> Array:
    """Scores and weighted values: 2 x queries x keys x heads x (head_dim + value_head_dim), on one rank."""
    widths = grid.head_dim + grid.value_head_dim
    return 2.0 * queries * keys_met * grid.attention_heads * widths / grid.tensor_parallel


def linear_flops(tokens: Array, weights: Array, tensor_parallel: Array) -> Array:
    """2 x tokens x weights, split over the tensor-parallel ranks."""
    return 2.0 * tokens * weights / tensor_parallel


def expert_weights_met(grid: PlanGrid) -> Array:
    """Matmul weights that one token meets in a mixture-of-experts MLP: routed, shared and the router."""
    return grid.experts_per_token * grid.expert_matmul + grid.shared_expert_matmul + grid.router_matmul


def model_flops_per_sequence(grid: PlanGrid) -> Array:
    """Forward and backward FLOPs of one sequence, without recomputation: the numerator of MFU.

    6 N + 12 L H Q T per token (Chowdhery et al. 2022, appendix B), N being the active matmul weights with the
    output projection and without embedding look-ups. A frozen matmul has no weight gradient: 4 rather than 6,
    plus 6 per adapter weight. Scans and convolutions count thrice their forward FLOPs (no T x T term).
    """
    tokens, targets = grid.sequence_length, grid.decoder_sequence_length
    blocks = grid.dense_blocks * (grid.attention_matmul + grid.ffn_matmul) + grid.moe_blocks * (
        grid.attention_matmul + expert_weights_met(grid)
    )
    head_tokens = where(grid.decoder_blocks > 0, targets, tokens) * grid.head_share
    decoder = grid.decoder_blocks * (
        targets * (grid.attention_matmul + grid.ffn_matmul)
        + 0.5 * (targets + tokens) * grid.cross_attention_matmul
    )
    weights_met = tokens * blocks + decoder + head_tokens * grid.head_matmul
    widths = grid.attention_heads * (grid.head_dim + grid.value_head_dim)
    scores = (
        6.0
        * widths
        * (
            (grid.scoring_share * grid.layers * tokens**2)
            + grid.decoder_blocks * (targets**2 + targets * tokens)
        )
    )
    states = 3.0 * grid.layers * tokens * grid.state_flops
    per_weight = where(grid.frozen > 0, 4.0, 6.0)
    return per_weight * weights_met + 6.0 * tokens * grid.lora_parameters * grid.frozen + scores + states


def recomputed_flops_per_sequence(grid: PlanGrid) -> Array:
    """FLOPs of one sequence that the backward pass repeats: all blocks' forward, or the attention core alone.

    Korthikanti et al. 2022, appendix A: full recomputation adds one forward pass of the blocks.
    """
    forward = model_flops_per_sequence(grid) / where(grid.frozen > 0, 2.0, 3.0)
    targets = where(grid.decoder_blocks > 0, grid.decoder_sequence_length, grid.sequence_length)
    head = 2.0 * targets * grid.head_share * grid.head_matmul
    widths = grid.attention_heads * (grid.head_dim + grid.value_head_dim)
    scores = 2.0 * widths * grid.scoring_share * grid.layers * grid.sequence_length**2
    selective = where(grid.flash > 0, 0.0, scores)
    return where(grid.recompute == 2.0, forward - head, where(grid.recompute == 1.0, selective, 0.0))
