"""Mixtures with latent and sparse attention (DeepSeek-V3.2 and V4, GLM-5, LongCat), and odd mixtures.

Each reader returns the whole text model; what differs from block to block follows the config's lists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from planner.engine.question.parts import Matrix, Mixer
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.build import block, decoder
from planner.engine.shape.families.decoders import Experts, expert_channels, head_width
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.parts.channels import dense_mlp, mixture
from planner.engine.shape.parts.mixers import attention, latent_attention

DEEPSEEK_EXPERTS = Experts(
    count="n_routed_experts",
    shared="n_shared_experts",
    dense="first_k_dense_replace",
    types="mlp_layer_types",
)


def _indexed(keys: Keys, layers: int) -> list[bool]:
    """Which blocks have an indexer of their own; the others take the keys that the one before chose."""
    kinds = keys.kinds("indexer_types", layers)
    if kinds:
        return [kind == "full" for kind in kinds]
    pattern = keys.values.get("index_topk_pattern") if keys.has("index_topk_pattern") else None
    if isinstance(pattern, str) and len(pattern) >= layers:
        return [letter == "F" for letter in pattern[:layers]]
    every = keys.whole("index_topk_freq", default=1, null=1, smallest=1)
    offset = keys.whole("index_skip_topk_offset", default=2, null=2)
    return [max(layer - offset + 1, 0) % every == 0 for layer in range(layers)]


def _latent(keys: Keys, hidden: int, heads: int, *, sparse: bool = False, indexed: bool = True) -> Mixer:
    indexer = (0, 0, 0)
    if sparse:
        indexer = (
            keys.whole("index_n_heads", smallest=1) if indexed else 0,
            keys.whole("index_head_dim", smallest=1) if indexed else 0,
            keys.whole("index_topk", smallest=1),
        )
    return latent_attention(
        hidden=hidden,
        heads=heads,
        query_rank=keys.whole("q_lora_rank", null=0),
        kv_rank=keys.whole("kv_lora_rank", smallest=1),
        content_dim=keys.whole("qk_nope_head_dim", smallest=1),
        rope_dim=keys.whole("qk_rope_head_dim", smallest=1),
        value_dim=keys.whole("v_head_dim", smallest=1),
        bias=keys.switch("attention_bias"),
        indexer=indexer,
    )


def read_latent(keys: Keys, family: str, name: str) -> ModelSpec:
    """Latent attention, with an indexer in V3.2 and GLM-5; experts after leading dense blocks, or MLPs."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    for implied in ("qk_head_dim", "head_dim", "num_key_value_heads", "moe_layer_freq", "layer_types"):
        keys.has(implied)
    sparse = family in ("deepseek_v32", "glm_moe_dsa")
    mixers = [
        _latent(keys, hidden, heads, sparse=sparse, indexed=indexed) for indexed in _indexed(keys, layers)
    ]
    if family in ("youtu", "minicpm3"):
        bias = keys.switch("mlp_bias")
        mlp = dense_mlp(hidden=hidden, inner=keys.whole("intermediate_size", smallest=1), bias=bias)
        channels = [mlp] * layers
    else:
        plan = replace(DEEPSEEK_EXPERTS, dense_usual=1 if family == "glm4_moe_lite" else 0)
        channels = expert_channels(keys, plan, hidden, layers)
    content, rope = keys.whole("qk_nope_head_dim"), keys.whole("qk_rope_head_dim")
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=content + rope,
        value_dim=keys.whole("v_head_dim"),
        blocks=[
            block(mixer, channel, norms=2 * hidden) for mixer, channel in zip(mixers, channels, strict=False)
        ],
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings"),
        final_norm=hidden,
        q_lora_rank=keys.whole("q_lora_rank", null=0),
        kv_lora_rank=keys.whole("kv_lora_rank"),
        rope_head_dim=rope,
    )


def read_longcat(keys: Keys, family: str, name: str) -> ModelSpec:
    """LongCat Flash: a layer holds two latent attentions, two dense MLPs and one mixture beside them.

    Counted as two blocks a layer, the first with the mixture. Its zero-computation experts widen the router
    and, as the class builds it, the tensor of gate and up projections.
    """
    layers = keys.layers("num_layers")
    hidden, heads = keys.main("hidden_size"), keys.main("num_attention_heads")
    keys.has("num_hidden_layers")
    mixer = _latent(keys, hidden, heads)
    mlp = dense_mlp(hidden=hidden, inner=keys.whole("ffn_hidden_size", smallest=1), prefix="mlps.")
    count, visited = keys.experts("n_routed_experts", "moe_topk")
    zero = keys.whole("zero_expert_num", default=0)
    inner = keys.whole("expert_ffn_hidden_size", smallest=1)
    routed = mixture(
        hidden=hidden,
        inner=inner,
        experts=count,
        per_token=visited,
        always=mlp.matrices,
        other_parameters=zero * (hidden + 2 * inner * hidden),
        router="router.classifier",
    )
    blocks = [block(mixer, routed, norms=2 * hidden), block(mixer, mlp, norms=2 * hidden)] * layers
    content, rope = keys.whole("qk_nope_head_dim"), keys.whole("qk_rope_head_dim")
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=content + rope,
        value_dim=keys.whole("v_head_dim"),
        blocks=blocks,
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings"),
        final_norm=hidden,
        kv_lora_rank=keys.whole("kv_lora_rank"),
        rope_head_dim=rope,
    )


COMPRESSION: Final = {4: "compressed_sparse_attention", 128: "heavily_compressed_attention"}
COMPRESSED, HEAVY = COMPRESSION[4], COMPRESSION[128]


