"""Activations by hand beside Korthikanti's whole equations (``test_memory``): parts, schedules and kinds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from planner.engine.memory.activations import (
    Activations,
    TokenBytes,
    activations,
    gradient_bytes,
    in_flight,
    inner_width,
    operator_ffn,
    recompute_shares,
    retained_inputs,
    stage_outputs,
    token_bytes,
)
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.states import stages
from planner.engine.memory.traits import traits_of
from tests.engine.bare import bare_grid, framework, number

MEGATRON = framework("megatron")
#: Plain modules of PyTorch.
MODULES = {"framework": framework("generic")}


def per_token(**changes: float) -> TokenBytes:
    grid = bare_grid(framework=changes.pop("framework", MEGATRON), **changes)
    return token_bytes(grid, traits_of(grid), MemoryConstants())


def kept(**changes: float) -> Activations:
    grid = bare_grid(framework=changes.pop("framework", MEGATRON), **changes)
    return activations(grid, traits_of(grid), MemoryConstants())


def test_a_token_keeps_what_each_matmul_and_norm_reads() -> None:
    """Korthikanti et al. 2022, section 4.1, at two bytes: 2 h for each of two norms and two matmul inputs."""
    found = per_token()
    assert number(found.block_input) == 16
    assert number(found.norms) == 2 * 16
    assert number(found.matmul_inputs) == 2 * 16
    # Query and output of 2 heads of 4, and flash attention's fp32 log-sum-exp of each head.
    assert number(found.query_side) == 2 * (4 * 2 + 4 + 4 * 2)
    assert number(found.key_side) == 2 * (4 + 4) * 2
    assert number(found.score) == 0
    # Before and after the non-linearity.
    assert number(found.ffn) == 16 * (2 + 2)


def test_unfused_scores_keep_softmax_dropout_mask_and_dropped_scores() -> None:
    """5 a s per token: 2 of the softmax, 1 of the mask, 2 of its output (section 4.1)."""
    assert number(per_token(flash=0, dropout=1).score) == 2 * 5
    assert number(per_token(flash=0).score) == 2 * 2
    assert number(per_token(dropout=1).masks) == 2 * 8


def test_a_gated_mlp_keeps_gate_up_and_product() -> None:
    """SwiGLU: gate, up and the last matrix's input; plain modules the activated gate as well."""
    assert number(per_token(gated=1).ffn) == 16 * 3 * 2
    assert number(per_token(gated=1, framework=0).ffn) == 16 * 4 * 2


def test_sequence_parallel_splits_the_hidden_width_and_tensor_parallel_the_inner() -> None:
    split, sequence = per_token(tensor_parallel=2), per_token(tensor_parallel=2, sequence_parallel=1)
    assert (number(split.norms), number(sequence.norms)) == (32, 16)
    assert (number(split.matmul_inputs), number(sequence.matmul_inputs)) == (32, 16)
    assert number(split.ffn) == 16 * 4 / 2
    assert number(split.query_side) == (4 * 2 + 4 + 4 * 2)
    plain = per_token(tensor_parallel=2, sequence_parallel=1, framework=0)
    assert number(plain.matmul_inputs) == 32


def test_grouped_keys_are_kept_as_they_are_or_repeated() -> None:
    grouped = {"kv_heads": 1}
    assert number(per_token(**grouped).key_side) == 16
    assert number(per_token(**grouped, framework=0).key_side) == 32
    # Fewer key heads than ranks: each rank keeps one.
    assert number(per_token(**grouped, tensor_parallel=2).key_side) == 16


def test_latent_attention_keeps_its_compressed_vector_twice() -> None:
    assert number(per_token(kv_lora_rank=10).key_side) - number(per_token().key_side) == 10 * 2 * 2


MIXTURE = {
    "dense_blocks": 0,
    "moe_blocks": 2,
    "experts": 4,
    "experts_per_token": 2,
    "expert_ffn_size": 16,
    "shared_expert_ffn_size": 8,
}


def test_a_routed_token_is_kept_with_each_expert_it_visits() -> None:
    """Dispatched inputs and outputs of two visits, inner tensors of 2 x 16 + 8, and 8 bytes an expert of the
    router's logits and probabilities."""
    assert number(per_token(**MODULES, **MIXTURE).experts) == 2 * 8 * 4 + 40 * 4 + 8 * 4
    # Whole experts meet this rank's share of the tokens: ends and inner bytes are split over two ranks.
    shared = per_token(**MODULES, **MIXTURE, tensor_parallel=2, expert_parallel=2, expert_load=1)
    assert number(shared.experts) == 8 * 4 + 20 * 4 + 8 * 4
    whole = per_token(**MODULES, **MIXTURE, tensor_parallel=2)
    assert number(whole.experts) == 2 * 8 * 4 + 20 * 4 + 8 * 4


