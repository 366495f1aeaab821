"""Mixtures with latent and sparse attention (DeepSeek-V3.2 and V4, GLM-5, LongCat), and odd mixtures.

Each reader returns the whole text model; what differs from block to block follows the config's lists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from planner.engine.question.parts import Channel, Matrix, Mixer
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
    if family == "youtu":
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


def read_mimo_flash(keys: Keys, family: str, name: str) -> ModelSpec:
    """MiMo-V2-Flash: windowed blocks have twice the key-value heads and sinks; the first MLP is dense."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    head_dim, value = keys.whole("head_dim", smallest=1), keys.whole("v_head_dim", smallest=1)
    kv_heads = keys.whole("num_key_value_heads", smallest=1)
    full = [layer == 0 or not (layer + 1) % 6 for layer in range(layers)]
    pattern = keys.items("hybrid_layer_pattern")
    if pattern is not None and len(pattern) == layers:
        full = [not windowed for windowed in pattern]
    elif pattern is not None:
        keys.problem(
            "hybrid_layer_pattern",
            f"It names {len(pattern)} layers, but there are {layers}.",
            "Give one entry a layer.",
        )
    usual = ["full_attention" if is_full else "sliding_attention" for is_full in full]
    kinds = keys.kinds("layer_types", layers, usual)
    for implied in ("swa_num_attention_heads", "swa_num_key_value_heads", "swa_head_dim", "swa_v_head_dim"):
        keys.has(implied)
    bias = keys.switch("attention_bias")
    mixers = {
        kind: attention(
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads * (2 if window else 1),
            head_dim=head_dim,
            value_dim=value,
            bias=bias,
            other_parameters=heads if window else 0,
            window=window,
        )
        for kind, window in (("full_attention", 0), ("sliding_attention", keys.whole("sliding_window")))
    }
    dense_first = [layer == 0 for layer in range(layers)]
    frequency = keys.items("moe_layer_freq")
    if frequency is not None and len(frequency) == layers:
        dense_first = [not routed for routed in frequency]
    channels = _dense_or_routed(
        keys, hidden, dense_first, Experts(count="n_routed_experts", shared="n_shared_experts")
    )
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        value_dim=value,
        blocks=[
            block(mixers.get(kind, mixers["full_attention"]), channel, norms=2 * hidden)
            for kind, channel in zip(kinds, channels, strict=False)
        ],
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings"),
        final_norm=hidden,
    )


def _dense_or_routed(keys: Keys, hidden: int, dense: list[bool], plan: Experts) -> list[Channel]:
    types = keys.kinds("mlp_layer_types", len(dense))
    chosen = [kind != "sparse" for kind in types] if types else dense
    routed = expert_channels(keys, plan, hidden, 1)[0]
    mlp = dense_mlp(hidden=hidden, inner=keys.whole(*plan.dense_width, smallest=1))
    return [mlp if is_dense else routed for is_dense in chosen]


def read_llama4(keys: Keys, family: str, name: str) -> ModelSpec:
    """Llama 4: every n-th block routes, with one shared expert; the others have a wider dense MLP."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    kv_heads = keys.whole("num_key_value_heads", default=heads, smallest=1)
    head_dim = head_width(keys, hidden, heads)
    bias = keys.switch("attention_bias")
    keys.has("use_qk_norm")  # a norm without parameters
    window = keys.whole("attention_chunk_size", null=0)
    no_rope = keys.items("no_rope_layers")
    chunked = (
        [bool(rope) for rope in no_rope] if no_rope else [bool((layer + 1) % 4) for layer in range(layers)]
    )
    mixers = [
        attention(
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            bias=bias,
            output_bias=bias,
            window=window if chunked[min(layer, len(chunked) - 1)] else 0,
        )
        for layer in range(layers)
    ]
    inner = keys.whole("intermediate_size", smallest=1)
    count, visited = keys.experts("num_local_experts", "num_experts_per_tok")
    routed = mixture(
        hidden=hidden,
        inner=inner,
        experts=count,
        per_token=visited,
        shared_inner=inner,
        prefix="feed_forward.",
        router="router",
        shared="shared_expert.",
    )
    mlp = dense_mlp(
        hidden=hidden, inner=keys.whole("intermediate_size_mlp", smallest=1), prefix="feed_forward."
    )
    step = keys.whole("interleave_moe_layer_step", smallest=1)
    named = keys.items("moe_layers")
    routing = (
        set(range(step - 1, layers, step))
        if named is None
        else {item for item in named if isinstance(item, int)}
    )
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        blocks=[
            block(mixer, routed if layer in routing else mlp, norms=2 * hidden)
            for layer, mixer in enumerate(mixers)
        ],
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings"),
        final_norm=hidden,
    )


def read_step3p7(keys: Keys, family: str, name: str) -> ModelSpec:
    """Step 3.7 Flash: a gate a head, windowed blocks, three leading dense MLPs."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    kv_heads, head_dim = keys.whole("num_key_value_heads", smallest=1), keys.whole("head_dim", smallest=1)
    kinds = keys.kinds("layer_types", layers, ["full_attention"] * layers)
    window = keys.whole("sliding_window", default=0, null=0)
    mixers = {
        kind: attention(
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            other_parameters=2 * head_dim + heads * hidden,
            window=size,
        )
        for kind, size in (("full_attention", 0), ("sliding_attention", window))
    }
    inner = keys.whole("moe_intermediate_size", smallest=1)
    count_key = keys.first_present(("n_routed_experts", "num_experts"))
    count = keys.whole(count_key, default=288, smallest=1)
    routed = mixture(
        hidden=hidden,
        inner=inner,
        experts=count,
        per_token=min(keys.whole("num_experts_per_tok", smallest=1), count),
        shared_inner=keys.whole("share_expert_dim", default=inner),
    )
    mlp = dense_mlp(hidden=hidden, inner=keys.whole("intermediate_size", smallest=1))
    types = keys.kinds("mlp_layer_types", layers)
    dense = [kind != "sparse" for kind in types] if types else [layer < 3 for layer in range(layers)]
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        blocks=[
            block(mixers.get(kind, mixers["full_attention"]), mlp if is_dense else routed, norms=2 * hidden)
            for kind, is_dense in zip(kinds, dense, strict=False)
        ],
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings"),
        final_norm=hidden,
    )


