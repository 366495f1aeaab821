"""Seconds of the generation phase over all layouts of the engine: continuous batching, or static batches.

All arrays are (layouts, plans): every way to lay the engine out beside every plan, and the fastest that fits
is taken per plan. A single estimate is a grid of one plan.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.engine.grid.plan_grid import MEGATRON, Array, PlanGrid
from planner.engine.grid.scalars import where
from planner.engine.rl.decode import Replica, decode_step_s, prefill_s, replica_of
from planner.engine.rl.lengths import any_alive
from planner.engine.rl.rollout import Rollout
from planner.engine.time.constants import TimingConstants
from planner.engine.time.rollout_constants import RolloutConstants

#: Tensor-parallel degrees that are looked at where none is asked for.
TENSOR_DEGREES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
#: Share of the time that each doubling of the degree must save: an expert takes the plainer engine.
RELUCTANCE = 0.02
#: Share of a rank's memory that keys and values fill up to beside training states: the rest is the context,
#: buffers and a margin, since an engine takes what is there. Our own choice.
FILLED_SHARE = 0.85
#: Sequences for which an engine must have room at least, or it would decode one by one.
LEAST_SEQUENCES = 16.0


@dataclass(frozen=True, slots=True)
class Generation:
    """The generation phase, shape (plans,).

    seconds: of a round in which everybody waits for the longest answer.  overlapped: of a round where the
    next rounds' answers fill the places of those that ended.  sequences: decoded together by a replica.
    weight_bytes, cache_bytes: of the engine on one rank.  tensor, stages, replicas: counts.
    decode_step: seconds with all places taken.  prefill: seconds of the prompts.  moved_bytes: training
    states of a rank that make room for the engine meanwhile.  fits: the engine has room.
    """

    seconds: Array
    overlapped: Array
    sequences: Array
    weight_bytes: Array
    cache_bytes: Array
    tensor: Array
    stages: Array
    replicas: Array
    decode_step: Array
    prefill: Array
    moved_bytes: Array
    fits: Any


def engine_layouts(grid: PlanGrid, rollout: Rollout, ranks: Array) -> tuple[Array, Array]:
    """(tensor-parallel, pipeline) degrees to look at, each of shape (layouts, 1) or (1, plans).

    ranks: that generate.  What is asked for stands.  A static engine of Megatron's runs in the training
    layout; others are laid out anew, with the degrees that divide the attention heads.
    Source: our own choice of the degrees (TENSOR_DEGREES).
    """
    stages = np.asarray(float(rollout.pipeline_parallel or 1))
    if rollout.tensor_parallel is not None:
        return np.asarray([[float(rollout.tensor_parallel)]]), stages
    if rollout.static and np.all(grid.framework == MEGATRON):
        pipeline = grid.pipeline_parallel if rollout.pipeline_parallel is None else stages
        return np.atleast_2d(grid.tensor_parallel), np.atleast_2d(pipeline)
    heads = float(np.max(grid.attention_heads))
    most = float(np.max(ranks))
    degrees = [degree for degree in TENSOR_DEGREES if heads % degree == 0 and degree <= max(most, 1.0)]
    return np.asarray(degrees)[:, None], stages


def generation_phase(
    grid: PlanGrid,
    rollout: Rollout,
    timing: TimingConstants,
    constants: RolloutConstants,
    *,
    ranks: Array,
    states_bytes: Array,
) -> Generation:
    """Seconds and memory of generation with the fastest engine layout that fits, shape (plans,).

    ranks: that generate.  states_bytes: what training keeps on a rank meanwhile, shape (plans,).
    Source: the functions it is made of.
    """
    tensor, stages = engine_layouts(grid, rollout, ranks)
    replica = replica_of(grid, rollout, timing, constants, tensor=tensor, stages=stages)
    found = phase_of(grid, rollout, constants, replica, ranks=ranks, states_bytes=states_bytes)
    taken = np.asarray(found.seconds * (1.0 + RELUCTANCE * np.log2(tensor)))
    taken = np.where(replica.ranks <= ranks, taken, np.inf)
    # Where no layout has room, the one that needs least.
    none = ~np.any(found.fits & (replica.ranks <= ranks), axis=0)
    taken = np.where(found.fits, taken, np.inf)
    best = np.where(
        none,
        np.argmin(np.where(replica.ranks <= ranks, found.weight_bytes, np.inf), axis=0),
        np.argmin(taken, axis=0),
    )
    return Generation(
        **{item.name: picked(getattr(found, item.name), best, taken.shape) for item in fields(Generation)}
    )


def picked(values: Any, best: NDArray[np.int_], shape: tuple[int, ...]) -> Array:
    """Row ``best`` of each plan, shape (plans,), a scalar for a grid of one. Source: a choice."""
    found = np.asarray(values)
    if best.size == 1 and found.size <= shape[0]:
        # One plan: a column of layouts, from which one number is taken.
        one: Array = found.reshape(-1)[int(best.flat[0]) if found.size > 1 else 0]
        return one
    whole = np.broadcast_to(found, np.broadcast_shapes(found.shape, shape))
    rows: Array = np.take_along_axis(whole, np.atleast_1d(best)[None, :], axis=0)[0]
    return rows[0] if rows.shape == (1,) else rows


def room_bytes(
    grid: PlanGrid, rollout: Rollout, replica: Replica, states_bytes: Array, needed: Array
) -> tuple[Array, Array]:
    """(bytes of a rank that keys and values may fill, bytes of training states that move out for them).

    states_bytes: what training keeps on a rank.  needed: bytes of keys and values that make an engine worth
    running. The engine has its share of the memory less its weights, and no more than the states leave; where
    that is too little, the states go to the host for the while.
    Source: Kwon et al. 2023, section 4; Sheng et al. 2024 (HybridFlow), section 5 (offloading between
    phases); NeMo-RL's offload_before_refit.
    """
    own = rollout.memory_share * grid.memory_bytes - replica.weight_bytes
    beside = np.minimum(own, FILLED_SHARE * grid.memory_bytes - replica.weight_bytes - states_bytes)
    moves = beside < np.minimum(needed, own)
    return np.where(moves, own, beside), np.where(moves, states_bytes, 0.0)


def phase_of(
    grid: PlanGrid,
    rollout: Rollout,
    constants: RolloutConstants,
    replica: Replica,
    *,
    ranks: Array,
    states_bytes: Array,
) -> Generation:
    """The phase on one layout of the engine or several, shape (layouts, plans).

    Continuous batching: as long as sequences wait, every place that ends is filled again; the last ones run
    out, and the round ends with its longest answer. Static batches each end with their own.
    Source: Yu et al. 2022 (Orca), section 3; Kwon et al. 2023, section 4.
    """
    replicas = np.maximum(np.floor(ranks / replica.ranks), 1.0)
    waiting = np.ceil(rollout.sequences / replicas)
    shared = rollout.group if rollout.shared_prompts else 1.0
    lengths = rollout.lengths
    per_sequence = (rollout.prompt_tokens / shared + lengths.mean) * replica.cache_bytes
    needed = np.minimum(waiting, LEAST_SEQUENCES) * per_sequence
    free, moved = room_bytes(grid, rollout, replica, states_bytes, needed)
    room = free / per_sequence
    most = rollout.most_sequences * where(replica.stages > 1.0, replica.stages, 1.0)
    least = np.minimum(waiting, 1.0)
    together = np.maximum(np.minimum(np.minimum(waiting, most), np.floor(room)), least)
    prompts = prefill_s(grid, replica, waiting * rollout.prompt_tokens / shared)
    steady = decode_step_s(
        grid,
        rollout,
        constants,
        replica,
        sequences=together,
        context_tokens=np.asarray(rollout.prompt_tokens + 0.5 * lengths.mean),
    )
    last = run_out_s(grid, rollout, constants, replica, together=together)
    if rollout.static:
        seconds = np.ceil(waiting / together) * last
        overlapped = seconds
    else:
        seconds = (waiting / together - 1.0) * lengths.mean * steady + last
        overlapped = overlapped_s(grid, rollout, constants, replica, waiting=waiting, most=most, room=room)
    overlapped = np.minimum(overlapped, seconds)
    return Generation(
        seconds=seconds + prompts,
        overlapped=overlapped + prompts,
        sequences=together,
        weight_bytes=replica.weight_bytes,
        cache_bytes=together * per_sequence,
        tensor=replica.tensor,
        stages=replica.stages,
        replicas=replicas,
        decode_step=steady,
        prefill=prompts,
        moved_bytes=moved,
        fits=room >= np.minimum(waiting, LEAST_SEQUENCES),
    )


def run_out_s(
    grid: PlanGrid, rollout: Rollout, constants: RolloutConstants, replica: Replica, *, together: Array
) -> Array:
    """Seconds in which ``together`` (count) sequences that start at once end one by one, until the longest
    of the round ends, shape (layouts, plans).

    Sums, over the segments of an answer, tokens x the chance that any answer of the round is as long x the
    step time of those still written. With one sequence this is its mean length in tokens x one step.
    Source: order statistics; ``lengths``.
    """
    lengths = rollout.lengths
    running = np.asarray(together)[..., None]
    wide = Replica(
        **{item.name: np.asarray(getattr(replica, item.name))[..., None] for item in fields(Replica)}
    )
    some = any_alive(lengths.alive, np.maximum(running, 1.0))
    expanded = widened(grid)
    each = decode_step_s(
        expanded,
        rollout,
        constants,
        wide,
        sequences=running * lengths.alive / some,
        context_tokens=rollout.prompt_tokens + lengths.start + 0.5 * lengths.tokens,
    )
    # A static batch waits for its own longest; with an engine all replicas wait for that of the round.
    of_round = some if rollout.static else any_alive(lengths.alive, np.asarray(rollout.sequences))
    total: Array = np.sum(lengths.tokens * of_round * each, axis=-1)
    return total


def overlapped_s(
    grid: PlanGrid,
    rollout: Rollout,
    constants: RolloutConstants,
    replica: Replica,
    *,
    waiting: Array,
    most: Array,
    room: Array,
) -> Array:
    """Seconds between rounds where generation works ahead: places are filled from the rounds to come, so
    that nobody waits for the longest answer; but no answer takes longer than the rounds it may span.

    waiting: sequences of a round and replica.  most, room: places, by the engine's limit and by memory.
    With k rounds ahead, the sequences of k rounds are in flight; partial rollouts go on in the next round.
    Source: Fu et al. 2025 (AReaL), section 4; Zhong et al. 2024 (RLHFuse), section 4.
    """
    rounds = float(max(rollout.staleness_steps, 1))
    mean = rollout.lengths.mean
    flying = np.maximum(np.minimum(np.minimum(rounds * waiting, most), np.floor(room)), 1.0)
    step = decode_step_s(
        grid,
        rollout,
        constants,
        replica,
        sequences=flying,
        context_tokens=np.asarray(rollout.prompt_tokens + 0.5 * mean),
    )
    longest = np.sum(rollout.lengths.tokens * any_alive(rollout.lengths.alive, np.asarray(rollout.sequences)))
    spanned = where(np.asarray(rollout.partial_rollouts), 0.0, longest * step / rounds)
    return np.maximum(waiting * mean / flying * step, spanned)


_WIDE = (
    "layers",
    "moe_blocks",
    "hidden_size",
    "active_parameters",
    "experts",
    "experts_per_token",
    "memory_bandwidth_bytes_per_s",
)


def widened(grid: PlanGrid) -> PlanGrid:
    """The grid with a last axis for segments, where its fields vary with the plan."""
    varying = {name: value[..., None] for name in _WIDE if (value := getattr(grid, name)).ndim}
    return grid.with_fields(**varying) if varying else grid


def ranks_that_generate(grid: PlanGrid, rollout: Rollout) -> Array:
    """Count of ranks that generate, shape (plans,): those asked for, all of the plan's, or
    where they are apart those that do not train.

    Source: the question.
    """
    if rollout.accelerators is None:
        rest = grid.nodes * grid.ranks_per_node - grid.ranks
        # Where the number of nodes is still open, as many generate as train.
        return where(rest >= 1.0, rest, grid.ranks) if rollout.split else grid.ranks
    return rollout.accelerators * grid.ranks_per_accelerator
