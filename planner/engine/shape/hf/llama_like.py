"""Decoders of Llama's plan: rotary positions, gated MLP, grouped queries; one row a family.

Defaults are those of the family's configuration class in Hugging Face transformers 4.57.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from planner.engine.question.specs import ModelSpec, Norm
from planner.engine.shape.hf.shapes import head_width, kv_head_count, layer_count, model_spec, windowed_layers
from planner.engine.shape.reading import SpecReader

QkNorm = Literal["none", "per_head_width", "whole_width", "each_head"]
Windows = Literal["none", "every_layer", "upper_layers", "pattern"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaVariant:
    """How one family departs from the plan.

    kv_heads, head_dim: class defaults, None for "as many as heads" and "hidden / heads".
    attention_bias: whether the key of that name is read; attention_bias_usual: its class default;
    output_bias_apart: whether attention_out_bias decides the output's; qkv_bias: always there.
    qk_norm: none, one scale of head_dim for queries and one for keys, one as wide as all heads together,
    or one a head (Cohere, where use_qk_norm asks for it).
    window: class default of sliding_window; windows: which layers have it.
    """

    ffn: int
    positions: int
    kv_heads: int | None = None
    head_dim: int | None = None
    tied: bool = False
    attention_bias: bool = False
    attention_bias_usual: bool = False
    output_bias_apart: bool = False
    mlp_bias: bool = False
    qkv_bias: bool = False
    norm: Norm = "rmsnorm"
    norms_per_block: int = 2
    norm_weight: int = 1
    qk_norm: QkNorm = "none"
    window: int = 0
    windows: Windows = "none"
    window_pattern: int = 0


LLAMA_VARIANTS: Final[dict[str, LlamaVariant]] = {
    "llama": LlamaVariant(ffn=11008, positions=2048, attention_bias=True, mlp_bias=True),
    "granite": LlamaVariant(ffn=11008, positions=2048, attention_bias=True, mlp_bias=True),
    "mistral": LlamaVariant(ffn=14336, positions=131_072, kv_heads=8, window=4096, windows="every_layer"),
    "qwen2": LlamaVariant(
        ffn=22016, positions=32_768, kv_heads=32, qkv_bias=True, window=4096, windows="upper_layers"
    ),
    "qwen3": LlamaVariant(
        ffn=22016,
        positions=32_768,
        kv_heads=32,
        head_dim=128,
        attention_bias=True,
        qk_norm="per_head_width",
        window=4096,
        windows="upper_layers",
    ),
    "gemma": LlamaVariant(
        ffn=24576, positions=8192, kv_heads=16, head_dim=256, tied=True, attention_bias=True
    ),
    "gemma2": LlamaVariant(
        ffn=9216,
        positions=8192,
        kv_heads=4,
        head_dim=256,
        tied=True,
        attention_bias=True,
        norms_per_block=4,
        window=4096,
        windows="pattern",
        window_pattern=2,
    ),
    "gemma3_text": LlamaVariant(
        ffn=9216,
        positions=131_072,
        kv_heads=4,
        head_dim=256,
        tied=True,
        attention_bias=True,
        norms_per_block=4,
        qk_norm="per_head_width",
        window=4096,
        windows="pattern",
        window_pattern=6,
    ),
    "phi3": LlamaVariant(ffn=8192, positions=4096, windows="every_layer"),
    "olmo": LlamaVariant(ffn=11008, positions=2048, attention_bias=True, norm="layernorm", norm_weight=0),
    "olmo2": LlamaVariant(ffn=11008, positions=2048, attention_bias=True, qk_norm="whole_width"),
    "olmo3": LlamaVariant(
        ffn=11008,
        positions=2048,
        attention_bias=True,
        qk_norm="whole_width",
        window=4096,
        windows="pattern",
        window_pattern=4,
    ),
    "smollm3": LlamaVariant(
        ffn=11008, positions=32_768, kv_heads=4, tied=True, attention_bias=True, mlp_bias=True
    ),
    "seed_oss": LlamaVariant(
        ffn=27648,
        positions=524_288,
        kv_heads=8,
        head_dim=128,
        attention_bias=True,
        attention_bias_usual=True,
        output_bias_apart=True,
        mlp_bias=True,
    ),
    "cohere2": LlamaVariant(
        ffn=22528,
        positions=8192,
        tied=True,
        attention_bias=True,
        norm="layernorm",
        norms_per_block=1,
        window=4096,
        windows="pattern",
        window_pattern=4,
    ),
    "cohere": LlamaVariant(
        ffn=22528,
        positions=8192,
        tied=True,
        attention_bias=True,
        norm="layernorm",
        norms_per_block=1,
        qk_norm="each_head",
    ),
}


def read_llama_like(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """One of ``LLAMA_VARIANTS``."""
    variant = LLAMA_VARIANTS[family]
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_attention_heads")
    kv_heads = kv_head_count(reader, heads, variant.kv_heads, "num_attention_heads")
    head_dim = read_head_dim(reader, hidden, heads, variant.head_dim)
    biased = variant.attention_bias and reader.flag("attention_bias", variant.attention_bias_usual)
    apart = variant.output_bias_apart
    return model_spec(
        name=name,
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        ffn=reader.size("intermediate_size", variant.ffn),
        gated=True,
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", variant.positions),
        position_embedding="rope",
        tied=reader.flag("tie_word_embeddings", variant.tied),
        qkv_bias=biased or variant.qkv_bias,
        output_bias=reader.flag("attention_out_bias", False) if apart else biased,
        ffn_bias=variant.mlp_bias and reader.flag("mlp_bias", False),
        norm=variant.norm,
        windows=_windows(reader, variant, layers),
        extras=_extras(reader, variant, heads, kv_heads, head_dim),
    )


def read_head_dim(reader: SpecReader, hidden: int, heads: int, default: int | None) -> int:
    """head_dim where given, else the family's default, else hidden / heads."""
    if reader.has("head_dim"):
        return reader.size("head_dim", 1)
    if default is not None and "head_dim" not in reader.values:
        return reader.size("head_dim", default)
    return head_width(reader, hidden, heads, "hidden_size", "num_attention_heads")


