"""Decoders with keys or blocks of their own: DBRX, Grok, JetMoE, Persimmon, Qwen 1, searched Nemotrons.

Each reader names the keys in which its family departs from Llama's plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from planner.engine.question.parts import BlockGroup
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.build import block, decoder
from planner.engine.shape.families.decoders import LLAMA_NAMES, Experts, Row, from_row, head_width
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.parts.channels import NO_CHANNEL, dense_mlp, mixture
from planner.engine.shape.parts.mixers import NO_MIXER, attention

#: DeciLM rounds an MLP's inner width up to a multiple of this (nvidia/Llama-3_3-Nemotron-Super-49B-v1,
#: modeling_decilm.py).
DECI_MULTIPLE: Final = 256


def read_dbrx(keys: Keys, family: str, name: str) -> ModelSpec:
    """DBRX: fused query, key and value, LayerNorm without bias, experts in every block."""
    layers, hidden = keys.layers("n_layers", "num_hidden_layers"), keys.main("d_model", "hidden_size")
    heads = keys.main("n_heads", "num_attention_heads")
    inside, outside = keys.sub("attn_config", "dbrx.attn_config"), keys.sub("ffn_config", "dbrx.ffn_config")
    kv_heads = inside.whole("kv_n_heads", default=heads, smallest=1)
    keys.has("num_key_value_heads")
    keys.must_divide("d_model", hidden, "n_heads", heads)
    head_dim = max(hidden // heads, 1)
    count, visited = outside.experts("moe_num_experts", "moe_top_k")
    one = block(
        attention(
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            names=("Wqkv", "out_proj"),
            prefix="norm_attn_norm.attn.",
        ),
        mixture(
            hidden=hidden,
            inner=outside.whole("ffn_hidden_size", smallest=1),
            experts=count,
            per_token=visited,
            prefix="ffn.",
            router="router.layer",
        ),
        norms=2 * hidden,
    )
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        blocks=[one] * layers,
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings", default=False),
        final_norm=hidden,
        positions=keys.whole("max_seq_len", default=2048),
        norm="layernorm",
    )


def read_grok(keys: Keys, family: str, name: str) -> ModelSpec:
    """Grok-1 (xai-org/grok-1, model.py): experts in every block, norms before and after both mixers.

    Grok-2 has a dense MLP beside the experts (``residual_moe``).
    """
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    kv_heads = keys.whole("num_key_value_heads", default=8, smallest=1)
    head_dim = head_width(keys, hidden, heads)
    count, visited = keys.experts(
        keys.first_present(("num_experts", "num_local_experts")),
        "num_experts_per_tok",
        "num_selected_experts",
    )
    inner = keys.whole("intermediate_size", smallest=1)
    expert_inner = keys.whole("moe_intermediate_size", default=inner, null=inner, smallest=1)
    beside = dense_mlp(hidden=hidden, inner=inner) if keys.flag("residual_moe", False) else None
    routed = mixture(
        hidden=hidden,
        inner=expert_inner,
        experts=count,
        per_token=visited,
        prefix="moe_block.",
        always=() if beside is None else beside.matrices,
    )
    mixer = attention(hidden=hidden, heads=heads, kv_heads=kv_heads, head_dim=head_dim, prefix="attn.")
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        blocks=[block(mixer, routed, norms=4 * hidden)] * layers,
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings", default=True),
        final_norm=hidden,
        positions=keys.whole("max_position_embeddings", default=8192),
    )


def read_jetmoe(keys: Keys, family: str, name: str) -> ModelSpec:
    """JetMoE (Shen et al. 2024, section 2): experts of query and output beside shared keys, and of the MLP.

    The attention's experts are counted as visited in their share; its scores are those of the visited ones.
    """
    layers, hidden = keys.layers(), keys.main("hidden_size")
    kv_heads, width = keys.whole("num_key_value_heads", smallest=1), keys.whole("kv_channels", smallest=1)
    count, visited = keys.experts("num_local_experts", "num_experts_per_tok")
    keys.has("num_attention_heads")
    key_width = kv_heads * width
    mixer = attention(
        hidden=hidden,
        heads=kv_heads * visited,
        kv_heads=kv_heads,
        head_dim=width,
        names=("q_proj", "kv_proj.k", "kv_proj.v", "o_proj"),
        prefix="self_attention.",
        other_parameters=(count - visited) * 2 * hidden * key_width + count * hidden + hidden,
    )
    routed = mixture(
        hidden=hidden,
        inner=keys.whole("intermediate_size", smallest=1),
        experts=count,
        per_token=visited,
        other_parameters=hidden,
        router="router.layer",
        names=("input_linear.gate", "input_linear.up", "output_linear"),
    )
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=kv_heads * visited,
        kv_heads=kv_heads,
        head_dim=width,
        blocks=[block(mixer, routed, norms=2 * hidden)] * layers,
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings", default=True),
        final_norm=hidden,
    )


def read_persimmon(keys: Keys, family: str, name: str) -> ModelSpec:
    """Persimmon: biases everywhere, norms of each head's query and key, an ungated MLP."""
    row = Row(
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        gated=False,
        norm="layernorm",
        norm_shift=True,
        names=("query_key_value", "dense"),
        mlp_names=("dense_h_to_4h", "dense_4h_to_h"),
    )
    hidden, heads = keys.main("hidden_size"), keys.main("num_attention_heads")
    normed = 4 * (hidden // max(heads, 1)) if keys.switch("qk_layernorm", default=True) else 0
    return from_row(keys, row, family, name, extra_norms=normed)


def read_diffllama(keys: Keys, family: str, name: str) -> ModelSpec:
    """Differential attention (Ye et al. 2024, section 2.1): four learned vectors a block."""
    hidden, heads = keys.main("hidden_size"), keys.main("num_attention_heads")
    bias = Row(qkv_bias="attention_bias", output_bias="attention_bias")
    return from_row(keys, bias, family, name, extra_norms=4 * head_width(keys, hidden, heads))


def read_nanochat(keys: Keys, family: str, name: str) -> ModelSpec:
    """nanochat: norms without weights, an ungated MLP."""
    row = Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        gated=False,
        block_norms=0,
        mlp_names=("fc1", "fc2"),
    )
    model = from_row(keys, row, family, name)
    return _without_final_norm(model)


