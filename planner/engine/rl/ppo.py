"""A round of reinforcement learning: generate with the actor, score with all models, train actor and critic.

The trained models share one layout; generation has a layout of its own, on the same accelerators or on
others. A step is one round over the global batch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from planner.engine.evaluate import Evaluation, evaluate
from planner.engine.grid.build import grid_over_layouts
from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.question.request import PlanRequest
from planner.engine.question.specs import ModelSpec
from planner.engine.rl.generation import Generation, generation_phase, ranks_that_generate
from planner.engine.rl.memory import resident_bytes, round_memory, weights_only_bytes
from planner.engine.rl.pools import round_of
from planner.engine.rl.rollout import Rollout, rollout_of, trained_workload
from planner.engine.rl.scoring import scoring_s
from planner.engine.rl.synchronization import weight_synchronization_s
from planner.engine.sure.calibration import Calibration
from planner.engine.time import flops
from planner.engine.time.step import StepTime

#: The parts of a training step; those of the round are added to them.
PARTS = tuple(item.name for item in fields(StepTime) if item.name not in ("step", "terms"))
#: Of these, what each optimizer step costs anew; the others go with the tokens.
PER_UPDATE = ("pipeline_bubble", "optimizer", "other")


@dataclass(frozen=True, slots=True)
class Models:
    """The models of a round: those that train, with memory and time, and the frozen ones."""

    trained: tuple[Evaluation, ...]
    frozen: tuple[Evaluation, ...]
    frozen_bytes: Array


def evaluate_ppo(request: PlanRequest, layouts: dict[str, Array], calibration: Calibration) -> Evaluation:
    """Memory in bytes and seconds of RL plans; the grid is the actor's.

    layouts: PlanGrid layout arrays, shape (plans,). | A step is generation, scoring, the new weights' way to
    the engine, and ``ppo_epochs`` passes of training actor and critic. Source: Ouyang et al. 2022; the phases
    name theirs.
    """
    return evaluate_round(request, models_of(request, layouts, calibration), calibration)


def evaluate_round(request: PlanRequest, models: Models, calibration: Calibration) -> Evaluation:
    """Memory in bytes and seconds of RL plans whose models are computed already: shapes as theirs."""
    workload = request.workload
    ppo = workload.ppo
    assert ppo is not None
    constants = calibration.rollout
    rollout = rollout_of(workload, constants.response_variation)
    actor = models.trained[0]
    grid = actor.grid
    ranks = ranks_that_generate(grid, rollout)
    states = np.asarray(0.0) if rollout.split else resident_bytes(models.trained, models.frozen_bytes)
    generation = generation_phase(
        grid, rollout, calibration.timing, constants, ranks=ranks, states_bytes=states
    )
    scoring = scoring_s([(each.grid, each.step) for each in (*models.trained, *models.frozen)], constants)
    epochs, updates = float(ppo.ppo_epochs), float(ppo.updates_per_step)
    parts = {
        name: constants.training_overhead
        * epochs
        * sum((part_of(each, name, updates) for each in models.trained), np.asarray(0.0))
        for name in PARTS
    }
    parts["other"] = parts["other"] + constants.round_s
    training = sum(parts.values(), np.asarray(0.0))
    synchronization = weight_synchronization_s(
        grid,
        rollout,
        constants,
        generation,
        ranks=grid.ranks + ranks if rollout.split else grid.ranks,
        moved_bytes=generation.moved_bytes,
    )
    found = round_of(rollout, generation, scoring=scoring, training=training, synchronization=synchronization)
    step = training + found.generation + found.scoring + found.synchronization + found.waiting
    terms = dict(
        **actor.step.terms,
        generation=found.generation,
        scoring=found.scoring,
        weight_synchronization=found.synchronization,
        waiting=found.waiting,
        **generation_terms(rollout, generation, ranks),
        generation_idle=found.idle,
        ppo_model_flops=round_flops(models, epochs),
    )
    memory = round_memory(models.trained, models.frozen_bytes, generation, rollout)
    return Evaluation(grid, memory, StepTime(**parts, step=step, terms=terms))


def generation_terms(rollout: Rollout, generation: Generation, ranks: Array) -> dict[str, Array]:
    """What the explanation shows of the engine."""
    return {
        "generation_whole": generation.seconds,
        "generation_overlapped": generation.overlapped,
        "generation_sequences": generation.sequences,
        "generation_tensor": generation.tensor,
        "generation_stages": generation.stages,
        "generation_replicas": generation.replicas,
        "generation_ranks": np.asarray(ranks),
        "decode_step_s": generation.decode_step,
        "prefill_s": generation.prefill,
        "response_tokens": np.asarray(rollout.lengths.mean),
        "longest_tokens": np.asarray(rollout.longest_tokens),
        "prompt_tokens": np.asarray(rollout.prompt_tokens),
        "round_sequences": np.asarray(rollout.sequences),
    }


def part_of(model: Evaluation, name: str, updates: float) -> Array:
    """Seconds of one part of a model's training in a pass over the round, shape (plans,).

    updates: optimizer steps of the pass. Fixed costs of a step are paid for each; a reduction of gradients
    too, where it is done once a step and not with every micro-batch. Source: our own count.
    """
    seconds: Array = getattr(model.step, name)
    if name in PER_UPDATE:
        return updates * seconds
    if name == "data_communication":
        return seconds + (updates - 1.0) * model.step.terms["reduction_exposed_s"]
    return seconds


def models_of(request: PlanRequest, layouts: dict[str, Array], calibration: Calibration) -> Models:
    """The round's models in one layout. Models of the same shape are computed once.

    layouts: PlanGrid layout arrays, shape (plans,).
    """
    ppo = request.workload.ppo
    assert ppo is not None
    plain = evaluate(model_grid(request, ppo.actor, layouts), calibration)
    actor = plain
    if ppo.actor_lora_rank is not None:
        actor = evaluate(adapted_grid(request, ppo.actor, layouts), calibration)
    trained, frozen, frozen_bytes = [actor], [], np.asarray(0.0)
    heads: dict[ModelSpec, Evaluation] = {}

    def judge(model: ModelSpec) -> Evaluation:
        if model not in heads:
            heads[model] = evaluate(scalar_head(model_grid(request, model, layouts)), calibration)
        return heads[model]

    if ppo.critic is not None:
        trained.append(judge(ppo.critic))
    if ppo.reference is not None:
        same = ppo.reference == ppo.actor
        reference = plain if same else evaluate(model_grid(request, ppo.reference, layouts), calibration)
        frozen.append(reference)
        # An actor of adapters is its own reference with the adapters off (PEFT, TRL), and Megatron's stacks
        # keep the weights of a reference of the actor's shape on the host and swap them in (Shen et al.
        # 2024, NeMo-Aligner, section 4.1; NeMo-RL).
        spared = ppo.actor_lora_rank is not None or request.workload.framework == "megatron"
        if not (same and spared):
            frozen_bytes = frozen_bytes + weights_only_bytes(reference.grid)
    if ppo.reward is not None:
        frozen.append(judge(ppo.reward))
        frozen_bytes = frozen_bytes + weights_only_bytes(frozen[-1].grid)
    return Models(tuple(trained), tuple(frozen), frozen_bytes)


def round_flops(models: Models, epochs: float) -> Array:
    """Model FLOPs of a round, shape (plans,): 6 a parameter and token trained on, 2 for each scoring pass.

    epochs: count of passes over the round.
    Source: Chowdhery et al. 2022, appendix B.
    """
    batch = models.trained[0].grid.global_batch_size
    none = np.asarray(0.0)
    training = sum((batch * flops.model_flops_per_sequence(each.grid) for each in models.trained), none)
    scored = (*models.frozen, *models.trained)
    scoring = sum((batch * flops.model_flops_per_sequence(each.grid) / 3.0 for each in scored), none)
    return epochs * training + scoring


def model_grid(request: PlanRequest, model: ModelSpec, layouts: dict[str, Array]) -> PlanGrid:
    """The grid of one of the round's models, as if it were fully fine-tuned.

    layouts: PlanGrid layout arrays, shape (plans,).
    """
    workload = trained_workload(request.workload)
    grid = grid_over_layouts(replace(request, model=model, workload=workload), layouts)
    return by_tokens(grid, request)


def adapted_grid(request: PlanRequest, model: ModelSpec, layouts: dict[str, Array]) -> PlanGrid:
    """The grid of an actor that is trained by adapters. layouts: PlanGrid layout arrays, shape (plans,)."""
    ppo = request.workload.ppo
    assert ppo is not None and ppo.actor_lora_rank is not None
    workload = replace(
        trained_workload(request.workload),
        task="lora",
        lora_rank=ppo.actor_lora_rank,
        lora_targets=request.workload.lora_targets,
    )
    grid = grid_over_layouts(replace(request, model=model, workload=workload), layouts)
    return by_tokens(grid, request)


def by_tokens(grid: PlanGrid, request: PlanRequest) -> PlanGrid:
    """The grid with micro-batches of as many tokens as were asked for, where they were counted in tokens."""
    ppo = request.workload.ppo
    assert ppo is not None
    if ppo.micro_batch_tokens is None:
        return grid
    rows = ppo.micro_batch_tokens * grid.context_parallel / grid.sequence_length
    of_replica = grid.global_batch_size / grid.data_parallel
    rows = np.minimum(rows, of_replica)
    return grid.with_fields(micro_batch_size=rows, gradient_accumulation=np.ceil(of_replica / rows))


def scalar_head(grid: PlanGrid) -> PlanGrid:
    """The grid with a head of one output per token, as critic and reward models have (Ouyang et al. 2022)."""
    return grid.with_fields(head_matmul=0.0, head_parameters=grid.hidden_size)
