"""Encoder-decoders of BART's plan, Whisper, Switch Transformers, and XGLM (BART's decoder alone)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from planner.engine.question.parts import BlockGroup, Channel, Mixer
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.build import block, decoder
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.families.towers import linear
from planner.engine.shape.parts.channels import dense_mlp, mixture
from planner.engine.shape.parts.mixers import attention

NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")
MLP_NAMES = ("fc1", "fc2")


@dataclass(frozen=True, slots=True, kw_only=True)
class BartRow:
    """positions: learned tables of max_position_embeddings and ``offset`` rows more, in each stack.

    embedding_norm: after the tables; final_norm: after each stack; longformer: LED's global layers and a
    further output layer in the encoder.
    """

    positions: bool = True
    offset: int = 0
    embedding_norm: bool = True
    final_norm: bool = False
    longformer: bool = False


BART_ROWS: Final[dict[str, BartRow]] = {
    "bart": BartRow(offset=2),
    "mbart": BartRow(offset=2, final_norm=True),
    "plbart": BartRow(offset=2),
    "blenderbot-small": BartRow(),
    "blenderbot": BartRow(embedding_norm=False, final_norm=True),
    "pegasus": BartRow(embedding_norm=False, final_norm=True),
    "marian": BartRow(embedding_norm=False),
    "m2m_100": BartRow(positions=False, embedding_norm=False, final_norm=True),
    "led": BartRow(longformer=True),
}


def _attention(hidden: int, heads: int, *, prefix: str, key_bias: bool = True, extra: int = 0) -> Mixer:
    return attention(
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=max(hidden // heads, 1),
        bias=True,
        key_bias=key_bias,
        output_bias=True,
        names=NAMES,
        prefix=prefix,
        other_parameters=extra,
    )


def _mlp(hidden: int, inner: int) -> Channel:
    return dense_mlp(hidden=hidden, inner=inner, gated=False, bias=True, names=MLP_NAMES, prefix="")


def _stacks(keys: Keys, hidden: int, *, key_bias: bool = True, extra: int = 0) -> list[BlockGroup]:
    """Encoder blocks, then decoder blocks with attention to the encoder."""
    heads = keys.whole("encoder_attention_heads", smallest=1)
    decoder_heads = keys.whole("decoder_attention_heads", smallest=1)
    keys.must_divide("d_model", hidden, "encoder_attention_heads", heads)
    own = _attention(hidden, heads, prefix="self_attn.", key_bias=key_bias, extra=extra)
    encoder = block(own, _mlp(hidden, keys.whole("encoder_ffn_dim", smallest=1)), norms=4 * hidden)
    second = BlockGroup(
        blocks=1,
        mixer=_attention(hidden, decoder_heads, prefix="self_attn.", key_bias=key_bias),
        channel=_mlp(hidden, keys.whole("decoder_ffn_dim", smallest=1)),
        other_parameters=6 * hidden,
        cross=_attention(hidden, decoder_heads, prefix="encoder_attn.", key_bias=key_bias),
        stack="decoder",
    )
    layers = keys.layers("encoder_layers", "num_hidden_layers")
    keys.has("num_hidden_layers")
    return [encoder] * layers + [second] * keys.layers("decoder_layers")


def _model(
    keys: Keys,
    family: str,
    name: str,
    hidden: int,
    blocks: list[BlockGroup],
    embedding: int,
    norms: int,
    positions: int,
) -> ModelSpec:
    heads = keys.whole("encoder_attention_heads", smallest=1)
    return decoder(
        keys,
        name=name,
        family=family,
        architecture="encoder_decoder",
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=max(hidden // heads, 1),
        blocks=blocks,
        vocab=keys.main("vocab_size"),
        embedding=embedding,
        tied=keys.switch("tie_word_embeddings", default=True),
        final_norm=norms,
        positions=positions,
        norm="layernorm",
        position_embedding="learned",
        gated=False,
    )


def read_bart(keys: Keys, family: str, name: str) -> ModelSpec:
    """A family of ``BART_ROWS``."""
    row, hidden = BART_ROWS[family], keys.main("d_model", "hidden_size")
    vocab = keys.main("vocab_size")
    key = keys.first_present(("max_position_embeddings", "max_encoder_position_embeddings"))
    positions = keys.whole(key, default=1024)
    tables = 2 * (positions + row.offset) * hidden if row.positions else 0
    if row.longformer:
        positions = keys.whole("max_encoder_position_embeddings", smallest=1)
        tables = (positions + keys.whole("max_decoder_position_embeddings", smallest=1)) * hidden
    extra = 3 * linear(hidden, hidden) if row.longformer else 0
    norms = (4 if row.embedding_norm else 0) + (4 if row.final_norm else 0)
    return _model(
        keys,
        family,
        name,
        hidden,
        _stacks(keys, hidden, extra=extra),
        vocab * hidden + tables,
        norms * hidden,
        positions,
    )


def read_whisper(keys: Keys, family: str, name: str) -> ModelSpec:
    """Whisper: two convolutions before the encoder, keys without bias (Radford et al. 2022, section 2.2)."""
    hidden = keys.main("d_model", "hidden_size")
    vocab, mels = keys.main("vocab_size"), keys.whole("num_mel_bins", smallest=1)
    source, target = (
        keys.whole("max_source_positions", smallest=1),
        keys.whole("max_target_positions", smallest=1),
    )
    front = linear(3 * mels, hidden) + linear(3 * hidden, hidden)
    return _model(
        keys,
        family,
        name,
        hidden,
        _stacks(keys, hidden, key_bias=False),
        vocab * hidden + (source + target) * hidden + front,
        4 * hidden,
        source,
    )


def read_switch(keys: Keys, family: str, name: str) -> ModelSpec:
    """Switch Transformers: T5 with experts in every other block (Fedus et al. 2021, section 2)."""
    hidden, heads = keys.main("d_model", "hidden_size"), keys.main("num_heads", "num_attention_heads")
    width, inner = keys.whole("d_kv", smallest=1), keys.whole("d_ff", smallest=1)
    layers = keys.layers("num_layers", "num_hidden_layers")
    targets = keys.whole("num_decoder_layers", default=layers, null=layers, smallest=1)
    buckets = keys.whole("relative_attention_num_buckets", default=32)
    experts = keys.whole("num_experts", smallest=1)
    names = ("wi", "wo")
    sparse = mixture(
        hidden=hidden,
        inner=inner,
        experts=experts,
        per_token=1,
        gated=False,
        names=names,
        router="router.classifier",
        router_bias=keys.switch("router_bias"),
        modular=True,
    )
    dense = dense_mlp(hidden=hidden, inner=inner, gated=False, names=names)

    def of(prefix: str) -> Mixer:
        letters = ("q", "k", "v", "o")
        return attention(
            hidden=hidden, heads=heads, kv_heads=heads, head_dim=width, names=letters, prefix=prefix
        )

    routed = _routing(keys, layers, "num_sparse_encoder_layers")
    blocks = [block(of("SelfAttention."), sparse if routes else dense, norms=2 * hidden) for routes in routed]
    for routes in _routing(keys, targets, "num_sparse_decoder_layers"):
        one = block(
            of("SelfAttention."),
            sparse if routes else dense,
            norms=3 * hidden,
            cross=of("EncDecAttention."),
        )
        blocks.append(replace(one, stack="decoder"))
    vocab = keys.main("vocab_size")
    return decoder(
        keys,
        name=name,
        family=family,
        architecture="encoder_decoder",
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=width,
        blocks=blocks,
        vocab=vocab,
        embedding=vocab * hidden + 2 * buckets * heads,
        tied=keys.switch("tie_word_embeddings", default=True),
        final_norm=2 * hidden,
        positions=0,
        position_embedding="relative",
        gated=False,
    )


def _routing(keys: Keys, layers: int, key: str) -> list[bool]:
    count = keys.whole(key, default=3)
    step = max(layers // count, 1) if count else 0
    return [bool(step) and (layer % step == 1 or step == 1) for layer in range(layers)]


def read_xglm(keys: Keys, family: str, name: str) -> ModelSpec:
    """XGLM: BART's decoder alone, with fixed positions (Lin et al. 2021, section 2)."""
    layers, hidden = keys.layers("num_layers", "num_hidden_layers"), keys.main("d_model", "hidden_size")
    heads = keys.main("attention_heads", "num_attention_heads")
    keys.must_divide("d_model", hidden, "attention_heads", heads)
    one = block(
        _attention(hidden, heads, prefix="self_attn."),
        _mlp(hidden, keys.whole("ffn_dim", smallest=1)),
        norms=4 * hidden,
    )
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=max(hidden // heads, 1),
        blocks=[one] * layers,
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings", default=True),
        final_norm=2 * hidden,
        norm="layernorm",
        position_embedding="none",
        gated=False,
    )


SEQ2SEQ: Final[dict[str, Callable[[Keys, str, str], ModelSpec]]] = {
    **dict.fromkeys(BART_ROWS, read_bart),
    "whisper": read_whisper,
    "switch_transformers": read_switch,
    "xglm": read_xglm,
}
