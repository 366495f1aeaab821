"""Keys of a config that change the model's structure and that its family's reader did not ask for.

A key that is not read changes nothing in the answer; where it would change the model, the answer would be
wrong in silence. Such keys stop the answer; multi-token-prediction blocks, which the class in transformers
does not build, are named in a warning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from planner.engine.shape.reading import SpecReader

STRUCTURAL: Final = frozenset(
    [
        "num_experts",
        "num_local_experts",
        "n_routed_experts",
        "moe_num_experts",
        "num_experts_per_tok",
        "moe_topk",
        "moe_k",
        "n_shared_experts",
        "num_shared_experts",
        "moe_num_shared_experts",
        "moe_intermediate_size",
        "shared_expert_intermediate_size",
        "shared_intermediate_size",
        "moe_latent_size",
        "zero_expert_num",
        "kv_lora_rank",
        "q_lora_rank",
        "o_lora_rank",
        "qk_nope_head_dim",
        "qk_rope_head_dim",
        "v_head_dim",
        "global_head_dim",
        "mamba_d_state",
        "mamba_d_conv",
        "mamba_expand",
        "mamba_n_heads",
        "mamba_num_heads",
        "mamba_d_ssm",
        "mamba_dt_rank",
        "ssm_state_size",
        "ssm_cfg",
        "state_size",
        "time_step_rank",
        "hybrid_override_pattern",
        "layers_block_type",
        "block_configs",
        "linear_num_value_heads",
        "linear_num_key_heads",
        "linear_attn_config",
        "attn_type_list",
        "conv_L_cache",
        "full_attn_idxs",
        "attn_layer_indices",
        "attn_layer_period",
        "lru_width",
        "block_types",
        "embedding_size",
        "num_hidden_groups",
        "inner_group_num",
        "altup_num_inputs",
        "laurel_rank",
        "hidden_size_per_layer_input",
        "num_kv_shared_layers",
        "index_n_heads",
        "index_topk",
        "hc_mult",
        "cross_attention_layers",
        "num_global_layers",
        "dense_intermediate_size",
        "use_double_wide_mlp",
        "enable_moe_block",
        "block_ff_dim",
        "block_multiple_of",
        "sparse_attention_config",
        "text_config",
        "vision_config",
        "audio_config",
        "speech_config",
    ]
)
PREDICTION: Final = re.compile(r"^(mtp_|num_mtp|use_mtp|num_nextn_predict|nextn_)")
PLAIN_LAYER_TYPES: Final = frozenset(
    ("full_attention", "sliding_attention", "chunked_attention", "attention")
)
#: Names of one number in different families; configs often give it twice.
SAME_NUMBER: Final = (
    ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"),
    ("num_experts_per_tok", "moe_topk", "moe_k"),
    ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts"),
    ("moe_intermediate_size", "shared_intermediate_size", "shared_expert_intermediate_size"),
)
NEUTRAL: Final[tuple[Any, ...]] = (None, False, 0, "", [], {})


def note_unread(reader: SpecReader, *, stop: bool = True) -> tuple[str, ...]:
    """Structural keys that nobody asked for; each is a problem of the reader where ``stop`` is set."""
    unread = tuple(
        key
        for key, value in reader.values.items()
        if isinstance(key, str)
        and key in STRUCTURAL
        and key not in reader.seen
        and value not in NEUTRAL
        and not ("expert" in key and value == 1)
        and not (isinstance(value, list) and set(map(str, value)) == {"1"})
        and not _said_otherwise(reader, key, value)
    )
    types = reader.values.get("layer_types")
    if isinstance(types, list) and "layer_types" not in reader.seen:
        odd = {kind for kind in types if isinstance(kind, str)} - PLAIN_LAYER_TYPES
        unread += ("layer_types",) if odd else ()
    if _odd_head_width(reader):
        unread += ("head_dim",)
    for key in unread if stop else ():
        reader.problem(
            key,
            f"The reader of this family does not know what {key} changes in the model.",
            "Check model_type against the model's own config.json, or describe the model as an explicit "
            "architecture.",
        )
    return unread


def prediction_keys(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys that ask for multi-token-prediction blocks."""
    return tuple(
        key
        for key, value in values.items()
        if isinstance(key, str) and PREDICTION.match(key) and value not in NEUTRAL
    )


def _said_otherwise(reader: SpecReader, key: str, value: Any) -> bool:
    """Whether another name of the same number was read and says the same."""
    return any(
        key in names and any(name in reader.seen and reader.values.get(name) == value for name in names)
        for names in SAME_NUMBER
    )


def _odd_head_width(reader: SpecReader) -> bool:
    """Whether a head width that nobody read differs from what was taken in its place."""
    values = reader.values
    width, hidden, heads = (values.get(key) for key in ("head_dim", "hidden_size", "num_attention_heads"))
    if {"head_dim", "kv_lora_rank"} & reader.seen or not all(
        isinstance(size, int) for size in (width, hidden, heads)
    ):
        return False
    assert isinstance(width, int) and isinstance(hidden, int) and isinstance(heads, int)
    return width * heads != hidden
