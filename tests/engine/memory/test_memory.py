"""Memory per rank: published figures per parameter, Korthikanti's equations, what must hold of any plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.engine.memory.activations import activations
from planner.engine.memory.peak import (
    MEMORY_TEMPLATES,
    MOMENTS,
    PARTS,
    MemoryConstants,
    MemoryTerms,
    memory_per_rank,
)
from planner.engine.memory.traits import traits_of
from planner.engine.question.request import PlanRequest
from planner.engine.shape.parameters import count_parameters
from tests.engine.memory.plans import GPT, LLAMA_8B, MIXTRAL, plan_grid, plan_layout, plan_request

CONSTANTS = shipped_calibration().memory
LLAMA_8B_PARAMETERS = 8_030_261_248
PART_NAMES = tuple(PARTS)


def memory_of(request: PlanRequest, **layout: Any) -> MemoryTerms:
    return memory_per_rank(plan_grid(request, plan_layout(**layout)), CONSTANTS)


def one(values: Any) -> float:
    return float(np.asarray(values).reshape(-1)[0])


# --- Bytes per parameter, as measured (docs/validation.md) -----------------------------------------------


@pytest.mark.parametrize(("kernel", "bytes_per_parameter"), [("foreach", 10.0), ("fused", 8.0)])
def test_plain_low_precision_finetuning_peaks_in_the_optimizer_step(
    kernel: str, bytes_per_parameter: float
) -> None:
    request = plan_request(
        task="full_finetuning",
        sequence_length=256,
        master_weights="none",
        optimizer_kernel=kernel,
        loss="fused",
    )
    memory = memory_of(request, data_parallel=1, gradient_accumulation=1, activation_recompute="full")
    # What is left above the published figure is the last block of the backward pass.
    assert one(memory.allocated) / LLAMA_8B_PARAMETERS == pytest.approx(bytes_per_parameter, rel=0.03)
    assert MOMENTS[int(memory.moment)] in ("optimizer step", "backward end")


def test_fsdp_mixed_precision_keeps_sixteen_bytes_sharded_and_four_temporary() -> None:
    request = plan_request(
        task="full_finetuning", framework="fsdp", master_weights="only", sequence_length=512, loss="fused"
    )
    memory = memory_of(
        request, data_parallel=2, sharding="zero3", gradient_accumulation=1, activation_recompute="full"
    )
    assert one(memory.resident) == pytest.approx(16 * LLAMA_8B_PARAMETERS / 2, rel=1e-6)
    assert one(memory.allocated) == pytest.approx(20 * LLAMA_8B_PARAMETERS / 2, rel=1e-6)


def test_transformer_engine_holds_a_placeholder_for_each_matrix_of_a_block() -> None:
    """Query, key, value and output of 4096 x (4096 + 2 x 1024 + 4096), and three of 4096 x 14336, 2 bytes."""
    layout = {"tensor_parallel": 8, "data_parallel": 1, "sharding": "zero1"}
    memory = memory_of(plan_request(framework="megatron", nodes=1), **layout)
    weights = 4096 * (4096 + 2 * 1024 + 4096) + 3 * 4096 * 14336
    assert one(memory.terms["gradient_placeholders"]) == pytest.approx(2 * weights / 8)
    plain = memory_of(plan_request(framework="megatron", kernels="plain", nodes=1), **layout)
    assert one(plain.terms["gradient_placeholders"]) == 0.0


@pytest.mark.parametrize("data_parallel", [1, 4, 16])
def test_megatron_distributed_optimizer_is_six_bytes_and_twelve_sharded(data_parallel: int) -> None:
    request = plan_request(framework="megatron", nodes=data_parallel)
    memory = memory_of(request, tensor_parallel=8, data_parallel=data_parallel, sharding="zero1")
    states = one(memory.weights) + one(memory.terms["gradient_buffer"]) + one(memory.optimizer_states)
    per_parameter = states / (LLAMA_8B_PARAMETERS / 8)
    assert per_parameter == pytest.approx(6 + 12 / data_parallel, rel=1e-6)


def test_eight_bit_adam_keeps_two_bytes_of_moments() -> None:
    eight_bit = memory_of(plan_request(task="full_finetuning", optimizer="adamw_8bit"))
    assert one(eight_bit.optimizer_states) == pytest.approx(2 * LLAMA_8B_PARAMETERS, rel=1e-6)


def test_offloaded_optimizer_leaves_no_states_on_the_accelerator() -> None:
    memory = memory_of(plan_request(offload="optimizer", framework="deepspeed"), sharding="zero2")
    assert one(memory.optimizer_states) == 0.0
    assert one(memory.terms["optimizer_step_copy"]) == 0.0


def test_qlora_base_is_about_half_a_byte_a_parameter_and_trains_adapters_only() -> None:
    memory = memory_of(plan_request(task="qlora"), data_parallel=1)
    tables = 2 * 2 * 128256 * 4096
    blocks = LLAMA_8B_PARAMETERS - tables / 2
    assert one(memory.terms["frozen_weights"]) == pytest.approx(tables + 0.516 * blocks, rel=0.01)
    assert one(memory.optimizer_states) < 0.05 * LLAMA_8B_PARAMETERS


# --- Korthikanti et al. 2022, section 4 ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tensor", "sequence_parallel", "recompute", "expected"),
    [
        (1, False, "none", lambda s, h, a, t: 34 + 5 * a * s / h),
        (8, False, "none", lambda s, h, a, t: 10 + 24 / t + 5 * a * s / (h * t)),
        (8, True, "none", lambda s, h, a, t: 34 / t + 5 * a * s / (h * t)),
        (8, True, "selective", lambda s, h, a, t: 34 / t),
        (8, False, "full", lambda s, h, a, t: 2),
    ],
)
def test_one_block_is_korthikanti_s_equations(
    tensor: int, sequence_parallel: bool, recompute: str, expected: Any
) -> None:
    request = plan_request(GPT, attention="standard", sequence_length=2048, framework="megatron")
    grid = plan_grid(
        request,
        plan_layout(
            tensor_parallel=tensor,
            sequence_parallel=sequence_parallel,
            activation_recompute=recompute,
            micro_batch_size=2,
        ),
    )
    kept = one(activations(grid, traits_of(grid), CONSTANTS).block_kept)
    per_token_and_width = kept / (2 * 2048 * 6144)
    assert per_token_and_width == pytest.approx(expected(2048, 6144, 64, tensor), rel=1e-9)


@pytest.mark.parametrize(("chunks", "factor"), [(1, 1.0), (2, 1 + 7 / 16), (6, 1 + 7 / 48)])
def test_first_stage_holds_all_layers_worth_of_micro_batches(chunks: int, factor: float) -> None:
    """Equation 2 and appendix B: with 1F1B the first of p stages holds p micro-batches of L/p blocks."""
    request = plan_request(GPT, framework="megatron", sequence_length=2048, nodes=8)
    memory = memory_of(
        request,
        tensor_parallel=8,
        sequence_parallel=True,
        pipeline_parallel=8,
        interleaved_stages=chunks,
        data_parallel=1,
        gradient_accumulation=64,
        sharding="zero1",
        activation_recompute="none",
    )
    grid = plan_grid(request, plan_layout(tensor_parallel=8, sequence_parallel=True))
    whole_model = one(activations(grid, traits_of(grid), CONSTANTS).kept)
    assert int(memory.worst_stage) == 0
    assert one(memory.activations) == pytest.approx(factor * whole_model, rel=1e-6)


# --- Terms that are easily forgotten ---------------------------------------------------------------------


def test_fused_cross_entropy_saves_the_logits_of_a_large_vocabulary() -> None:
    """Vocabulary 128k: between 7 and 26 GB at the peak for sequences of 8k (docs/validation.md)."""
    whole, fused = (
        memory_of(
            plan_request(task="lora", sequence_length=8192, loss=loss),
            data_parallel=1,
            activation_recompute="full",
        )
        for loss in ("whole", "fused")
    )
    assert 7e9 < one(whole.allocated) - one(fused.allocated) < 26e9


def test_last_stage_holds_a_copy_of_the_tied_table() -> None:
    tied = {**GPT, "tied_embeddings": True}
    request = plan_request(tied, framework="megatron", nodes=2)
    grid = plan_grid(request, plan_layout(tensor_parallel=8, pipeline_parallel=2, data_parallel=1))
    from planner.engine.memory.states import parameters_here, stages

    head = parameters_here(grid, stages(grid), traits_of(grid)).head
    assert one(head[2]) * 8 == pytest.approx(51200 * 6144, rel=1e-3)
    assert one(head[0]) == 0.0


def test_uneven_pipeline_leaves_the_ends_a_block_less() -> None:
    from planner.engine.memory.states import stages

    request = plan_request({**GPT, "layers": 70}, nodes=12)
    share = stages(plan_grid(request, plan_layout(pipeline_parallel=12, data_parallel=8))).blocks_share
    assert (share[:, 0] * 70).round().tolist() == [5, 6, 5]


def test_zero3_adds_gathered_blocks_and_their_gradients() -> None:
    memory = memory_of(
        plan_request(framework="fsdp", sequence_length=1024),
        sharding="zero3",
        gradient_accumulation=1,
        activation_recompute="full",
    )
    assert one(memory.temporary) > 2 * 2 * 218_112_000  # two blocks of Llama 3.1 8B in 16 bits


def test_experts_are_split_over_expert_parallel_ranks() -> None:
    request = plan_request(MIXTRAL, framework="megatron", nodes=2)
    alone, spread = (
        memory_of(request, data_parallel=16, expert_parallel=degree, sharding="zero1") for degree in (1, 8)
    )
    experts = 32 * 8 * 3 * 4096 * 14336
    lost = one(alone.terms["trained_weights"]) - one(spread.terms["trained_weights"])
    assert lost == pytest.approx(2 * experts * 7 / 8, rel=1e-6)


def test_expert_activations_are_those_of_the_experts_visited() -> None:
    dense = plan_grid(plan_request({**LLAMA_8B, "vocab_size": 32000}, framework="megatron"), plan_layout())
    sparse = plan_grid(plan_request(MIXTRAL, framework="megatron"), plan_layout())
    one_mlp, two_experts = (
        one(kept.model_ffn + kept.model_experts)
        for kept in (activations(grid, traits_of(grid), CONSTANTS) for grid in (dense, sparse))
    )
    assert 2.0 * one_mlp < two_experts < 2.5 * one_mlp


def test_trainium_ranks_have_no_cuda_context() -> None:
    request = plan_request(accelerator="trainium1", accelerators_per_node=16, framework="neuron")
    memory = memory_of(request, tensor_parallel=8, data_parallel=4, sharding="zero1")
    assert one(memory.terms["context"]) == 0.0


# --- The explanation -------------------------------------------------------------------------------------


def test_every_sub_term_is_explained_once_under_its_part() -> None:
    explained = {template.name: template for template in MEMORY_TEMPLATES}
    assert len(explained) == len(MEMORY_TEMPLATES)
    for part, names in PARTS.items():
        assert explained[part].parent == "total"
        assert all(explained[name].parent == part and explained[name].part for name in names)


def test_unknown_constants_are_refused() -> None:
    with pytest.raises(KeyError, match="unknown memory constants"):
        MemoryConstants.from_mapping({"constants": {"luck": 1.0}})


def test_scalars_broadcast_against_a_varied_layout() -> None:
    request, layout = plan_request(framework="megatron"), plan_layout(sharding="zero1")
    row = plan_grid(request, layout).rows(0)
    varied = row.with_fields(micro_batch_size=np.array([1.0, 2.0, 4.0]))
    totals = memory_per_rank(varied, CONSTANTS).total
    single = [one(memory_of(request, sharding="zero1", micro_batch_size=batch).total) for batch in (1, 2, 4)]
    assert totals.tolist() == single


def test_parameters_of_all_stages_are_the_model_s() -> None:
    from planner.engine.memory.states import parameters_here, stages

    request = plan_request(LLAMA_8B, nodes=4)
    grid = plan_grid(request, plan_layout(tensor_parallel=4, pipeline_parallel=4, data_parallel=2))
    here = parameters_here(grid, stages(grid), traits_of(grid)).trained_dense
    first, middle, last = (4 * one(here[stage]) for stage in range(3))
    assert first + 2 * middle + last == pytest.approx(count_parameters(request.model).total, rel=1e-9)


def test_data_parallel_replicas_hold_gradients_twice_and_one_rank_does_not() -> None:
    request = plan_request(task="full_finetuning")
    alone, replicated = (memory_of(request, data_parallel=ranks) for ranks in (1, 8))
    assert one(alone.terms["gradient_copies"]) == 0.0
    assert one(replicated.terms["gradient_copies"]) == pytest.approx(2 * LLAMA_8B_PARAMETERS, rel=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "elements"),
    [
        ("adamw", 2.0),
        ("lion", 1.0),
        ("sgd", 1.0),
        ("adafactor", 0.0),
        ("muon", 1 + 2 * 128256 * 4096 / 8.03e9),
    ],
)
def test_optimizers_keep_their_own_number_of_moments(optimizer: str, elements: float) -> None:
    memory = memory_of(plan_request(optimizer=optimizer, framework="megatron"), tensor_parallel=1)
    moments = one(memory.terms["optimizer_moments"])
    assert moments == pytest.approx(4 * elements * LLAMA_8B_PARAMETERS, rel=1e-3, abs=1.0)


def test_paged_moments_do_not_bind_the_accelerator() -> None:
    """QLoRA of 65B with rank 64 fits 48 GB by paged optimizers (Dettmers et al. 2023, abstract)."""
    request = plan_request(
        "llama-2-70b",
        task="qlora",
        lora_rank=64,
        optimizer_kernel="paged",
        sequence_length=512,
        accelerator="l40s",
        accelerators_per_node=1,
    )
    memory = memory_of(request, data_parallel=1, activation_recompute="full")
    assert one(memory.optimizer_states) == 0.0
    assert one(memory.total) < 48.3e9
