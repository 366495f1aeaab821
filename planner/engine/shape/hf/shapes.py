"""What the families' readers share: the usual keys, and a ``ModelSpec`` with the usual defaults filled in."""

from __future__ import annotations

from typing import Any

from planner.engine.question.specs import Architecture, ModelSpec, Norm, PositionEmbedding
from planner.engine.shape.reading import MOST_LAYERS, SpecReader


def head_width(reader: SpecReader, hidden: int, heads: int, hidden_key: str, heads_key: str) -> int:
    """hidden / heads, with a problem recorded where that is not whole."""
    reader.must_divide(hidden_key, hidden, heads_key, heads)
    return max(hidden // heads, 1)


def kv_head_count(reader: SpecReader, heads: int, default: int | None, heads_key: str) -> int:
    """num_key_value_heads: absent takes the class default (None: as many as heads), null as many as heads."""
    key = "num_key_value_heads"
    explicit_null = key in reader.values and not reader.has(key)
    if default is None or explicit_null:
        kv_heads = reader.optional_size(key) or heads
    else:
        kv_heads = reader.size(key, default)
    reader.must_divide(heads_key, heads, key, kv_heads)
    return kv_heads


def layer_count(reader: SpecReader, *keys: str) -> int:
    return reader.required_size(*keys, largest=MOST_LAYERS)


def windowed_layers(reader: SpecReader, layers: int, window: int, usual: int) -> tuple[int, int]:
    """(sliding_window, how many layers have it): by ``layer_types`` where given, else the usual count."""
    types = reader.items("layer_types")
    if types is not None:
        if len(types) != layers:
            reader.problem(
                "layer_types",
                f"It names {len(types)} layers, but there are {layers}.",
                "Give one entry a layer, or leave layer_types out.",
            )
        usual = sum(1 for kind in types if kind == "sliding_attention")
    count = min(max(usual, 0), layers) if window else 0
    return (window if count else 0), count


def model_spec(
    *,
    name: str,
    family: str,
    layers: int,
    hidden: int,
    heads: int,
    ffn: int,
    vocab: int,
    positions: int,
    position_embedding: PositionEmbedding,
    norm: Norm,
    tied: bool,
    bias: bool = False,
    qkv_bias: bool | None = None,
    output_bias: bool | None = None,
    ffn_bias: bool | None = None,
    gated: bool = False,
    kv_heads: int | None = None,
    head_dim: int | None = None,
    architecture: Architecture = "decoder",
    windows: tuple[int, int] = (0, 0),
    extras: dict[str, int] | None = None,
    **shape: Any,
) -> ModelSpec:
    """A ``ModelSpec`` where what a family leaves unsaid is the usual; ``shape`` is passed on as it is."""
    width = head_dim if head_dim is not None else hidden // heads
    shape.setdefault("value_head_dim", width)
    return ModelSpec(
        name=name,
        family=family,
        architecture=architecture,
        layers=layers,
        hidden_size=hidden,
        attention_heads=heads,
        kv_heads=heads if kv_heads is None else kv_heads,
        head_dim=width,
        ffn_size=ffn,
        gated_ffn=gated,
        vocab_size=vocab,
        max_positions=positions,
        position_embedding=position_embedding,
        tied_embeddings=tied,
        qkv_bias=bias if qkv_bias is None else qkv_bias,
        attention_output_bias=bias if output_bias is None else output_bias,
        ffn_bias=bias if ffn_bias is None else ffn_bias,
        norm=norm,
        sliding_window=windows[0],
        windowed_layers=windows[1],
        extras=tuple((extras or {}).items()),
        **shape,
    )
