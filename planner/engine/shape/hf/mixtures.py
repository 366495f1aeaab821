"""Decoders whose MLPs are mixtures of experts: Mixtral, Qwen, DeepSeek, GLM, OLMoE and gpt-oss.

Defaults are those of the family's configuration class in Hugging Face transformers 4.57.
"""

from __future__ import annotations

from typing import Any, Final

from planner.engine.question.specs import ModelSpec
from planner.engine.shape.hf.llama_like import read_head_dim
from planner.engine.shape.hf.shapes import head_width, kv_head_count, layer_count, model_spec, windowed_layers
from planner.engine.shape.reading import SpecReader

MOST_EXPERTS: Final = 1_000_000


def read_mixtral(reader: SpecReader, family: str, name: str) -> ModelSpec:
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_attention_heads")
    ffn = reader.size("intermediate_size", 14336)
    window = reader.optional_size("sliding_window", smallest=0) or 0
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_head_count(reader, heads, 8, "num_attention_heads"),
        head_dim=read_head_dim(reader, hidden, heads, None),
        ffn=ffn,
        gated=True,
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", 131_072),
        position_embedding="rope",
        tied=reader.flag("tie_word_embeddings", False),
        norm="rmsnorm",
        windows=windowed_layers(reader, layers, window, layers),
        expert_ffn_size=ffn,
        **_experts(reader, "num_local_experts", 8, 2),
    )


def read_qwen_moe(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """Qwen2-MoE (a gated shared expert, query and key biases) and Qwen3-MoE (query and key norms)."""
    second = family == "qwen2_moe"
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_attention_heads")
    head_dim = read_head_dim(reader, hidden, heads, None)
    biased = False if second else reader.flag("attention_bias", False)
    shared = reader.size("shared_expert_intermediate_size", 5632) if second else 0
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_head_count(reader, heads, 16 if second else 4, "num_attention_heads"),
        head_dim=head_dim,
        ffn=reader.size("intermediate_size", 5632 if second else 6144),
        gated=True,
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", 32_768),
        position_embedding="rope",
        tied=reader.flag("tie_word_embeddings", False),
        qkv_bias=reader.flag("qkv_bias", True) if second else biased,
        output_bias=biased,
        ffn_bias=False,
        norm="rmsnorm",
        windows=_qwen_windows(reader, layers),
        expert_ffn_size=reader.size("moe_intermediate_size", 1408 if second else 768),
        shared_experts=1 if shared else 0,
        shared_expert_ffn_size=shared,
        dense_layers=_qwen_dense_layers(reader, layers),
        extras={"shared_expert_gate": 1} if second else {"qk_norm_parameters": 2 * head_dim},
        **_experts(reader, "num_experts", 60 if second else 128, 4 if second else 8),
    )


def read_deepseek(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """DeepSeek-V2 and V3, and Kimi K2 after it: latent attention, shared experts, leading dense blocks.

    V3's expert-balancing bias is a buffer and its multi-token-prediction block is not built: neither
    counts.
    """
    third = family != "deepseek_v2"
    layers = layer_count(reader, "num_hidden_layers")
    heads = reader.required_size("num_attention_heads")
    content_dim = reader.size("qk_nope_head_dim", 128)
    rope_dim = reader.size("qk_rope_head_dim", 64)
    expert_ffn = reader.size("moe_intermediate_size", 2048 if third else 1407)
    shared = _nullable(reader, "n_shared_experts", 1 if third else 2)
    biased = reader.flag("attention_bias", False)
    mlp_biased = False if third else reader.flag("mlp_bias", False)
    dense = reader.size("first_k_dense_replace", 3 if third else 0, smallest=0)
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=reader.required_size("hidden_size"),
        heads=heads,
        head_dim=content_dim + rope_dim,
        value_head_dim=reader.size("v_head_dim", 128),
        ffn=reader.size("intermediate_size", 18432 if third else 11008),
        gated=True,
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", 4096 if third else 2048),
        position_embedding="rope",
        tied=reader.flag("tie_word_embeddings", False),
        bias=biased,
        ffn_bias=mlp_biased,
        norm="rmsnorm",
        q_lora_rank=_nullable(reader, "q_lora_rank", 1536),
        kv_lora_rank=reader.size("kv_lora_rank", 512),
        rope_head_dim=rope_dim,
        expert_ffn_size=expert_ffn,
        shared_experts=shared,
        shared_expert_ffn_size=shared * expert_ffn,
        dense_layers=min(dense, layers),
        expert_groups=reader.optional_size("n_group") or 0,
        groups_per_token=reader.optional_size("topk_group") or 0,
        extras={"expert_bias": 1} if mlp_biased else {},
        **_experts(reader, "n_routed_experts", 256 if third else 64, 8 if third else 6),
    )


