"""PPO, phase by phase: generate with the actor, score with all models, train actor and critic.

All models live on the same ranks in one layout (as DeepSpeed-Chat's hybrid engine does); actor and critic
keep their training states, reference and reward their weights alone. A step is one round over the global
batch.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from planner.engine.evaluate import Evaluation, evaluate
from planner.engine.grid.build import grid_over_layouts
from planner.engine.grid.plan_grid import ZERO_3, Array, PlanGrid
from planner.engine.grid.scalars import where
from planner.engine.memory.peak import MemoryTerms
from planner.engine.question.request import PlanRequest
from planner.engine.question.specs import ModelSpec
from planner.engine.rl.generation import Generation, generating_share, generation_phase
from planner.engine.rl.scoring import scoring_s
from planner.engine.sure.calibration import Calibration
from planner.engine.time import flops
from planner.engine.time.step import StepTime

#: The parts of a training step; generation and scoring are added to them.
PARTS = tuple(item.name for item in fields(StepTime) if item.name not in ("step", "terms"))


def evaluate_ppo(request: PlanRequest, layouts: dict[str, Array], calibration: Calibration) -> Evaluation:
    """Memory in bytes and seconds of PPO plans; the grid is the actor's.

    layouts: PlanGrid layout arrays, shape (plans,). | A step is generation, scoring and ``ppo_epochs`` of
    training actor and critic. Source: Ouyang et al. 2022; the phases name theirs.
    """
    ppo = request.workload.ppo
    assert ppo is not None
    actor_grid = model_grid(request, ppo.actor, layouts)
    actor = evaluate(actor_grid, calibration)
    trained = [actor]
    if ppo.critic is not None:
        trained.append(evaluate(scalar_head(model_grid(request, ppo.critic, layouts)), calibration))
    judges = [model_grid(request, ppo.reference, layouts)] if ppo.reference else []
    judges += [scalar_head(model_grid(request, ppo.reward, layouts))] if ppo.reward else []
    frozen_bytes = sum((weights_only_bytes(grid) for grid in judges), np.asarray(0.0))
    states = sum((each.memory.resident for each in trained), frozen_bytes)
    share = generating_share(actor_grid, critic=ppo.critic is not None)
    generation = generation_phase(
        actor_grid,
        calibration.timing,
        rollout_tokens=float(ppo.rollout_tokens),
        states_bytes=states,
        share=share,
    )
    scoring = scoring_s([*(each.grid for each in trained), *judges], calibration.timing)

    epochs = float(ppo.ppo_epochs)
    parts = {
        name: epochs * sum((getattr(each.step, name) for each in trained), np.asarray(0.0)) for name in PARTS
    }
    step = sum(parts.values(), np.asarray(0.0)) + generation.seconds + scoring
    batch = actor_grid.global_batch_size
    training_flops = sum(
        (batch * flops.model_flops_per_sequence(each.grid) for each in trained), np.asarray(0.0)
    )
    scoring_flops = sum(
        (
            batch * flops.model_flops_per_sequence(grid) / 3.0
            for grid in (*judges, *(each.grid for each in trained))
        ),
        np.asarray(0.0),
    )
    terms = dict(
        **actor.step.terms,
        generation=generation.seconds,
        scoring=scoring,
        generation_sequences=generation.sequences,
        rollout_tokens=np.asarray(float(ppo.rollout_tokens)),
        ppo_model_flops=epochs * training_flops + scoring_flops,
    )
    return Evaluation(
        actor.grid, ppo_memory(trained, frozen_bytes, generation), StepTime(**parts, step=step, terms=terms)
    )


def model_grid(request: PlanRequest, model: ModelSpec, layouts: dict[str, Array]) -> PlanGrid:
    """The grid of one of PPO's models, as if it were fully fine-tuned.

    layouts: PlanGrid layout arrays, shape (plans,).
    """
    workload = replace(request.workload, task="full_finetuning", ppo=None)
    return grid_over_layouts(replace(request, model=model, workload=workload), layouts)


def scalar_head(grid: PlanGrid) -> PlanGrid:
    """The grid with a head of one output per token, as critic and reward models have (Ouyang et al. 2022)."""
    return grid.with_fields(head_matmul=0.0, head_parameters=grid.hidden_size)


def weights_only_bytes(grid: PlanGrid) -> Array:
    """Bytes of a frozen model's weights on one rank, shape (plans,), sharded like the others under ZeRO-3.

    Source: Rajbhandari et al. 2020, section 5.
    """
    split = grid.tensor_parallel * grid.pipeline_parallel
    sharded = where(grid.sharding == ZERO_3, np.maximum(grid.sharding_group, 1.0), 1.0)
    return grid.total_parameters * grid.element_bytes / (split * sharded)


def ppo_memory(trained: list[Evaluation], frozen_bytes: Array, generation: Generation) -> MemoryTerms:
    """The actor's peak in bytes, plus the other models' resident states and weights.

    trained: actor, then critic.  frozen_bytes: weights of reference and reward per rank, shape (plans,).
    generation: its cache. Only one model trains at a time, so activations count once: the larger of the two.
    The cache of the generation phase takes the same place.
    """
    actor = trained[0].memory
    others = trained[1:]
    states = {
        name: getattr(actor, name) + sum((getattr(each.memory, name) for each in others), np.asarray(0.0))
        for name in ("weights", "gradients", "optimizer_states")
    }
    states["weights"] = states["weights"] + frozen_bytes
    moving = {name: getattr(actor, name) for name in ("activations", "logits", "temporary")}
    for each in others:
        moving["activations"] = np.maximum(moving["activations"], each.memory.activations)
    peak = sum(moving.values(), np.asarray(0.0))
    moving["activations"] = moving["activations"] + np.maximum(generation.cache_bytes - peak, 0.0)
    terms = dict(actor.terms)
    for name, value in {**states, "activations": moving["activations"]}.items():
        terms[f"ppo_{name}"] = value - getattr(actor, name)
    held = sum(states.values(), np.asarray(0.0)) + sum(moving.values(), np.asarray(0.0))
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
        terms=terms,
    )
