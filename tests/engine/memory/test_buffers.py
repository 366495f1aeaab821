"""Passing memory by hand: logits, gathered and unpacked weights, communicators."""

from __future__ import annotations

import numpy as np
import pytest

from planner.engine.grid.plan_grid import PlanGrid
from planner.engine.memory.buffers import (
    Gathered,
    bytes_per_logit,
    communicator_count,
    gathered_bytes,
    logits_on_rank,
)
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.states import parameters_here, stages
from planner.engine.memory.traits import traits_of
from tests.engine.bare import bare_grid, framework, number


@pytest.mark.parametrize(
    ("changes", "logits"),
    [
        ({}, 8 * 32),
        ({"micro_batch_size": 3}, 3 * 8 * 32),
        ({"context_parallel": 2}, 4 * 32),
        ({"tensor_parallel": 2}, 8 * 16),
        # FSDP's tensor parallel leaves each rank the whole vocabulary.
        ({"tensor_parallel": 2, "framework": framework("fsdp")}, 8 * 32),
        ({"encoder": 1, "head_share": 0.25}, 2 * 32),
        ({"decoder_blocks": 1, "decoder_sequence_length": 5}, 5 * 32),
    ],
)
def test_logits_are_tokens_times_the_vocabulary_of_a_rank(changes: dict[str, float], logits: float) -> None:
    grid = bare_grid(**changes)
    assert number(logits_on_rank(grid, traits_of(grid))) == logits


@pytest.mark.parametrize(
    ("stack", "changes", "nbytes"),
    [
        ("generic", {}, 12.0),
        # In place: 2 bytes and one fp32 copy (Megatron-LM).
        ("megatron", {}, 6.0),
        # Fine-tuning shifts two fp32 copies.
        ("fsdp", {"finetuning": 1}, 12.0),
        # Compiled: logits and gradient as wide as they are handed over.
        ("generic", {"compiled": 1, "loss_compiled": 1}, 4.0),
        ("generic", {"compiled": 1}, 12.0),
        # In the logits' own 16 bits: four copies, or written over them (Transformer Engine).
        ("generic", {"loss_bytes": 2}, 8.0),
        ("megatron", {"loss_bytes": 2}, 2.0),
        ("generic", {"fp16": 1, "finetuning": 1, "loss_bytes": 4}, 12.0),
        # The loop's own variables hold the logits, in 16 bits or as the fp32 that the model returned.
        ("fsdp", {"finetuning": 1, "kept_logit_bytes": 2}, 14.0),
        ("fsdp", {"finetuning": 1, "kept_logit_bytes": 4}, 16.0),
        ("megatron", {"kept_logit_bytes": 4}, 6.0),
        ("deepspeed", {"finetuning": 1}, 12.0),
        # A kernel that writes the gradient over the logits.
        ("fsdp", {"finetuning": 1, "kernels_named": 1, "kernels_fused": 1}, 8.0),
        ("generic", {"loss_whole": 0, "loss_chunked": 1}, 12.0),
        ("generic", {"loss_whole": 0, "loss_chunked": 1, "compiled": 1}, 2.5),
        ("megatron", {"loss_whole": 0, "loss_chunked": 1}, 6.0),
        # Fused with the head: 5 bytes an element of 8 of the hidden state, over 32 words.
        ("generic", {"loss_whole": 0}, 5.0 * 8 / 32),
    ],
)
def test_bytes_of_a_logit_at_the_loss(stack: str, changes: dict[str, float], nbytes: float) -> None:
    grid = bare_grid(framework=framework(stack), **changes)
    assert number(bytes_per_logit(grid, traits_of(grid), MemoryConstants())) == pytest.approx(nbytes)


def gathered(grid: PlanGrid) -> Gathered:
    traits, stage = traits_of(grid), stages(grid)
    return gathered_bytes(grid, traits, parameters_here(grid, stage, traits), stage)


