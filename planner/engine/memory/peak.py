"""Memory of one accelerator rank at its peak: on the fullest pipeline stage, at the fullest moment of a step.

States, activations and buffers are counted in the modules beside this one; here they are put together at four
moments (loss, start and end of the backward pass, optimizer step) on three stages (first, middle, last), and
the largest sum wins. Everything is an array over plans; no value of a plan is branched on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.scalars import entries, is_shared, larger, on_scalars, smaller, where
from planner.engine.memory.activations import (
    Activations,
    in_flight,
    kept_on_accelerator,
    retained_inputs,
    stage_outputs,
)
from planner.engine.memory.buffers import (
    bytes_per_logit,
    communicator_count,
    gradient_placeholders,
    logits_on_rank,
)
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.explain import MEMORY_TEMPLATES
from planner.engine.memory.kinds import Standing, activations_of_kinds, standing_of_kinds
from planner.engine.memory.parts import (
    ALIVE,
    BACKWARD,
    BACKWARD_END,
    DETAILS,
    LIFETIMES,
    MOMENTS,
    PARTS,
    ROW,
    ROWS,
    SPAN,
)
from planner.engine.memory.reserve import Reuse, reuse_of, seen_bytes
from planner.engine.memory.states import places_of
from planner.engine.memory.traits import Traits, traits_of

__all__ = [
    "MEMORY_TEMPLATES",
    "MOMENTS",
    "PARTS",
    "MemoryConstants",
    "MemoryTerms",
    "memory_per_rank",
]


@dataclass(frozen=True, slots=True)
class MemoryTerms:
    """Bytes on the fullest rank at its peak, arrays of shape (plans,).

    The seven parts add up to ``total``, what nvidia-smi would show.  resident: between steps.  allocated,
    reserved: torch's max_memory_allocated and max_memory_reserved.  needed: the least that the rank must
    have to run, with the allocator's cache given back (``least_that_runs``).  host: in the memory of a
    node's CPUs, by all its ranks.  worst_stage: index of the stage.
    moment: index into MOMENTS.  terms: every sub-term, by name; ``PARTS`` says which part each is of;
    and the numbers behind them (DETAILS), which are counts, not bytes.
    """

    weights: Array
    gradients: Array
    optimizer_states: Array
    activations: Array
    logits: Array
    temporary: Array
    framework: Array
    total: Array
    resident: Array
    allocated: Array
    reserved: Array
    needed: Array
    host: Array
    worst_stage: Array
    moment: NDArray[np.intp]
    terms: dict[str, Array]


def memory_per_rank(grid: PlanGrid, constants: MemoryConstants) -> MemoryTerms:
    """Peak memory of each plan in bytes, shape (plans,). A plan that does not fit is answered like any other.

    Source: our own count of a step's four moments; the parts name theirs.
    """
    grid = on_scalars(grid)
    counted = counted_on_stages(grid, constants)
    heights = [heights_of(each, constants) for each in counted]
    table = _on_all_stages([_rows(*each) for each in zip(counted, heights, strict=True)])
    sums, (early, late, number, between) = table[len(ROW) : -4], table[-4:]
    peak = _peak(table[: len(ROW)], sums, early, late)
    terms = dict(zip((*ROWS, *DETAILS), peak.at_peak, strict=True))
    return _with_framework(
        grid,
        constants,
        terms=terms,
        allocated=peak.allocated,
        wished_reserve=fullest([each.seen for each in heights]) - peak.allocated,
        unusable=fullest([each.unusable for each in heights]),
        resident=_resident(table, between),
        worst_stage=number[peak.at],
        moment=peak.moment,
    )


def _rows(counted: Counted, heights: Heights) -> list[Array]:
    """What is counted, in the order of ROW, the height of each moment, and what ``_peak`` needs beside."""
    beside = counted.early, counted.late, counted.number, counted.gradients_between
    return [*(counted.values[name] for name in ROW), *heights.sums, *beside]


def _on_all_stages(rows: Sequence[Sequence[Array]]) -> Array:
    """Several quantities on all stages, shape (quantities, stages, plans), or (quantities, stages) of a
    single plan.

    rows: of all stages at once, each broadcasting to (stages, plans), or of one stage after the other, to
    (plans,) or ().
    """
    if all(is_shared(value) for value in rows[0]):
        return np.array(rows, dtype=float).T
    shape = np.broadcast(*rows[0]).shape
    table = np.empty((len(rows[0]), *(shape if len(shape) == 2 else (len(rows), *shape))))
    for quantity, values in enumerate(zip(*rows, strict=True)):
        for stage, value in enumerate(values):
            table[(quantity,) if len(shape) == 2 else (quantity, stage)] = value
    return table


def fullest(of_stages: Sequence[Array]) -> Array:
    """The most on any stage, in the unit of the values, shape (plans,).

    of_stages: one array of shape (stages, plans), or one of shape (plans,) for each stage.
    Source: definition.
    """
    first = of_stages[0]
    most: Array = first.max(axis=0) if np.ndim(first) == 2 else reduce(np.maximum, of_stages)
    return most


def ranks_on_node(grid: PlanGrid) -> Array:
    """Ranks of the run on one node, a count, shape (plans,).  Source: definition."""
    return smaller(grid.ranks_per_node, grid.ranks)


@dataclass(frozen=True, slots=True)
class Counted:
    """What is counted on each stage before the fullest is found.

    values: sub-terms and details by name, broadcasting to (3, plans).  early: share of the gradients that
    already exists when the loss is computed.  late: share of the activations left at the end of the backward
    pass.  reuse: how freed blocks serve again.  gradients_between: 1.0 where gradients stay between steps.
    number: index of the stage.
    """

    values: dict[str, Array]
    early: Array
    late: Array
    reuse: Reuse
    gradients_between: Array
    number: Array


def counted_on_stages(grid: PlanGrid, constants: MemoryConstants) -> list[Counted]:
    """What is counted on the first, a middle and the last stage: bytes and counts, shape (3, plans); of a
    single plan in numbers, stage by stage.

    Of the machine only its architecture is read.  Source: as ``memory_per_rank``.
    """
    traits = traits_of(grid)
    acts = activations_of_kinds(grid, traits, constants)
    return [
        _counted(grid, constants, traits, acts, standing_of_kinds(grid, traits, place))
        for place in places_of(grid)
    ]


def _counted(
    grid: PlanGrid, constants: MemoryConstants, traits: Traits, acts: Activations, held: Standing
) -> Counted:
    """What is counted on these stages."""
    stage, state, gathered = held.stage, held.state, held.gathered
    batches = in_flight(grid, stage)
    kept_here = kept_on_accelerator(grid, stage)
    alive = batches * stage.blocks_share * kept_here
    kept_on_host = batches * stage.blocks_share * (1.0 - kept_here) * acts.kept
    working = where(grid.frozen > 0, constants.adapter_working_share, constants.working_share)
    logits, each_logit = logits_on_rank(grid, traits), bytes_per_logit(grid, traits, constants)
    placeholders = gradient_placeholders(grid, stage, stage.last * logits)
    values = {
        "trained_weights": state.weights,
        "frozen_weights": state.frozen_weights,
        "cast_weights": state.cast_weights,
        "gradient_buffer": state.gradients,
        "gradient_copies": state.gradient_copies,
        "gradient_placeholders": placeholders.blocks,
        "master_weights": state.master,
        "optimizer_moments": state.moments,
        "block_inputs": alive * acts.model_inputs + batches * stage_outputs(grid, traits),
        "attention_activations": alive * acts.model_attention,
        "attention_scores": alive * acts.model_scores,
        "ffn_activations": batches
        * kept_here
        * (stage.dense_share * acts.model_ffn + stage.routed_share * acts.model_experts),
        "logits_and_loss": stage.last * (logits * each_logit),
        "recompute_working_set": working * acts.recomputed,
        "retained_inputs": alive * retained_inputs(grid, traits, acts.model_inputs),
        "activation_gradients": larger(working * acts.gradients, placeholders.head),
        "gathered_root": gathered.root,
        "gathered_blocks": gathered.blocks,
        "gathered_gradients": gathered.gradients,
        "dequantized_weights": gathered.dequantized,
        "tied_gradient": gathered.tied,
        "optimizer_step_copy": state.step_temporary,
        "trained_parameters": held.trained,
        "stage_blocks": stage.blocks_share * (grid.layers + grid.decoder_layers),
        "batches_in_flight": batches,
        "logits_on_rank": stage.last * logits,
        "bytes_per_logit": each_logit,
        "moments_held": state.moments_held,
        "weight_shards": state.weight_shards,
        "gradient_shards": state.gradient_shards,
        "state_shards": state.state_shards,
        "host_bytes_of_rank": state.host + kept_on_host,
    }
    # Gradients of an earlier micro-batch, or a buffer allocated at the start, exist at the loss.
    # Otherwise the backward pass allocates them one by one while it frees the activations.
    early = larger(traits["gradient_buffer"], grid.gradient_accumulation > 1)
    late = smaller(acts.block_kept / larger(acts.kept * alive, 1.0), 1.0)
    reuse = reuse_of(grid, traits, stage.last * logits, each_logit)
    between = traits["gradients_between_steps"]
    return Counted(values, early, late, reuse, between, stage.number)


@dataclass(frozen=True, slots=True)
class Heights:
    """Bytes at the moments of a step.

    sums: allocated at each of MOMENTS.  seen: with the reserve of unlimited memory.  unusable: what must be
    free beside the allocated ones.  Each broadcasts to (stages, plans).
    """

    sums: tuple[Array, Array, Array, Array]
    seen: Array
    unusable: Array

    @property
    def highest(self) -> Array:
        """Bytes at the fullest of the moments. Source: definition."""
        return highest_of(self.sums)


def highest_of(sums: tuple[Array, Array, Array, Array]) -> Array:
    """Bytes at the fullest moment. sums: bytes at each of MOMENTS.  Source: definition."""
    loss, backward, backward_end, step = sums
    return larger(larger(loss, backward), larger(backward_end, step))


def heights_of(counted: Counted, constants: MemoryConstants) -> Heights:
    """Bytes at the four moments on the stages that were counted, each broadcasting to (stages, plans).

    Source: as ``memory_per_rank``.
    """
    values, early, late = counted.values, counted.early, counted.late
    # Sub-terms are added one by one, so that a plan's digits do not depend on its neighbours.
    of = {life: sum_of(values, names) for life, names in LIFETIMES.items()}
    held = of["always"] + of["gradients"]
    before = held - of["gradients"] * (1.0 - early) + of["casts"] + of["activations"] + of["graph"]
    loss = before + of["logits"]
    backward = before + of["backward"]
    backward_end = held + late * of["activations"] + of["graph"] + of["backward"] + of["tied"]
    sums = loss, backward, backward_end, held + of["step"]
    seen = seen_bytes(
        sums,
        of,
        early=early,
        gathered=values["gathered_root"] + values["gathered_blocks"],
        retained=values["retained_inputs"],
        reuse=counted.reuse,
        constants=constants,
    )
    unusable = counted.reuse.unusable * (highest_of(sums) - of["always"])
    return Heights(sums, seen, unusable)


@dataclass(frozen=True, slots=True)
class _Peak:
    """The fullest stage and its fullest moment, shape (plans,).

    at: where an array of shape (stages, plans) has the stage's entries.  allocated: bytes there.  at_peak:
    the part of the stage's sub-terms that is alive, shape (sub-terms, plans).
    """

    at: tuple[NDArray[np.intp], ...]
    moment: NDArray[np.intp]
    allocated: Array
    at_peak: Array


def _peak(table: Array, sums: Array, early: Array, late: Array) -> _Peak:
    """The fullest stage, and what is alive there.

    table: sub-terms and details, each in full, shape (quantities, stages, plans).  sums: bytes, shape
    (moments, stages, plans).  early, late: as counted, shape (stages, plans).
    """
    highest = sums.max(axis=0)
    place = highest.argmax(axis=0)
    at = (place, np.arange(len(place))) if place.ndim else (place,)
    moment = sums[:, *at].argmax(axis=0)
    chosen = table[:, *at]
    share = np.ones(chosen.shape)
    share[: len(ROWS)] = ALIVE[:, moment]
    share[SPAN["gradients"]] = where(moment <= BACKWARD, early[at], 1.0)
    share[SPAN["activations"]] *= where(moment == BACKWARD_END, late[at], 1.0)
    return _Peak(
        at=at,
        moment=moment,
        allocated=highest[at],
        at_peak=chosen * share,
    )


def _resident(table: Array, between: Array) -> Array:
    """What stays allocated between steps, on the stage where that is most: weights, states, and gradients
    where the stack keeps them. Shape (plans,)."""
    by_name = dict(zip(ROWS, table, strict=False))
    kept = sum_of(by_name, ("trained_weights", "frozen_weights", *PARTS["optimizer_states"]))
    resident: Array = (kept + between * sum_of(by_name, PARTS["gradients"])).max(axis=0)
    return resident


def _with_framework(
    grid: PlanGrid,
    constants: MemoryConstants,
    *,
    terms: dict[str, Array],
    allocated: Array,
    wished_reserve: Array,
    unusable: Array,
    resident: Array,
    worst_stage: Array,
    moment: NDArray[np.intp],
) -> MemoryTerms:
    """Add the bytes that the allocator does not hand out: context, communication buffers, its reserve."""
    parts = {part: sum_of(terms, names) for part, names in PARTS.items() if part != "framework"}
    context, communication, reserve = beside(grid, constants, allocated, wished_reserve)
    terms["context"] = context + 0.0 * allocated
    terms["communication_buffers"] = communication + 0.0 * allocated
    terms["allocator_reserve"] = reserve
    framework = context + communication + reserve
    needed = least_that_runs(constants, allocated, unusable=unusable, reserve=reserve)
    return MemoryTerms(
        **parts,
        framework=framework,
        total=allocated + framework,
        resident=resident,
        allocated=allocated,
        reserved=allocated + reserve,
        needed=needed + (context + communication),
        host=terms["host_bytes_of_rank"] * ranks_on_node(grid),
        worst_stage=worst_stage,
        moment=moment,
        terms=terms,
    )


def beside(
    grid: PlanGrid, constants: MemoryConstants, allocated: Array, wished_reserve: Array
) -> tuple[Array, Array, Array]:
    """Context, communication buffers and the caching allocator's own reserve, bytes.

    allocated: bytes.  wished_reserve: bytes of the reserve if memory were unlimited.
    Before an allocation fails the allocator returns its idle blocks to the driver, so the reserve shrinks
    where memory is short, down to a fixed share of the allocated bytes.
    Source: PyTorch notes, "CUDA semantics: memory management".
    """
    context = entries(constants.context_bytes, grid.architecture)
    communication = entries(constants.communicator_bytes, grid.architecture) * communicator_count(grid)
    least = constants.state_reserve_share * allocated
    # Slightly less than all, so that rounding never makes a plan that just fits look too large.
    room = grid.memory_bytes * (1.0 - 1e-9) - allocated - context - communication
    return context, communication, larger(smaller(wished_reserve, room), least)


def least_that_runs(
    constants: MemoryConstants, allocated: Array, *, unusable: Array, reserve: Array
) -> Array:
    """Bytes that the allocator must be able to take at least for the plan to run, shape (plans,): what is
    allocated, and holes that nothing fits into instead of the whole cache.

    allocated, unusable, reserve: bytes.  Never more than allocated and reserved together; as much where the
    plan does not fit.
    Source: PyTorch notes, "CUDA semantics: memory management"; ``reserve.UNUSABLE``.
    """
    holes = larger(unusable, constants.state_reserve_share * allocated)
    least: Array = allocated + smaller(holes, reserve)
    return least


def sum_of(terms: dict[str, Array], names: tuple[str, ...]) -> Array:
    """Sum of the named terms, in their unit (bytes), added in the order of ``names``.

    terms: arrays by name.  Source: a sum.
    """
    first, *rest = names
    total = terms[first]
    for name in rest:
        total = total + terms[name]
    return total
