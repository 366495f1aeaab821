"""Bytes that a rank holds from one step to the next at least: what a search rules layouts out by.

Weights, gradients and optimizer states depend on few fields of a layout, so that many layouts share them;
activations and buffers, which are left out, only add to them.
"""

from __future__ import annotations

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.scalars import entries
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.states import parameters_here, stages, state_bytes
from planner.engine.memory.traits import traits_of

#: The fields of a layout that change what is held, and what of their counts does: any but one.
HELD_BY = ("tensor_parallel", "pipeline_parallel", "expert_parallel", "sharding", "sharding_group")
HELD_IF_SEVERAL = ("data_parallel", "gradient_accumulation")


def held_per_rank(grid: PlanGrid, constants: MemoryConstants) -> Array:
    """Bytes that the fullest rank holds in the optimizer's step at least, shape (plans,).

    Never more than ``total_per_rank``, whose moment of the optimizer's step has these and more.
    Source: ``state_bytes``; the allocator's least reserve and the context as in ``total_per_rank``.
    """
    traits, stage = traits_of(grid), stages(grid)
    state = state_bytes(grid, parameters_here(grid, stage, traits), traits)
    held = state.weights + state.frozen_weights + state.gradient_copies + state.master + state.moments
    fullest = (held + state.gradients).max(axis=0)
    context = entries(constants.context_bytes, grid.architecture)
    least: Array = fullest * (1.0 + constants.state_reserve_share) + context
    return least
