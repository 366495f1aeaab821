"""Encoders of text and images beyond BERT's and ViT's plan, counted as the base model with its pooler.

A row says how a family departs from BERT: norms with a bias, biases everywhere, four projections, an MLP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from planner.engine.question.parts import Channel, Mixer
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.build import block, decoder
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.families.towers import (
    clip_text,
    clip_vision,
    siglip2_vision,
    siglip_text,
    siglip_vision,
)
from planner.engine.shape.parts.channels import dense_mlp
from planner.engine.shape.parts.mixers import attention

MLP_NAMES = ("intermediate.dense", "output.dense")
ATTENTION_NAMES = ("self.query", "self.key", "self.value", "output.dense")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderRow:
    """types, positions, embedding_norm, pooler: whether there is such a table, norm or layer.

    embedding_key: key of the tables' width where it may differ.  shared: all blocks are one.  global_layers:
    further query, key and value layers (Longformer).  final_norm: after the last block.  buckets: key of a
    table of relative positions, a number a head, for all blocks.  places: tables of places on a page.
    """

    types: bool = True
    positions: bool = True
    embedding_norm: bool = True
    pooler: bool = True
    embedding_key: str = ""
    shared: bool = False
    global_layers: bool = False
    final_norm: bool = False
    contact_head: bool = False
    buckets: str = ""
    places: int = 0


ENCODER_ROWS: Final[dict[str, EncoderRow]] = {
    "albert": EncoderRow(embedding_key="embedding_size", shared=True),
    "longformer": EncoderRow(global_layers=True),
    "big_bird": EncoderRow(),
    "ernie": EncoderRow(),
    "mpnet": EncoderRow(types=False, buckets="relative_attention_num_buckets"),
    "megatron-bert": EncoderRow(embedding_norm=False, final_norm=True),
    "roberta-prelayernorm": EncoderRow(final_norm=True),
    "layoutlm": EncoderRow(places=4),
    "data2vec-text": EncoderRow(),
    "xlm-roberta-xl": EncoderRow(embedding_norm=False, final_norm=True),
    "esm": EncoderRow(types=False, embedding_norm=False, final_norm=True, contact_head=True),
}


def read_encoder(keys: Keys, family: str, name: str) -> ModelSpec:
    """A family of ``ENCODER_ROWS``."""
    row = ENCODER_ROWS[family]
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    keys.must_divide("hidden_size", hidden, "num_attention_heads", heads)
    inner = keys.whole("intermediate_size", smallest=1)
    vocab = keys.main("vocab_size")
    width = keys.whole(row.embedding_key, smallest=1) if row.embedding_key else hidden
    rotary = keys.text("position_embedding_type", "absolute") == "rotary"
    rows = vocab + (keys.whole("type_vocab_size", default=2) if row.types else 0)
    positions = keys.whole("max_position_embeddings", smallest=1)
    rows += positions if row.positions and not rotary else 0
    embedding = rows * width + (2 * width if _normed(keys, row) else 0)
    if row.embedding_key:
        embedding += width * hidden + hidden
    if row.buckets:
        embedding += keys.whole(row.buckets, default=32, smallest=1) * heads
    if row.places:
        embedding += row.places * keys.whole("max_2d_position_embeddings", default=1024) * width
    keys.has("inner_group_num")
    if (
        row.shared
        and keys.whole("num_hidden_groups", default=1) * keys.whole("inner_group_num", default=1) != 1
    ):
        keys.problem("num_hidden_groups", "Only one group of one layer is modelled.", "Set both to 1.")
    keys.has("num_hidden_groups")
    mixer = _attention(hidden, heads, extra=3 * (hidden * hidden + hidden) if row.global_layers else 0)
    mlp = dense_mlp(hidden=hidden, inner=inner, gated=False, bias=True, names=MLP_NAMES, prefix="")
    head = (hidden + 1) * hidden if row.pooler else 0
    head += 2 * hidden if row.final_norm else 0
    head += layers * heads + 1 if row.contact_head else 0
    return _encoder(
        keys,
        family,
        name,
        hidden,
        heads,
        [(mixer, mlp)] * layers,
        norms=4 * hidden,
        embedding=embedding,
        head=head,
        vocab=vocab,
        positions=positions,
        counted_once=row.shared,
    )


def _normed(keys: Keys, row: EncoderRow) -> bool:
    """ESM asks a key whether embeddings are normalised; the others always do or never."""
    return keys.switch("emb_layer_norm_before") if row.contact_head else row.embedding_norm


def _attention(hidden: int, heads: int, *, extra: int = 0, key_bias: bool = True, bias: bool = True) -> Mixer:
    return attention(
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=max(hidden // heads, 1),
        bias=bias,
        key_bias=key_bias and bias,
        output_bias=True,
        names=ATTENTION_NAMES,
        prefix="attention.",
        other_parameters=extra,
    )


def _encoder(
    keys: Keys,
    family: str,
    name: str,
    hidden: int,
    heads: int,
    blocks: list[tuple[Mixer, Channel]],
    *,
    norms: int,
    embedding: int,
    head: int,
    vocab: int,
    positions: int,
    counted_once: bool = False,
    image: tuple[int, int] = (0, 0),
) -> ModelSpec:
    return decoder(
        keys,
        name=name,
        family=family,
        architecture="vision_encoder" if image[0] else "encoder",
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=max(hidden // heads, 1),
        blocks=[block(mixer, channel, norms=norms, counted_once=counted_once) for mixer, channel in blocks],
        vocab=vocab,
        embedding=embedding,
        tied=False,
        headless=True,
        final_norm=head,
        positions=positions,
        norm="layernorm",
        position_embedding="learned",
        gated=False,
        image_size=image[0],
        patch_size=image[1],
    )


def read_xlnet(keys: Keys, family: str, name: str) -> ModelSpec:
    """XLNet: relative positions and segments in every block, no biases in attention."""
    layers, hidden = keys.layers("n_layer", "num_hidden_layers"), keys.main("d_model", "hidden_size")
    heads = keys.main("n_head", "num_attention_heads")
    keys.must_divide("d_model", hidden, "n_head", heads)
    vocab, inner = keys.main("vocab_size"), keys.whole("d_inner", smallest=1)
    mixer = attention(
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=max(hidden // heads, 1),
        names=("q", "k", "v", "o"),
        prefix="rel_attn.",
        other_parameters=hidden * hidden + 5 * hidden,
    )
    mlp = dense_mlp(
        hidden=hidden, inner=inner, gated=False, bias=True, names=("layer_1", "layer_2"), prefix="ff."
    )
    return _encoder(
        keys,
        family,
        name,
        hidden,
        heads,
        [(mixer, mlp)] * layers,
        norms=4 * hidden,
        embedding=vocab * hidden + hidden,
        head=0,
        vocab=vocab,
        positions=0,
    )


def read_deberta_v2(keys: Keys, family: str, name: str) -> ModelSpec:
    """DeBERTa v2 and v3: one table of relative positions for all blocks, shared with the contents' layers."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    keys.must_divide("hidden_size", hidden, "num_attention_heads", heads)
    vocab, inner = keys.main("vocab_size"), keys.whole("intermediate_size", smallest=1)
    positions = keys.whole("max_position_embeddings", smallest=1)
    keys.has("pos_att_type")
    kinds = str(keys.values.get("pos_att_type") or "")
    relative = keys.switch("relative_attention")
    keys.has("embedding_size")
    embedding = (vocab + keys.whole("type_vocab_size", default=0)) * hidden + 2 * hidden
    embedding += positions * hidden if keys.switch("position_biased_input", default=True) else 0
    buckets = keys.whole("position_buckets", default=-1, smallest=-1)
    if relative:
        spread = keys.whole("max_relative_positions", default=-1, smallest=-1)
        spread = buckets if buckets > 0 else (spread if spread > 0 else positions)
        embedding += 2 * spread * hidden
        embedding += 2 * hidden if "layer_norm" in keys.text("norm_rel_ebd", "none") else 0
    kernel = keys.whole("conv_kernel_size", default=0, null=0)
    embedding += kernel * hidden * hidden + 3 * hidden if kernel else 0
    extra = 0
    if relative and not keys.switch("share_att_key"):
        extra = ("c2p" in kinds) * (hidden + 1) * hidden + ("p2c" in kinds) * (hidden + 1) * hidden
    mlp = dense_mlp(hidden=hidden, inner=inner, gated=False, bias=True, names=MLP_NAMES, prefix="")
    return _encoder(
        keys,
        family,
        name,
        hidden,
        heads,
        [(_attention(hidden, heads, extra=extra), mlp)] * layers,
        norms=4 * hidden,
        embedding=embedding,
        head=0,
        vocab=vocab,
        positions=positions,
    )