def _windows(reader: SpecReader, variant: LlamaVariant, layers: int) -> tuple[int, int]:
    if variant.windows == "none":
        return (0, 0)
    window = _window_size(reader, variant.window)
    if variant.windows == "every_layer":
        return windowed_layers(reader, layers, window, layers)
    if variant.windows == "upper_layers":
        if not reader.flag("use_sliding_window", False):
            return (0, 0)
        first = reader.size("max_window_layers", 28, smallest=0)
        return windowed_layers(reader, layers, window, layers - first)
    key = reader.first_present(("sliding_window_pattern", "_sliding_window_pattern"))
    pattern = reader.optional_size(key) or variant.window_pattern
    return windowed_layers(reader, layers, window, layers - layers // pattern)


def _window_size(reader: SpecReader, default: int) -> int:
    """sliding_window in tokens; null switches it off, absence means the class default."""
    if "sliding_window" in reader.values and not reader.has("sliding_window"):
        return 0
    given = reader.optional_size("sliding_window", smallest=0)
    return default if given is None else given


def _extras(
    reader: SpecReader, variant: LlamaVariant, heads: int, kv_heads: int, head_dim: int
) -> dict[str, int]:
    extras: dict[str, int] = {}
    if variant.norms_per_block != 2:
        extras["norms_per_block"] = variant.norms_per_block
    if variant.norm == "layernorm":
        extras["norm_bias"] = 0
    if not variant.norm_weight:
        extras["norm_weight"] = 0
    if variant.qk_norm == "per_head_width":
        extras["qk_norm_parameters"] = 2 * head_dim
    elif variant.qk_norm == "whole_width" or (
        variant.qk_norm == "each_head" and reader.flag("use_qk_norm", False)
    ):
        extras["qk_norm_parameters"] = (heads + kv_heads) * head_dim
    return extras
