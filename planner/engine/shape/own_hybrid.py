"""An explicit architecture with blocks that do not attend: state space, linear attention, convolutions.

The plain part is read by ``explicit``; here its blocks are made of the same parts as known hybrids.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from planner.engine.question.parts import BlockGroup, Channel, Composition, Matrix, Mixer
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.parts.channels import dense_mlp, mixture
from planner.engine.shape.parts.mixers import (
    attention,
    gated_delta,
    lightning_attention,
    mamba,
    mamba2,
    short_convolution,
)
from planner.engine.shape.reading import SpecReader

MIXERS: Final = ("mamba", "mamba2", "gated_delta", "linear_attention", "short_convolution")
MIXER_FIELDS: Final = (
    "mixer",
    "mixer_layers",
    "mixer_size",
    "mixer_heads",
    "mixer_key_heads",
    "state_size",
    "conv_kernel",
)
#: Usual sizes: Gu and Dao 2023 (16 states, width 4, twice the hidden size); Dao and Gu 2024 (128 states,
#: heads of 64); Yang et al. 2024 (heads of 128).
MAMBA_STATES, MAMBA2_STATES, MAMBA2_HEAD, DELTA_HEAD, USUAL_KERNEL = 16, 128, 64, 128, 4


def with_own_mixer(reader: SpecReader, model: ModelSpec) -> ModelSpec:
    """The model with ``mixer`` in ``mixer_layers`` of its blocks, spread evenly.

    Unchanged where none is named.  Problems are noted with the reader.
    """
    if not reader.has("mixer"):
        for key in MIXER_FIELDS[1:]:
            if reader.has(key):
                reader.problem(key, f"{key} needs mixer.", f"Choose a mixer, or leave {key} out.")
        return model
    kind = reader.choice("mixer", "mamba2", MIXERS)
    if not reader.has("mixer_layers"):
        reader.problem("mixer_layers", "A hybrid needs it.", "Say how many blocks have the mixer.")
    count = reader.size("mixer_layers", 1)
    reader.must_not_exceed(
        "mixer_layers", count, "layers", model.layers, f"There are only {model.layers} layers."
    )
    if model.architecture != "decoder":
        reader.problem("mixer", "Only a decoder may have one.", "Leave it out, or change the architecture.")
    count = min(count, model.layers)
    own = _mixer(reader, kind, model)
    dense, routed = _channels(model)
    groups: dict[BlockGroup, int] = {}
    for layer in range(model.layers):
        mixed = (layer + 1) * count // model.layers > layer * count // model.layers
        channel = routed if model.experts and layer >= model.dense_layers else dense
        mixer = own if mixed else _attention(model)
        one = BlockGroup(blocks=1, mixer=mixer, channel=channel, other_parameters=2 * _norm(model))
        groups[one] = groups.get(one, 0) + 1
    table = model.vocab_size * model.hidden_size
    learned = model.max_positions * model.hidden_size if model.position_embedding == "learned" else 0
    parts = Composition(
        groups=tuple(replace(one, blocks=blocks) for one, blocks in groups.items()),
        embedding=table + learned,
        head=_norm(model) + (0 if model.tied_embeddings else table),
        tied_head=table if model.tied_embeddings else 0,
        head_matmul=table,
        outside=(Matrix(path="lm_head", inputs=model.hidden_size, outputs=model.vocab_size),),
    )
    return replace(model, parts=parts)


def _norm(model: ModelSpec) -> int:
    biased = model.norm == "layernorm" and dict(model.extras).get("norm_bias", 1)
    return model.hidden_size * (2 if biased else 1)


def _attention(model: ModelSpec) -> Mixer:
    return attention(
        hidden=model.hidden_size,
        heads=model.attention_heads,
        kv_heads=model.kv_heads,
        head_dim=model.head_dim,
        bias=model.qkv_bias,
        output_bias=model.attention_output_bias,
    )


def _channels(model: ModelSpec) -> tuple[Channel, Channel]:
    names = ("gate_proj", "up_proj", "down_proj")
    dense = dense_mlp(
        hidden=model.hidden_size,
        inner=model.ffn_size,
        gated=model.gated_ffn,
        bias=model.ffn_bias,
        names=names if model.gated_ffn else names[1:],
    )
    if not model.experts:
        return dense, dense
    return dense, mixture(
        hidden=model.hidden_size,
        inner=model.expert_ffn_size,
        experts=model.experts,
        per_token=model.experts_per_token,
        shared_inner=model.shared_experts * (model.shared_expert_ffn_size or model.expert_ffn_size),
        gated=model.gated_ffn,
        names=names if model.gated_ffn else names[1:],
    )


def _mixer(reader: SpecReader, kind: str, model: ModelSpec) -> Mixer:
    hidden = model.hidden_size
    inner = reader.size("mixer_size", 2 * hidden)
    kernel = reader.size("conv_kernel", 3 if kind == "short_convolution" else USUAL_KERNEL, largest=1024)
    states = reader.size("state_size", MAMBA2_STATES if kind == "mamba2" else MAMBA_STATES)
    usual = {"mamba2": inner // MAMBA2_HEAD, "gated_delta": inner // DELTA_HEAD}
    heads = reader.size("mixer_heads", max(usual.get(kind, model.attention_heads), 1))
    key_heads = reader.size("mixer_key_heads", max(heads // 2, 1) if kind == "gated_delta" else heads)
    if kind in ("mamba2", "gated_delta", "linear_attention"):
        reader.must_divide("mixer_size", inner, "mixer_heads", heads)
    width = max(inner // heads, 1)
    match kind:
        case "mamba":
            return mamba(hidden=hidden, inner=inner, state=states, rank=-(-hidden // 16), kernel=kernel)
        case "gated_delta":
            return gated_delta(
                hidden=hidden,
                key_heads=key_heads,
                value_heads=heads,
                key_dim=width,
                value_dim=width,
                kernel=kernel,
                fused=True,
            )
        case "linear_attention":
            return lightning_attention(hidden=hidden, heads=heads, head_dim=width)
        case "short_convolution":
            return short_convolution(hidden=hidden, kernel=kernel, bias=False)
        case _:
            return mamba2(hidden=hidden, inner=inner, heads=heads, state=states, groups=1, kernel=kernel)
