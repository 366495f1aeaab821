"""Kimi Linear: three blocks of Kimi Delta Attention, then one of latent attention; experts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from planner.engine.question.parts import Matrix, Mixer
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.build import block, decoder
from planner.engine.shape.families.decoders import Experts, expert_channels
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.parts.mixers import gated_delta, latent_attention


def kimi_delta(*, hidden: int, heads: int, width: int, kernel: int) -> Mixer:
    """Kimi Delta Attention (Kimi Team 2025, section 3): the gated delta rule with a decay for each channel.

    Decay and output gate are of low rank, the width of one head. FLOPs as the gated delta rule's.
    """
    inner = heads * width
    plain = gated_delta(
        hidden=hidden,
        key_heads=heads,
        value_heads=heads,
        key_dim=width,
        value_dim=width,
        kernel=kernel,
        fused=False,
    )
    sizes = (
        ("q_proj", hidden, inner),
        ("k_proj", hidden, inner),
        ("v_proj", hidden, inner),
        ("f_a_proj", hidden, width),
        ("f_b_proj", width, inner),
        ("b_proj", hidden, heads),
        ("g_a_proj", hidden, width),
        ("g_b_proj", width, inner),
    )
    matrices = [Matrix(path=f"self_attn.{name}", inputs=inputs, outputs=out) for name, inputs, out in sizes]
    matrices.append(Matrix(path="self_attn.o_proj", inputs=inner, outputs=hidden, reads="output_input_kept"))
    other = 3 * inner * kernel + inner + heads + width
    return replace(plain, matrices=tuple(matrices), other_parameters=other)


def read_kimi_linear(keys: Keys, family: str, name: str) -> ModelSpec:
    """Blocks counted from one in ``linear_attn_config``, or ``layer_types`` in transformers 5."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    for implied in ("head_dim", "qk_head_dim", "num_key_value_heads", "moe_layer_freq"):
        keys.has(implied)
    linear = keys.sub("linear_attn_config", "kimi_linear")
    for fixed in ("q_lora_rank", "mla_use_output_gate", "latent_moe_use_norm", "attn_res_block_size"):
        if keys.values.get(fixed) not in (None, False):
            keys.problem(
                fixed, "Kimi Linear has none in the class that is counted.", "Its family is another."
            )
    full = latent_attention(
        hidden=hidden,
        heads=heads,
        query_rank=0,
        kv_rank=keys.whole("kv_lora_rank", smallest=1),
        content_dim=keys.whole("qk_nope_head_dim", smallest=1),
        rope_dim=keys.whole("qk_rope_head_dim", smallest=1),
        value_dim=keys.whole("v_head_dim", smallest=1),
    )
    source = linear if keys.has("linear_attn_config") else keys
    delta = kimi_delta(
        hidden=hidden,
        heads=source.whole("num_heads", "linear_num_heads", default=32, smallest=1),
        width=source.whole("head_dim", "linear_head_dim", default=128, smallest=1)
        if source is linear
        else keys.whole("linear_head_dim", default=128, smallest=1),
        kernel=source.whole("short_conv_kernel_size", "linear_conv_kernel_dim", default=4, smallest=1),
    )
    named = linear.items("kda_layers")
    linear.has("full_attn_layers")
    usual = ["full_attention" if not (layer + 1) % 4 else "linear_attention" for layer in range(layers)]
    if named is not None:
        usual = ["linear_attention" if layer + 1 in named else "full_attention" for layer in range(layers)]
    elif layers % 4:
        usual[-1] = "full_attention"
    kinds = keys.kinds("layer_types", layers, usual)
    plan = Experts(
        per_token=("num_experts_per_token", "num_experts_per_tok"),
        shared="num_shared_experts",
        dense="first_k_dense_replace",
        dense_usual=1,
        types="mlp_layer_types",
    )
    channels = expert_channels(keys, plan, hidden, layers)
    content, rope = keys.whole("qk_nope_head_dim"), keys.whole("qk_rope_head_dim")
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=content + rope,
        value_dim=keys.whole("v_head_dim"),
        blocks=[
            block(full if kind == "full_attention" else delta, channel, norms=2 * hidden)
            for kind, channel in zip(kinds, channels, strict=False)
        ],
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings", default=False),
        final_norm=hidden,
        positions=keys.whole("model_max_length", "max_position_embeddings", default=0),
        position_embedding="none",
    )


KIMIS: Final[dict[str, Callable[[Keys, str, str], ModelSpec]]] = {"kimi_linear": read_kimi_linear}
