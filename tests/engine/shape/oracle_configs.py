"""Configs of every family for the oracle: shapes of published models, and odd ones drawn from a seed.

Odd means: head widths that are not hidden / heads, one key-value head or as many as heads, tied and untied,
with and without each optional bias, window, norm and position option that the family's class reads.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

Config = dict[str, Any]

# Shapes as in the config.json that each model is published with, less what no count depends on.
PUBLISHED: dict[str, Config] = json.loads(
    (Path(__file__).parents[1] / "golden" / "published_configs.json").read_text(encoding="utf-8")
)


def odd_config(family: str, seed: int) -> Config:
    """A small odd config of one family; the same seed gives the same config."""
    draw = random.Random(f"{family}/{seed}")
    config = {"model_type": family} | _DRAWERS[family](draw)
    return {key: value for key, value in config.items() if value is not _ABSENT}


_ABSENT = object()


def _maybe(draw: random.Random, *values: Any) -> Any:
    """One of the values, or the key left out."""
    return draw.choice((*values, _ABSENT))


def _heads(draw: random.Random) -> tuple[int, int, int]:
    """(heads, kv_heads, head_dim): key-value heads divide heads; widths are even, for rotary positions."""
    heads = draw.choice((1, 2, 3, 6, 8, 12))
    kv_heads = draw.choice([count for count in range(1, heads + 1) if heads % count == 0])
    return heads, kv_heads, draw.choice((2, 6, 8, 10, 16))


def _llama(draw: random.Random) -> Config:
    heads, kv_heads, width = _heads(draw)
    return {
        "num_hidden_layers": draw.randint(1, 7),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "hidden_size": heads * width,
        "intermediate_size": draw.randint(1, 99),
        "vocab_size": draw.randint(5, 999),
        "max_position_embeddings": _maybe(draw, draw.randint(1, 99)),
        "tie_word_embeddings": _maybe(draw, True, False),
    }


def _llama_default_kv(draw: random.Random) -> Config:
    """Key-value heads left out or null: as many as heads."""
    return _llama(draw) | {"num_key_value_heads": _maybe(draw, None)}


def _with_head_dim(draw: random.Random) -> Config:
    return _llama(draw) | {"head_dim": draw.choice((2, 4, 10, 18))}


def _biased(draw: random.Random) -> Config:
    return {"attention_bias": _maybe(draw, True, False), "mlp_bias": _maybe(draw, True, False)}


def _windowed(draw: random.Random) -> Config:
    return {
        "use_sliding_window": _maybe(draw, True),
        "sliding_window": _maybe(draw, 16),
        "max_window_layers": _maybe(draw, 2),
    }


def _gpt(draw: random.Random) -> Config:
    heads, _, width = _heads(draw)
    return {
        "n_layer": draw.randint(1, 6),
        "n_head": heads,
        "n_embd": heads * width,
        "n_positions": draw.randint(1, 99),
        "n_inner": _maybe(draw, None, draw.randint(1, 99)),
        "vocab_size": draw.randint(5, 999),
        "tie_word_embeddings": _maybe(draw, True, False),
    }


def _gptj(draw: random.Random) -> Config:
    return _gpt(draw) | {"rotary_dim": 2}


def _gpt_neo(draw: random.Random) -> Config:
    heads, _, width = _heads(draw)
    pairs = draw.randint(1, 3)
    return {
        "num_layers": 2 * pairs,
        "attention_types": [[["global", "local"], pairs]],
        "num_heads": heads,
        "hidden_size": heads * width,
        "intermediate_size": _maybe(draw, None, draw.randint(1, 99)),
        "max_position_embeddings": draw.randint(1, 99),
        "vocab_size": draw.randint(5, 999),
        "tie_word_embeddings": _maybe(draw, True, False),
    }


def _bert(draw: random.Random) -> Config:
    heads, _, width = _heads(draw)
    return {
        "num_hidden_layers": draw.randint(1, 6),
        "num_attention_heads": heads,
        "hidden_size": heads * width,
        "intermediate_size": draw.randint(1, 99),
        "max_position_embeddings": draw.randint(3, 99),
        "type_vocab_size": _maybe(draw, 1, 2, 5),
        "vocab_size": draw.randint(5, 999),
        "position_embedding_type": _maybe(draw, "absolute", "relative_key", "relative_key_query"),
    }


def _electra(draw: random.Random) -> Config:
    config = _bert(draw)
    return config | {"embedding_size": draw.choice((config["hidden_size"], draw.randint(1, 64)))}


def _distilbert(draw: random.Random) -> Config:
    heads, _, width = _heads(draw)
    return {
        "n_layers": draw.randint(1, 6),
        "n_heads": heads,
        "dim": heads * width,
        "hidden_dim": draw.randint(1, 99),
        "max_position_embeddings": draw.randint(3, 99),
        "vocab_size": draw.randint(5, 999),
    }


def _t5(draw: random.Random) -> Config:
    return {
        "d_model": draw.randint(1, 64),
        "d_kv": draw.randint(1, 20),
        "d_ff": draw.randint(1, 99),
        "num_layers": draw.randint(1, 5),
        "num_decoder_layers": _maybe(draw, None, draw.randint(1, 5)),
        "num_heads": draw.randint(1, 7),
        "relative_attention_num_buckets": _maybe(draw, 8, 16),
        "feed_forward_proj": _maybe(draw, "relu", "gated-gelu", "gelu", "gated-silu"),
        "tie_word_embeddings": _maybe(draw, True, False),
        "vocab_size": draw.randint(5, 999),
    }


def _mixtral(draw: random.Random) -> Config:
    experts = draw.randint(1, 8)
    return _with_head_dim(draw) | {
        "num_local_experts": experts,
        "num_experts_per_tok": draw.randint(1, experts),
        "sliding_window": _maybe(draw, None, 16),
    }


def _qwen_moe(draw: random.Random) -> Config:
    experts = draw.randint(1, 8)
    return _llama(draw) | {
        "num_experts": experts,
        "num_experts_per_tok": draw.randint(1, experts),
        "moe_intermediate_size": draw.randint(1, 64),
        "decoder_sparse_step": _maybe(draw, 1, 2, 3),
        "mlp_only_layers": _maybe(draw, [], [0], [0, 3]),
    }


def _qwen2_moe(draw: random.Random) -> Config:
    return _qwen_moe(draw) | {
        "shared_expert_intermediate_size": draw.randint(1, 64),
        "qkv_bias": _maybe(draw, True, False),
    }


def _qwen3_moe(draw: random.Random) -> Config:
    return (
        _qwen_moe(draw) | {"head_dim": _maybe(draw, 2, 8, 12)} | {"attention_bias": _maybe(draw, True, False)}
    )


def _deepseek(draw: random.Random) -> Config:
    heads = draw.randint(1, 6)
    experts = 4 * draw.randint(1, 3)
    return {
        "num_hidden_layers": draw.randint(1, 6),
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "hidden_size": 8 * draw.randint(1, 9),
        "intermediate_size": draw.randint(1, 99),
        "moe_intermediate_size": draw.randint(1, 50),
        "n_routed_experts": experts,
        "n_shared_experts": draw.randint(1, 3),
        "n_group": 2,
        "topk_group": 1,
        "num_experts_per_tok": draw.randint(1, experts),
        "first_k_dense_replace": _maybe(draw, 0, 1, 2, 9),
        "q_lora_rank": _maybe(draw, None, draw.randint(1, 40)),
        "kv_lora_rank": draw.randint(1, 40),
        "qk_nope_head_dim": draw.randint(1, 20),
        "qk_rope_head_dim": 2 * draw.randint(1, 8),
        "v_head_dim": draw.randint(1, 20),
        "attention_bias": _maybe(draw, True, False),
        "tie_word_embeddings": _maybe(draw, True, False),
        "vocab_size": draw.randint(5, 999),
    }


def _deepseek_v2(draw: random.Random) -> Config:
    return _deepseek(draw) | {"mlp_bias": _maybe(draw, True, False)}


def _glm4_moe(draw: random.Random) -> Config:
    config = _llama(draw) | _deepseek_experts(draw)
    return config | {
        "head_dim": _maybe(draw, 2, 8, 12),
        "attention_bias": _maybe(draw, True, False),
        "use_qk_norm": _maybe(draw, True, False),
    }


def _deepseek_experts(draw: random.Random) -> Config:
    config = _deepseek(draw)
    keys = ("n_group", "topk_group", "num_experts_per_tok", "first_k_dense_replace", "moe_intermediate_size")
    return {key: config[key] for key in (*keys, "n_routed_experts", "n_shared_experts")}


def _olmoe(draw: random.Random) -> Config:
    experts = draw.randint(1, 8)
    return _llama(draw) | {
        "num_experts": experts,
        "num_experts_per_tok": draw.randint(1, experts),
        "attention_bias": _maybe(draw, True, False),
    }


def _modernbert(draw: random.Random) -> Config:
    heads, _, width = _heads(draw)
    return {
        "num_hidden_layers": draw.randint(1, 7),
        "num_attention_heads": heads,
        "hidden_size": heads * width,
        "intermediate_size": draw.randint(1, 99),
        "vocab_size": draw.randint(5, 999),
        "pad_token_id": 0,
        "attention_bias": _maybe(draw, True, False),
        "mlp_bias": _maybe(draw, True, False),
        "norm_bias": _maybe(draw, True, False),
        "global_attn_every_n_layers": _maybe(draw, 2),
    }


def _gpt_oss(draw: random.Random) -> Config:
    config = _mixtral(draw)
    del config["sliding_window"]
    return config | {"attention_bias": _maybe(draw, True, False)}


def _bloom(draw: random.Random) -> Config:
    heads, _, width = _heads(draw)
    return {
        "n_layer": draw.randint(1, 6),
        "n_head": heads,
        draw.choice(("hidden_size", "n_embed")): heads * width,
        "tie_word_embeddings": _maybe(draw, True, False),
        "vocab_size": draw.randint(5, 999),
    }


def _opt(draw: random.Random) -> Config:
    heads, _, width = _heads(draw)
    return {
        "num_hidden_layers": draw.randint(1, 6),
        "num_attention_heads": heads,
        "hidden_size": heads * width,
        "ffn_dim": draw.randint(1, 99),
        "word_embed_proj_dim": draw.choice((heads * width, draw.randint(1, 40), None)),
        "do_layer_norm_before": _maybe(draw, True, False),
        "enable_bias": _maybe(draw, True, False),
        "max_position_embeddings": draw.randint(1, 99),
        "tie_word_embeddings": _maybe(draw, True, False),
        "vocab_size": draw.randint(5, 999),
    }


def _mpt(draw: random.Random) -> Config:
    heads, _, width = _heads(draw)
    return {
        "n_layers": draw.randint(1, 6),
        "n_heads": heads,
        "d_model": heads * width,
        "expansion_ratio": _maybe(draw, 2, 4),
        "max_seq_len": draw.randint(1, 99),
        "tie_word_embeddings": _maybe(draw, True, False),
        "vocab_size": draw.randint(5, 999),
    }


def _falcon(draw: random.Random) -> Config:
    heads, kv_heads, width = _heads(draw)
    return {
        "num_hidden_layers": draw.randint(1, 6),
        "num_attention_heads": heads,
        "num_kv_heads": _maybe(draw, None, kv_heads),
        "hidden_size": heads * width,
        "ffn_hidden_size": _maybe(draw, None, draw.randint(1, 99)),
        "alibi": _maybe(draw, True, False),
        "new_decoder_architecture": _maybe(draw, True, False),
        "multi_query": _maybe(draw, True, False),
        "parallel_attn": _maybe(draw, True, False),
        "num_ln_in_parallel_attn": _maybe(draw, None, 1, 2),
        "bias": _maybe(draw, True, False),
        "tie_word_embeddings": _maybe(draw, True, False),
        "vocab_size": draw.randint(5, 999),
    }


def _phi(draw: random.Random) -> Config:
    return draw.choice((_llama, _llama_default_kv))(draw) | {"qk_layernorm": _maybe(draw, True, False)}


def _starcoder2(draw: random.Random) -> Config:
    return _llama(draw) | {
        "use_bias": _maybe(draw, True, False),
        "sliding_window": _maybe(draw, None, 16),
    }


def _vit(draw: random.Random) -> Config:
    heads, _, width = _heads(draw)
    patch = draw.randint(1, 9)
    return {
        "num_hidden_layers": draw.randint(1, 6),
        "num_attention_heads": heads,
        "hidden_size": heads * width,
        "intermediate_size": draw.randint(1, 99),
        "patch_size": patch,
        "image_size": draw.randint(patch, 40),
        "num_channels": _maybe(draw, 1, 4),
        "qkv_bias": _maybe(draw, True, False),
        "pooler_output_size": _maybe(draw, None, 7),
    }


def _cohere(draw: random.Random) -> Config:
    return (
        _llama(draw)
        | {"use_qk_norm": _maybe(draw, True, False)}
        | {"attention_bias": _maybe(draw, True, False)}
    )


_DRAWERS: dict[str, Callable[[random.Random], Config]] = {
    "gpt2": _gpt,
    "gpt_bigcode": lambda draw: _gpt(draw) | {"multi_query": _maybe(draw, True, False)},
    "gptj": _gptj,
    "gpt_neo": _gpt_neo,
    "gpt_neox": lambda draw: _llama(draw) | {"attention_bias": _maybe(draw, True, False)},
    "bert": _bert,
    "roberta": _bert,
    "xlm-roberta": _bert,
    "camembert": _bert,
    "electra": _electra,
    "modernbert": _modernbert,
    "distilbert": _distilbert,
    "t5": _t5,
    "mt5": _t5,
    "umt5": _t5,
    "llama": lambda draw: draw.choice((_llama, _llama_default_kv, _with_head_dim))(draw) | _biased(draw),
    "granite": lambda draw: _llama_default_kv(draw) | _biased(draw),
    "mistral": lambda draw: (
        draw.choice((_llama, _with_head_dim))(draw) | {"sliding_window": _maybe(draw, None, 16)}
    ),
    "mixtral": _mixtral,
    "qwen2": lambda draw: _llama(draw) | _windowed(draw),
    "qwen2_moe": _qwen2_moe,
    "qwen3": lambda draw: draw.choice((_llama, _with_head_dim))(draw) | _biased(draw) | _windowed(draw),
    "qwen3_moe": _qwen3_moe,
    "gemma": lambda draw: draw.choice((_llama, _with_head_dim))(draw) | _biased(draw),
    "gemma2": lambda draw: draw.choice((_llama, _with_head_dim))(draw) | _biased(draw),
    "gemma3_text": lambda draw: draw.choice((_llama, _with_head_dim))(draw) | _biased(draw),
    "phi": _phi,
    "phi3": lambda draw: _llama(draw) | {"pad_token_id": 0},
    "deepseek_v2": _deepseek_v2,
    "deepseek_v3": _deepseek,
    "kimi_k2": _deepseek,
    "glm4_moe": _glm4_moe,
    "olmoe": _olmoe,
    "gpt_oss": _gpt_oss,
    "bloom": _bloom,
    "opt": _opt,
    "mpt": _mpt,
    "falcon": _falcon,
    "starcoder2": _starcoder2,
    "olmo": lambda draw: _llama(draw) | _biased(draw),
    "olmo2": lambda draw: _llama(draw) | _biased(draw),
    "olmo3": lambda draw: _llama(draw) | _biased(draw),
    "smollm3": lambda draw: _llama(draw) | _biased(draw) | {"pad_token_id": 0},
    "seed_oss": lambda draw: (
        draw.choice((_llama, _with_head_dim))(draw)
        | _biased(draw)
        | {"attention_out_bias": _maybe(draw, True, False)}
    ),
    "cohere2": lambda draw: _llama(draw) | {"attention_bias": _maybe(draw, True, False)},
    "cohere": _cohere,
    "vit": _vit,
    "deit": _vit,
}

ODD_FAMILIES = tuple(_DRAWERS)
