"""Seconds in which the engine gets the weights that training has changed, and takes its turn."""

from __future__ import annotations

import numpy as np

from planner.engine.grid.plan_grid import ZERO_3, Array, PlanGrid
from planner.engine.grid.scalars import where
from planner.engine.rl.generation import Generation
from planner.engine.rl.rollout import Rollout
from planner.engine.time.rollout_constants import RolloutConstants

#: A host's memory takes in and gives back training states at this rate per rank, bytes/s: PCIe 4.0 x16 with
#: pinned memory (measured copies reach 24 to 26 of 31.5 GB/s).
HOST_BYTES_PER_S = 2.5e10


def weight_synchronization_s(
    grid: PlanGrid,
    rollout: Rollout,
    constants: RolloutConstants,
    generation: Generation,
    *,
    ranks: Array,
    moved_bytes: Array,
) -> Array:
    """Seconds between an update and the next token, shape (plans,).

    ranks: of both pools together.  moved_bytes: training states of a rank that make room for the engine and
    come back.  Of an actor of adapters these alone are sent, as verl and TRL do with vLLM.
    The whole model passes the slowest link once (a node's network where there are several: rings share it),
    and each rank of the engine takes in its part; an engine that shares its accelerators is woken and put to
    sleep. Static batches in the training layout need no new weights.
    Source: Sheng et al. 2024 (HybridFlow), section 5. Published seconds: NVIDIA-NeMo/RL pull requests 449,
    2808 and 2971 (30 to 671 billion parameters), and the gathering that PUZZLE's logs of DeepSpeed-Chat name.
    """
    # Static batches decode with the base as it is gathered, whatever was trained.
    changed = 1.0 if rollout.static else grid.trainable_parameters / grid.total_parameters
    whole = grid.total_parameters * rollout.weight_bytes * changed
    several = ranks > grid.link_domain_ranks
    slowest = where(
        several, np.minimum(grid.internode_bytes_per_s, grid.link_bytes_per_s), grid.link_bytes_per_s
    )
    travel = where(ranks > 1.0, whole / (slowest * constants.synchronization_bandwidth), 0.0)
    take_in = generation.weight_bytes * changed / constants.update_bytes_per_s
    seconds = travel + where(ranks > 1.0, take_in, 0.0) + 2.0 * moved_bytes / HOST_BYTES_PER_S
    if rollout.static:
        same = (generation.tensor == grid.tensor_parallel) & (generation.stages == grid.pipeline_parallel)
        return where(same & (grid.sharding < ZERO_3), 0.0, seconds)
    return seconds + (constants.handover_s if not rollout.split and rollout.sleep else 0.0)