def read_minimax_m3(keys: Keys, family: str, name: str) -> ModelSpec:
    """MiniMax-M3: sparse attention with an indexer in all but the first blocks, whose MLP is dense too."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    kv_heads, head_dim = keys.whole("num_key_value_heads", smallest=1), keys.whole("head_dim", smallest=1)
    sparse = Keys(
        keys.mapping("sparse_attention_config"), f"{keys.field}.sparse_attention_config", "", part=True
    )
    index_heads = sparse.whole("sparse_num_index_heads", default=keys.whole("index_n_heads"))
    index_dim = sparse.whole("sparse_index_dim", default=keys.whole("index_head_dim"))
    blocks_chosen = sparse.whole("sparse_topk_blocks", default=keys.whole("index_topk_blocks"))
    block_size = sparse.whole("sparse_block_size", default=keys.whole("index_block_size"))
    indexed = [bool(flag) for flag in sparse.items("sparse_attention_freq") or ()]
    kinds = keys.kinds("layer_types", layers)
    if kinds:
        indexed = [kind != "full_attention" for kind in kinds]
    indexed = indexed if len(indexed) == layers else [False] * layers
    plain = attention(
        hidden=hidden, heads=heads, kv_heads=kv_heads, head_dim=head_dim, other_parameters=2 * head_dim
    )
    chosen = Mixer(
        kind="sparse_attention",
        matrices=(
            *plain.matrices,
            Matrix(path="self_attn.indexer.q_proj", inputs=hidden, outputs=index_heads * index_dim),
            Matrix(path="self_attn.indexer.k_proj", inputs=hidden, outputs=index_dim),
        ),
        other_parameters=2 * head_dim + 2 * index_dim,
        score_width=plain.score_width,
        window=blocks_chosen * block_size,
    )
    count, visited = keys.experts("num_local_experts", "num_experts_per_tok")
    keys.has("n_shared_experts")
    names = ("gate_up_proj", "down_proj")
    routed = mixture(
        hidden=hidden,
        inner=keys.whole("intermediate_size", smallest=1),
        experts=count,
        per_token=visited,
        shared_inner=keys.whole("shared_intermediate_size", default=0, null=0),
        names=names,
    )
    mlp = dense_mlp(hidden=hidden, inner=keys.whole("dense_intermediate_size", smallest=1), names=names)
    frequency = keys.items("moe_layer_freq") or [1] * layers
    types = keys.kinds("mlp_layer_types", layers)
    routing = [kind == "sparse" for kind in types] if types else [bool(flag) for flag in frequency]
    if len(routing) != layers:
        keys.problem(
            "moe_layer_freq", f"It names {len(routing)} layers, not {layers}.", "Give one entry a layer."
        )
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        blocks=[
            block(chosen if has_index else plain, routed if routes else mlp, norms=2 * hidden)
            for has_index, routes in zip(indexed, routing, strict=False)
        ],
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings"),
        final_norm=hidden,
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
    "longcat_flash": read_longcat,
    "deepseek_v4": read_deepseek_v4,
    "deepseek_ref": read_deepseek_v4,
    "mimo_v2_flash": read_mimo_flash,
    "llama4_text": read_llama4,
    "step3p5": read_step3p7,
    "step3p7_text": read_step3p7,
    "mllama_text_model": read_mllama,
    "minimax_m3": read_minimax_m3,
    "minimax_m3_vl_text": read_minimax_m3,
}
