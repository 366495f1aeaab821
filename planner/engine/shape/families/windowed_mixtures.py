"""Mixtures whose attention differs from block to block: MiMo, Llama 4, Step 3.7, MiniMax M3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from planner.engine.question.parts import Channel, Matrix, Mixer
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.build import block, decoder
from planner.engine.shape.families.decoders import Experts, expert_channels, head_width
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.parts.channels import dense_mlp, mixture
from planner.engine.shape.parts.mixers import attention


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
    index_heads = sparse.whole("sparse_num_index_heads", default=keys.whole("index_n_heads", default=0))
    index_dim = sparse.whole("sparse_index_dim", default=keys.whole("index_head_dim", default=0))
    blocks_chosen = sparse.whole("sparse_topk_blocks", default=keys.whole("index_topk_blocks", default=0))
    block_size = sparse.whole("sparse_block_size", default=keys.whole("index_block_size", default=0))
    indexed = [bool(flag) for flag in sparse.items("sparse_attention_freq") or ()]
    kinds = keys.kinds("layer_types", layers)
    if kinds:
        indexed = [kind != "full_attention" for kind in kinds]
    if indexed and len(indexed) != layers:
        keys.problem(
            "sparse_attention_config",
            f"sparse_attention_freq names {len(indexed)} layers, but there are {layers}.",
            "Give one entry a layer.",
        )
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


WINDOWED_MIXTURES: Final[dict[str, Callable[[Keys, str, str], ModelSpec]]] = {
    "mimo_v2_flash": read_mimo_flash,
    "llama4_text": read_llama4,
    "step3p5": read_step3p7,
    "step3p7_text": read_step3p7,
    "minimax_m3": read_minimax_m3,
    "minimax_m3_vl_text": read_minimax_m3,
}
