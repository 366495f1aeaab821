"""Seconds and cache of the generation phase: prompts in one pass, then token by token."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.engine.grid.plan_grid import MEGATRON, Array, PlanGrid
from planner.engine.grid.scalars import where
from planner.engine.time.constants import TimingConstants
from planner.engine.time.kernels import matmul_rate

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
    """The generation phase, shape (plans,).

    seconds: of the phase.  sequences: count decoded at a time per replica.  cache_bytes: keys and values per
    rank.
    """

    seconds: Array
    sequences: Array
    cache_bytes: Array


def inference_ranks(grid: PlanGrid) -> Array:
    """Count of ranks that decode together in tensor parallel, shape (plans,).

    The plan's own degree or, where one rank's share of the weights would take more than SERVED_SHARE of its
    memory, the next power of two that holds them, within a node. Pipeline stages and ZeRO-3 shards are
    gathered for it.
    Source: Shen et al. 2024 (NeMo-Aligner), section 4; DeepSpeed-Chat's hybrid engine.
    """
    weights = grid.total_parameters * grid.element_bytes
    needed = np.ceil(np.log2(np.maximum(weights / (SERVED_SHARE * grid.memory_bytes), 1.0)))
    within = np.minimum(2.0**needed, np.minimum(grid.ranks_per_node, grid.ranks))
    return np.maximum(grid.tensor_parallel, within)


def sequences_at_once(grid: PlanGrid, waiting: Array, room: Array) -> Array:
    """Count of sequences that one replica decodes together, shape (plans,).

    waiting: sequences to generate per replica.  room: sequences whose keys and values fit into memory.
    NeMo-Aligner generates in small batches however much memory is free; the others take all that are waiting.
    No stack takes fewer than a small batch: where memory is short, it moves training states out.
    Source: the stacks' configuration files (ALIGNER_AT_ONCE, LEAST_AT_ONCE).
    """
    some = np.minimum(waiting, LEAST_AT_ONCE)
    fitting = np.clip(np.floor(room), some, waiting)
    return where(grid.framework == MEGATRON, np.minimum(fitting, ALIGNER_AT_ONCE), fitting)


def cache_bytes_per_token(grid: PlanGrid) -> Array:
    """Bytes of keys and values that one token of the context leaves in all blocks, over all ranks, (plans,).

    2 x layers x kv_heads x head_dim elements; latent attention keeps the compressed vector instead.
    Source: Kwon et al. 2023, section 1; DeepSeek-V2, section 2.1.
    """
    whole = grid.kv_heads * (grid.head_dim + grid.value_head_dim)
    kept = where(grid.kv_lora_rank > 0, grid.kv_lora_rank, whole)
    return grid.attending_share * grid.layers * kept * grid.element_bytes


def generation_phase(
    grid: PlanGrid, constants: TimingConstants, *, rollout_tokens: float, states_bytes: Array, share: Array
) -> Generation:
    """Seconds and cache of generation: prompts in one pass, then token by token.

    rollout_tokens: generated per sequence.  states_bytes: training states per rank, shape (plans,).
    share: share of the ranks that generate, shape (plans,). For each token every weight and the cache are
    read once. The slower of memory and arithmetic counts, plus the launch of each block's kernels. Source:
    Pope et al. 2022, section 2.1.
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
    """Share of the ranks that generate, shape (plans,).

    NeMo-Aligner runs actor and critic on servers of their own, so that with a critic half of the ranks
    generate; elsewhere all do. Source: Shen et al. 2024 (NeMo-Aligner), section 4.1.
    """
    return where(critic & (grid.framework == MEGATRON), 0.5, 1.0)