def _without_final_norm(model: ModelSpec) -> ModelSpec:
    assert model.parts is not None
    return replace(model, parts=replace(model.parts, head=model.parts.head - model.hidden_size))


def read_modernbert_decoder(keys: Keys, family: str, name: str) -> ModelSpec:
    """ModernBERT's decoder: no norm before the first attention, and a prediction head of one layer."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    bias, mlp_bias = keys.switch("attention_bias"), keys.switch("mlp_bias")
    shift = 2 if keys.switch("norm_bias") else 1
    every = keys.whole("global_attn_every_n_layers", default=3, smallest=1)
    window = keys.whole("local_attention", "sliding_window", default=128)
    kinds = keys.kinds(
        "layer_types",
        layers,
        ["full_attention" if not layer % every else "sliding_attention" for layer in range(layers)],
    )
    mlp = dense_mlp(
        hidden=hidden, inner=keys.whole("intermediate_size", smallest=1), bias=mlp_bias, names=("Wi", "Wo")
    )
    blocks = [
        block(
            attention(
                hidden=hidden,
                heads=heads,
                kv_heads=heads,
                head_dim=head_width(keys, hidden, heads),
                bias=bias,
                output_bias=bias,
                names=("q_proj", "k_proj", "v_proj", "Wo"),
                prefix="attn.",
                window=window if kind == "sliding_attention" else 0,
            ),
            mlp,
            norms=(2 if layer else 1) * shift * hidden,
        )
        for layer, kind in enumerate(kinds)
    ]
    vocab = keys.main("vocab_size")
    dense = hidden * hidden + (hidden if keys.switch("classifier_bias") else 0) + shift * hidden
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=head_width(keys, hidden, heads),
        blocks=blocks,
        vocab=vocab,
        embedding=vocab * hidden + shift * hidden,
        tied=keys.switch("tie_word_embeddings", default=True),
        final_norm=shift * hidden + dense,
        head_bias=keys.switch("decoder_bias", default=True),
        head_name="decoder",
        norm="layernorm",
    )


def read_qwen(keys: Keys, family: str, name: str) -> ModelSpec:
    """Qwen 1: a fused layer with bias; ``intermediate_size`` counts both of the MLP's first layers."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    width = keys.whole("kv_channels", default=hidden // max(heads, 1), smallest=1)
    inner = keys.whole("intermediate_size", smallest=1) // 2
    plain = not keys.flag("no_bias", True)
    one = block(
        attention(
            hidden=hidden,
            heads=heads,
            kv_heads=heads,
            head_dim=width,
            bias=True,
            output_bias=plain,
            names=("c_attn", "c_proj"),
            prefix="attn.",
        ),
        dense_mlp(hidden=hidden, inner=inner, bias=plain, names=("w1", "w2", "c_proj")),
        norms=2 * hidden,
    )
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=width,
        blocks=[one] * layers,
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings", default=False),
        final_norm=hidden,
        positions=keys.whole("max_position_embeddings", "seq_length", default=8192),
    )


