"""Encoders, encoder-decoders and vision encoders: BERT and its kin, ModernBERT, T5, ViT and DeiT.

Encoders count as the base model, with its pooler where the family has one. Defaults are those of the
family's configuration class in Hugging Face transformers 4.57.
"""

from __future__ import annotations

from planner.engine.question.specs import ModelSpec
from planner.engine.shape.hf.shapes import head_width, layer_count, model_spec, windowed_layers
from planner.engine.shape.reading import MOST_LAYERS, SpecReader


def read_bert(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """BERT, RoBERTa, XLM-RoBERTa, CamemBERT: token, position and type tables, post-norm blocks, pooler."""
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_attention_heads")
    head_width(reader, hidden, heads, "hidden_size", "num_attention_heads")
    positions = reader.size("max_position_embeddings", 512)
    extras = {
        "embedding_norm": 1,
        "token_types": reader.size("type_vocab_size", 2, smallest=0),
        "pooler_size": hidden,
    }
    extras |= _distances(reader, positions, hidden // heads)
    return _encoder(reader, family, name, layers, hidden, heads, positions, extras)


def read_electra(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """ELECTRA's discriminator: a narrow token table projected to the hidden width, no pooler."""
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_attention_heads")
    head_width(reader, hidden, heads, "hidden_size", "num_attention_heads")
    positions = reader.size("max_position_embeddings", 512)
    token_width = reader.size("embedding_size", 128)
    extras = {"embedding_norm": 1, "token_types": reader.size("type_vocab_size", 2, smallest=0)}
    if token_width != hidden:
        extras |= {
            "embedding_size": token_width,
            "embedding_projections": 1,
            "embedding_projection_bias": 1,
        }
    extras |= _distances(reader, positions, hidden // heads)
    return _encoder(reader, family, name, layers, hidden, heads, positions, extras)


def read_distilbert(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """BERT without token types and pooler, under names of its own."""
    layers = layer_count(reader, "n_layers", "num_hidden_layers")
    hidden = reader.required_size("dim", "hidden_size")
    heads = reader.required_size("n_heads", "num_attention_heads")
    head_width(reader, hidden, heads, "dim", "n_heads")
    return model_spec(
        name=name,
        family=family,
        architecture="encoder",
        layers=layers,
        hidden=hidden,
        heads=heads,
        ffn=reader.size("hidden_dim", 3072),
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", 512),
        position_embedding="learned",
        tied=False,
        bias=True,
        norm="layernorm",
        extras={"embedding_norm": 1},
    )


def read_modernbert(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """ModernBERT: rotary positions, gated MLP, norms before; two blocks of three attend to a window.

    The first block has no norm before its attention. Blocks being counted as equal, the final norm is the
    one left out, so that the total is exact.
    """
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_attention_heads")
    head_width(reader, hidden, heads, "hidden_size", "num_attention_heads")
    every = reader.size("global_attn_every_n_layers", 3)
    window = reader.size("local_attention", 128)
    biased = reader.flag("attention_bias", False)
    return model_spec(
        name=name,
        family=family,
        architecture="encoder",
        layers=layers,
        hidden=hidden,
        heads=heads,
        ffn=reader.size("intermediate_size", 1152),
        gated=True,
        vocab=reader.required_size("vocab_size"),
        positions=reader.size("max_position_embeddings", 8192),
        position_embedding="rope",
        tied=False,
        bias=biased,
        ffn_bias=reader.flag("mlp_bias", False),
        norm="layernorm",
        windows=windowed_layers(reader, layers, window, layers - -(-layers // every)),
        extras={"embedding_norm": 1, "norm_bias": int(reader.flag("norm_bias", False))},
    )


def read_t5(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """T5 for conditional generation: one token table for both stacks, tied to the head or not.

    Relative positions belong to the first block of each stack; UMT5 has them in every block.
    """
    layers = layer_count(reader, "num_layers", "num_hidden_layers")
    heads = reader.required_size("num_heads", "num_attention_heads")
    multilingual = family != "t5"
    extras = {"relative_buckets": reader.size("relative_attention_num_buckets", 32)}
    if family == "umt5":
        extras["relative_every_block"] = 1
    return model_spec(
        name=name,
        family=family,
        architecture="encoder_decoder",
        layers=layers,
        decoder_layers=reader.optional_size("num_decoder_layers", largest=MOST_LAYERS) or layers,
        hidden=reader.required_size("d_model", "hidden_size"),
        heads=heads,
        head_dim=reader.size("d_kv", 64),
        ffn=reader.size("d_ff", 1024 if multilingual else 2048),
        gated=_gated(reader, "gated-gelu" if multilingual else "relu"),
        vocab=reader.required_size("vocab_size"),
        positions=0,
        position_embedding="relative",
        tied=reader.flag("tie_word_embeddings", family != "mt5"),
        norm="rmsnorm",
        extras=extras,
    )


def read_vit(reader: SpecReader, family: str, name: str) -> ModelSpec:
    """ViT (a class token) and DeiT (a distillation token too), with the pooler of the base model."""
    layers = layer_count(reader, "num_hidden_layers")
    hidden = reader.required_size("hidden_size")
    heads = reader.required_size("num_attention_heads")
    head_width(reader, hidden, heads, "hidden_size", "num_attention_heads")
    patch = reader.size("patch_size", 16, largest=100_000)
    image = reader.size("image_size", 224, largest=1_000_000)
    reader.must_not_exceed("patch_size", patch, "image_size", image, "A patch is larger than the image.")
    class_tokens = 2 if family == "deit" else 1
    return model_spec(
        name=name,
        family=family,
        architecture="vision_encoder",
        layers=layers,
        hidden=hidden,
        heads=heads,
        ffn=reader.size("intermediate_size", 3072),
        vocab=0,
        positions=(image // max(patch, 1)) ** 2 + class_tokens,
        position_embedding="learned",
        tied=False,
        qkv_bias=reader.flag("qkv_bias", True),
        output_bias=True,
        ffn_bias=True,
        norm="layernorm",
        patch_size=patch,
        image_size=image,
        image_channels=reader.size("num_channels", 3, largest=10_000),
        extras={
            "class_tokens": class_tokens,
            "pooler_size": reader.optional_size("pooler_output_size") or hidden,
        },
    )


def _encoder(
    reader: SpecReader,
    family: str,
    name: str,
    layers: int,
    hidden: int,
    heads: int,
    positions: int,
    extras: dict[str, int],
) -> ModelSpec:
    _refuse_decoder(reader)
    return model_spec(
        name=name,
        family=family,
        architecture="encoder",
        layers=layers,
        hidden=hidden,
        heads=heads,
        ffn=reader.size("intermediate_size", 1024 if family == "electra" else 3072),
        vocab=reader.required_size("vocab_size"),
        positions=positions,
        position_embedding="learned",
        tied=False,
        bias=True,
        norm="layernorm",
        extras=extras,
    )


def _refuse_decoder(reader: SpecReader) -> None:
    for key in ("is_decoder", "add_cross_attention"):
        if reader.flag(key, False):
            reader.problem(
                key,
                "Only the encoder of this family is modelled.",
                f"Set {key} to false, or describe the model as an explicit decoder architecture.",
            )


def _distances(reader: SpecReader, positions: int, head_dim: int) -> dict[str, int]:
    """Relative distances, -(n-1) to n-1, learned in each block beside the absolute positions."""
    kinds = ("absolute", "relative_key", "relative_key_query")
    if reader.choice("position_embedding_type", "absolute", kinds) == "absolute":
        return {}
    return {"distance_parameters": (2 * positions - 1) * head_dim}


def _gated(reader: SpecReader, default: str) -> bool:
    """feed_forward_proj: an activation's name, with ``gated-`` before it where the MLP is gated."""
    projection = reader.text("feed_forward_proj", default)
    prefix, _, activation = projection.rpartition("-")
    if not activation or prefix not in ("", "gated"):
        reader.problem(
            "feed_forward_proj",
            "This is not an activation, with or without a gate.",
            "Write relu, gated-gelu or the like.",
        )
    return prefix == "gated"
