"""Seconds of one mixture-of-experts block for one micro-batch on one rank."""

from __future__ import annotations

import numpy as np

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.time import kernels
from planner.engine.time.block import BlockTime, Mlp, all_blocks, mlp_s, projections_s, self_attention_s
from planner.engine.time.constants import TimingConstants


def moe_block(grid: PlanGrid, constants: TimingConstants, tokens: Array) -> BlockTime:
    """Seconds of a mixture-of-experts block, forward, by kind of kernel.

    tokens: per micro-batch and rank. Each token is copied to every expert that it visits. The copies spread
    over the experts of this rank, so each expert's matmul has fewer rows than a dense one. The fullest expert
    rank sets the pace (``expert_imbalance``, fitted); shared experts and router are dense matmuls. Permuting
    tokens to experts and back reads and writes each copy twice.
    """
    experts, copies = np.maximum(grid.experts, 1.0), np.maximum(grid.experts_per_token, 1.0)
    rows = tokens * copies * grid.expert_parallel / experts
    routed = mlp_s(grid, constants, Mlp(weights=grid.expert_matmul, width=grid.expert_ffn_size, rows=rows))
    local = experts / grid.expert_parallel
    dense_weights = grid.shared_expert_matmul + grid.router_matmul
    dense = mlp_s(
        grid,
        constants,
        Mlp(weights=dense_weights, width=np.maximum(grid.shared_expert_ffn_size, 1.0), rows=tokens),
    )
    inner = grid.expert_ffn_size * copies + grid.shared_expert_ffn_size
    permuted = 4.0 * copies * tokens * grid.hidden_size * grid.element_bytes
    moved = kernels.elementwise_bytes(grid, tokens, inner) + permuted
    out = grid.attention_heads * grid.value_head_dim
    cast = tokens * ((1.0 + copies) * grid.hidden_size + (out + inner) / grid.tensor_parallel)
    return BlockTime(
        linear=projections_s(grid, constants, tokens) + dense + constants.expert_imbalance * local * routed,
        attention=self_attention_s(grid, constants, grid.sequence_length),
        elementwise=kernels.elementwise_s(grid, constants, moved),
        casts=kernels.fp8_cast_s(grid, constants, cast),
        adapters=kernels.adapter_s(grid, constants, tokens, all_blocks(grid)),
        dequantisation=kernels.dequantisation_s(
            grid, constants, grid.attention_matmul + local * grid.expert_matmul + dense_weights
        ),
    )
