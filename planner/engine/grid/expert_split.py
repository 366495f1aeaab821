"""How many ranks split the matrices of one routed expert: the same for memory and for time."""

from __future__ import annotations

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.scalars import where


def expert_tensor_parallel(grid: PlanGrid) -> Array:
    """Ranks that split the matrices of one expert, shape (plans,).

    Where expert parallelism spreads experts they stay whole unless the question says otherwise; where it does
    not, tensor parallelism splits them like any other matrix.
    Source: NVIDIA's recipes set expert tensor parallel 1 (Megatron-Bridge v0.1.0rc4 to v0.4.0, DeepSeek-V3
    and Qwen3; Megatron-LM's functional tests of Mixtral), as its documentation recommends; Megatron-Core by
    itself takes the tensor-parallel size (parallel_state.py); Liu et al. 2025 (parallel folding).
    """
    whole = (grid.expert_parallel > 1) & (grid.split_experts == 0)
    return where(whole, 1.0, grid.tensor_parallel)