def read_glm_moe(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """GLM-4.5: DeepSeek-V3's experts under grouped-query attention."""
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_attention_heads")
    head_dim = read_head_dim(reader, hidden, heads, None)
    expert_ffn = reader.size("moe_intermediate_size", 1408)
    shared = _nullable(reader, "n_shared_experts", 1)
    dense = reader.size("first_k_dense_replace", 1, smallest=0)
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_head_count(reader, heads, 8, "num_attention_heads"),
        head_dim=head_dim,
        ffn=reader.size("intermediate_size", 10944),
        gated=True,
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", 131_072),
        position_embedding="rope",
        tied=reader.flag("tie_word_embeddings", False),
        qkv_bias=reader.flag("attention_bias", False),
        norm="rmsnorm",
        expert_ffn_size=expert_ffn,
        shared_experts=shared,
        shared_expert_ffn_size=shared * expert_ffn,
        dense_layers=min(dense, layers),
        extras={"qk_norm_parameters": 2 * head_dim} if reader.flag("use_qk_norm", False) else {},
        **_experts(reader, "n_routed_experts", 128, 8),
    )


def read_olmoe(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """Experts in every block, queries and keys normalised over all heads together."""
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_attention_heads")
    kv_heads = kv_head_count(reader, heads, None, "num_attention_heads")
    head_dim = head_width(reader, hidden, heads, "hidden_size", "num_attention_heads")
    ffn = reader.size("intermediate_size", 2048)
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        ffn=ffn,
        gated=True,
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", 4096),
        position_embedding="rope",
        tied=reader.flag("tie_word_embeddings", False),
        bias=reader.flag("attention_bias", False),
        ffn_bias=False,
        norm="rmsnorm",
        expert_ffn_size=ffn,
        extras={"qk_norm_parameters": (heads + kv_heads) * head_dim},
        **_experts(reader, "num_experts", 64, 8),
    )


def read_gpt_oss(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """Biases everywhere, learned attention sinks, every other layer windowed."""
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_attention_heads")
    ffn = reader.size("intermediate_size", 2880)
    window = reader.size("sliding_window", 128, smallest=0)
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_head_count(reader, heads, 8, "num_attention_heads"),
        head_dim=read_head_dim(reader, hidden, heads, 64),
        ffn=ffn,
        gated=True,
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", 131_072),
        position_embedding="rope",
        tied=reader.flag("tie_word_embeddings", False),
        bias=reader.flag("attention_bias", True),
        ffn_bias=True,
        norm="rmsnorm",
        windows=windowed_layers(reader, layers, window, (layers + 1) // 2),
        expert_ffn_size=ffn,
        extras={"attention_sinks": heads, "router_bias": 1, "expert_bias": 1},
        **_experts(reader, "num_local_experts", 128, 4),
    )


def _experts(reader: SpecReader, key: str, default: int, default_per_token: int) -> dict[str, Any]:
    """One that does not say how many experts it has is more likely of another family than the default."""
    if not reader.has(key):
        reader.problem(
            key,
            "A mixture of experts needs the number of its experts.",
            f"Add {key}; if the model has no experts, its model_type is another.",
        )
        return {"experts": default, "experts_per_token": default_per_token}
    experts = reader.size(key, default, largest=MOST_EXPERTS)
    per_token_key = reader.first_present(("num_experts_per_tok", "experts_per_token"))
    if not reader.has(per_token_key):
        reader.problem(
            per_token_key,
            "A mixture of experts needs the number of experts that each token visits.",
            f"Add {per_token_key}.",
        )
    per_token = reader.size(per_token_key, min(default_per_token, experts))
    reader.must_not_exceed(
        per_token_key, per_token, key, experts, f"A token cannot visit {per_token} of {experts} experts."
    )
    return {"experts": experts, "experts_per_token": per_token}


def _nullable(reader: SpecReader, key: str, default: int) -> int:
    """A size where null means that the model has no such thing, and absence the class default."""
    if key in reader.values and not reader.has(key):
        return 0
    return reader.size(key, default, smallest=0)


def _qwen_windows(reader: SpecReader, layers: int) -> tuple[int, int]:
    if not reader.flag("use_sliding_window", False):
        return (0, 0)
    return windowed_layers(reader, layers, _nullable(reader, "sliding_window", 4096), layers)


def _qwen_dense_layers(reader: SpecReader, layers: int) -> int:
    """How many blocks have a dense MLP: those named, and those that the sparse step passes over."""
    step = reader.size("decoder_sparse_step", 1)
    named = {layer for layer in reader.items("mlp_only_layers") or () if isinstance(layer, int)}
    return sum(1 for layer in range(layers) if layer in named or (layer + 1) % step != 0)
