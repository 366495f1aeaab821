"""From parts to a ``ModelSpec``: what all families of decoders share."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import Any

from planner.engine.question.parts import BlockGroup, Channel, Composition, Matrix, Mixer
from planner.engine.question.specs import Architecture, ModelSpec, Norm, PositionEmbedding
from planner.engine.shape.families.keys import Keys


def gathered(blocks: list[BlockGroup]) -> tuple[BlockGroup, ...]:
    """Equal blocks together, in the order of their first; a block is a group of one."""
    counts: dict[BlockGroup, int] = {}
    for same, run in groupby(blocks):
        one = replace(same, blocks=1)
        counts[one] = counts.get(one, 0) + sum(block.blocks for block in run)
    return tuple(replace(block, blocks=count) for block, count in counts.items())


def decoder(
    keys: Keys,
    *,
    name: str,
    family: str,
    hidden: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    blocks: list[BlockGroup],
    vocab: int,
    tied: bool,
    final_norm: int,
    value_dim: int | None = None,
    positions: int | None = None,
    embedding: int | None = None,
    head_bias: bool = False,
    head_name: str = "lm_head",
    headless: bool = False,
    outside: tuple[Matrix, ...] = (),
    unbuilt: tuple[str, ...] = (),
    norm: Norm = "rmsnorm",
    position_embedding: PositionEmbedding = "rope",
    architecture: Architecture = "decoder",
    gated: bool = True,
    **shape: Any,
) -> ModelSpec:
    """A model with token table, blocks, final norm and output projection.

    embedding: parameters before the first block, the token table of vocab x hidden where not given.
    headless: an embedding model, without output projection.
    """
    groups = gathered(blocks)
    table = vocab * hidden
    projection = 0 if headless else table
    parts = Composition(
        groups=groups,
        embedding=table if embedding is None else embedding,
        head=final_norm + (0 if tied else projection) + (vocab if head_bias and not headless else 0),
        tied_head=projection if tied else 0,
        head_matmul=projection,
        outside=(
            *outside,
            *(
                ()
                if headless or architecture != "decoder"
                else (Matrix(path=head_name, inputs=hidden, outputs=vocab, bias=head_bias),)
            ),
        ),
        unbuilt=unbuilt,
    )
    return ModelSpec(
        name=name,
        family=family,
        architecture=architecture,
        hidden_size=hidden,
        attention_heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        value_head_dim=head_dim if value_dim is None else value_dim,
        gated_ffn=gated,
        vocab_size=vocab,
        max_positions=keys.whole("max_position_embeddings", default=0) if positions is None else positions,
        position_embedding=position_embedding,
        tied_embeddings=tied,
        qkv_bias=False,
        attention_output_bias=False,
        ffn_bias=False,
        norm=norm,
        parts=parts,
        **_shape_of(groups),
        **shape,
    )


def _shape_of(groups: tuple[BlockGroup, ...]) -> dict[str, Any]:
    """Plain fields of a ``ModelSpec`` that follow from the blocks; widths are means where blocks differ."""
    main = [group for group in groups if group.stack == "main"]
    plain = [group for group in groups if not group.channel.experts]
    inner = sum(group.blocks * group.channel.inner for group in plain)
    dense = round(inner / max(sum(group.blocks for group in plain), 1))
    mixtures = [group.channel for group in main if group.channel.experts]
    widest = max(mixtures, key=lambda channel: channel.experts, default=Channel(kind="none"))
    windows = [group for group in main if group.mixer.window]
    return {
        "layers": sum(group.blocks for group in main),
        "decoder_layers": sum(group.blocks for group in groups if group.stack == "decoder"),
        "ffn_size": dense or widest.expert_inner or 1,
        "experts": widest.experts,
        "experts_per_token": widest.experts_per_token,
        "expert_ffn_size": widest.expert_inner,
        "shared_experts": 1 if widest.inner else 0,
        "shared_expert_ffn_size": widest.inner,
        "dense_layers": sum(group.blocks for group in main if not group.channel.experts) if mixtures else 0,
        "sliding_window": min((group.mixer.window for group in windows), default=0),
        "windowed_layers": sum(group.blocks for group in windows),
    }


def block(
    mixer: Mixer,
    channel: Channel,
    *,
    norms: int,
    blocks: int = 1,
    cross: Mixer | None = None,
    counted_once: bool = False,
) -> BlockGroup:
    """One block (or several equal ones). norms: parameters of its norms and other scales."""
    return BlockGroup(
        blocks=blocks,
        mixer=mixer,
        channel=channel,
        other_parameters=norms,
        cross=cross,
        counted_once=counted_once,
    )
