"""Seconds of one optimizer step: blocks in stages, micro-batches in the pipeline, gradients, optimizer.

Communication counts where it is exposed. The step is the sum of its named parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from planner.engine.grid.alike import kinds_of_layouts, spread
from planner.engine.grid.plan_grid import MEGATRON, ZERO_1, ZERO_3, Array, Flags, PlanGrid
from planner.engine.grid.scalars import NONE, anywhere, entries, larger, smaller, where
from planner.engine.time import collectives, host, kernels, overlap
from planner.engine.time.compute import StageCompute, blocks_compute
from planner.engine.time.constants import TimingConstants

#: LAMB reads weights and updates once more for its layer-wise norms (You et al. 2020, algorithm 2).
LAMB_EXTRA_PASSES = 2.0
#: Passes over weight-sized tensors that a foreach step makes beyond a fused one: some 17 of its dozen kernels
#: against 7. Kernels counted: PyTorch's _multi_tensor_adamw.
FOREACH_EXTRA_PASSES = 10.0
#: What of a layout changes what one block computes and waits for.
SPLITTING = (
    "tensor_parallel",
    "sequence_parallel",
    "context_parallel",
    "expert_parallel",
    "micro_batch_size",
    "recompute",
)
TELLING = ("pipeline_parallel", "interleaved_stages")
COMPUTED = tuple(item.name for item in fields(StageCompute) if item.name != "terms")
#: Muon orthogonalises each matrix in five Newton-Schulz steps (Jordan 2024, "Muon": at most 6 x m FLOPs a
#: parameter and step, m the matrix' smaller side, taken as the hidden width).
NEWTON_SCHULZ_STEPS, NEWTON_SCHULZ_FLOPS = 5.0, 6.0


@dataclass(frozen=True, slots=True)
class StepTime:
    """Seconds per step, shape (plans,); the parts add up to ``step``.

    terms: every named intermediate, for the explanation.
    """

    forward: Array
    backward: Array
    recompute: Array
    pipeline_bubble: Array
    tensor_communication: Array
    context_communication: Array
    expert_communication: Array
    pipeline_communication: Array
    data_communication: Array
    optimizer: Array
    other: Array
    step: Array
    terms: dict[str, Array]

    @property
    def communication(self) -> Array:
        """Exposed seconds of all kinds of parallelism together, shape (plans,).  Source: definition."""
        return (
            self.tensor_communication
            + self.context_communication
            + self.expert_communication
            + self.pipeline_communication
            + self.data_communication
        )


@dataclass(frozen=True, slots=True)
class StageTime:
    """Seconds of one micro-batch on the fullest stage, shape (plans,).

    forward, backward, recompute: blocks.  head_forward, head_backward: output head of the last stage.
    tensor, context, expert: exposed communication.
    """

    forward: Array
    backward: Array
    recompute: Array
    head_forward: Array
    head_backward: Array
    tensor: Array
    context: Array
    expert: Array

    @property
    def blocks(self) -> Array:
        """Seconds without the head, which only the last stage has: what a pipeline bubble waits for.

        Source: sum of the parts.
        """
        return self.forward + self.backward + self.recompute + self.tensor + self.context + self.expert


def stage_time(grid: PlanGrid, constants: TimingConstants, compute: StageCompute) -> StageTime:
    """Seconds of the fullest stage, which sets the pace.

    compute: seconds of the whole model.  Source: ``fullest_stage`` of it and of its communication.
    """
    return fullest_stage(grid, compute, communication_of_blocks(grid, constants, compute))


def ways_apart(layouts: Mapping[str, Array]) -> Flags:
    """Flags, shape (plans,), that tell ways to split a block apart beside SPLITTING: whether the exchange of
    experts has another micro-batch of the stage beside it.

    layouts: the fields TELLING.  Source: ``overlap.exchange_beside_compute``.
    """
    return (layouts["pipeline_parallel"] > 1) & (layouts["interleaved_stages"] <= 1)


def timed_blocks(
    grid: PlanGrid, constants: TimingConstants
) -> tuple[StageCompute, tuple[Array, Array, Array]]:
    """What all blocks compute, and what they wait for: ``blocks_compute`` and ``communication_of_blocks``.

    Both are the same for all layouts that split a block alike (SPLITTING, ``ways_apart``), so that of many
    layouts each way is timed once.
    """
    kinds = kinds_of_layouts(grid, SPLITTING, ways_apart({name: getattr(grid, name) for name in TELLING}))
    if kinds is None:
        compute = blocks_compute(grid, constants)
        return compute, communication_of_blocks(grid, constants, compute)
    first, kind = kinds
    some = grid.rows(first)
    compute = blocks_compute(some, constants)
    communication = communication_of_blocks(some, constants, compute)
    tensor, context, expert = (spread(values, kind) for values in communication)
    times = {name: spread(getattr(compute, name), kind) for name in COMPUTED}
    terms = {name: spread(values, kind) for name, values in compute.terms.items()}
    return StageCompute(**times, terms=terms), (tensor, context, expert)


def communication_of_blocks(
    grid: PlanGrid, constants: TimingConstants, compute: StageCompute
) -> tuple[Array, Array, Array]:
    """(tensor, context, expert): exposed seconds of one micro-batch over all blocks, shape (plans,).

    compute: gives the count of blocks, and what an overlapped exchange hides behind.  Source: ``overlap``.
    """
    return (
        overlap.tensor_communication_s(grid, constants, compute),
        overlap.context_communication_s(grid, constants, compute),
        overlap.expert_communication_s(grid, constants, compute),
    )


def fullest_stage(
    grid: PlanGrid, compute: StageCompute, communication: tuple[Array, Array, Array]
) -> StageTime:
    """The fullest stage's share of what all blocks take, for one micro-batch, shape (plans,).

    compute, communication: seconds of the whole model. Where the blocks do not divide evenly, some stages
    have one block fewer. Stacks give the shorter stage to the one with the head, because Megatron and
    DeepSpeed count embedding and head as a layer each.
    Source: Narayanan et al. 2021, section 2.2; the shorter stage as above.
    """
    chunks = grid.pipeline_parallel * grid.interleaved_stages
    blocks = larger(compute.blocks, 1.0)
    fullest = np.ceil(blocks / chunks) * chunks
    share = fullest / blocks / grid.pipeline_parallel
    relief = smaller(fullest - blocks, 1.0)
    head_forward = larger(compute.head - relief * compute.forward / blocks, 0.0)
    # A frozen head has no weight gradient, unless it is trained whole beside the adapters.
    frozen_head = grid.frozen * (grid.saved_head_parameters < grid.head_matmul)
    head_backward = (2.0 - frozen_head) * compute.head
    head_backward = larger(head_backward - relief * (compute.backward + compute.recompute) / blocks, 0.0)
    tensor, context, expert = communication
    return StageTime(
        forward=compute.forward * share,
        backward=compute.backward * share,
        recompute=compute.recompute * share,
        head_forward=head_forward,
        head_backward=head_backward,
        tensor=tensor * share,
        context=context * share,
        expert=expert * share,
    )


def pipeline_communication_s(grid: PlanGrid, constants: TimingConstants) -> tuple[Array, Array]:
    """(exposed seconds per step, seconds of one hand-over) of activations and their gradients between stages.

    Source: latency + bytes / bandwidth; Narayanan et al. 2021, section 4.1 (scatter/gather).
    """
    # Tensor-parallel ranks hold the same activations, so each sends its share and the receivers gather them
    # (scatter/gather, Narayanan et al. 2021, section 4.1); plain PyTorch stacks send them whole.
    scattered = (grid.sequence_parallel > 0) | kernels.scatters(grid)
    split = where(scattered, grid.tensor_parallel, 1.0)
    nbytes = grid.tokens_per_rank * grid.hidden_size * grid.element_bytes / split
    each = collectives.point_to_point_s(collectives.pipeline_group(grid, constants), nbytes)
    count = 2.0 * grid.interleaved_stages * grid.gradient_accumulation
    return where(grid.pipeline_parallel > 1, constants.pipeline_exposed * count * each, 0.0), each


def optimizer_s(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Seconds of the optimizer step, shape (plans,).

    Reads and writes weights, master copy and states once, and reads the gradients twice (norm, update);
    foreach kernels pass over them more often. Source: our own count of the bytes; ``optimizer_traffic`` is
    fitted; Ren et al. 2021 where it is offloaded.
    """
    trained, experts = overlap.trained_parameters(grid)
    ranks = where(grid.sharding >= ZERO_1, grid.sharding_group, 1.0)
    states = 2.0 * (grid.weight_bytes + grid.master_bytes + grid.state_bytes)
    passes = states + 2.0 * grid.gradient_bytes + LAMB_EXTRA_PASSES * 4.0 * grid.lamb
    passes = passes + FOREACH_EXTRA_PASSES * grid.temporary_bytes
    nbytes = (trained + experts) / ranks * passes
    on_gpu = constants.optimizer_traffic * nbytes / kernels.achievable_bandwidth(grid, constants)
    if anywhere(grid.muon > 0):
        # Muon's matrix products stay on the accelerator, wherever its states are.
        products = orthogonalisation_s(grid, constants, (trained + experts) / ranks)
    else:
        products = NONE
    if not anywhere(grid.offload > 0):
        return on_gpu + products
    on_host = host.update_s(grid, host_updates(grid)) + host.exchange_s(grid, trained + experts, ranks)
    return where(grid.offload > 0, on_host, on_gpu) + products


