"""Bytes that training keeps per parameter: weights, gradients, optimizer states, on each pipeline stage.

Three stages stand for all: the first (token table, most micro-batches in flight), a middle one, and the last
(output head, logits). Arrays have shape (3, plans); a pipeline of one stage is first and last at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from planner.engine.grid.expert_split import expert_tensor_parallel
from planner.engine.grid.plan_grid import ZERO_1, ZERO_2, ZERO_3, Array, PlanGrid
from planner.engine.grid.scalars import is_shared, larger, smaller, where
from planner.engine.memory.traits import Traits

#: Parameters that DeepSpeed's ZeRO-3 optimizer steps at once (its sub_group_size default).
SUB_GROUP_PARAMETERS = 1e9

#: ZeRO stages that shard optimizer states, gradients and weights, in this order.
LEVELS = (ZERO_1, ZERO_2, ZERO_3)


class Place(NamedTuple):
    """Which stages are counted, 1.0 for the first, a middle, the last, each of shape (stages, 1) or ()."""

    first: Array
    middle: Array
    last: Array


#: All three at once.
EVERY_STAGE = Place(*np.eye(3)[:, :, None])
#: One at a time: a single plan's numbers compute much faster than arrays of three.
EACH_STAGE = tuple(Place(*column) for column in np.eye(3))


@dataclass(frozen=True, slots=True)
class Stages:
    """The three candidate stages of each plan, shape (3, plans).

    first, last: 1.0 where the stage is the first, the last.  number: its index.  blocks_share: its share of
    the model's blocks.  dense_share, routed_share: of its dense and of its routed blocks.
    """

    first: Array
    last: Array
    number: Array
    blocks_share: Array
    dense_share: Array
    routed_share: Array


def places_of(grid: PlanGrid) -> Sequence[Place]:
    """The stages to count: all of them at once or, of plans with one number of stages, each by itself.

    Source: a pipeline of one stage, or of two, has no other stages.
    """
    if not is_shared(grid.pipeline_parallel):
        return (EVERY_STAGE,)
    first, middle, last = EACH_STAGE
    if grid.pipeline_parallel <= 2:
        return (first, last)[: int(grid.pipeline_parallel)]
    return first, middle, last


def stages(grid: PlanGrid, place: Place = EVERY_STAGE) -> Stages:
    """The stages that are counted: all three unless told otherwise.

    Blocks are dealt out evenly; extra ones lie on the middle stages.
    That is how Megatron and BLOOM's DeepSpeed balance the embedding and the head, counting each as a layer
    (BigScience chronicles, 2022: 70 layers on 12 stages as 5, 6 x 10, 5). Where most blocks are routed, the
    dense ones come first (first_k_dense_replace of the DeepSeek, GLM and Kimi configs), so later stages hold
    more experts than the mean.
    """
    pipeline, blocks = grid.pipeline_parallel, grid.layers + grid.decoder_layers
    short = pipeline <= 2
    middle = place.middle * (pipeline > 2)
    most, fewest = np.ceil(blocks / pipeline), np.floor(blocks / pipeline)
    # Without middle stages, the first or the last one takes the extra block.
    share = where((middle > 0) | short, most, fewest)
    single = 1.0 * (pipeline == 1)
    blocks_share = share / larger(blocks, 1.0)
    leading = where(grid.moe_blocks > grid.dense_blocks, grid.dense_blocks, 0.0)
    before = middle * fewest + place.last * (blocks - share)
    dense = smaller(larger(leading - before, 0.0), share)
    return Stages(
        first=larger(place.first + place.middle * short, single),
        last=larger(place.last, single),
        number=place.last * (pipeline - 1.0) + middle,
        blocks_share=blocks_share,
        dense_share=where(leading > 0, dense / larger(leading, 1.0), blocks_share),
        routed_share=where(leading > 0, (share - dense) / larger(grid.moe_blocks, 1.0), blocks_share),
    )


@dataclass(frozen=True, slots=True)
class ParametersHere:
    """Parameters (a count) on one rank of a stage before data-parallel sharding, shape (3, plans).

    blocks: all of the stage's blocks without routed experts.  experts: routed experts.  embedding: token
    table.
    head: the output projection, where it is not the token table of the same stage.  trained_dense,
    trained_experts: those with gradients and optimizer states.  saved: layers trained whole beside adapters.
    """

    blocks: Array
    experts: Array
    embedding: Array
    head: Array
    trained_dense: Array
    trained_experts: Array
    saved: Array


def parameters_here(grid: PlanGrid, stage: Stages, traits: Traits) -> ParametersHere:
    """Count the parameters of each stage. Tensor parallelism splits every matrix.

    With expert parallelism each expert is whole on its rank unless asked otherwise; without it an expert is
    split like any other matrix (``expert_tensor_parallel``).
    Source: Shoeybi et al. 2019, section 3; Megatron-Core, MoE documentation.
    """
    tensor = grid.tensor_parallel
    whole_blocks = (
        stage.dense_share * (grid.dense_blocks * grid.dense_block_parameters)
        + stage.routed_share * (grid.moe_blocks * grid.moe_block_parameters)
        + stage.blocks_share * (grid.decoder_blocks * grid.decoder_block_parameters)
    )
    expert_split = grid.expert_parallel * expert_tensor_parallel(grid)
    head_split = where(traits["vocabulary_parallel"] > 0, tensor, 1.0)
    apart = 1.0 - stage.first
    embedding = stage.first * (grid.embedding_parameters / tensor)
    head = stage.last * (grid.head_parameters / head_split + apart * (grid.tied_head_parameters / head_split))
    blocks = whole_blocks / tensor
    experts = stage.routed_share * (grid.moe_blocks * grid.routed_expert_parameters / expert_split)
    adapters = stage.blocks_share * (grid.frozen * grid.lora_parameters / tensor)
    trained = 1.0 - grid.frozen
    return ParametersHere(
        blocks=blocks,
        experts=experts,
        embedding=embedding,
        head=head,
        trained_dense=trained * (blocks + embedding + head) + adapters,
        trained_experts=trained * experts,
        saved=(
            stage.first * grid.saved_embedding_parameters
            + stage.last * grid.saved_head_parameters
            + stage.blocks_share * grid.saved_block_parameters
        )
        / tensor,
    )


@dataclass(frozen=True, slots=True)
class StateBytes:
    """Bytes of weights, gradients and optimizer states on one rank, shape (3, plans).

    host: what is kept in the host's memory instead, per rank.  moments_held: 1.0 where they are on the
    accelerator.  weight_shards, gradient_shards, state_shards: how many ranks share them (experts not
    included), shape (plans,).
    """

    frozen_weights: Array
    weights: Array
    cast_weights: Array
    gradients: Array
    gradient_copies: Array
    master: Array
    moments: Array
    step_temporary: Array
    host: Array
    moments_held: Array
    weight_shards: Array
    gradient_shards: Array
    state_shards: Array


def host_state_bytes(grid: PlanGrid) -> Array:
    """Bytes per trained parameter of an offloaded optimizer on the host, shape (plans,): master weight,
    moments, and the gradient as wide as the master (12 + 4 in mixed precision).

    Source: Rajbhandari et al. 2021, section 3 (16 bytes a parameter without the working copy); DeepSpeed
    runtime/zero/stage_1_and_2.py (estimate_zero2_model_states_mem_needs).
    """
    return grid.master_bytes + grid.state_bytes + where(grid.master_bytes > 0, 4.0, grid.gradient_bytes)


def fp8_copies(grid: PlanGrid) -> Array:
    """Bytes per weight of the fp8 copies beside the kept one, shape (plans,): a copy and its transpose, or
    the transpose alone where the weight itself is kept in fp8.

    Source: Transformer Engine, float8 tensors with a transpose cache.
    """
    return where(grid.gathered_bytes < grid.element_bytes, 1.0, 2.0)


def state_bytes(grid: PlanGrid, here: ParametersHere, traits: Traits) -> StateBytes:
    """Bytes of weights, gradients and optimizer states on one rank.

    ZeRO shards optimizer states (1), then gradients (2), then weights (3) over the sharding group.
    Context-parallel ranks hold the same weights as the data-parallel ones and count in the group; experts are
    replicated, and hence sharded, over fewer ranks. Source: Rajbhandari et al. 2020, section 5.
    """
    group = grid.sharding_group
    apart = grid.expert_parallel * expert_tensor_parallel(grid)
    expert_group = larger(group * grid.tensor_parallel / apart, 1.0)
    level = grid.sharding
    dense_split = [where(level >= reached, group, 1.0) for reached in LEVELS]
    expert_split = [where(level >= reached, expert_group, 1.0) for reached in LEVELS]
    states_kept, gradients_kept, weights_kept = (
        here.trained_dense / dense + here.trained_experts / experts
        for dense, experts in zip(dense_split, expert_split, strict=True)
    )
    trained = here.trained_dense + here.trained_experts
    in_pipeline = (traits["whole_in_pipeline"] > 0) & (grid.pipeline_parallel > 1)
    # Gradient sync switched off between accumulation steps leaves them whole on every rank.
    unsynced = ((grid.unsynced_gradients > 0) & (grid.gradient_accumulation > 1)) | in_pipeline
    replicated = (level < ZERO_1) & (grid.data_parallel > 1)
    flat = grid.gradient_copy_bytes * ((grid.pipeline_parallel > 1) | (grid.gradient_bytes > 2.0))
    copy_bytes = flat + grid.gradient_bytes * traits["bucket_copies"] * replicated
    # Paged moments lie in unified memory, which moves to the host when the accelerator is short, and which
    # torch's allocator does not count (Dettmers et al. 2023, section 3: paged optimizers).
    on_gpu = 1.0 - grid.offload
    held = on_gpu * (1.0 - grid.paged)
    weights_here = 1.0 - grid.offload_parameters
    # Gradients leave with the optimizer that they update (Ren et al. 2021, section 4.1), bucket by bucket.
    leaving = larger(grid.offload, grid.offload_parameters) * (1.0 - traits["offload_keeps_gradients"])
    # A step within the backward pass frees each gradient as soon as it was used.
    freed = grid.optimizer_in_backward * (grid.gradient_accumulation <= 1)
    gradients_here = (1.0 - leaving) * (1.0 - freed)
    frozen_blocks = here.blocks * (grid.frozen_bytes / dense_split[2]) + here.experts * (
        grid.frozen_bytes / expert_split[2]
    )
    table_bytes = where(traits.widened > 0, 4.0, grid.element_bytes)
    head_bytes = where(traits.widened > 0, 4.0, grid.frozen_head_bytes)
    frozen_tables = (here.embedding * table_bytes + here.head * head_bytes) / dense_split[2]
    reference = grid.reference_held * (
        here.trained_dense / dense_split[2] + here.trained_experts / expert_split[2]
    )
    wider = (grid.weight_bytes > grid.element_bytes) & (level < ZERO_3)
    copied = (
        grid.element_bytes * (wider | in_pipeline & (level >= ZERO_3))
        + fp8_copies(grid) * grid.fp8 * traits["fp8_copies"]
    )
    # ZeRO-3 of DeepSpeed makes fp32 gradients and step copies for one sub-group at a time.
    sub_group = where((traits["buckets"] > 0) & (level >= ZERO_3), SUB_GROUP_PARAMETERS, np.inf)
    at_once = smaller(states_kept, sub_group)
    return StateBytes(
        frozen_weights=weights_here
        * (grid.frozen * (frozen_blocks + frozen_tables) + reference * grid.element_bytes),
        weights=weights_here * (weights_kept * grid.weight_bytes)
        + grid.saved_bytes * (here.saved / dense_split[0]),
        cast_weights=trained * ((1.0 - grid.frozen) * copied),
        gradients=gradients_here * (where(unsynced, trained, gradients_kept) * grid.gradient_bytes),
        gradient_copies=gradients_here * gradients_kept * copy_bytes
        + at_once * (where(flat > 0, 0.0, grid.gradient_partition_bytes) * on_gpu),
        master=states_kept * (grid.master_bytes * on_gpu),
        moments=states_kept * (grid.state_bytes * held),
        step_temporary=at_once * (grid.temporary_bytes * on_gpu),
        host=states_kept * (grid.offload * host_state_bytes(grid))
        + grid.offload_parameters
        * (weights_kept * grid.weight_bytes + grid.frozen * (frozen_blocks + frozen_tables)),
        moments_held=held,
        weight_shards=dense_split[2],
        gradient_shards=where(unsynced, 1.0, dense_split[1]),
        state_shards=dense_split[0],
    )