def read_deepseek_v4(keys: Keys, family: str, name: str) -> ModelSpec:
    """DeepSeek-V4: one key-value head, compressed and sparse attention by block, hyper-connections.

    Each residual stream of ``hc_mult`` is mixed by two small layers a block (mHC, Xie et al. 2025).
    """
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    kinds = _compressed_kinds(keys, layers)
    streams = keys.whole("hc_mult", smallest=1)
    mixed = 2 * streams + streams * streams
    hyper = 2 * (mixed * streams * hidden + mixed + 3)
    mixers = {kind: _v4_attention(keys, hidden, heads, kind) for kind in dict.fromkeys(kinds)}
    for unbuilt in ("num_hash_layers", "first_k_dense_replace", "qk_rope_head_dim", "expert_dtype"):
        keys.has(unbuilt)
    plan = Experts(count="n_routed_experts", shared="n_shared_experts")
    channels = expert_channels(keys, plan, hidden, layers)
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=1,
        head_dim=keys.whole("head_dim", smallest=1),
        blocks=[
            block(mixers[kind], channel, norms=2 * hidden + hyper)
            for kind, channel in zip(kinds, channels, strict=False)
        ],
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings"),
        final_norm=hidden + streams * streams * hidden + streams + 1,
    )


def _compressed_kinds(keys: Keys, layers: int) -> list[str]:
    ratios = keys.items("compress_ratios")
    if ratios is not None:
        if len(ratios) < layers:
            keys.problem(
                "compress_ratios",
                f"It names {len(ratios)} layers, but there are {layers}.",
                "Give one entry a layer.",
            )
        usual = [COMPRESSION.get(ratio, "sliding_attention") for ratio in ratios[:layers]]
    else:
        usual = [HEAVY if layer < 2 or layer % 2 == 0 else COMPRESSED for layer in range(layers)]
    return keys.kinds("layer_types", layers, usual)


def _v4_attention(keys: Keys, hidden: int, heads: int, kind: str) -> Mixer:
    width, rank = keys.whole("head_dim", smallest=1), keys.whole("q_lora_rank", smallest=1)
    groups, output_rank = keys.whole("o_groups", smallest=1), keys.whole("o_lora_rank", smallest=1)
    index_heads, index_dim = keys.whole("index_n_heads"), keys.whole("index_head_dim")
    inputs = [
        ("q_a_proj", hidden, rank),
        ("q_b_proj", rank, heads * width),
        ("kv_proj", hidden, width),
    ]
    other = rank + width + heads
    if kind == COMPRESSED:
        inputs += [("compressor.kv_proj", hidden, 2 * width), ("compressor.gate_proj", hidden, 2 * width)]
        inputs += [
            ("compressor.indexer.kv_proj", hidden, 2 * index_dim),
            ("compressor.indexer.gate_proj", hidden, 2 * index_dim),
            ("compressor.indexer.q_b_proj", rank, index_heads * index_dim),
            ("compressor.indexer.scorer.weights_proj", hidden, index_heads),
        ]
        other += 4 * 2 * width + width + 4 * 2 * index_dim + index_dim
    elif kind == HEAVY:
        inputs += [("compressor.kv_proj", hidden, width), ("compressor.gate_proj", hidden, width)]
        other += 128 * width + width
    inputs.append(("o_a_proj", heads * width // groups, groups * output_rank))
    matrices = [
        Matrix(path=f"self_attn.{path}", inputs=inner, outputs=outer) for path, inner, outer in inputs
    ]
    matrices.append(
        Matrix(
            path="self_attn.o_b_proj",
            inputs=groups * output_rank,
            outputs=hidden,
            reads="output_input_kept",
        )
    )
    window = keys.whole("sliding_window") + (keys.whole("index_topk") if kind == COMPRESSED else 0)
    return Mixer(
        kind="sparse_attention",
        matrices=tuple(matrices),
        other_parameters=other,
        score_width=heads * 2 * width,
        window=window,
    )


def read_mllama(keys: Keys, family: str, name: str) -> ModelSpec:
    """Llama 3.2 Vision's text part: some blocks attend to the image instead of the text, behind two gates.

    Eight rows of the token table are for images; the output projection has none for them.
    """
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    kv_heads = keys.whole("num_key_value_heads", smallest=1)
    head_dim = head_width(keys, hidden, heads)
    named = keys.items("cross_attention_layers")
    crossing = {3 + 5 * step for step in range(8)} if named is None else set(named)
    sizes: dict[str, Any] = {"hidden": hidden, "heads": heads, "kv_heads": kv_heads, "head_dim": head_dim}
    own = attention(**sizes)
    cross = attention(**sizes, prefix="cross_attn.", other_parameters=2 * head_dim + 2)
    mlp = dense_mlp(hidden=hidden, inner=keys.whole("intermediate_size", smallest=1))
    vocab = keys.main("vocab_size")
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        blocks=[block(cross if layer in crossing else own, mlp, norms=2 * hidden) for layer in range(layers)],
        vocab=vocab,
        embedding=(vocab + 8) * hidden,
        tied=keys.switch("tie_word_embeddings"),
        final_norm=hidden,
    )


LATENT: Final[dict[str, Callable[[Keys, str, str], ModelSpec]]] = {
    "deepseek_v32": read_latent,
    "glm_moe_dsa": read_latent,
    "glm4_moe_lite": read_latent,
    "youtu": read_latent,
    "minicpm3": read_latent,
    "mistral4": read_latent,
    "longcat_flash": read_longcat,
    "deepseek_v4": read_deepseek_v4,
    "deepseek_ref": read_deepseek_v4,
    "mllama_text_model": read_mllama,
}