def on_first(values: object) -> float:
    return number(np.broadcast_to(np.asarray(values), (3, *np.shape(values)[1:]))[0])


ZERO3 = {"sharding": 3, "sharding_group": 4, "data_parallel": 4}


def test_zero3_holds_two_blocks_and_a_block_s_gradients() -> None:
    """Zhao et al. 2023, section 3.3: one block computes while the next is gathered."""
    found = gathered(bare_grid(**ZERO3, framework=framework("fsdp")))
    assert on_first(found.blocks) == 2 * 512 * 2
    # FSDP1's root unit: token table and head; their gradients wait beside a block's.
    assert on_first(found.root) == (256 + 256) * 2
    assert on_first(found.gradients) == 512 * 2 + (256 + 256) * 2
    alone = gathered(bare_grid(sharding=3, framework=framework("fsdp")))
    assert on_first(alone.blocks) == on_first(alone.gradients) == 0


def test_tensor_parallel_splits_a_gathered_block_and_packed_weights_travel_packed() -> None:
    assert on_first(gathered(bare_grid(**ZERO3, tensor_parallel=2)).blocks) == 2 * 256 * 2
    packed = gathered(bare_grid(**ZERO3, quantized=1, frozen=1, frozen_bytes=0.5))
    assert on_first(packed.blocks) == 2 * 512 * 0.5


def test_a_routed_block_is_gathered_with_its_rank_s_experts() -> None:
    mixture = {
        "dense_blocks": 0,
        "moe_blocks": 2,
        "moe_block_parameters": 300,
        "routed_expert_parameters": 800,
    }
    assert on_first(gathered(bare_grid(**ZERO3, **mixture, expert_parallel=4)).blocks) == 2 * (300 + 200) * 2
    assert on_first(gathered(bare_grid(**ZERO3, **mixture, tensor_parallel=2)).blocks) == 2 * (150 + 400) * 2


def test_deepspeed_keeps_live_parameters_and_buckets() -> None:
    """Its defaults: 1e9 live parameters, and buckets of 5e8 from ZeRO-1 on."""
    large = {"dense_block_parameters": 2e9, "embedding_parameters": 256, "framework": framework("deepspeed")}
    found = gathered(bare_grid(**ZERO3, **large))
    assert on_first(found.blocks) == (1e9 + 256) * 2
    assert on_first(found.gradients) == 5e8 * 2
    small = gathered(bare_grid(**ZERO3, framework=framework("deepspeed")))
    assert on_first(small.blocks) == 1536 * 2
    unsharded = gathered(bare_grid(**large))
    assert on_first(unsharded.gradients) == 0


def test_the_largest_matrix_is_unpacked_for_use() -> None:
    assert on_first(gathered(bare_grid(quantized=1, frozen_head_bytes=2)).dequantized) == 8 * 16 * 2
    # A quantised head of 256 is widened whole.
    assert on_first(gathered(bare_grid(quantized=1, frozen_head_bytes=0.5)).dequantized) == 256 * 2


def test_a_tied_table_has_two_gradients_for_a_moment() -> None:
    tied = {"tied": 1, "tied_head_parameters": 256, "head_parameters": 0}
    assert on_first(gathered(bare_grid(**tied)).tied) == 256 * 4
    assert on_first(gathered(bare_grid(**tied, framework=framework("megatron"))).tied) == 0
    assert on_first(gathered(bare_grid(**tied, pipeline_parallel=2)).tied) == 0


def test_each_kind_of_parallelism_has_a_communicator() -> None:
    degrees = ("data_parallel", "tensor_parallel", "pipeline_parallel", "context_parallel", "expert_parallel")
    assert number(communicator_count(bare_grid())) == 0
    for degree in degrees:
        assert number(communicator_count(bare_grid(**{degree: 2.0}))) == 1
    assert number(communicator_count(bare_grid(**dict.fromkeys(degrees, 2.0)))) == 5
