"""Which linear layers one block holds: the single list from which parameters, FLOPs and adapters are counted.

Knows shapes (``ModelSpec``) and names (``params_names``); what the layers cost is asked elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.engine.question.specs import ModelSpec
from planner.engine.shape.names import LinearNames, linear_names

Part = Literal["attention", "cross_attention", "ffn", "expert", "shared_expert", "router"]
BlockKind = Literal["dense", "moe", "decoder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLinear:
    """One linear layer of one block: ``out_features`` x ``in_features`` weights, and a bias if it has one.

    copies: in the block (the experts, for ``part == "expert"``).  adaptable: whether it is a module that
    an adapter can wrap, or a bare parameter.
    """

    part: Part
    path: str
    in_features: int
    out_features: int
    bias: bool
    copies: int = 1
    adaptable: bool = True

    @property
    def weights(self) -> int:
        return self.in_features * self.out_features

    @property
    def biases(self) -> int:
        return self.out_features if self.bias else 0


def block_linears(model: ModelSpec, kind: BlockKind) -> tuple[BlockLinear, ...]:
    """Every linear layer of one block of a kind, in the order the block applies them."""
    names = linear_names(model.family, model.gated_ffn)
    if kind == "dense":
        return _attention(model, names) + _dense_ffn(model, names)
    if kind == "moe":
        return _attention(model, names) + _experts(model, names)
    return _attention(model, names) + _cross_attention(model, names) + _dense_ffn(model, names)


def block_counts(model: ModelSpec) -> tuple[tuple[BlockKind, int], ...]:
    """How many blocks of each kind the model has; an encoder's are ``dense``."""
    dense = model.dense_layers if model.experts else model.layers
    return (("dense", dense), ("moe", model.layers - dense), ("decoder", model.decoder_layers))


def _attention(model: ModelSpec, names: LinearNames) -> tuple[BlockLinear, ...]:
    if model.kv_lora_rank:
        return _latent_attention(model)
    hidden, bias = model.hidden_size, model.qkv_bias
    query = model.attention_heads * model.head_dim
    key, value = model.kv_heads * model.head_dim, model.kv_heads * model.value_head_dim
    return _projections("attention", names.qkv, names.output, model, (query, key, value), bias, hidden)


def _cross_attention(model: ModelSpec, names: LinearNames) -> tuple[BlockLinear, ...]:
    query = model.attention_heads * model.head_dim
    key, value = model.kv_heads * model.head_dim, model.kv_heads * model.value_head_dim
    return _projections(
        "cross_attention",
        names.cross_qkv,
        names.cross_output,
        model,
        (query, key, value),
        model.qkv_bias,
        model.hidden_size,
    )


def _projections(
    part: Part,
    qkv_paths: tuple[str, ...],
    output_path: str,
    model: ModelSpec,
    widths: tuple[int, int, int],
    bias: bool,
    hidden: int,
) -> tuple[BlockLinear, ...]:
    outputs = (sum(widths),) if len(qkv_paths) == 1 else widths
    projections = tuple(
        BlockLinear(part=part, path=path, in_features=hidden, out_features=width, bias=bias)
        for path, width in zip(qkv_paths, outputs, strict=True)
    )
    output = BlockLinear(
        part=part,
        path=output_path,
        in_features=model.attention_heads * model.value_head_dim,
        out_features=hidden,
        bias=model.attention_output_bias,
    )
    return (*projections, output)


def _latent_attention(model: ModelSpec) -> tuple[BlockLinear, ...]:
    """Multi-head latent attention: keys and values pass through a low-rank latent, queries may too.

    Source: DeepSeek-V2 (2024), section 2.1 and appendix C; module names of its published code.
    """
    hidden, heads = model.hidden_size, model.attention_heads
    content_dim = model.head_dim - model.rope_head_dim
    query, bias = heads * model.head_dim, model.qkv_bias
    layers: list[tuple[str, int, int, bool]] = []
    if model.q_lora_rank:
        layers.append(("q_a_proj", hidden, model.q_lora_rank, bias))
        layers.append(("q_b_proj", model.q_lora_rank, query, False))
    else:
        layers.append(("q_proj", hidden, query, False))
    layers.append(("kv_a_proj_with_mqa", hidden, model.kv_lora_rank + model.rope_head_dim, bias))
    layers.append(("kv_b_proj", model.kv_lora_rank, heads * (content_dim + model.value_head_dim), False))
    layers.append(("o_proj", heads * model.value_head_dim, hidden, model.attention_output_bias))
    return tuple(
        BlockLinear(
            part="attention", path=f"self_attn.{name}", in_features=inner, out_features=outer, bias=biased
        )
        for name, inner, outer, biased in layers
    )


def _dense_ffn(model: ModelSpec, names: LinearNames) -> tuple[BlockLinear, ...]:
    paths = (names.gate_up, names.gate, names.up, names.down)
    return _ffn("ffn", paths, model.ffn_size, model, bias=model.ffn_bias)


def _ffn(
    part: Part,
    paths: tuple[str, str, str, str],
    inner: int,
    model: ModelSpec,
    *,
    bias: bool,
    copies: int = 1,
    adaptable: bool = True,
) -> tuple[BlockLinear, ...]:
    gate_up_path, gate_path, up_path, down_path = paths
    hidden = model.hidden_size
    layers: list[tuple[str, int, int]] = []
    if model.gated_ffn and gate_up_path:
        layers.append((gate_up_path, hidden, 2 * inner))
    else:
        if model.gated_ffn:
            layers.append((gate_path, hidden, inner))
        layers.append((up_path, hidden, inner))
    layers.append((down_path, inner, hidden))
    return tuple(
        BlockLinear(
            part=part,
            path=path,
            in_features=narrow,
            out_features=wide,
            bias=bias,
            copies=copies,
            adaptable=adaptable,
        )
        for path, narrow, wide in layers
    )


def _experts(model: ModelSpec, names: LinearNames) -> tuple[BlockLinear, ...]:
    extras = dict(model.extras)
    hidden = model.hidden_size
    leaves = (names.expert_gate, names.expert_up, names.expert_down)
    router = BlockLinear(
        part="router",
        path=names.router,
        in_features=hidden,
        out_features=model.experts,
        bias=bool(extras.get("router_bias", 0)),
        adaptable=names.modular_router,
    )
    gate_path, up_path, down_path = (f"{names.experts}.{leaf}" for leaf in leaves)
    routed = _ffn(
        "expert",
        ("", gate_path, up_path, down_path),
        model.expert_ffn_size,
        model,
        bias=bool(extras.get("expert_bias", 0)),
        copies=model.experts,
        adaptable=names.modular_experts,
    )
    return (router, *routed, *_shared_experts(model, names))


def _shared_experts(model: ModelSpec, names: LinearNames) -> tuple[BlockLinear, ...]:
    """Shared experts stand in one MLP as wide as all of them together, as the families build it."""
    inner = model.shared_expert_ffn_size or model.shared_experts * model.expert_ffn_size
    if not inner:
        return ()
    extras = dict(model.extras)
    leaves = (names.expert_gate, names.expert_up, names.expert_down)
    gate_path, up_path, down_path = (f"{names.shared}.{leaf}" for leaf in leaves)
    shared = _ffn(
        "shared_expert",
        ("", gate_path, up_path, down_path),
        inner,
        model,
        bias=model.ffn_bias,
    )
    if not extras.get("shared_expert_gate", 0):
        return shared
    gate = BlockLinear(
        part="shared_expert",
        path=names.shared_gate,
        in_features=model.hidden_size,
        out_features=1,
        bias=False,
    )
    return (*shared, gate)
