"""How much communication is exposed: what compute could not hide, and what hiding it costs the compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from planner.engine.grid.expert_split import expert_tensor_parallel
from planner.engine.grid.plan_grid import (
    ALL_GATHER,
    DEEPEP,
    DEEPSPEED,
    FSDP,
    FULL_RECOMPUTE,
    GENERIC,
    MEGATRON,
    NEURON,
    TORCHTITAN,
    ZERO_1,
    ZERO_3,
    Array,
    Flags,
    PlanGrid,
)
from planner.engine.grid.scalars import NONE, anywhere, one_of, where
from planner.engine.time import collectives, experts, kernels
from planner.engine.time.block import all_blocks
from planner.engine.time.compute import StageCompute
from planner.engine.time.constants import TimingConstants

#: Elements of Megatron's smallest bucket, and for each rank that shares the reduction.
MEGATRON_BUCKET = 40e6
MEGATRON_BUCKET_A_RANK = 1e6
#: Elements of DeepSpeed's bucket; bytes of those of PyTorch's DDP and of Neuron's.
DEEPSPEED_BUCKET = 5e8
DDP_BUCKET_BYTES = 25.0 * 2**20
NEURON_BUCKET_BYTES = 512.0 * 2**20
#: Stacks that fill buckets where states are sharded too.
BUCKETING_FRAMEWORKS = (MEGATRON, DEEPSPEED, NEURON)


@dataclass(frozen=True, slots=True)
class DataExposure:
    """Exposed seconds of data-parallel communication, shape (plans,).

    per_micro_batch: ZeRO-3's gathers and scatters.  per_step: the gradient reduction of the other kinds.
    """

    per_micro_batch: Array
    per_step: Array


def tensor_communication_s(grid: PlanGrid, constants: TimingConstants, compute: StageCompute) -> Array:
    """Exposed seconds of tensor parallelism over all blocks, for one micro-batch, shape (plans,).

    compute: gives the count of blocks. Two all-reduces per block and direction, or the all-gather and
    reduce-scatter pairs of sequence parallelism, which move as many bytes; full recomputation repeats the
    forward ones. Routed experts take the place of the second: where they are split too, every routed copy of
    a token is gathered and summed by plain collectives in 16 bits, else none is.
    Source: Shoeybi et al. 2019, section 3; Megatron-Core token_dispatcher.py (all-to-all); the exposed shares
    are fitted.
    """
    # fp8 operands travel in one byte when gathered; sums are scattered in two (Transformer Engine).
    wire = grid.element_bytes * (1.0 - 0.25 * grid.fp8)
    nbytes = grid.tokens_per_rank * grid.hidden_size
    group = collectives.tensor_group(grid, constants)
    # Sequence parallelism scatters and gathers instead.
    rounds_s = where(grid.sequence_parallel > 0, group.ring_s, group.tree_s)
    each = 2.0 * collectives.reduce_scatter_s(group, nbytes * wire, rounds_s=rounds_s)
    waited = where(grid.framework == NEURON, constants.neuron_tensor_exposed, constants.tensor_exposed)
    forward = where(kernels.tuned(grid), constants.engine_tensor_exposed, waited)
    forward = where(grid.overlap > 0, forward, 1.0)
    # Megatron reduces the input gradient while the weight gradient is computed.
    behind = where((grid.framework == MEGATRON) & (grid.overlap > 0), constants.tensor_backward_exposed, 1.0)
    repeated = 2.0 * (grid.recompute == FULL_RECOMPUTE)
    exposed = forward * (2.0 + repeated + 2.0 * behind)
    total = exposed * (compute.blocks - 0.5 * grid.moe_blocks) * each
    if anywhere(grid.moe_blocks > 0):
        copies = np.maximum(grid.experts_per_token, 1.0) * (expert_tensor_parallel(grid) > 1)
        plain = 2.0 * collectives.reduce_scatter_s(group, copies * nbytes * grid.element_bytes)
        waits = where(grid.overlap > 0, waited, 1.0) * (4.0 + repeated)
        total = total + where(copies > 0, waits * 0.5 * grid.moe_blocks * plain, 0.0)
    return where(grid.tensor_parallel > 1, total, 0.0)


def context_communication_s(grid: PlanGrid, constants: TimingConstants, compute: StageCompute) -> Array:
    """Exposed seconds of ring attention over all blocks, for one micro-batch, shape (plans,).

    compute: gives the count of blocks. Keys and values go round the ring once forward and, with their
    gradients, twice backward, mostly hidden behind attention. Source: Liu et al. 2023 (ring attention); the
    exposed share is fitted.
    """
    if not anywhere(grid.context_parallel > 1):
        return NONE
    widths = grid.kv_heads * (grid.head_dim + grid.value_head_dim) / grid.tensor_parallel
    nbytes = grid.context_parallel * grid.tokens_per_rank * widths * grid.element_bytes
    each = collectives.reduce_scatter_s(collectives.context_group(grid, constants), nbytes)
    total = 3.0 * compute.blocks * each
    return where(grid.context_parallel > 1, total * constants.context_exposed, 0.0)


def expert_communication_s(grid: PlanGrid, constants: TimingConstants, compute: StageCompute) -> Array:
    """Exposed seconds of expert parallelism over all blocks, for one micro-batch, shape (plans,).

    Dispatch and combine, forward and backward: four all-to-alls per block of the routed copies of the tokens.
    Fused dispatchers send a token once to every machine that it visits, and from there on to its ranks; an
    all-gather sends it everywhere. The fullest rank sets the pace. Where the schedule runs it beside another
    micro-batch (DualPipe, Megatron-Core's overlapped all-to-all), ``compute`` hides it as it hides other
    communication; ``exchange_beside_compute`` says where.
    Source: our own count; Thakur et al. 2005 (all-to-all); DeepEP; DeepSeek-AI 2024 (V3), sections 2.1.2 and
    3.2.1; the exposed share is fitted.
    """
    if not anywhere(grid.expert_parallel > 1):
        return NONE
    split = where(grid.sequence_parallel > 0, grid.tensor_parallel, 1.0)
    group = collectives.expert_group(grid, constants)
    token = grid.tokens_per_rank * grid.hidden_size * grid.element_bytes / split
    copies, size, machines = np.maximum(grid.experts_per_token, 1.0), group.size, group.machines
    inside = group.inside
    fused, everywhere = fused_dispatch(grid, machines), grid.dispatcher == ALL_GATHER
    # Plain: each copy by itself. Fused: once to every distinct machine, from there to every distinct rank.
    local = where(
        fused, collectives.places_met(size, copies) * (inside - 1.0) / inside, copies * (inside - 1.0) / size
    )
    visited = np.minimum(collectives.places_met(machines, copies), machines_per_token(grid, machines))
    remote = where(
        fused,
        visited * (1.0 - 1.0 / machines),
        copies * (size - inside) / size,
    )
    local = token * where(everywhere, size - 1.0, local)
    remote = token * where(everywhere, (size - inside) / inside, remote)
    passes = 4.0 + 2.0 * (grid.recompute == FULL_RECOMPUTE)
    total = passes * grid.moe_blocks * collectives.all_to_all_s(group, local, remote)
    total = total * experts.load_of_the_fullest(grid, constants)
    exposed = where(fused, constants.fused_dispatch_exposed, constants.expert_exposed)
    alone = exposed * total
    beside = exposed_s(grid, constants, alone, compute.forward + compute.backward)
    hidden = exchange_beside_compute(grid, machines)
    return where(grid.expert_parallel > 1, where(hidden, beside, alone), 0.0)


def fused_dispatch(grid: PlanGrid, machines: Array) -> Flags:
    """Flags, shape (plans,): where a fused dispatcher (DeepEP, HybridEP) sends tokens to their experts.

    machines: that the experts are spread over, a count. As asked for; else over several machines where no
    stack is named, and with Megatron where the router limits a token's groups, as its recipes have it.
    Source: Megatron-Bridge's recipes: DeepEP (v0.1.0rc4, H100) and HybridEP (v0.4.0) for DeepSeek-V3, a plain
    all-to-all for Qwen3 235B on H100.
    """
    recipes = (grid.framework == GENERIC) | (grid.groups_per_token > 0)
    usual: Flags = (grid.dispatcher_usual > 0) & (machines > 1) & recipes
    return (grid.dispatcher >= DEEPEP) | usual


def machines_per_token(grid: PlanGrid, machines: Array) -> Array:
    """Count of machines that the router sends a token to at most, shape (plans,).

    machines: that the experts are spread over, a count. As asked for; else those of as many groups of experts
    as the model's router takes a token's experts from, where groups stand side by side.
    Source: DeepSeek-AI 2024 (V2, section 2.2.2; V3, section 2.1.2), group-limited routing.
    """
    spanned = np.maximum(machines / np.maximum(grid.expert_groups, 1.0), 1.0)
    grouped = where(grid.groups_per_token > 0, grid.groups_per_token * spanned, machines)
    return where(grid.nodes_per_token > 0, grid.nodes_per_token, grouped)


def exchange_beside_compute(grid: PlanGrid, machines: Array) -> Flags:
    """Flags, shape (plans,): where the exchange of experts runs beside another micro-batch's compute.

    machines: that the experts are spread over, a count. As asked for; else as the recipes of a stack that can
    do it have it: over several machines, in a schedule that has another micro-batch beside (no pipeline, or
    chunks; DualPipe needs none), and without recomputing whole blocks.
    Source: Megatron-Core 0.13 to 0.15, overlap_moe_expert_parallel_comm and its checks; Megatron-Bridge's
    performance recipes; DeepSeek-AI 2024 (V3), section 3.2.1.
    """
    beside = (grid.pipeline_parallel <= 1) | (grid.interleaved_stages > 1) | (grid.framework == GENERIC)
    usual = (grid.expert_overlap_usual > 0) & (machines > 1) & beside & (grid.recompute != FULL_RECOMPUTE)
    asked_or_usual: Flags = (grid.expert_overlap > 0) | usual
    return asked_or_usual


def exposed_s(grid: PlanGrid, constants: TimingConstants, communication: Array, cover: Array) -> Array:
    """Seconds of ``communication`` that compute does not hide, shape (plans,).

    communication: seconds.  cover: seconds of compute that it can hide behind. Stacks that prefetch on
    streams of their own (FSDP, Megatron's overlapped gradient reduction) hide nearly all; those that work
    from hooks (DDP's buckets, DeepSpeed) less. The excess over the reachable share of the cover is exposed,
    with a smooth transition. So is a share of what is hidden, because it takes streaming multiprocessors
    and memory bandwidth from the compute. Without overlap all of it is exposed. Source: our own choice of
    the smooth maximum; the shares are fitted.
    """
    reach = constants.overlap_reach * cover
    excess = np.minimum(kernels.root_of_squares(communication, reach) - reach, communication)
    eager = (grid.framework == MEGATRON) | (grid.framework == FSDP) | (grid.framework == TORCHTITAN)
    contention = where(eager, constants.prefetched_contention, constants.hooked_contention)
    overlapped = excess + contention * (communication - excess)
    return where(grid.overlap > 0, overlapped, communication)


def local_parameters(grid: PlanGrid) -> tuple[Array, Array]:
    """Counts of parameters on one rank before data-parallel sharding, on the mean stage: (dense, routed
    experts).

    Source: our own count.
    """
    dense = (
        grid.dense_blocks * grid.dense_block_parameters
        + grid.moe_blocks * grid.moe_block_parameters
        + grid.decoder_blocks * grid.decoder_block_parameters
        + grid.embedding_parameters
        + grid.head_parameters
    )
    routed = grid.moe_blocks * grid.routed_expert_parameters / grid.expert_parallel
    split = grid.tensor_parallel * grid.pipeline_parallel
    return dense / split, routed / (expert_tensor_parallel(grid) * grid.pipeline_parallel)


def trained_parameters(grid: PlanGrid) -> tuple[Array, Array]:
    """Like ``local_parameters``, for trained ones: only the adapters and what is trained whole beside them
    where the base is frozen. Counts.

    Source: our own count.
    """
    dense, routed = local_parameters(grid)
    beside = grid.lora_parameters + grid.saved_embedding_parameters
    beside = beside + grid.saved_head_parameters + grid.saved_block_parameters
    adapters = beside / (grid.tensor_parallel * grid.pipeline_parallel)
    return where(grid.frozen > 0, adapters, dense), routed * (1.0 - grid.frozen)


def buckets(grid: PlanGrid, elements: Array, wire: Array, ranks: Array) -> Array:
    """Count of collectives that a stack splits a reduction or a gather of ``elements`` into, shape (plans,).

    elements: of one rank, a count.  wire: bytes of each.  ranks: that take part, a count. Megatron's buckets
    grow with the ranks, so that the ring's latency stays a small part; DeepSpeed's are large, DDP's small.
    ZeRO-3, FSDP and shardings of unknown stacks move one block at a time.
    Source: Megatron-Core distributed_data_parallel.py (40M elements, or 1M for each rank); DeepSpeed
    reduce_bucket_size (5e8 elements); NxD ALLREDUCE_BUCKET_CAP_MB (512); PyTorch DDP bucket_cap_mb (25).
    """
    plain = where(grid.framework == NEURON, NEURON_BUCKET_BYTES, DDP_BUCKET_BYTES) / wire
    large = where(grid.framework == DEEPSPEED, DEEPSPEED_BUCKET, plain)
    growing = np.maximum(MEGATRON_BUCKET, MEGATRON_BUCKET_A_RANK * ranks)
    count = np.ceil(elements / where(grid.framework == MEGATRON, growing, large))
    blocks = all_blocks(grid) / grid.pipeline_parallel
    bucketed = (grid.sharding < ZERO_1) | one_of(grid.framework, BUCKETING_FRAMEWORKS)
    return np.maximum(where(bucketed & (grid.sharding < ZERO_3), count, blocks), 1.0)


def adapter_messages(grid: PlanGrid) -> Array:
    """Count of collectives of adapters that FSDP wraps apart from the base, shape (plans,): each of the two
    matrices of an adapted layer is gathered, and its gradient scattered, by itself; 0 elsewhere.

    Source: peft/utils/other.py (fsdp_auto_wrap_policy wraps every trainable leaf), which transformers'
    Trainer sets for adapters under FSDP since 4.39 (trainer.py, _fsdp_qlora_plugin_updates).
    """
    apart = (grid.framework == FSDP) & (grid.frozen > 0) & (grid.adapters_with_base == 0)
    blocks = all_blocks(grid) / grid.pipeline_parallel
    return where(apart & (grid.sharding == ZERO_3), 2.0 * grid.adapted_modules * blocks, 0.0)


def data_communication_s(
    grid: PlanGrid, constants: TimingConstants, forward: Array, backward: Array
) -> DataExposure:
    """Exposed seconds of sharding and gradient reduction, shape (plans,).

    forward, backward: seconds of compute of one micro-batch that the communication can hide behind. ZeRO-3
    gathers every block's weights forward and backward and scatters its gradients in each micro-batch, or in
    the last one alone where gradient sync is off between. The other kinds reduce once a step, behind the last
    backward pass: all of it without sharding; ZeRO-1 and 2 scatter the sums then, and gather the new weights
    behind the next forward pass. Over groups smaller than all ranks, the groups' shards are all-reduced once
    a step. Experts are replicated over fewer ranks; frozen weights have no gradients.
    Source: Rajbhandari et al. 2020, section 7.2; Zhao et al. 2023, section 3.2.2 (hybrid sharding).
    """
    dense, routed_weights = local_parameters(grid)
    trained, trained_experts = trained_parameters(grid)
    ranks = grid.data_parallel * grid.context_parallel
    apart = expert_tensor_parallel(grid) * grid.expert_parallel
    replicas = np.maximum(ranks * grid.tensor_parallel / apart, 1.0)
    expert_ranks = collectives.group(grid, constants, replicas, apart)
    everyone = collectives.data_group(grid, constants, ranks)
    shards = np.minimum(grid.sharding_group, ranks)
    sharded = collectives.data_group(grid, constants, shards)
    # fp8 recipes gather the cast weights, one byte each (torchtitan's float8 all-gather, Megatron's weights).
    weight_wire = where(grid.fp8 > 0, 1.0, grid.element_bytes)
    # Megatron reduces in the precision it accumulates in, in fp16 training that of the weights, as it
    # is with the others (Megatron-LM README, distributed optimizer: "fp16 param, fp16 grads").
    wide = (grid.framework == MEGATRON) & (grid.fp16 == 0)
    gradient_wire = where(wide, grid.gradient_bytes, grid.element_bytes)

    def of_experts(
        time: Callable[[collectives.Group, Array, Array], Array], routed: Array, wire: Array
    ) -> Array:
        if not anywhere(grid.moe_blocks > 0):
            return NONE
        messages = where(routed > 0, buckets(grid, routed, wire, replicas), 0.0)
        return time(expert_ranks, routed * wire, messages)

    def over(group: collectives.Group, own: Array, routed: Array, wire: Array) -> Array:
        messages = buckets(grid, own, wire, group.size) + adapter_messages(grid)
        dense_s = collectives.reduce_scatter_s(group, own * wire, messages)
        return dense_s + of_experts(collectives.reduce_scatter_s, routed, wire)

    gather = over(sharded, dense, routed_weights, weight_wire)
    # Adapters in FSDP's flat parameters: the base's gradients are made and reduced with theirs.
    whole = (grid.adapters_with_base > 0) & (grid.framework == FSDP)
    scattered, scattered_experts = where(whole, dense, trained), where(whole, routed_weights, trained_experts)
    scatter = over(sharded, scattered, scattered_experts, gradient_wire)
    zero3 = (grid.sharding == ZERO_3) & (grid.sharding_group > 1)
    last_alone = (grid.unsynced_gradients > 0) & (grid.gradient_accumulation > 1)
    each, once = where(last_alone, 0.0, scatter), where(last_alone, scatter, 0.0)
    per_micro_batch = exposed_s(grid, constants, gather, forward) + exposed_s(
        grid, constants, gather + each, backward
    )
    # Shards of groups smaller than all ranks are summed over the groups (hybrid sharding).
    summed: Array = NONE
    if anywhere(ranks > shards):
        between = collectives.group(grid, constants, ranks / shards, grid.tensor_parallel * shards)
        own = trained / shards
        both = collectives.all_reduce_s(
            between, own * gradient_wire, buckets(grid, own, gradient_wire, ranks / shards)
        )
        summed = where(ranks > shards, both, 0.0)
    hybrid = exposed_s(grid, constants, once + summed, backward)
    # Copies, casts and divisions of two gathers and a scatter; a frozen weight is not scattered.
    copied = 2.0 * (dense + routed_weights) + trained + trained_experts
    copies = (
        constants.shard_copy_passes
        * copied
        * grid.element_bytes
        / kernels.achievable_bandwidth(grid, constants)
    )
    unsharded = collectives.all_reduce_s(
        everyone, trained * gradient_wire, buckets(grid, trained, gradient_wire, ranks)
    ) + of_experts(collectives.all_reduce_s, trained_experts, gradient_wire)
    split = grid.sharding >= ZERO_1
    reduce = where(split, over(sharded, trained, trained_experts, gradient_wire) + summed, unsharded)
    renew = where(split, over(sharded, trained, trained_experts, weight_wire), 0.0)
    # Megatron reduces after the backward pass unless its distributed optimizer's recipes say otherwise.
    late = (grid.framework == MEGATRON) & (grid.sharding < ZERO_1)
    hidden = exposed_s(grid, constants, reduce, backward)
    per_step = where(late, reduce, hidden) + exposed_s(grid, constants, renew, forward)
    return DataExposure(
        per_micro_batch=where(zero3, per_micro_batch + copies, 0.0),
        per_step=where(zero3, hybrid, where(ranks <= 1.0, 0.0, per_step)),
    )
