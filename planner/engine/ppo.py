"""PPO, phase by phase: generate with the actor, score with all models, train actor and critic.

All models live on the same ranks in one layout (as DeepSpeed-Chat's hybrid engine does); actor and critic
keep their training states, reference and reward their weights alone. A step is one round over the global
batch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from planner.engine import flops
from planner.engine.calibration import Calibration
from planner.engine.compute import blocks_compute
from planner.engine.evaluate import Evaluation, evaluate
from planner.engine.grid import MEGATRON, Array, PlanGrid, grid_over_layouts
from planner.engine.kernels import matmul_rate
from planner.engine.memory import MemoryTerms
from planner.engine.request import PlanRequest
from planner.engine.select import where
from planner.engine.specs import ModelSpec
from planner.engine.timing import StepTime
from planner.engine.timing_constants import TimingConstants

#: The parts of a training step, which the phases of generation and scoring come beside.
PARTS = tuple(item.name for item in fields(StepTime) if item.name not in ("step", "terms"))
#: Share of what the training states leave free that generation may fill with keys and values.
CACHE_SHARE = 0.9
#: Share of a rank's memory that the weights it serves may take: public baseline sweeps of DeepSpeed-Chat on
#: A100-80 (2024) serve 7, 13, 34 and 70 billion parameters on 1, 2, 4 and 8 of them.
SERVED_SHARE = 0.25
#: rollout_micro_batch_size (NeMo-Aligner, examples/nlp/gpt/conf/gpt_ppo_actor.yaml).
ALIGNER_AT_ONCE = 8.0
#: per_device_generation_batch_size (DeepSpeed-Chat, step 3 training script of OPT-13B).
LEAST_AT_ONCE = 16.0


@dataclass(frozen=True, slots=True)
class Generation:
    """seconds of the phase; sequences decoded at a time per replica; cache bytes per rank."""

    seconds: Array
    sequences: Array
    cache_bytes: Array


def evaluate_ppo(request: PlanRequest, layouts: dict[str, Array], calibration: Calibration) -> Evaluation:
    """Memory and time of PPO plans; the grid is the actor's. layouts: PlanGrid layout arrays."""
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
    terms = {
        **actor.step.terms,
        "generation": generation.seconds,
        "scoring": scoring,
        "generation_sequences": generation.sequences,
        "rollout_tokens": np.asarray(float(ppo.rollout_tokens)),
        "ppo_model_flops": epochs * training_flops + scoring_flops,
    }
    return Evaluation(
        actor_grid, ppo_memory(trained, frozen_bytes, generation), StepTime(**parts, step=step, terms=terms)
    )


def model_grid(request: PlanRequest, model: ModelSpec, layouts: dict[str, Array]) -> PlanGrid:
    workload = replace(request.workload, task="full_finetuning", ppo=None)
    return grid_over_layouts(replace(request, model=model, workload=workload), layouts)


def scalar_head(grid: PlanGrid) -> PlanGrid:
    """Critic and reward models end in one number per token instead of the vocabulary (Ouyang et al. 2022)."""
    return grid.with_fields(head_matmul=0.0, head_parameters=grid.hidden_size)


def weights_only_bytes(grid: PlanGrid) -> Array:
    """A frozen model's weights on one rank, sharded with the others under ZeRO-3."""
    split = grid.tensor_parallel * grid.pipeline_parallel
    sharded = where(grid.sharding == 3.0, np.maximum(grid.sharding_group, 1.0), 1.0)
    return grid.total_parameters * grid.element_bytes / (split * sharded)


def inference_ranks(grid: PlanGrid) -> Array:
    """Ranks that decode together, tensor parallel: the plan's own degree or, where one rank's share of the
    weights would take more than SERVED_SHARE of its memory, the next power of two that holds them, within a
    node. Pipeline stages and ZeRO-3 shards are put together for it (Shen et al. 2024, NeMo-Aligner, section
    4; DeepSpeed-Chat's hybrid engine)."""
    weights = grid.total_parameters * grid.element_bytes
    needed = np.ceil(np.log2(np.maximum(weights / (SERVED_SHARE * grid.memory_bytes), 1.0)))
    within = np.minimum(2.0**needed, np.minimum(grid.ranks_per_node, grid.ranks))
    return np.maximum(grid.tensor_parallel, within)


