"""Families that transformers has no class of, or whose files hold several models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner.engine.question.errors import HeadroomError, PlanError
from planner.engine.shape.hf_config import essential_config, model_from_hf_config, reading_notes
from planner.engine.shape.parameters import count_parameters

GOLDEN = Path(__file__).parents[1] / "golden" / "parts_counts.json"
THINKER: dict[str, Any] = next(
    row["config"]
    for row in json.loads(GOLDEN.read_text(encoding="utf-8"))["counts"]
    if row["name"] == "qwen2.5-omni-7b-thinker"
)
FULL = [*range(4, 93, 4), 93]
#: moonshotai/Kimi-K3, config.json.
K3_TEXT: dict[str, Any] = {
    "model_type": "kimi_linear",
    "hidden_size": 7168,
    "num_hidden_layers": 93,
    "num_attention_heads": 96,
    "num_key_value_heads": 96,
    "vocab_size": 163840,
    "intermediate_size": 33792,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "mla_use_nope": True,
    "mla_use_output_gate": True,
    "attn_res_block_size": 12,
    "first_k_dense_replace": 1,
    "num_experts": 896,
    "num_experts_per_token": 16,
    "num_shared_experts": 2,
    "moe_intermediate_size": 3072,
    "routed_expert_hidden_size": 3584,
    "latent_moe_use_norm": True,
    "linear_attn_config": {
        "full_attn_layers": FULL,
        "kda_layers": [layer for layer in range(1, 94) if layer not in FULL],
        "head_dim": 128,
        "num_heads": 96,
        "short_conv_kernel_size": 4,
        "use_full_rank_gate": True,
    },
}


def total(config: dict[str, Any]) -> int:
    return count_parameters(model_from_hf_config(config)).total


def codes(config: dict[str, Any]) -> set[str]:
    return {code for code, _ in reading_notes(config)}


def test_kimi_k3_counts_as_the_list_of_its_tensors() -> None:
    hidden, inner, heads = 7168, 96 * 128, 96
    delta = 5 * inner * hidden + 3 * inner * 4 + 128 * hidden + inner * 128 + inner + heads
    delta += heads * hidden + 128
    latent = 1536 * hidden + 1536 + heads * 192 * 1536 + 576 * hidden + 512 + heads * 256 * 512
    latent += 2 * heads * 128 * hidden
    routed = 896 * hidden + 3 * 6144 * hidden + 2 * 3584 * hidden + 3584 + 896 * 3 * 3072 * 3584
    stack = 69 * delta + 24 * latent + 3 * 33792 * hidden + 92 * routed + 93 * 6 * hidden
    assert total(K3_TEXT) == stack + 2 * 163840 * hidden + 3 * hidden


def test_a_model_that_talks_is_planned_by_its_thinker() -> None:
    whole = {"model_type": "qwen2_5_omni", "architectures": ["Qwen2_5OmniModel"], "thinker_config": THINKER}
    assert total(whole) == total(THINKER)
    assert "thinker_alone" in codes(whole)
    assert model_from_hf_config(essential_config(whole)) == model_from_hf_config(whole)


def test_without_its_thinker_it_is_refused() -> None:
    with pytest.raises(PlanError) as refused:
        model_from_hf_config({"model_type": "qwen2_5_omni", "talker_config": {}})
    assert refused.value.field == "model.hf_config.thinker_config"


def test_phi_under_its_first_names_is_phi() -> None:
    old = {"model_type": "phi-msft", "n_embd": 2048, "n_layer": 24, "n_head": 32, "vocab_size": 51200}
    old |= {"n_inner": None, "n_positions": 2048}
    assert total(old) == 1_418_270_720  # microsoft/phi-1_5's published total


def test_minicpm_routes_where_it_has_experts() -> None:
    dense = {
        "model_type": "minicpm",
        "hidden_size": 2304,
        "intermediate_size": 5760,
        "num_hidden_layers": 40,
        "num_attention_heads": 36,
        "vocab_size": 122753,
    }
    experts = 40 * (7 * 3 * 2304 * 5760 + 8 * 2304)
    assert total({**dense, "num_experts": 8, "num_experts_per_tok": 2}) == total(dense) + experts
    with pytest.raises(HeadroomError):
        model_from_hf_config({**dense, "num_experts": 8})
