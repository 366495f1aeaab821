"""Parameter counts by part: published totals, what must add up, active shares, adapters."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.engine.question.errors import PlanError
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.explicit import cross_check_parameters, model_from_explicit
from planner.engine.shape.hf_config import model_from_hf_config
from planner.engine.shape.layers import block_counts
from planner.engine.shape.parameters import (
    EXTRAS,
    count_parameters,
    linear_modules,
    lora_parameters,
    targeted_modules,
)
from tests.engine.shape.oracle_configs import ODD_FAMILIES, PUBLISHED, odd_config

GOLDEN = Path(__file__).parents[1] / "golden" / "oracle_counts.json"
ORACLE_ROWS: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))["counts"]

# Totals as their publishers, or the model pages, state them; falcon-7b with its head tied, as it is built.
PUBLISHED_TOTALS = {
    "gpt2": 124_439_808,
    "bert-base-uncased": 109_482_240,
    "roberta-base": 124_645_632,
    "distilbert-base-uncased": 66_362_880,
    "t5-small": 60_506_624,
    "llama-2-7b": 6_738_415_616,
    "llama-3.1-8b": 8_030_261_248,
    "mixtral-8x7b": 46_702_792_704,
    "bloom-176b": 176_247_271_424,
    "mpt-7b": 6_649_286_656,
    "falcon-7b": 6_921_720_704,
    "vit-base-patch16-224": 86_389_248,
}

EXPLICIT_TWINS: dict[str, dict[str, Any]] = {
    "llama-2-7b": {
        "architecture": "decoder",
        "layers": 32,
        "hidden_size": 4096,
        "attention_heads": 32,
        "ffn_size": 11008,
        "gated_ffn": True,
        "vocab_size": 32000,
        "position_embedding": "rope",
        "norm": "rmsnorm",
        "bias": False,
    },
    "gpt2": {
        "architecture": "decoder",
        "layers": 12,
        "hidden_size": 768,
        "attention_heads": 12,
        "vocab_size": 50257,
        "max_positions": 1024,
        "tied_embeddings": True,
    },
    "mixtral-8x7b": {
        "architecture": "decoder",
        "layers": 32,
        "hidden_size": 4096,
        "attention_heads": 32,
        "kv_heads": 8,
        "expert_ffn_size": 14336,
        "gated_ffn": True,
        "vocab_size": 32000,
        "experts": 8,
        "experts_per_token": 2,
    },
    "bert-base-uncased": {
        "architecture": "encoder",
        "layers": 12,
        "hidden_size": 768,
        "attention_heads": 12,
        "vocab_size": 30522,
        "max_positions": 512,
    },
    "t5-small": {
        "architecture": "encoder_decoder",
        "layers": 6,
        "hidden_size": 512,
        "attention_heads": 8,
        "vocab_size": 32128,
        "tied_embeddings": True,
    },
    "vit-base-patch16-224": {
        "architecture": "vision_encoder",
        "layers": 12,
        "hidden_size": 768,
        "attention_heads": 12,
        "patch_size": 16,
        "image_size": 224,
    },
    "mpt-7b": {
        "architecture": "decoder",
        "layers": 32,
        "hidden_size": 4096,
        "attention_heads": 32,
        "vocab_size": 50432,
        "position_embedding": "alibi",
        "bias": False,
        "tied_embeddings": True,
    },
}


def published(name: str) -> ModelSpec:
    return model_from_hf_config(PUBLISHED[name], name)


@pytest.mark.parametrize("name", PUBLISHED_TOTALS)
def test_totals_are_the_published_ones(name: str) -> None:
    assert count_parameters(published(name)).total == PUBLISHED_TOTALS[name]


@pytest.mark.parametrize("row", ORACLE_ROWS, ids=lambda row: row["name"])
def test_totals_are_what_the_oracle_counted(row: dict[str, Any]) -> None:
    assert count_parameters(model_from_hf_config(row["config"])).total == row["total"]


@pytest.mark.parametrize("name", EXPLICIT_TWINS)
def test_an_explicit_architecture_counts_as_its_config_does(name: str) -> None:
    twin = count_parameters(model_from_explicit(EXPLICIT_TWINS[name]))
    original = count_parameters(published(name))
    assert (twin.total, twin.active) == (original.total, original.active)
    assert twin.head_matmul == original.head_matmul
    assert twin.attention_matmul == original.attention_matmul


def test_gpt_3_has_its_175_billion() -> None:
    """Brown et al. 2020, table 2.1: 96 layers, 12288 wide, 96 heads of 128, context 2048."""
    model = model_from_explicit(
        {
            "architecture": "decoder",
            "layers": 96,
            "hidden_size": 12288,
            "attention_heads": 96,
            "vocab_size": 50257,
            "max_positions": 2048,
            "tied_embeddings": True,
        }
    )
    hidden = 12288
    blocks = 96 * (12 * hidden**2 + 13 * hidden)
    assert count_parameters(model).total == blocks + (50257 + 2048) * hidden + 2 * hidden


@pytest.mark.parametrize(
    ("name", "total", "active"),
    [
        ("deepseek-v3", 671.03e9, 37.55e9),  # DeepSeek-V3 report 2024: 671B and 37B, MTP apart
        ("mixtral-8x7b", 46.7e9, 12.88e9),  # Jiang et al. 2024: 47B and 13B
        ("qwen3-30b-a3b", 30.53e9, 3.353e9),  # its model card: 30.5B and 3.3B
        ("gpt-oss-120b", 116.83e9, 5.712e9),  # OpenAI's model card 2025: 116.83B
    ],
)
def test_active_parameters_leave_out_the_experts_not_visited(name: str, total: float, active: float) -> None:
    count = count_parameters(published(name))
    assert count.total == pytest.approx(total, rel=1e-3)
    assert count.active == pytest.approx(active, rel=1e-3)


def test_gpt_oss_active_less_its_token_table_is_what_openai_states() -> None:
    count = count_parameters(published("gpt-oss-120b"))
    assert count.active - count.embedding == pytest.approx(5.13e9, rel=1e-3)


def _assert_adds_up(model: ModelSpec) -> None:
    count = count_parameters(model)
    blocks = (
        count.dense_blocks * count.dense_block
        + count.moe_blocks * (count.moe_block + count.routed_experts)
        + count.decoder_blocks * count.decoder_block
    )
    assert count.embedding + count.head + blocks == count.total
    assert count.dense_blocks + count.moe_blocks == model.layers
    assert count.decoder_blocks == model.decoder_layers
    assert 0 < count.active <= count.total
    dense_matmul = count.attention_matmul + count.ffn_matmul
    assert dense_matmul <= count.dense_block or not count.dense_blocks
    assert count.expert_matmul * model.experts <= count.routed_experts
    assert count.tied_head in (0, count.head_matmul)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parts_of_published_models_add_up(name: str) -> None:
    _assert_adds_up(published(name))


@given(family=st.sampled_from(ODD_FAMILIES), seed=st.integers(min_value=0, max_value=10**6))
def test_parts_of_odd_shapes_add_up(family: str, seed: int) -> None:
    _assert_adds_up(model_from_hf_config(odd_config(family, seed)))


@given(family=st.sampled_from(ODD_FAMILIES), seed=st.integers(min_value=0, max_value=10**6))
def test_linear_layers_hold_the_matmul_weights(family: str, seed: int) -> None:
    """Modules and matmul counts are two readings of one list; bare-parameter experts are not modules."""
    model = model_from_hf_config(odd_config(family, seed))
    count = count_parameters(model)
    modules = sum(m.copies * m.in_features * m.out_features for m in linear_modules(model) if m.in_blocks)
    per_moe_block = count.attention_matmul + count.expert_matmul * model.experts + count.shared_expert_matmul
    matmuls = (
        count.dense_blocks * (count.attention_matmul + count.ffn_matmul)
        + count.moe_blocks * (per_moe_block + count.router_matmul)
        + count.decoder_blocks * (count.attention_matmul + count.cross_attention_matmul + count.ffn_matmul)
    )
    bare = 0
    if family == "gpt_oss":
        bare = count.moe_blocks * (count.expert_matmul * model.experts + count.router_matmul)
    if family in ("deepseek_v2", "deepseek_v3", "kimi_k2", "glm4_moe"):
        bare = count.moe_blocks * count.router_matmul
    assert modules + bare == matmuls


def test_extras_of_every_family_are_documented() -> None:
    used = {
        name
        for family in ODD_FAMILIES
        for seed in range(20)
        for name, _ in model_from_hf_config(odd_config(family, seed)).extras
    }
    # The other two come of a class that architectures names, whatever the family.
    assert used == set(EXTRAS) - {"headless", "classifier_parameters"}


def test_blocks_of_a_mixture_split_into_dense_and_routed() -> None:
    assert dict(block_counts(published("deepseek-v3"))) == {"dense": 3, "moe": 58, "decoder": 0}


def test_shared_experts_without_a_width_of_their_own_are_as_wide_as_routed_ones() -> None:
    model = published("deepseek-v3")
    assert count_parameters(replace(model, shared_expert_ffn_size=0)) == count_parameters(model)


@pytest.mark.parametrize(
    ("name", "targets", "expected"),
    [
        # Per layer of Llama 2 7B: rank 8 x (4096 + 4096) for each of two projections, 32 layers.
        ("llama-2-7b", ("q_proj", "v_proj"), 4_194_304),
        ("llama-2-7b", ("self_attn.q_proj",), 2_097_152),
        # GPT-2's fused c_attn: rank 8 x (768 + 3 x 768), 12 layers.
        ("gpt2", ("c_attn",), 294_912),
        ("gpt2", ("lm_head",), 8 * (768 + 50257)),
        ("mixtral-8x7b", ("w1",), 8 * 32 * 8 * (4096 + 14336)),
        ("llama-2-7b", None, 19_988_480),
    ],
)
def test_lora_parameters(name: str, targets: tuple[str, ...] | None, expected: int) -> None:
    assert lora_parameters(published(name), 8, targets) == expected


def test_adapters_by_default_leave_the_head_alone() -> None:
    names = {module.name for module in targeted_modules(published("llama-2-7b"), None)}
    assert names == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_a_target_that_no_layer_has_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(PlanError) as caught:
        lora_parameters(published("gpt2"), 8, ("c_attn", "q_proj"))
    assert caught.value.field == "workload.lora_targets"
    assert caught.value.value == "q_proj"
    assert "c_attn" in caught.value.remedy and "lm_head" in caught.value.remedy


@pytest.mark.parametrize(("stated", "warns"), [(6.738e9, False), (6.86e9, False), (7.0e9, True), (1, True)])
def test_a_stated_total_over_two_percent_off_is_a_warning(stated: float, warns: bool) -> None:
    warning = cross_check_parameters(published("llama-2-7b"), int(stated))
    assert (warning is not None) == warns
    if warning is not None:
        assert warning[0] == "parameter_count_differs" and "6,738,415,616" in warning[1]
