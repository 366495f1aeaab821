"""Kimi Linear and the text of Kimi K3: Kimi Delta Attention, every fourth block latent attention; experts.

K3 has no class in transformers: its gates, latent experts and attention over residuals are counted by the
list of its checkpoint's tensors.
"""

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


def kimi_delta(*, hidden: int, heads: int, width: int, kernel: int, full_gate: bool = False) -> Mixer:
    """Kimi Delta Attention (Kimi Team 2025, section 3): the gated delta rule with a decay for each channel.

    Decay and output gate are of low rank, the width of one head; full_gate: the output gate is one layer of
    full rank (Kimi K3). FLOPs as the gated delta rule's.
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
    gate: tuple[tuple[str, int, int], ...] = (("g_a_proj", hidden, width), ("g_b_proj", width, inner))
    if full_gate:
        gate = (("g_proj", hidden, inner),)
    sizes = (
        ("q_proj", hidden, inner),
        ("k_proj", hidden, inner),
        ("v_proj", hidden, inner),
        ("f_a_proj", hidden, width),
        ("f_b_proj", width, inner),
        ("b_proj", hidden, heads),
        *gate,
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
    value_width = keys.whole("v_head_dim", smallest=1)
    full = latent_attention(
        hidden=hidden,
        heads=heads,
        query_rank=keys.whole("q_lora_rank", default=0, null=0),
        kv_rank=keys.whole("kv_lora_rank", smallest=1),
        content_dim=keys.whole("qk_nope_head_dim", smallest=1),
        rope_dim=keys.whole("qk_rope_head_dim", smallest=1),
        value_dim=value_width,
    )
    if keys.switch("mla_use_output_gate", default=False):
        gate = Matrix(path="self_attn.g_proj", inputs=hidden, outputs=heads * value_width)
        full = replace(full, matrices=(*full.matrices, gate))
    # Attention over earlier blocks' residuals: a norm and a score vector before each mixer, and at the end.
    residual = 2 * hidden if keys.whole("attn_res_block_size", default=0, null=0) else 0
    source = linear if keys.has("linear_attn_config") else keys
    delta = kimi_delta(
        hidden=hidden,
        heads=source.whole("num_heads", "linear_num_heads", default=32, smallest=1),
        width=source.whole("head_dim", "linear_head_dim", default=128, smallest=1)
        if source is linear
        else keys.whole("linear_head_dim", default=128, smallest=1),
        kernel=source.whole("short_conv_kernel_size", "linear_conv_kernel_dim", default=4, smallest=1),
        full_gate=source.switch("use_full_rank_gate", default=False),
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
    latent = keys.whole("routed_expert_hidden_size", default=0, null=0)
    normed = latent if latent and keys.switch("latent_moe_use_norm", default=False) else 0
    channels = expert_channels(keys, plan, hidden, layers, latent=latent, latent_norm=normed)
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
            block(full if kind == "full_attention" else delta, channel, norms=2 * hidden + 2 * residual)
            for kind, channel in zip(kinds, channels, strict=False)
        ],
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings", default=False),
        final_norm=hidden + residual,
        positions=keys.whole("model_max_length", "max_position_embeddings", default=0),
        position_embedding="none",
    )


KIMIS: Final[dict[str, Callable[[Keys, str, str], ModelSpec]]] = {"kimi_linear": read_kimi_linear}