def read_image_encoder(keys: Keys, family: str, name: str) -> ModelSpec:
    """DINOv2 (scaled branches, a mask token), BEiT (relative positions in every block), ViT-MAE."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    keys.must_divide("hidden_size", hidden, "num_attention_heads", heads)
    patch, size = keys.whole("patch_size", smallest=1), keys.whole("image_size", smallest=1)
    keys.must_not_exceed("patch_size", patch, "image_size", size, "A patch is larger than the image.")
    side = size // max(patch, 1)
    embedding = hidden + (keys.whole("num_channels", default=3) * patch**2 + 1) * hidden
    positions, norms, head, extra, key_bias = side**2 + 1, 4 * hidden, 2 * hidden, 0, True
    if family.startswith("dinov2"):
        inner = keys.whole("mlp_ratio", default=4) * hidden
        embedding += hidden
        norms += 2 * hidden
        if keys.switch("use_swiglu_ffn"):
            keys.problem("use_swiglu_ffn", "The gated MLP is not modelled.", "Describe it as explicit shape.")
    else:
        inner = keys.whole("intermediate_size", smallest=1)
    if family == "dinov2_with_registers":
        embedding += keys.whole("num_register_tokens", default=4) * hidden
    if family == "beit":
        key_bias = False
        norms += 2 * hidden if keys.share("layer_scale_init_value", 0.1) > 0 else 0
        if keys.switch("use_mask_token"):
            embedding += hidden
        if keys.switch("use_relative_position_bias"):
            extra = ((2 * side - 1) ** 2 + 3) * heads
    learned = family != "beit" or keys.switch("use_absolute_position_embeddings")
    embedding += positions * hidden if learned else 0
    mixer = _attention(
        hidden, heads, extra=extra, key_bias=key_bias, bias=keys.switch("qkv_bias", default=True)
    )
    mlp = dense_mlp(hidden=hidden, inner=inner, gated=False, bias=True, names=MLP_NAMES, prefix="")
    return _encoder(
        keys,
        family,
        name,
        hidden,
        heads,
        [(mixer, mlp)] * layers,
        norms=norms,
        embedding=embedding,
        head=head,
        vocab=0,
        positions=positions,
        image=(size, patch),
    )


def read_swin(keys: Keys, family: str, name: str) -> ModelSpec:
    """Swin: stages of windows, each with half the patches and twice the width of the one before."""
    base = keys.main("embed_dim")
    depths = [item for item in keys.items("depths") or [2, 2, 6, 2] if isinstance(item, int)]
    heads = [item for item in keys.items("num_heads") or [3, 6, 12, 24] if isinstance(item, int)]
    if len(depths) != len(heads) or not depths:
        keys.problem(
            "depths", f"It names {len(depths)} stages, num_heads {len(heads)}.", "Give one each a stage."
        )
        depths, heads = [2], [1]
    window, patch = keys.whole("window_size", smallest=1), keys.whole("patch_size", smallest=1)
    size = keys.whole("image_size", smallest=1)
    ratio = keys.share("mlp_ratio", 4)
    blocks, further = [], 0
    for stage, (depth, count) in enumerate(zip(depths, heads, strict=True)):
        width = base * 2**stage
        mixer = attention(
            hidden=width,
            heads=count,
            kv_heads=count,
            head_dim=max(width // max(count, 1), 1),
            bias=keys.switch("qkv_bias", default=True),
            output_bias=True,
            names=ATTENTION_NAMES,
            prefix="attention.",
            other_parameters=(2 * window - 1) ** 2 * count,
            window=window**2,
        )
        mlp = dense_mlp(
            hidden=width, inner=int(ratio * width), gated=False, bias=True, names=MLP_NAMES, prefix=""
        )
        blocks += [block(mixer, mlp, norms=4 * width)] * depth
        if stage + 1 < len(depths):
            further += 4 * width * 2 * width + 8 * width
    last = base * 2 ** (len(depths) - 1)
    embedding = (keys.whole("num_channels", default=3) * patch**2 + 1) * base + 2 * base
    return decoder(
        keys,
        name=name,
        family=family,
        architecture="vision_encoder",
        hidden=base * 2 ** (len(depths) // 2),
        heads=heads[len(heads) // 2],
        kv_heads=heads[len(heads) // 2],
        head_dim=max(base // max(heads[0], 1), 1),
        blocks=blocks,
        vocab=0,
        embedding=embedding + further,
        tied=False,
        headless=True,
        final_norm=2 * last,
        positions=(size // max(patch, 1)) ** 2,
        norm="layernorm",
        position_embedding="relative",
        gated=False,
        image_size=size,
        patch_size=patch,
    )


def read_two_towers(keys: Keys, family: str, name: str) -> ModelSpec:
    """CLIP and SigLIP: an image encoder beside a text encoder, trained together on pairs.

    The image encoder is the model whose time is planned; the text encoder counts on the first stage.
    """
    vision = keys.sub("vision_config", "clip_vision_model" if family == "clip" else f"{family}_vision_model")
    text = keys.sub("text_config", "clip_text_model" if family == "clip" else f"{family}_text_model")
    readers = {
        "clip": (clip_vision, clip_text),
        "siglip": (siglip_vision, siglip_text),
        "siglip2": (siglip2_vision, siglip_text),
    }
    see, read = readers[family]
    image, words = see(vision), read(text)
    hidden, heads = vision.main("hidden_size"), vision.whole("num_attention_heads", smallest=1)
    inner, layers = vision.whole("intermediate_size", smallest=1), vision.layers()
    projected = 2
    if family == "clip":
        width = keys.whole("projection_dim", smallest=1)
        projected = width * (hidden + text.main("hidden_size")) + 1
    mixer = _attention(hidden, heads)
    mlp = dense_mlp(hidden=hidden, inner=inner, gated=False, bias=True, names=("fc1", "fc2"), prefix="mlp.")
    in_blocks = layers * (sum(matrix.parameters for matrix in (*mixer.matrices, *mlp.matrices)) + 4 * hidden)
    patch = vision.whole("patch_size", smallest=1)
    size = vision.whole("image_size", default=16 * patch, smallest=1)
    return _encoder(
        keys,
        family,
        name,
        hidden,
        heads,
        [(mixer, mlp)] * layers,
        norms=4 * hidden,
        embedding=image.parameters - in_blocks + words.parameters,
        head=projected,
        vocab=0,
        positions=(size // max(patch, 1)) ** 2 + 1,
        image=(size, patch),
    )


OTHER_ENCODERS: Final[dict[str, Callable[[Keys, str, str], ModelSpec]]] = {
    **dict.fromkeys(ENCODER_ROWS, read_encoder),
    "xlnet": read_xlnet,
    "deberta-v2": read_deberta_v2,
    "dinov2": read_image_encoder,
    "dinov2_with_registers": read_image_encoder,
    "beit": read_image_encoder,
    "vit_mae": read_image_encoder,
    "swin": read_swin,
    "clip": read_two_towers,
    "siglip": read_two_towers,
    "siglip2": read_two_towers,
}