def sequences_at_once(grid: PlanGrid, waiting: Array, room: Array) -> Array:
    """Sequences that one replica decodes together. room: for how many keys and values have room.

    NeMo-Aligner generates in small batches whatever the room; the others take all that are waiting. Fewer
    than a small batch are never taken: where there is no room, stacks make it by moving states out.
    """
    some = np.minimum(waiting, LEAST_AT_ONCE)
    fitting = np.clip(np.floor(room), some, waiting)
    return where(grid.framework == MEGATRON, np.minimum(fitting, ALIGNER_AT_ONCE), fitting)


def cache_bytes_per_token(grid: PlanGrid) -> Array:
    """Keys and values that one token of the context leaves in all blocks, bytes over all ranks, (plans,).

    2 x layers x kv_heads x head_dim elements (Kwon et al. 2023, section 1); latent attention keeps the
    compressed vector instead (DeepSeek-V2, section 2.1).
    """
    whole = grid.kv_heads * (grid.head_dim + grid.value_head_dim)
    kept = where(grid.kv_lora_rank > 0, grid.kv_lora_rank, whole)
    return grid.layers * kept * grid.element_bytes


def generation_phase(
    grid: PlanGrid, constants: TimingConstants, *, rollout_tokens: float, states_bytes: Array, share: Array
) -> Generation:
    """Prompts in one pass, then token by token: every weight and the cache are read once a token.

    The slower of memory and arithmetic, plus the launch of each block's kernels (Pope et al. 2022, section
    2.1).  share: of the ranks that generate.
    """
    together = inference_ranks(grid)
    replicas = np.maximum(share * grid.ranks / together, 1.0)
    waiting = np.ceil(grid.global_batch_size / replicas)
    per_token = cache_bytes_per_token(grid)
    per_sequence = per_token * grid.sequence_length / together
    free = np.maximum(CACHE_SHARE * grid.memory_bytes - states_bytes, 0.0)
    sequences = sequences_at_once(grid, waiting, free / per_sequence)
    rounds = np.ceil(waiting / sequences)
    bandwidth = grid.memory_bandwidth_bytes_per_s * constants.decode_bandwidth
    weights = grid.active_parameters * grid.element_bytes / together
    prompt = np.maximum(grid.sequence_length - rollout_tokens, 1.0)
    cache = sequences * per_token * (prompt + 0.5 * rollout_tokens) / together
    arithmetic = 2.0 * grid.active_parameters * sequences / together / matmul_rate(grid, constants)
    token_s = np.maximum((weights + cache) / bandwidth, arithmetic) + grid.layers * constants.decode_launch_s
    prompt_s = 2.0 * grid.active_parameters * sequences * prompt / together / matmul_rate(grid, constants)
    return Generation(rounds * (prompt_s + rollout_tokens * token_s), sequences, sequences * per_sequence)


def generating_share(grid: PlanGrid, *, critic: bool) -> Array:
    """NeMo-Aligner gives actor and critic servers of their own, so that with a critic half of the ranks
    generate (Shen et al. 2024, section 4.1); elsewhere all do."""
    return where(critic & (grid.framework == MEGATRON), 0.5, 1.0)


def scoring_s(grids: list[PlanGrid], constants: TimingConstants) -> Array:
    """One forward pass of each model over the finished sequences, pipelined like a training step is."""
    seconds: Array = np.asarray(0.0)
    for grid in grids:
        compute = blocks_compute(grid, constants)
        stage = compute.forward / grid.pipeline_parallel + compute.head
        seconds = seconds + (grid.gradient_accumulation + grid.pipeline_parallel - 1.0) * stage
    return seconds


def ppo_memory(trained: list[Evaluation], frozen_bytes: Array, generation: Generation) -> MemoryTerms:
    """The actor's peak, beside the other models' resident states and weights.

    Only one model trains at a time, so its activations count once: the larger of the two; the cache of the
    generation phase takes the same place.
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
