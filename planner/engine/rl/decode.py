"""Seconds of one decoding step of a replica: every weight and the cache are read for one token of each
sequence.

A replica is ``tensor`` x ``stages`` ranks that hold one copy of the weights. Arrays are of shape (layouts,
plans) or broadcast to it, with segments of an answer on a further, last axis where a count of sequences
varies along it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.scalars import where
from planner.engine.rl.rollout import Rollout
from planner.engine.time.constants import TimingConstants
from planner.engine.time.kernels import matmul_rate
from planner.engine.time.rollout_constants import RolloutConstants


def cache_bytes_per_token(grid: PlanGrid) -> Array:
    """Bytes of keys and values that one token of the context leaves in all blocks, over all ranks, (plans,).

    2 x layers x kv_heads x head_dim elements; latent attention keeps the compressed vector instead.
    Source: Kwon et al. 2023, section 1; DeepSeek-V2, section 2.1.
    """
    whole = grid.kv_heads * (grid.head_dim + grid.value_head_dim)
    kept = where(grid.kv_lora_rank > 0, grid.kv_lora_rank, whole)
    return grid.attending_share * grid.layers * kept * np.minimum(grid.element_bytes, 2.0)


def routed_parameters(grid: PlanGrid) -> Array:
    """Parameters of all routed experts of the model, a count, shape (plans,). Source: our own count."""
    return grid.routed_expert_parameters * grid.moe_blocks


def touched_share(grid: PlanGrid, sequences: Array) -> Array:
    """Share of the routed experts that a step of ``sequences`` (count) tokens reads: 1 - (1 - k/E)^n.

    Source: independent routing of each token to k of E experts.
    """
    experts = np.maximum(grid.experts, 1.0)
    missed = np.maximum(1.0 - grid.experts_per_token / experts, 0.0)
    return where(grid.experts > 0, 1.0 - missed**sequences, 0.0)


#: Kernels of a routed block in those of a dense one: router, top-k, two sorts, two grouped products, the
#: activation and the weighted sum take the place of two products and an activation. Our count of vLLM's
#: fused_moe layer (2025), some 20 to 25 kernels against 10.
ROUTED_LAUNCHES = 2.2


@dataclass(frozen=True, slots=True)
class Replica:
    """One copy of the actor as an engine serves it, shape (layouts, plans).

    tensor, stages, expert: ranks.  plain_bytes, routed_bytes: weights of one rank outside and inside the
    routed experts.  cache_bytes: keys and values of one token on one rank.  matmul_flops_per_s: of one rank.
    reduction_s: one small all-reduce over the tensor-parallel ranks, without its bytes.
    link_bytes_per_s: of that all-reduce.
    """

    tensor: Array
    stages: Array
    expert: Array
    plain_bytes: Array
    routed_bytes: Array
    cache_bytes: Array
    matmul_flops_per_s: Array
    reduction_s: Array
    link_bytes_per_s: Array

    @property
    def ranks(self) -> Array:
        """Count of ranks that hold one copy of the weights. Source: Shoeybi et al. 2019, section 3."""
        return self.tensor * self.stages

    @property
    def weight_bytes(self) -> Array:
        """Bytes of all weights of one rank. Source: sum of the parts."""
        return self.plain_bytes + self.routed_bytes


def replica_of(
    grid: PlanGrid,
    rollout: Rollout,
    timing: TimingConstants,
    constants: RolloutConstants,
    *,
    tensor: Array,
    stages: Array,
) -> Replica:
    """The actor on ``tensor`` x ``stages`` ranks. Key heads are split as far as there are any, and copied
    beyond; latent attention keeps one vector on every rank.

    Source: Pope et al. 2022, section 3; Shoeybi et al. 2019, section 3.
    """
    expert = np.maximum(tensor, float(rollout.expert_parallel))
    routed = routed_parameters(grid)
    # A look-up reads a row of the input table, not the table.
    plain = np.maximum(grid.total_parameters - routed, 0.0)
    heads = where(grid.kv_lora_rank > 0, 1.0, np.minimum(tensor, grid.kv_heads))
    crosses = tensor > grid.link_domain_ranks
    slower = where(crosses, grid.internode_bytes_per_s / grid.ranks_per_node, grid.link_bytes_per_s)
    eight_bit = where(grid.fp8 > 0, 1.0, 2.0 if rollout.weight_bytes == 1.0 else 1.0)
    return Replica(
        tensor=tensor,
        stages=stages,
        expert=expert,
        plain_bytes=plain * rollout.weight_bytes / (tensor * stages),
        routed_bytes=routed * rollout.weight_bytes / (expert * stages),
        cache_bytes=cache_bytes_per_token(grid) / (heads * stages),
        matmul_flops_per_s=matmul_rate(grid, timing) * eight_bit,
        reduction_s=where(
            tensor > 1.0, where(crosses, constants.network_reduction_s, constants.reduction_s), 0.0
        ),
        link_bytes_per_s=slower,
    )


def decode_step_s(
    grid: PlanGrid,
    rollout: Rollout,
    constants: RolloutConstants,
    replica: Replica,
    *,
    sequences: Array,
    context_tokens: Array,
) -> Array:
    """Seconds in which ``sequences`` (count) of ``context_tokens`` each get one more token.

    The slower of memory (weights and cache over bandwidth) and arithmetic (2 FLOPs a parameter and token),
    plus two all-reduces and the launches of each block, plus what the host does for the step and for each
    sequence. Stages pass groups of sequences on; with ``static`` batches each waits for its neighbour to take
    them (blocking sends), so that a stage is busy half of the time.
    Source: Pope et al. 2022, section 2.1; Kwon et al. 2023, section 4; vLLM's profile of its host time
    (blog.vllm.ai, 5 September 2024).
    """
    bandwidth = grid.memory_bandwidth_bytes_per_s * constants.decode_bandwidth
    visits = stage_visits(rollout, replica, sequences)
    per_visit = sequences / visits
    tokens_met = per_visit * np.maximum(replica.expert / replica.tensor, 1.0)
    weights = replica.plain_bytes + replica.routed_bytes * touched_share(grid, tokens_met)
    cache = sequences * context_tokens * replica.cache_bytes
    memory_s = (visits * weights + cache) / bandwidth
    arithmetic_s = 2.0 * grid.active_parameters * sequences / (replica.ranks * replica.matmul_flops_per_s)
    layer_s = constants.eager_layer_s if rollout.eager else constants.engine_layer_s
    per_layer = layer_s + 2.0 * replica.reduction_s
    sent = 4.0 * sequences / visits * grid.hidden_size * 2.0
    reduced_s = where(replica.tensor > 1.0, sent / replica.link_bytes_per_s, 0.0)
    routed = (ROUTED_LAUNCHES - 1.0) * layer_s * np.minimum(grid.moe_blocks, grid.layers)
    launches_s = visits / replica.stages * (grid.layers * (per_layer + reduced_s) + routed)
    host_s = visits * constants.engine_step_s + sequences * constants.engine_sequence_s
    if rollout.static:
        # The training stack's own loop: one call a step, tokens stay on the device.
        host_s = visits * constants.stage_visit_s * (replica.stages > 1.0)
    return np.maximum(memory_s, arithmetic_s) + launches_s + host_s


def stage_visits(rollout: Rollout, replica: Replica, sequences: Array) -> Array:
    """How often a stage works while every sequence gets one token, a count: once without a pipeline.

    Engines keep a group of sequences on each stage.  Static batches of ``most_sequences`` take turns: a
    stage has two slots of time for each group, one to compute and one to hand over, and is idle where there
    are fewer groups than half its stages (one source: the decoding times of PUZZLE's pipelines, 2024, fit
    twice the groups or the stages, whichever is more).
    """
    if not rollout.static:
        return replica.stages
    groups = np.ceil(sequences / rollout.most_sequences)
    return where(replica.stages > 1.0, np.maximum(2.0 * groups, replica.stages), 1.0)


def prefill_s(grid: PlanGrid, replica: Replica, tokens: Array) -> Array:
    """Seconds in which a replica reads prompts of ``tokens`` tokens together: 2 FLOPs a parameter and token.

    Source: Pope et al. 2022, section 2.1.
    """
    return 2.0 * grid.active_parameters * tokens / (replica.ranks * replica.matmul_flops_per_s)
