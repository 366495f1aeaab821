"""Seconds of one mixture-of-experts block for one micro-batch on one rank, and how its experts are spread."""

from __future__ import annotations

import numpy as np

from planner.engine.grid.expert_split import expert_tensor_parallel
from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.scalars import where
from planner.engine.time import kernels
from planner.engine.time.block import BlockTime, Mlp, all_blocks, mlp_s, projections_s, self_attention_s
from planner.engine.time.constants import TimingConstants


def load_of_the_fullest(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Tokens of the fullest expert rank over an even share, a ratio, shape (plans,).

    As asked for (forced balance, a capacity), else ``expert_imbalance`` (fitted) where ranks share experts; a
    rank that holds all experts has all tokens, however they are spread.
    Source: Fedus et al. 2022, section 2.2.
    """
    learned = where(grid.expert_parallel > 1, constants.expert_imbalance, 1.0)
    return where(grid.expert_load > 0, grid.expert_load, learned)


def routed_s(grid: PlanGrid, constants: TimingConstants, tokens: Array) -> Array:
    """Forward seconds of the routed experts of one block on one rank, shape (plans,).

    tokens: per micro-batch and rank. Each token is copied to every expert that it visits; the copies spread
    over the experts of this rank, one kernel for all (grouped) or one for each.
    Source: our own count, each matmul timed by ``kernels``.
    """
    experts, copies = np.maximum(grid.experts, 1.0), np.maximum(grid.experts_per_token, 1.0)
    split = expert_tensor_parallel(grid)
    # Where experts are whole, each tensor-parallel rank sends its share of the tokens.
    share = split / grid.tensor_parallel
    rows = tokens * share * copies * grid.expert_parallel / experts
    rows = rows * load_of_the_fullest(grid, constants)
    local = experts / grid.expert_parallel
    rate, hidden = kernels.matmul_rate(grid, constants), grid.hidden_size
    down = grid.expert_ffn_size / split
    up = np.maximum(grid.expert_matmul / hidden / split - down, 0.0)
    grouped = kernels.grouped_matmul_s(
        grid, constants, rate=rate, groups=local, rows=rows, inner=hidden, columns=up
    ) + kernels.grouped_matmul_s(
        grid, constants, rate=rate, groups=local, rows=rows, inner=down, columns=hidden
    )
    mlp = Mlp(weights=grid.expert_matmul, width=grid.expert_ffn_size, rows=rows, split=split)
    return where(grid.grouped_matmul > 0, grouped, local * mlp_s(grid, constants, mlp))


def moe_block(grid: PlanGrid, constants: TimingConstants, tokens: Array) -> BlockTime:
    """Seconds of a mixture-of-experts block, forward, by kind of kernel.

    tokens: per micro-batch and rank. The fullest expert rank sets the pace; shared experts and router are
    dense matmuls. Permuting tokens to experts and back reads and writes each copy twice.
    """
    copies = np.maximum(grid.experts_per_token, 1.0)
    split = expert_tensor_parallel(grid)
    local = np.maximum(grid.experts, 1.0) / grid.expert_parallel
    dense_weights = grid.shared_expert_matmul + grid.router_matmul
    width = np.maximum(grid.shared_expert_ffn_size, 1.0)
    dense = mlp_s(
        grid,
        constants,
        Mlp(weights=dense_weights, width=width, rows=tokens, split=grid.tensor_parallel),
    )
    inner = grid.expert_ffn_size * copies + grid.shared_expert_ffn_size
    permuted = 4.0 * copies * tokens * split / grid.tensor_parallel * grid.hidden_size * grid.element_bytes
    moved = kernels.elementwise_bytes(grid, tokens, inner) + permuted
    out = grid.attention_heads * grid.value_head_dim
    cast = tokens * ((1.0 + copies) * grid.hidden_size + (out + inner) / grid.tensor_parallel)
    weights = grid.attention_matmul + local * grid.expert_matmul + dense_weights
    return BlockTime(
        linear=projections_s(grid, constants, tokens) + dense + routed_s(grid, constants, tokens),
        attention=self_attention_s(grid, constants, grid.sequence_length),
        elementwise=kernels.elementwise_s(grid, constants, moved),
        casts=kernels.fp8_cast_s(grid, constants, cast) + kernels.autocast_cast_s(grid, constants, weights),
        adapters=kernels.adapter_s(grid, constants, tokens, all_blocks(grid)),
        dequantisation=kernels.dequantisation_s(grid, constants, weights),
    )
