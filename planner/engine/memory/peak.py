"""Memory of one accelerator rank at its peak: on the fullest pipeline stage, at the fullest moment of a step.

States, activations and buffers are counted in the modules beside this one; here they are put together at four
moments (loss, start and end of the backward pass, optimizer step) on three stages (first, middle, last), and
the largest sum wins. Everything is an array over plans; no value of a plan is branched on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.scalars import on_scalars, where
from planner.engine.memory.activations import (
    activations,
    in_flight,
    kept_on_accelerator,
    retained_inputs,
    stage_outputs,
)
from planner.engine.memory.buffers import (
    bytes_per_logit,
    communicator_count,
    gathered_bytes,
    gradient_placeholders,
    logits_on_rank,
)
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.explain import MEMORY_TEMPLATES
from planner.engine.memory.parts import (
    ALIVE,
    BACKWARD,
    BACKWARD_END,
    DETAILS,
    LIFETIMES,
    LOSS,
    MOMENTS,
    PARTS,
    ROW,
    ROWS,
    SPAN,
    STEP,
)
from planner.engine.memory.reserve import Reuse, reuse_of, seen_bytes
from planner.engine.memory.states import parameters_here, stages, state_bytes
from planner.engine.memory.traits import traits_of

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
    moment: index into MOMENTS.  terms: every sub-term, by name; ``PARTS`` says which part each is of; and
    the numbers behind them (DETAILS), which are counts, not bytes.
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
    table = np.empty((len(ROW), *np.broadcast(*counted.values.values()).shape))
    for name, value in counted.values.items():
        table[ROW[name]] = value
    peak = _peak(table, counted, constants)
    place, column = peak.place, peak.column
    terms = dict(zip((*ROWS, *DETAILS), peak.at_peak, strict=True))
    return _with_framework(
        grid,
        constants,
        terms=terms,
        allocated=peak.allocated,
        wished_reserve=peak.wished_reserve,
        unusable=peak.unusable,
        resident=_resident(table, counted.gradients_between),
        worst_stage=(counted.number + np.zeros(table.shape[-1]))[place, column],
        moment=peak.moment,
    )


def ranks_on_node(grid: PlanGrid) -> Array:
    """Ranks of the run on one node, a count, shape (plans,).  Source: definition."""
    return np.minimum(grid.ranks_per_node, grid.ranks)


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


def counted_on_stages(grid: PlanGrid, constants: MemoryConstants) -> Counted:
    """What is counted on the first, a middle and the last stage: bytes and counts, shape (3, plans).

    Of the machine only its architecture is read.  Source: as ``memory_per_rank``.
    """
    traits = traits_of(grid)
    stage = stages(grid)
    here = parameters_here(grid, stage, traits)
    state = state_bytes(grid, here, traits)
    acts = activations(grid, traits, constants)
    gathered = gathered_bytes(grid, traits, here, stage)
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
        "activation_gradients": np.maximum(working * acts.gradients, placeholders.head),
        "gathered_root": gathered.root,
        "gathered_blocks": gathered.blocks,
        "gathered_gradients": gathered.gradients,
        "dequantized_weights": gathered.dequantized,
        "tied_gradient": gathered.tied,
        "optimizer_step_copy": state.step_temporary,
        "trained_parameters": here.trained_dense + here.trained_experts,
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
    early = np.maximum(traits["gradient_buffer"], grid.gradient_accumulation > 1)
    late = np.minimum(acts.block_kept / np.maximum(acts.kept * alive, 1.0), 1.0)
    reuse = reuse_of(grid, traits, stage.last * logits, each_logit)
    between = traits["gradients_between_steps"]
    return Counted(values, early, late, reuse, between, stage.number)


@dataclass(frozen=True, slots=True)
class Heights:
    """Bytes at the moments of a step.

    sums: allocated at each moment, shape (moments, 3, plans).  highest: the largest of a stage's moments,
    shape (3, plans).  seen: with the reserve of unlimited memory, on the stage where that is most, shape
    (plans,).  unusable: bytes that must be free beside the allocated ones, on the stage where that is most,
    shape (plans,).
    """

    sums: Array
    highest: Array
    seen: Array
    unusable: Array


def heights_of(counted: Counted, constants: MemoryConstants) -> Heights:
    """Bytes at the four moments of each stage, shape (moments, 3, plans).  Source: as ``memory_per_rank``."""
    values, early, late = counted.values, counted.early, counted.late
    # Sub-terms are added one by one, so that a plan's digits do not depend on its neighbours.
    of = {life: sum_of(values, names) for life, names in LIFETIMES.items()}
    held = of["always"] + of["gradients"]
    before = held - of["gradients"] * (1.0 - early) + of["casts"] + of["activations"] + of["graph"]
    at = [np.asarray(0.0)] * len(MOMENTS)
    at[LOSS] = before + of["logits"]
    at[BACKWARD] = before + of["backward"]
    at[BACKWARD_END] = held + late * of["activations"] + of["graph"] + of["backward"] + of["tied"]
    at[STEP] = held + of["step"]
    sums = np.empty((len(MOMENTS), *np.broadcast(*at).shape))
    for moment, height in enumerate(at):
        sums[moment] = height
    highest = sums.max(axis=0)
    seen = seen_bytes(
        (at[LOSS], at[BACKWARD], at[BACKWARD_END], at[STEP]),
        of,
        early=early,
        gathered=values["gathered_root"] + values["gathered_blocks"],
        retained=values["retained_inputs"],
        reuse=counted.reuse,
        constants=constants,
    ).max(axis=0)
    unusable = (counted.reuse.unusable * (highest - of["always"])).max(axis=0)
    return Heights(sums, highest, seen, unusable)


@dataclass(frozen=True, slots=True)
class _Peak:
    """The fullest stage (place) and its fullest moment, shape (plans,).

    wished_reserve: bytes that the allocator would hold beyond the allocated ones if memory were unlimited,
    on the stage that nvidia-smi would show fullest.  unusable: as in ``Heights``.  chosen: that stage's
    sub-terms, each in full.  at_peak: the part of them that is alive, shape (sub-terms, plans).
    """

    place: NDArray[np.intp]
    column: NDArray[np.intp]
    moment: NDArray[np.intp]
    allocated: Array
    wished_reserve: Array
    unusable: Array
    chosen: Array
    at_peak: Array


def _peak(table: Array, counted: Counted, constants: MemoryConstants) -> _Peak:
    """Sum the moments of each stage and find the stage that nvidia-smi would show fullest."""
    stages_count, count = table.shape[1:]
    heights = heights_of(counted, constants)
    sums, highest = (
        np.broadcast_to(values, (*values.shape[:-1], count)) for values in (heights.sums, heights.highest)
    )
    early, late = counted.early, counted.late
    column = np.arange(count)
    place = highest.argmax(axis=0)
    moment = sums[:, place, column].argmax(axis=0)
    chosen = table[:, place, column]
    share = np.ones(chosen.shape)
    share[: len(ROWS)] = ALIVE[:, moment]
    share[SPAN["gradients"]] = where(moment <= BACKWARD, early, 1.0)
    share[SPAN["activations"]] *= where(
        moment == BACKWARD_END, (late + np.zeros((stages_count, count)))[place, column], 1.0
    )
    allocated = highest[place, column]
    return _Peak(
        place=place,
        column=column,
        moment=moment,
        allocated=allocated,
        wished_reserve=heights.seen - allocated,
        unusable=heights.unusable,
        chosen=chosen,
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
    architecture = grid.architecture.astype(int)
    context = constants.context_bytes[architecture]
    communication = constants.communicator_bytes[architecture] * communicator_count(grid)
    least = constants.state_reserve_share * allocated
    # Slightly less than all, so that rounding never makes a plan that just fits look too large.
    room = grid.memory_bytes * (1.0 - 1e-9) - allocated - context - communication
    return context, communication, np.maximum(np.minimum(wished_reserve, room), least)


def least_that_runs(
    constants: MemoryConstants, allocated: Array, *, unusable: Array, reserve: Array
) -> Array:
    """Bytes that the allocator must be able to take at least for the plan to run, shape (plans,): what is
    allocated, and holes that nothing fits into instead of the whole cache.

    allocated, unusable, reserve: bytes.  Never more than allocated and reserved together; as much where the
    plan does not fit.
    Source: PyTorch notes, "CUDA semantics: memory management"; ``reserve.UNUSABLE``.
    """
    holes = np.maximum(unusable, constants.state_reserve_share * allocated)
    least: Array = allocated + np.minimum(holes, reserve)
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
