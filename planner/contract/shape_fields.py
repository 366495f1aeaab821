"""The fields of an explicit architecture, as the form and the documents show them.

What they mean together is read by ``planner.engine.shape.explicit``, whose names these are.
"""

from __future__ import annotations

from typing import Any, Final

from planner.contract.field import Field, table
from planner.engine.question.words import Word, Words

LARGEST: Final = 100_000_000
ARCHITECTURES: Words = {
    "decoder": Word("Decoder"),
    "encoder": Word("Encoder"),
    "encoder_decoder": Word("Encoder and decoder"),
    "vision_encoder": Word("Image encoder"),
}
POSITIONS: Words = {
    "learned": Word("Learned table"),
    "rope": Word("Rotary (RoPE)"),
    "alibi": Word("ALiBi"),
    "relative": Word("Relative, as T5"),
    "none": Word("None"),
}
NORMS: Words = {"layernorm": Word("LayerNorm"), "rmsnorm": Word("RMSNorm")}
MIXERS: Words = {
    "mamba": Word("Mamba"),
    "mamba2": Word("Mamba-2"),
    "gated_delta": Word("Gated delta rule"),
    "linear_attention": Word("Linear attention"),
    "short_convolution": Word("Short convolution"),
}


def _size(name: str, label: str, says: str, query: str, **more: Any) -> Field:
    return Field(name, "whole", label, says, maximum=LARGEST, query=query, **more)


SHAPE = table(
    "model",
    Field(
        "architecture",
        "choice",
        "Architecture",
        "What kind of model it is.",
        choices=ARCHITECTURES,
        otherwise="decoder",
        query="arch",
    ),
    _size("layers", "Layers", "Blocks; of an encoder-decoder, the encoder's.", "layers"),
    _size("decoder_layers", "Decoder layers", "Blocks of the decoder beside an encoder.", "dec_layers"),
    _size("hidden_size", "Hidden size", "Width of the residual stream.", "hidden"),
    _size("attention_heads", "Heads", "Query heads of a block.", "heads"),
    _size("kv_heads", "Key heads", "Heads of keys and values; as many as heads unless given.", "kv"),
    _size("head_dim", "Head size", "Width of a head; hidden size over heads unless given.", "head_dim"),
    _size("ffn_size", "MLP size", "Inner width of a dense MLP.", "ffn"),
    Field("gated_ffn", "flag", "Gated MLP", "Whether the MLP has a gate.", otherwise="off", query="gated"),
    _size("vocab_size", "Vocabulary", "Rows of the token table.", "vocab"),
    _size("max_positions", "Positions", "Rows of a learned position table.", "max_pos"),
    Field(
        "position_embedding",
        "choice",
        "Position kind",
        "How positions enter.",
        choices=POSITIONS,
        otherwise="as is usual",
        query="pos",
    ),
    Field(
        "tied_embeddings",
        "flag",
        "Tied head",
        "Whether the output projection is the token table.",
        otherwise="off",
        query="tied",
    ),
    Field(
        "bias",
        "flag",
        "Biases",
        "Whether linear layers have biases.",
        otherwise="with LayerNorm",
        query="bias",
    ),
    Field("norm", "choice", "Norm", "Kind of norm.", choices=NORMS, otherwise="as is usual", query="norm"),
    _size("experts", "Experts", "Routed experts of a block of a mixture.", "experts"),
    _size("experts_per_token", "Active experts", "Experts that each token visits.", "top_k"),
    _size("shared_experts", "Shared experts", "Experts that every token meets.", "shared"),
    _size("expert_ffn_size", "Expert size", "Inner width of one expert.", "expert_ffn"),
    _size("dense_layers", "Dense layers", "Leading blocks without experts.", "dense"),
    _size("window", "Window", "Tokens that a query of a windowed block meets at most.", "window"),
    Field(
        "windowed_share",
        "number",
        "Windowed share",
        "Share of the attending blocks that have the window.",
        maximum=1.0,
        otherwise="1 with a window",
        query="windowed",
    ),
    Field(
        "mixer",
        "choice",
        "Other mixer",
        "Hybrids and state-space models: what mixes tokens in the blocks that do not attend.",
        choices=MIXERS,
        otherwise="none: all blocks attend",
        query="mixer",
    ),
    _size("mixer_layers", "Its layers", "How many blocks have it in place of attention.", "mixer_layers"),
    _size("mixer_size", "Its inner size", "Inner width; twice the hidden size unless given.", "mixer_size"),
    _size("mixer_heads", "Its heads", "Heads, of values with the gated delta rule.", "mixer_heads"),
    _size("mixer_key_heads", "Its key heads", "Heads of keys of the gated delta rule.", "mixer_kv"),
    _size("state_size", "State size", "States a channel; 16 for Mamba, 128 for Mamba-2.", "ssm"),
    _size("conv_kernel", "Convolution", "Width of the short convolution: 4 unless given.", "conv"),
    _size("patch_size", "Patch size", "Side of an image's patch.", "patch", unit="pixels"),
    _size("image_size", "Image size", "Side of an image.", "image", unit="pixels"),
    Field(
        "params_total",
        "whole",
        "Parameters",
        "Only to check the shape: a difference over 2 % is a warning.",
        maximum=1e16,
        query="params",
    ),
)
