"""Memory of reinforcement learning on the fullest rank: all models' states, and the engine beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from planner.engine.evaluate import Evaluation
from planner.engine.grid.plan_grid import ZERO_3, Array, PlanGrid
from planner.engine.grid.scalars import where
from planner.engine.memory.peak import MemoryTerms
from planner.engine.rl.generation import Generation
from planner.engine.rl.rollout import Rollout


def weights_only_bytes(grid: PlanGrid) -> Array:
    """Bytes of a frozen model's weights on one rank, shape (plans,), sharded like the others under ZeRO-3.

    Experts are whole on their ranks with expert parallelism, and split like other matrices without.
    Source: Rajbhandari et al. 2020, section 5; Megatron-Core, MoE documentation.
    """
    routed = grid.routed_expert_parameters * grid.moe_blocks
    experts = where(grid.expert_parallel > 1, grid.expert_parallel, grid.tensor_parallel)
    parameters = (grid.total_parameters - routed) / grid.tensor_parallel + routed / experts
    sharded = where(grid.sharding == ZERO_3, np.maximum(grid.sharding_group, 1.0), 1.0)
    return parameters * np.minimum(grid.element_bytes, 2.0) / (grid.pipeline_parallel * sharded)


def resident_bytes(trained: Sequence[Evaluation], frozen_bytes: Array) -> Array:
    """Bytes that all models keep on a rank between phases, shape (plans,).

    frozen_bytes: weights of the frozen models. Source: sum of the parts.
    """
    return sum((each.memory.resident for each in trained), frozen_bytes)


def round_memory(
    trained: Sequence[Evaluation], frozen_bytes: Array, generation: Generation, rollout: Rollout
) -> MemoryTerms:
    """The actor's peak in bytes with the other models' states, and the engine where it shares the rank.

    trained: actor, then critic.  frozen_bytes: weights of reference and reward per rank, shape (plans,).
    generation: its engine. Only one model trains at a time, so activations count once: the larger of the
    two. An engine that sleeps takes the activations' place; one that does not stands beside them; one on
    accelerators of its own takes nothing here. The static engine decodes with the training weights, gathered.
    Source: Ouyang et al. 2022; Sheng et al. 2024 (HybridFlow), section 5.
    """
    actor = trained[0].memory
    others = trained[1:]
    none = np.asarray(0.0)
    states = {
        name: getattr(actor, name) + sum((getattr(each.memory, name) for each in others), none)
        for name in ("weights", "gradients", "optimizer_states")
    }
    states["weights"] = states["weights"] + frozen_bytes
    moving = {name: getattr(actor, name) for name in ("activations", "logits", "temporary")}
    for each in others:
        moving["activations"] = np.maximum(moving["activations"], each.memory.activations)
    peak = sum(moving.values(), none)
    engine, cache = engine_bytes(trained[0].grid, generation, rollout)
    if rollout.split:
        engine, cache = none * engine, none * cache
    # What moves to the host for the while makes room: first for the weights, then for keys and values.
    room = generation.moved_bytes
    engine, cache = np.maximum(engine - room, 0.0), np.maximum(cache - np.maximum(room - engine, 0.0), 0.0)
    if rollout.sleep:
        # At the generation's peak nothing is activated, and what training moves has gone.
        beyond = np.maximum(engine + cache - peak, 0.0)
        engine = np.minimum(engine, beyond)
        cache = beyond - engine
    states["weights"] = states["weights"] + engine
    moving["activations"] = moving["activations"] + cache
    terms = dict(actor.terms)
    for name, value in {**states, "activations": moving["activations"]}.items():
        terms[f"ppo_{name}"] = value - getattr(actor, name)
    terms["ppo_weights"] = states["weights"] - actor.weights - frozen_bytes - engine
    terms["frozen_models"] = frozen_bytes
    terms["generation_weights"] = engine
    terms["generation_cache"] = cache
    terms["ppo_activations"] = terms["ppo_activations"] - cache
    held = sum(states.values(), none) + sum(moving.values(), none)
    beside_resident = sum((each.memory.resident for each in others), frozen_bytes)
    grown = held - (actor.total - actor.framework)
    return replace(
        actor,
        **states,
        **moving,
        total=held + actor.framework,
        resident=actor.resident + beside_resident,
        allocated=actor.allocated + grown,
        reserved=actor.reserved + grown,
        needed=actor.needed + grown,
        terms=terms,
    )


def engine_bytes(grid: PlanGrid, generation: Generation, rollout: Rollout) -> tuple[Array, Array]:
    """(weights, keys and values) of the engine on one rank, bytes, shape (plans,).

    The static engine needs no copy where training holds the weights whole in the same split.
    Source: Sheng et al. 2024 (HybridFlow), section 5.
    """
    own = weights_only_bytes(grid)
    if rollout.static:
        return np.maximum(generation.weight_bytes - own, 0.0), generation.cache_bytes
    return generation.weight_bytes, generation.cache_bytes
