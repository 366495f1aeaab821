"""What many layouts share, counted once a kind: states, which micro-batches leave alone, and what is kept."""

from __future__ import annotations

from dataclasses import dataclass

from planner.engine.grid.alike import kinds_of_layouts, spread, spread_record
from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.memory.activations import Activations, activations
from planner.engine.memory.buffers import Gathered, gathered_bytes
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.held import HELD_BY, HELD_IF_SEVERAL
from planner.engine.memory.states import Place, Stages, StateBytes, parameters_here, stages, state_bytes
from planner.engine.memory.traits import Traits, traits_of

#: What of a layout changes what a block keeps, beside the traits that depend on it.
KEPT_BY = (
    "tensor_parallel",
    "sequence_parallel",
    "context_parallel",
    "expert_parallel",
    "micro_batch_size",
    "recompute",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What does not depend on the micro-batches. trained: parameters, a count on each stage."""

    stage: Stages
    state: StateBytes
    gathered: Gathered
    trained: Array


def standing(grid: PlanGrid, traits: Traits, place: Place) -> Standing:
    """The stages, their states and what is gathered of weights, bytes, shape (3, plans).

    Source: ``state_bytes`` and ``gathered_bytes``.
    """
    stage = stages(grid, place)
    here = parameters_here(grid, stage, traits)
    return Standing(
        stage=stage,
        state=state_bytes(grid, here, traits),
        gathered=gathered_bytes(grid, traits, here, stage),
        trained=here.trained_dense + here.trained_experts,
    )


def standing_of_kinds(grid: PlanGrid, traits: Traits, place: Place) -> Standing:
    """``standing``, bytes: of many layouts, those that hold the same (HELD_BY) are counted once.

    Source: as ``standing``.
    """
    kinds = kinds_of_layouts(grid, HELD_BY, *(getattr(grid, name) > 1 for name in HELD_IF_SEVERAL))
    if kinds is None:
        return standing(grid, traits, place)
    first, kind = kinds
    some = grid.rows(first)
    found = standing(some, traits_of(some), place)
    return Standing(
        stage=spread_record(found.stage, kind),
        state=spread_record(found.state, kind),
        gathered=spread_record(found.gathered, kind),
        trained=spread(found.trained, kind),
    )


def activations_of_kinds(grid: PlanGrid, traits: Traits, constants: MemoryConstants) -> Activations:
    """``activations``, bytes: of many layouts, each way to split a block (KEPT_BY) is counted once.

    Source: as ``activations``.
    """
    kinds = kinds_of_layouts(grid, KEPT_BY, traits.widened, traits.modules)
    if kinds is None:
        return activations(grid, traits, constants)
    first, kind = kinds
    some = grid.rows(first)
    found = activations(some, traits_of(some), constants)
    return spread_record(found, kind)