def orthogonalisation_s(grid: PlanGrid, constants: TimingConstants, parameters: Array) -> Array:
    """Seconds of Muon's matrix products on one rank's share of the parameters, shape (plans,); 0 for others.

    parameters: a count. Token table and head are left to AdamW; of adapters, the smaller side is their rank.
    The products run in 16 bits.
    Source: Jordan 2024, "Muon: an optimizer for hidden layers", run-time analysis.
    """
    tables = (grid.embedding_parameters + grid.head_parameters) / grid.total_parameters
    rank = grid.lora_parameters / larger(grid.lora_width, 1.0)
    side = where(grid.frozen > 0, smaller(rank, grid.hidden_size), grid.hidden_size)
    tables = where(grid.frozen > 0, 0.0, tables)
    each = NEWTON_SCHULZ_STEPS * NEWTON_SCHULZ_FLOPS * side
    rate = grid.bf16_flops_per_s * kernels.matmul_efficiency(grid, constants)
    return where(grid.muon > 0, each * parameters * (1.0 - tables) / rate, 0.0)


def nodes_in_use(grid: PlanGrid) -> Array:
    """Count of nodes that the plan's ranks stand on, shape (plans,): idle ones keep nobody waiting.

    Source: definition.
    """
    used: Array = smaller(np.ceil(grid.ranks / grid.ranks_per_node), grid.nodes)
    return used