def read_chatglm(keys: Keys, family: str, name: str) -> ModelSpec:
    """ChatGLM 2 to GLM-4 9B as first published: grouped keys, a fused layer with bias."""
    layers, hidden = keys.layers("num_layers", "num_hidden_layers"), keys.main("hidden_size")
    heads = keys.main("num_attention_heads")
    width = keys.whole("kv_channels", default=hidden // max(heads, 1), smallest=1)
    grouped = keys.flag("multi_query_attention", True)
    kv_heads = keys.whole("multi_query_group_num", default=2, smallest=1) if grouped else heads
    bias = keys.flag("add_bias_linear", False)
    one = block(
        attention(
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=width,
            bias=bias or keys.flag("add_qkv_bias", True),
            output_bias=bias,
            names=("query_key_value", "dense"),
            prefix="self_attention.",
        ),
        dense_mlp(
            hidden=hidden,
            inner=keys.whole("ffn_hidden_size", smallest=1),
            bias=bias,
            names=("dense_h_to_4h", "dense_4h_to_h"),
        ),
        norms=2 * hidden,
    )
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=width,
        blocks=[one] * layers,
        vocab=keys.main("padded_vocab_size", "vocab_size"),
        tied=keys.switch("tie_word_embeddings", default=False),
        final_norm=hidden,
        head_name="output_layer",
        positions=keys.whole("seq_length", "max_position_embeddings", default=8192),
    )


def read_searched_nemotron(keys: Keys, family: str, name: str) -> ModelSpec:
    """Llama Nemotron Super and Ultra (Bercovich et al. 2024): parts of each block by ``block_configs``.

    A part may be left out; keys are grouped block by block, and MLPs have widths of their own.
    """
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    for unused in ("num_key_value_heads", "intermediate_size"):
        keys.has(unused)
    head_dim = head_width(keys, hidden, heads)
    listed = keys.items("block_configs")
    if listed is None or len(listed) != layers:
        keys.problem(
            "block_configs",
            f"It describes {len(listed or [])} blocks, but num_hidden_layers is {layers}.",
            "Give one entry a block.",
        )
        listed = [{}] * layers
    blocks = [_searched_block(keys, place, one, hidden, heads, head_dim) for place, one in enumerate(listed)]
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=max(min(_kv_heads(one, heads) for one in listed), 1),
        head_dim=head_dim,
        blocks=blocks,
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings", default=False),
        final_norm=hidden,
    )


def _part(one: Any, name: str) -> Mapping[str, Any]:
    part = one.get(name) if isinstance(one, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _kv_heads(one: Any, heads: int) -> int:
    group = _part(one, "attention").get("n_heads_in_group")
    return heads // group if isinstance(group, int) and 0 < group <= heads else heads


def _searched_block(keys: Keys, place: int, one: Any, hidden: int, heads: int, head_dim: int) -> BlockGroup:
    mixing, inner_part = _part(one, "attention"), _part(one, "ffn")
    if mixing.get("replace_with_linear") or inner_part.get("replace_with_linear"):
        keys.problem(
            "block_configs", f"Block {place} has a linear layer in a part's place.", "Describe it so."
        )
    mixer, channel, norms = NO_MIXER, NO_CHANNEL, 0
    if not mixing.get("no_op"):
        mixer = attention(
            hidden=hidden,
            heads=heads,
            kv_heads=_kv_heads(one, heads),
            head_dim=head_dim,
            names=LLAMA_NAMES,
        )
        norms += hidden
    if not inner_part.get("no_op"):
        times = inner_part.get("ffn_mult")
        if isinstance(times, bool) or not isinstance(times, int | float) or not 0 < times < 1000:
            keys.problem("block_configs", f"Block {place} has no ffn_mult.", "Give its MLP's ffn_mult.")
            times = 1.0
        inner = -(-int(2 * times * hidden / 3) // DECI_MULTIPLE) * DECI_MULTIPLE
        channel = dense_mlp(hidden=hidden, inner=inner)
        norms += hidden
    return block(mixer, channel, norms=norms)


def read_minicpm(keys: Keys, family: str, name: str) -> ModelSpec:
    """MiniCPM 1 and 2: Llama's plan with a tied head; its mixture routes all blocks (modeling_minicpm.py)."""
    routed = keys.has("num_experts") and keys.values["num_experts"] not in (0, 1)
    experts = Experts(width=("intermediate_size",)) if routed else None
    return from_row(keys, Row(tied=True, experts=experts), family, name)


FURTHER_DECODERS: Final[dict[str, Callable[[Keys, str, str], ModelSpec]]] = {
    "dbrx": read_dbrx,
    "grok-1": read_grok,
    "grok": read_grok,
    "jetmoe": read_jetmoe,
    "persimmon": read_persimmon,
    "diffllama": read_diffllama,
    "nanochat": read_nanochat,
    "modernbert-decoder": read_modernbert_decoder,
    "qwen": read_qwen,
    "chatglm": read_chatglm,
    "minicpm": read_minicpm,
    "nemotron-nas": read_searched_nemotron,
}
