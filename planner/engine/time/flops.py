"""Floating-point operations of one micro-batch on one rank, counted matmul by matmul.

A multiply-add is two FLOPs. *Model* FLOPs are what the mathematics asks for (utilization is measured against
them); *hardware* FLOPs are what is really executed: recomputation added, and the masked half of causal
attention left out where the kernel skips it. How fast they run is counted in ``kernels``.
"""

from __future__ import annotations

from planner.engine.grid.plan_grid import (
    FULL_RECOMPUTE,
    MEMORY_EFFICIENT,
    SELECTIVE_RECOMPUTE,
    Array,
    PlanGrid,
)
from planner.engine.grid.scalars import smaller, where

#: A backward pass computes two matmuls (input and weight gradients) for each one of the forward.
BACKWARD_MATMULS = 2.0
#: Flash attention's backward recomputes the scores: five matmuls against the forward's two
#: (Dao et al. 2022, algorithms 1 and 4).
FLASH_BACKWARD = 2.5
#: Ratio of memory passes, backward to forward. Between matmuls: a norm's backward reads two tensors and
#: writes one (its forward moves two); branch gradients are summed as residuals are; a gate moves five tensors
#: rather than three: 26 passes over the hidden width against 20. Over unfused scores: 9.5 against 6.5
#: (dropout, softmax and four matmul operands).
ELEMENTWISE_BACKWARD = 1.3
SCORES_BACKWARD = 1.46


def attended_tokens(grid: PlanGrid, sequence: Array) -> Array:
    """Keys that one query meets on average as the kernel executes it, a count of tokens, shape (plans,).

    sequence: tokens of one sequence. Only flash kernels skip what a causal mask hides (half of the T x T
    square, Dao et al. 2022, section 3.1); unfused attention computes the whole square. A sliding window
    limits the share of blocks that have one. Source: Dao et al. 2022; the window is our own count.
    """
    # Under a mask that is data to it, PyTorch's memory-efficient kernel cannot tell what is hidden.
    skipped: Array = grid.causal * grid.flash * (grid.attention_kernel != MEMORY_EFFICIENT)
    # A packed row's samples do not see each other, where the kernel takes their bounds.
    sample = where(grid.flash > 0, smaller(sequence, grid.sample_tokens), sequence)
    full = sample * (1.0 - 0.5 * skipped)
    window = smaller(where(grid.window > 0, grid.window, sample), sample)
    windowed = where(grid.flash > 0, smaller(full, window), full)
    return (1.0 - grid.windowed_share) * full + grid.windowed_share * windowed


def attention_core_flops(grid: PlanGrid, queries: Array, keys_met: Array) -> Array:
    """FLOPs of scores and weighted values on one rank, shape (plans,).

    queries: tokens on this rank.  keys_met: tokens that each query attends to. 2 x queries x keys x heads x
    (head_dim + value_head_dim). Source: Chowdhery et al. 2022, appendix B.
    """
    widths = grid.head_dim + grid.value_head_dim
    return 2.0 * queries * keys_met * grid.attention_heads * widths / grid.tensor_parallel


def linear_flops(tokens: Array, weights: Array, tensor_parallel: Array) -> Array:
    """FLOPs of a matmul on one rank: 2 x tokens x weights, split over the tensor-parallel ranks.

    tokens, weights, tensor_parallel: counts, shape (plans,).  Source: definition.
    """
    return 2.0 * tokens * weights / tensor_parallel


def expert_weights_met(grid: PlanGrid) -> Array:
    """Count of matmul weights that one token meets in a mixture-of-experts MLP: routed, shared and the
    router.

    Source: our own count.
    """
    return grid.experts_per_token * grid.expert_matmul + grid.shared_expert_matmul + grid.router_matmul


def model_flops_per_sequence(grid: PlanGrid) -> Array:
    """Forward and backward FLOPs of one sequence, without recomputation: the numerator of MFU. Shape
    (plans,).

    6 N + 12 L H Q T per token, N being the active matmul weights with the output projection and without
    embedding look-ups, L the layers, H the heads, Q the head width and T the sequence length, or that of the
    samples that are packed into a row. A frozen matmul has no weight gradient: 4 rather than 6 per weight,
    plus 6 per adapter weight.
    Scans and convolutions count thrice their forward FLOPs (no T x T term).
    Source: Chowdhery et al. 2022, appendix B.
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
            (grid.scoring_share * grid.layers * tokens * smaller(tokens, grid.sample_tokens))
            + grid.decoder_blocks * (targets**2 + targets * tokens)
        )
    )
    states = 3.0 * grid.layers * tokens * grid.state_flops
    per_weight = where(grid.frozen > 0, 4.0, 6.0)
    return per_weight * weights_met + 6.0 * tokens * grid.lora_parameters * grid.frozen + scores + states


def recomputed_flops_per_sequence(grid: PlanGrid) -> Array:
    """FLOPs of one sequence that the backward pass repeats, shape (plans,).

    All blocks' forward under full recompute; the attention core alone under selective recompute without
    flash.
    Source: Korthikanti et al. 2022, appendix A: full recomputation adds one forward pass of the blocks.
    """
    forward = model_flops_per_sequence(grid) / where(grid.frozen > 0, 2.0, 3.0)
    targets = where(grid.decoder_blocks > 0, grid.decoder_sequence_length, grid.sequence_length)
    head = 2.0 * targets * grid.head_share * grid.head_matmul
    widths = grid.attention_heads * (grid.head_dim + grid.value_head_dim)
    seen = smaller(grid.sequence_length, grid.sample_tokens)
    scores = 2.0 * widths * grid.scoring_share * grid.layers * grid.sequence_length * seen
    selective = where(grid.flash > 0, 0.0, scores)
    return where(
        grid.recompute == FULL_RECOMPUTE,
        forward - head,
        where(grid.recompute == SELECTIVE_RECOMPUTE, selective, 0.0),
    )