def accumulation_s(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Seconds a micro-batch to add its gradients to those before, shape (plans,); 0 for a single micro-batch.

    Each new gradient is read, the sum read and written; DeepSpeed's bf16 optimizer adds to a second, fp32
    set. Megatron's weight-gradient matmuls add into theirs (gradient accumulation fusion). ZeRO-3 adds
    shards. Source: PyTorch AccumulateGrad; DeepSpeed runtime/bf16_optimizer.py; our own count of the bytes.
    """
    trained, experts = overlap.trained_parameters(grid)
    shards = where(grid.sharding == ZERO_3, grid.sharding_group, 1.0)
    second = where(grid.gradient_copy_bytes > 0, 2.0 * 4.0 + grid.element_bytes, 0.0)
    nbytes = (trained + experts) / shards * (3.0 * grid.gradient_bytes + second)
    apart = (grid.gradient_accumulation > 1) & (grid.framework != MEGATRON)
    return where(apart, nbytes / kernels.achievable_bandwidth(grid, constants), 0.0)


def host_updates(grid: PlanGrid) -> Array:
    """Count of parameters that one node's CPUs update per step where the optimizer is offloaded, else 0,
    (plans,).

    Each rank of the node has its shard updated, or all its parameters where states are not sharded.
    Source: Ren et al. 2021 (ZeRO-Offload).
    """
    if not anywhere(grid.offload > 0):
        return NONE
    trained, experts = overlap.trained_parameters(grid)
    shards = where(grid.sharding >= ZERO_1, grid.sharding_group, 1.0)
    ranks = grid.tensor_parallel * grid.pipeline_parallel * grid.context_parallel * grid.data_parallel
    on_node = smaller(grid.ranks_per_node, ranks)
    return where(grid.offload > 0, (trained + experts) / shards * on_node, 0.0)


def bubble_each_s(grid: PlanGrid, step: StepTime) -> Array:
    """Seconds of one micro-batch on one stage, shape (plans,): the bubble of p stages in v chunks is
    (p - 1) / v of them. 0 without a pipeline. Source: Narayanan et al. 2021, section 2.2.
    """
    waiting = grid.pipeline_parallel - 1.0
    each = step.pipeline_bubble * grid.interleaved_stages / larger(waiting, 1.0)
    return where(waiting > 0, each, 0.0)


def computed_rows(grid: PlanGrid) -> PlanGrid:
    """The grid with rows as long as what is computed of them: padded to the longest of their batch, or not at
    all, where the question says so.
    """
    if not anywhere(grid.row_tokens != grid.sequence_length):
        return grid
    return replace(grid, sequence_length=grid.row_tokens)


def step_time(grid: PlanGrid, constants: TimingConstants) -> StepTime:
    """Seconds of one optimizer step and its parts, shape (plans,).

    Micro-batches x the fullest stage, plus (p - 1)/v stage times of pipeline bubble (p stages of v chunks
    each), exposed communication, optimizer, fixed slack, and jitter that grows with the logarithm of the node
    count.
    Source: Narayanan et al. 2021, section 2.2 (bubble); slack and jitter are fitted.
    """
    grid = computed_rows(grid)
    compute, communication = timed_blocks(grid, constants)
    stage = fullest_stage(grid, compute, communication)
    micro_batches = grid.gradient_accumulation
    data = overlap.data_communication_s(
        grid,
        constants,
        stage.forward + stage.head_forward,
        stage.backward + stage.recompute + stage.head_backward,
    )
    slack = constants.micro_batch_slack_s * grid.interleaved_stages
    pipeline, hand_over = pipeline_communication_s(grid, constants)
    waiting = (grid.pipeline_parallel - 1.0) / grid.interleaved_stages
    parts = {
        "forward": micro_batches * (1.0 + grid.reference_forwards) * (stage.forward + stage.head_forward),
        "backward": micro_batches * (stage.backward + stage.head_backward),
        "recompute": micro_batches * stage.recompute,
        "pipeline_bubble": waiting * (stage.blocks + slack),
        "tensor_communication": micro_batches * stage.tensor,
        "context_communication": micro_batches * stage.context,
        "expert_communication": micro_batches * stage.expert,
        "pipeline_communication": pipeline,
        "data_communication": micro_batches * data.per_micro_batch + data.per_step,
        "optimizer": optimizer_s(grid, constants) + micro_batches * accumulation_s(grid, constants),
    }
    busy = sum(parts.values(), NONE)
    jitter = constants.jitter * np.log2(larger(nodes_in_use(grid), 1.0)) * busy
    weight_shards = where(grid.sharding >= ZERO_3, grid.sharding_group, 1.0)
    beside_s = busy - parts["optimizer"]
    transfers = host.waiting_s(grid, weight_shards, beside_s / micro_batches)
    slack_s = entries(constants.step_slack_s, grid.framework) + micro_batches * slack + transfers
    # As keywords, so that a name given twice is an error.
    terms = dict(
        **compute.terms,
        blocks=compute.blocks,
        stage_forward_s=stage.forward,
        stage_backward_s=stage.backward,
        stage_recompute_s=stage.recompute,
        head_forward_s=stage.head_forward,
        head_backward_s=stage.head_backward,
        tensor_exposed_s=stage.tensor,
        context_exposed_s=stage.context,
        expert_exposed_s=stage.expert,
        gather_exposed_s=data.per_micro_batch,
        reduction_exposed_s=data.per_step,
        hand_over_s=hand_over,
        host_updates=host_updates(grid),
        host_transfers_s=transfers,
        slack_s=slack_s,
        jitter_s=jitter,
        nodes_in_use=nodes_in_use(grid),
    )
    return StepTime(**parts, other=slack_s + jitter, step=busy + slack_s + jitter, terms=terms)
