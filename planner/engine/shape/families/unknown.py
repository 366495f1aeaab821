"""A decoder of a family that is not known by name, read by the keys that many families share.

Reads what such keys usually mean; what it cannot place is left unread, so that structural keys stop the
answer. The caller says in a warning that the family is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.decoders import Experts, Row, from_row
from planner.engine.shape.families.keys import Keys

MAIN_KEYS: Final = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "vocab_size",
    "intermediate_size",
)
EXPERT_COUNTS: Final = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
EXPERTS_MET: Final = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "top_k_experts")


def is_llama_shaped(config: Mapping[str, Any]) -> bool:
    """Whether a config has the five sizes of a decoder of Llama's plan under their usual names."""
    sizes = all(isinstance(config.get(key), int) for key in MAIN_KEYS)
    other = config.get("is_encoder_decoder") or "type_vocab_size" in config or "patch_size" in config
    signs = ("num_key_value_heads", "rms_norm_eps", "rope_theta")
    modern = any(config.get(key) is not None for key in signs)
    return sizes and modern and not other


def read_unknown(keys: Keys, family: str, name: str) -> ModelSpec:
    """Llama's plan with the biases, norms, window and experts that the keys say."""
    row = Row(
        qkv_bias=_first(keys, "attention_bias", "qkv_bias", "use_qkv_bias", "use_bias", "bias"),
        output_bias=_first(keys, "attention_bias", "use_bias", "bias"),
        mlp_bias=_first(keys, "mlp_bias", "use_bias", "bias"),
        qk_norm="head",
        qk_norm_key=keys.first_present(("use_qk_norm", "qk_norm", "qk_layernorm")),
        window="sliding_window",
        experts=_experts(keys),
    )
    return from_row(keys, row, family, name)


def _first(keys: Keys, *names: str) -> str | bool:
    return next((name for name in names if isinstance(keys.values.get(name), bool)), False)


def _experts(keys: Keys) -> Experts | None:
    count = keys.first_present(EXPERT_COUNTS)
    if not keys.has(count) or keys.values[count] in (0, 1):
        return None
    width = "moe_intermediate_size" if keys.has("moe_intermediate_size") else "intermediate_size"
    shared = keys.first_present(("n_shared_experts", "num_shared_experts", "moe_num_shared_experts"))
    wide = keys.first_present(("shared_expert_intermediate_size", "shared_intermediate_size"))
    return Experts(
        count=count,
        per_token=EXPERTS_MET,
        width=(width,),
        shared="" if keys.has(wide) else shared,
        shared_width=wide if keys.has(wide) else "",
        dense=keys.first_present(("first_k_dense_replace", "num_dense_layers")),
    )