def test_the_fullest_rank_keeps_its_load_and_megatron_no_outputs() -> None:
    """Twice the tokens on the fullest rank: twice the routed bytes, the shared expert's and the router's
    once. Megatron weighs within the activation, so the two outputs of 8 x 2 bytes are not kept."""
    even = per_token(**MODULES, **MIXTURE, expert_parallel=2, expert_load=1)
    full = per_token(**MODULES, **MIXTURE, expert_parallel=2, expert_load=2)
    assert number(full.experts) - number(even.experts) == 2 * 8 * 4 + 2 * 16 * 4
    learned = per_token(**MODULES, **MIXTURE, expert_parallel=2)
    assert number(even.experts) < number(learned.experts) < number(full.experts)
    alone = per_token(**MODULES, **MIXTURE, expert_load=2)
    assert number(alone.experts) == number(even.experts)
    megatron = per_token(**MIXTURE, expert_parallel=2, expert_load=1)
    assert number(even.experts) - number(megatron.experts) == 2 * 8 * 2


def test_scores_of_encoders_are_kept_in_their_own_width() -> None:
    """Softmax and dropped scores of 2 bytes and a mask; decoders widen the softmax, and so does autocast,
    whose dropped scores are narrowed anew."""
    unfused = {"flash": 0, "dropout": 1}
    assert number(per_token(**MODULES, **unfused, encoder=1).score) == 2 * (2 + 1 + 2)
    assert number(per_token(**MODULES, **unfused).score) == 2 * (2 + 4 + 1)
    assert number(per_token(**MODULES, **unfused, encoder=1, autocast=1).score) == 2 * (2 + 4 + 1)


def test_each_adapter_of_plain_modules_keeps_a_copy_of_its_input() -> None:
    """Three adapters on query, key and value, one on the output: 8 elements each, of 2 bytes and a byte of
    mask. Without copies the one input they share is kept, with its mask."""
    adapters = {"frozen": 1, "qkv_adapters": 3, "output_adapters": 1, "adapter_dropout": 1}
    adapters |= {"adapter_input_bytes": 2, "ffn_input_kept": 0, "down_input_kept": 0}
    token = per_token(**MODULES, **adapters)
    assert number(token.matmul_inputs) == 4 * 8 * 3
    fused = per_token(**MODULES, **adapters, kernels_named=1, kernels_fused=1)
    assert number(fused.matmul_inputs) == 8 * 3
    wide = per_token(
        **MODULES, **adapters | {"adapter_dropout": 0, "weight_bytes": 4, "adapter_input_bytes": 4}
    )
    assert number(wide.matmul_inputs) == 4 * 8 * 4
    same = per_token(**MODULES, **adapters | {"adapter_dropout": 0})
    assert number(same.matmul_inputs) == 8 * 2


def test_inner_widths_of_dense_and_routed_blocks() -> None:
    assert number(inner_width(bare_grid(tensor_parallel=2))) == 8
    assert number(inner_width(bare_grid(**MIXTURE, tensor_parallel=2))) == 20
    assert number(operator_ffn(bare_grid())) == 32
    assert number(operator_ffn(bare_grid(**MIXTURE))) == (2 * (16 + 8) + 8) * 2


def test_all_blocks_are_kept_and_full_recompute_keeps_their_inputs() -> None:
    token = per_token(flash=0)
    every, inputs = kept(flash=0), kept(flash=0, recompute=2)
    inner = (token.norms + token.matmul_inputs + token.query_side + token.key_side + token.ffn) * 8
    scores = token.score * 8 * 8
    assert number(every.kept) == pytest.approx(2 * number(inner + scores))
    assert number(inputs.kept) == 2 * 8 * 16
    assert number(inputs.recomputed) == pytest.approx(number(inner + scores) - 8 * 16)
    assert number(every.recomputed) == 0
    selective = kept(flash=0, recompute=1)
    assert number(selective.kept) == pytest.approx(2 * number(inner))
    assert number(selective.recomputed) == pytest.approx(number(scores))


