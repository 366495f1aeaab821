"""Gemma 3n and 4: inputs of their own for every layer, keys shared between layers, experts beside the MLP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from planner.engine.question.parts import Channel, Matrix, Mixer
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.build import block, decoder
from planner.engine.shape.families.decoders import head_width
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.parts.channels import dense_mlp, mixture
from planner.engine.shape.parts.mixers import attention


def read_gemma4(keys: Keys, family: str, name: str) -> ModelSpec:
    """Gemma 4: windowed blocks of ``head_dim``, full ones of ``global_head_dim``; the last may share keys."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    usual = ["full_attention" if not (layer + 1) % 6 else "sliding_attention" for layer in range(layers)]
    usual[-1] = "full_attention"
    kinds = keys.kinds("layer_types", layers, usual)
    sharing = layers - keys.whole("num_kv_shared_layers", default=0, null=0)
    per_layer = keys.whole("hidden_size_per_layer_input", default=0, null=0)
    channels = _gemma4_channels(keys, hidden, layers, sharing)
    routed = keys.switch("enable_moe_block")
    norms = (7 if routed else 4) * hidden
    if per_layer:
        norms += 2 * per_layer * hidden + hidden
    mixers = [
        _gemma4_attention(keys, hidden, heads, full=kind == "full_attention", shares=layer >= sharing)
        for layer, kind in enumerate(kinds)
    ]
    table = keys.main("vocab_size") * hidden
    inputs = 0
    if per_layer:
        inputs = keys.whole("vocab_size_per_layer_input") * layers * per_layer
        inputs += layers * per_layer * hidden + per_layer
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=keys.whole("num_key_value_heads", smallest=1),
        head_dim=keys.whole("head_dim", smallest=1),
        blocks=[block(mixer, channel, norms=norms) for mixer, channel in zip(mixers, channels, strict=False)],
        vocab=keys.main("vocab_size"),
        embedding=table + inputs,
        tied=keys.switch("tie_word_embeddings", default=True),
        final_norm=hidden,
    )


def _gemma4_attention(keys: Keys, hidden: int, heads: int, *, full: bool, shares: bool) -> Mixer:
    kv_heads, head_dim = keys.whole("num_key_value_heads", smallest=1), keys.whole("head_dim", smallest=1)
    same = keys.switch("attention_k_eq_v")
    if full:
        head_dim = keys.whole("global_head_dim", default=512, null=head_dim)
        if same:
            kv_heads = keys.whole("num_global_key_value_heads", default=kv_heads, null=kv_heads)
    bias = keys.switch("attention_bias")
    return attention(
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        bias=bias,
        output_bias=bias,
        shares_key_value=full and same,
        reads_key_value=shares,
        other_parameters=head_dim if shares else 2 * head_dim,
        window=0 if full else keys.whole("sliding_window", default=0, null=0),
    )


def _gemma4_channels(keys: Keys, hidden: int, layers: int, sharing: int) -> list[Channel]:
    inner = keys.whole("intermediate_size", smallest=1)
    mlp = dense_mlp(hidden=hidden, inner=inner)
    if keys.switch("enable_moe_block"):
        count, visited = keys.experts("num_experts", "top_k_experts")
        expert_inner = keys.whole("moe_intermediate_size", smallest=1)
        routed = mixture(
            hidden=hidden,
            inner=expert_inner,
            experts=count,
            per_token=visited,
            always=mlp.matrices,
            other_parameters=hidden + count,
            prefix="",
            router="router.proj",
        )
        return [routed] * layers
    for unused in ("num_experts", "top_k_experts", "moe_intermediate_size"):
        keys.has(unused)
    wide = dense_mlp(hidden=hidden, inner=2 * inner) if keys.switch("use_double_wide_mlp") else mlp
    return [mlp if layer < sharing else wide for layer in range(layers)]


def read_gemma3n(keys: Keys, family: str, name: str) -> ModelSpec:
    """Gemma 3n: alternating updates over several streams (AltUp), learned residual layers (LAuReL).

    Blocks that read an earlier block's keys and values have layers for them all the same, as published and as
    transformers 4.57 builds it; nothing passes through those.
    """
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    kv_heads = keys.whole("num_key_value_heads", smallest=1)
    head_dim = head_width(keys, hidden, heads)
    usual = ["full_attention" if not (layer + 1) % 5 else "sliding_attention" for layer in range(layers)]
    kinds = keys.kinds("layer_types", layers, usual)
    sharing = layers - keys.whole("num_kv_shared_layers", default=15)
    streams, per_layer = keys.whole("altup_num_inputs", smallest=1), keys.whole("hidden_size_per_layer_input")
    rank = keys.whole("laurel_rank", smallest=1)
    altup = 2 * hidden + streams * streams + streams**3 + streams * hidden
    laurel = 2 * rank * hidden + hidden
    others = 4 * hidden + altup + laurel + 2 * per_layer * hidden + hidden
    window = keys.whole("sliding_window", default=0, null=0)
    inner = (
        keys.items("intermediate_size") if isinstance(keys.values.get("intermediate_size"), list) else None
    )
    widths = [width for width in inner if isinstance(width, int)] if inner else []
    if len(widths) != layers:
        widths = [
            widths[0] if widths else keys.whole("intermediate_size", default=16384, smallest=1)
        ] * layers
    idle = 2 * kv_heads * head_dim * hidden
    blocks = [
        block(
            attention(
                hidden=hidden,
                heads=heads,
                kv_heads=kv_heads,
                head_dim=head_dim,
                reads_key_value=layer >= sharing,
                other_parameters=2 * head_dim + (idle if layer >= sharing else 0),
                window=0 if kind == "full_attention" else window,
            ),
            dense_mlp(hidden=hidden, inner=width),
            norms=others,
        )
        for layer, (kind, width) in enumerate(zip(kinds, widths, strict=False))
    ]
    vocab = keys.main("vocab_size")
    inputs = keys.whole("vocab_size_per_layer_input") * layers * per_layer
    inputs += layers * per_layer * hidden + per_layer
    projections = 2 * (streams - 1) * hidden * hidden
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        blocks=blocks,
        vocab=vocab,
        embedding=vocab * hidden + inputs,
        tied=keys.switch("tie_word_embeddings", default=True),
        final_norm=hidden + projections,
        outside=(Matrix(path="per_layer_model_projection", inputs=hidden, outputs=layers * per_layer),),
    )


GEMMAS: Final[dict[str, Callable[[Keys, str, str], ModelSpec]]] = {
    "gemma4_text": read_gemma4,
    "gemma3n_text": read_gemma3n,
}
