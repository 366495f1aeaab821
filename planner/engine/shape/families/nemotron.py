"""Nemotron-H and Nemotron 3: blocks of one part each (state space, attention, MLP, experts) by a pattern."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from planner.engine.question.parts import Channel
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.build import block, decoder
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.parts.channels import NO_CHANNEL, dense_mlp, mixture
from planner.engine.shape.parts.mixers import (
    NO_MIXER,
    attention,
    mamba2,
)


def read_nemotron_h(keys: Keys, family: str, name: str) -> ModelSpec:
    """Nemotron-H and Nemotron 3: each block is one mixer: Mamba-2, attention, MLP or experts."""
    hidden, heads = keys.main("hidden_size"), keys.main("num_attention_heads")
    kinds = _nemotron_kinds(keys)
    keys.has("time_step_rank")
    mamba_heads, width = keys.whole("mamba_num_heads", smallest=1), keys.whole("mamba_head_dim", smallest=1)
    kv_heads = keys.whole("num_key_value_heads", smallest=1)
    head_dim = keys.whole("head_dim", "attention_head_dim", smallest=1)
    bias = keys.switch("attention_bias")
    names = ("up_proj", "down_proj")
    blocks = {
        "mamba": (
            mamba2(
                hidden=hidden,
                inner=mamba_heads * width,
                heads=mamba_heads,
                state=keys.whole("ssm_state_size", smallest=1),
                groups=keys.whole("n_groups", smallest=1),
                kernel=keys.whole("conv_kernel", smallest=1),
                bias=keys.switch("use_bias") or keys.switch("mamba_proj_bias"),
                conv_bias=keys.switch("use_conv_bias", default=True),
                chunk=keys.whole("chunk_size", default=128, smallest=1),
                prefix="mixer.",
            ),
            NO_CHANNEL,
        ),
        "attention": (
            attention(
                hidden=hidden,
                heads=heads,
                kv_heads=kv_heads,
                head_dim=head_dim,
                bias=bias,
                output_bias=bias,
                prefix="mixer.",
            ),
            NO_CHANNEL,
        ),
        "mlp": (
            NO_MIXER,
            dense_mlp(
                hidden=hidden,
                inner=keys.whole("intermediate_size", smallest=1),
                gated=False,
                bias=keys.switch("mlp_bias"),
                names=names,
                prefix="mixer.",
            ),
        ),
    }
    if "moe" in kinds:
        blocks["moe"] = (NO_MIXER, _nemotron_experts(keys, hidden, names))
    if not all(kind in blocks for kind in kinds):
        unknown = next(kind for kind in kinds if kind not in blocks)
        keys.problem(
            "layers_block_type",
            f"The kind {unknown!r} is not known.",
            f"Choose from: {', '.join(blocks)}, moe.",
        )
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        blocks=[block(*blocks[kind], norms=hidden) for kind in kinds if kind in blocks],
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings"),
        final_norm=hidden,
        gated=False,
    )


NEMOTRON_LETTERS: Final = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}


def _nemotron_kinds(keys: Keys) -> list[str]:
    named = keys.items("layers_block_type")
    pattern = keys.text("hybrid_override_pattern", "")
    key = "layers_block_type" if named is not None else "hybrid_override_pattern"
    if named is None and not pattern:
        keys.problem(key, "This key is missing.", "Add the pattern, a letter a block: M, *, - or E.")
        return ["mamba"]
    kinds = [str(kind) for kind in named or [NEMOTRON_LETTERS.get(letter, letter) for letter in pattern]]
    stated = keys.optional_size("num_hidden_layers")
    if stated is not None and stated != len(kinds):
        keys.problem(
            key,
            f"It names {len(kinds)} layers, but num_hidden_layers is {stated}.",
            "Give one entry a layer.",
        )
    return kinds


def _nemotron_experts(keys: Keys, hidden: int, names: tuple[str, str]) -> Channel:
    count, visited = keys.experts("n_routed_experts", "num_experts_per_tok")
    shared = keys.whole("n_shared_experts", default=0, null=0)
    bias = keys.switch("mlp_bias")
    return mixture(
        hidden=hidden,
        inner=keys.whole("moe_intermediate_size", smallest=1),
        experts=count,
        per_token=visited,
        shared_inner=keys.whole("moe_shared_expert_intermediate_size", smallest=1) if shared else 0,
        gated=False,
        shared_bias=bias,
        latent=keys.whole("moe_latent_size", default=0, null=0),
        names=names,
        prefix="mixer.",
    )


NEMOTRONS: Final[dict[str, Callable[[Keys, str, str], ModelSpec]]] = {"nemotron_h": read_nemotron_h}
