"""Rounds by hand: what generates, without going through a request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from planner.engine.grid.plan_grid import PlanGrid
from planner.engine.rl.generation import Generation, generation_phase
from planner.engine.rl.lengths import response_lengths
from planner.engine.rl.rollout import Rollout
from planner.engine.time.rollout_constants import RolloutConstants
from tests.engine.bare import bare_constants, bare_grid

#: An ideal machine: nothing but bytes and FLOPs takes time.
IDEAL = RolloutConstants(
    decode_bandwidth=1.0,
    engine_layer_s=0.0,
    eager_layer_s=0.0,
    engine_step_s=0.0,
    engine_sequence_s=0.0,
    stage_visit_s=0.0,
    reduction_s=0.0,
    network_reduction_s=0.0,
    synchronization_bandwidth=1.0,
    update_bytes_per_s=1e30,
    handover_s=0.0,
    round_s=0.0,
    scoring_overhead=1.0,
    training_overhead=1.0,
)
ROLLOUT = Rollout(
    sequences=4.0,
    group=1.0,
    prompt_tokens=2.0,
    lengths=response_lengths(6.0, 0.0, None),
    longest_tokens=6.0,
    engine="vllm",
    most_sequences=1e6,
    weight_bytes=2.0,
    memory_share=0.9,
    shared_prompts=False,
    split=False,
    sleep=True,
    eager=False,
    accelerators=None,
    tensor_parallel=1,
    pipeline_parallel=None,
    expert_parallel=1,
    staleness_steps=0,
    partial_rollouts=False,
)


def rollout(**changes: Any) -> Rollout:
    return replace(ROLLOUT, **changes)


def phase(
    asked: Rollout = ROLLOUT, *, ranks: float = 1.0, states: float = 0.0, constants: Any = None, **grid: float
) -> Generation:
    plan: PlanGrid = bare_grid(**grid)
    return generation_phase(
        plan,
        asked,
        bare_constants(),
        constants or IDEAL,
        ranks=np.float64(ranks),
        states_bytes=np.float64(states),
    )