def test_selective_means_half_of_the_blocks_or_single_operators_elsewhere() -> None:
    blocks = recompute_shares(*(lambda grid: (grid, traits_of(grid)))(bare_grid(recompute=1, framework=2)))
    found = [number(getattr(blocks, item.name)) for item in dataclasses.fields(blocks)]
    assert found == [0.5, 0.5, 0.5, 0.0, 1.0]
    titan = bare_grid(recompute=1, framework=framework("torchtitan"))
    operators = recompute_shares(titan, traits_of(titan))
    assert [number(getattr(operators, item.name)) for item in dataclasses.fields(operators)] == [
        0,
        0,
        0,
        1,
        0,
    ]


def test_cross_attention_keeps_targets_and_the_source_s_keys() -> None:
    """1.5 times the norms and inputs (three of two), two queries, keys of the targets and of the source."""
    token = per_token()
    alone = kept()
    both = kept(decoder_blocks=1, decoder_sequence_length=4)
    around = token.norms + token.matmul_inputs + token.masks
    crossed = (1.5 * around + 2 * token.query_side + token.key_side) * 4 + token.key_side * 8
    assert number(both.model_attention) - number(alone.model_attention) == pytest.approx(number(crossed))
    unfused, without = kept(decoder_blocks=1, decoder_sequence_length=4, flash=0), kept(flash=0)
    scores = per_token(flash=0).score * 4 * (4 + 8)
    assert number(unfused.model_scores) - number(without.model_scores) == pytest.approx(number(scores))


def test_gradients_of_a_block_are_two_streams_and_the_inner_width() -> None:
    def found(scores: float = 0.0, **changes: float) -> float:
        args = (np.float64(value) for value in (8.0, 0.0, scores, 600.0))
        return number(gradient_bytes(bare_grid(**changes), *args))

    assert found() == 2 * 16 * 8 + 16 * 16
    assert found(gated=1, tensor_parallel=2) == 2 * 16 * 8 + 16 * 16
    assert found(scores=1000.0) == 2 * 16 * 8 + 500
    assert found(moe_blocks=1) == 2 * 16 * 8 + 300


@pytest.mark.parametrize(
    ("stages_count", "chunks", "micro_batches", "held"),
    [
        # 1F1B: p - stage, at most all (Narayanan et al. 2021, section 2.2.1): stages 0, 1 and 3.
        (4, 1, 8, [4, 3, 1]),
        (4, 1, 2, [2, 2, 1]),
        # Interleaved, in chunks of half a stage: (2 (p - s - 1) + (v - 1) p + 1) / v.
        (4, 2, 8, [11 / 2, 9 / 2, 5 / 2]),
        (4, 2, 4, [4, 4, 5 / 2]),
    ],
)
def test_micro_batches_in_flight(
    stages_count: int, chunks: int, micro_batches: int, held: list[float]
) -> None:
    grid = bare_grid(
        pipeline_parallel=stages_count, interleaved_stages=chunks, gradient_accumulation=micro_batches
    )
    assert in_flight(grid, stages(grid)).ravel().tolist() == held


def test_deepspeed_keeps_a_stage_s_output_and_fsdp_second_inputs_of_frozen_blocks() -> None:
    pipelined = bare_grid(framework=framework("deepspeed"), pipeline_parallel=2)
    assert number(stage_outputs(pipelined, traits_of(pipelined))) == 8 * 8 * 2
    megatron = pipelined.with_fields(framework=MEGATRON)
    assert number(stage_outputs(megatron, traits_of(megatron))) == 0
    frozen = bare_grid(framework=framework("fsdp"), frozen=1, adapters_with_base=1)
    assert number(retained_inputs(frozen, traits_of(frozen), np.float64(7.0))) == 7
    for changed in ({"compiled": 1}, {"adapters_with_base": 0}):
        other = frozen.with_fields(**changed)
        assert number(retained_inputs(other, traits_of(other), np.float64(7.0))) == 0


def test_what_enters_a_non_linearity_can_be_kept_in_8_bits() -> None:
    gated, plain = {"gated": 1, "ffn_size": 16}, {"ffn_size": 16}
    for shape, entering in ((gated, 2), (plain, 1)):
        wide, narrow = per_token(**shape), per_token(**shape, fp8_activation_input=1)
        assert number(wide.ffn) - number(narrow.ffn) == entering * 16 * (2 - 1)
    # Plain modules keep the activated gate in its own width.
    wide = per_token(**gated, **MODULES)
    narrow = per_token(**gated, **MODULES, fp8_activation_input=1)
    assert number(wide.ffn) - number(narrow.ffn) == 2 * 16
