"""LFM2: short gated convolutions among attention blocks, dense or with experts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.decoders import head_width
from planner.engine.shape.families.hybrids import hybrid, mixer_of
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.parts.channels import dense_mlp, mixture
from planner.engine.shape.parts.mixers import (
    attention,
    short_convolution,
)


def read_lfm2(keys: Keys, family: str, name: str) -> ModelSpec:
    """LFM2: short convolutions and attention by ``layer_types``; the MLP's width is rounded up."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    kv_heads = keys.whole("num_key_value_heads", default=heads, smallest=1)
    head_dim = head_width(keys, hidden, heads)
    kinds = _lfm2_kinds(keys, layers)
    mixers = {
        "conv": short_convolution(
            hidden=hidden, kernel=keys.whole("conv_L_cache", smallest=1), bias=keys.switch("conv_bias")
        ),
        "full_attention": attention(
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            names=("q_proj", "k_proj", "v_proj", "out_proj"),
            other_parameters=2 * head_dim,
        ),
    }
    names = ("w1", "w3", "w2")
    if family == "lfm2_moe":
        dense = dense_mlp(
            hidden=hidden,
            inner=keys.whole("intermediate_size", smallest=1),
            names=names,
            prefix="feed_forward.",
        )
        count, visited = keys.experts("num_experts", "num_experts_per_tok")
        routed = mixture(
            hidden=hidden,
            inner=keys.whole("moe_intermediate_size", smallest=1),
            experts=count,
            per_token=visited,
            names=names,
            prefix="feed_forward.",
        )
        first = keys.whole("num_dense_layers")
        channels = [dense if layer < first else routed for layer in range(layers)]
    else:
        channels = [
            dense_mlp(hidden=hidden, inner=_lfm2_inner(keys), names=names, prefix="feed_forward.")
        ] * layers
    chosen = [mixer_of(keys, mixers, kind, "layer_types") for kind in kinds]
    return hybrid(keys, family, name, hidden, heads, chosen, channels, norms=2 * hidden)


def _lfm2_kinds(keys: Keys, layers: int) -> list[str]:
    named = keys.items("full_attn_idxs")
    attending = set(range(layers)) if named is None else {item for item in named if isinstance(item, int)}
    usual = ["full_attention" if layer in attending else "conv" for layer in range(layers)]
    return keys.kinds("layer_types", layers, usual)


def _lfm2_inner(keys: Keys) -> int:
    """Two thirds of the stated width, scaled and rounded up to a multiple, as the class does."""
    inner = keys.whole("block_ff_dim", "intermediate_size", smallest=1)
    if not keys.switch("block_auto_adjust_ff_dim", default=True):
        return inner
    inner = int(keys.share("block_ffn_dim_multiplier", 1.0) * int(2 * inner / 3))
    multiple = keys.whole("block_multiple_of", smallest=1)
    return -(-inner // multiple) * multiple


SHORT_CONVOLUTIONS: Final[dict[str, Callable[[Keys, str, str], ModelSpec]]] = {
    "lfm2": read_lfm2,
    "lfm2_moe": read_lfm2,
}
