"""Hybrids and state-space models: blocks of different token mixers, in the order that the config says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from planner.engine.question.parts import Channel, Mixer
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.build import block, decoder
from planner.engine.shape.families.decoders import Experts, expert_channels, head_width
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.parts.channels import NO_CHANNEL, dense_mlp, mixture
from planner.engine.shape.parts.mixers import (
    attention,
    gated_delta,
    lightning_attention,
    mamba,
    mamba2,
    rg_lru,
    side_by_side,
)


def read_qwen_next(keys: Keys, family: str, name: str) -> ModelSpec:
    """Qwen3-Next and 3.5: three blocks of gated delta rule, then one of gated attention; MLP or mixture."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    kv_heads = keys.whole("num_key_value_heads", smallest=1)
    head_dim = head_width(keys, hidden, heads)
    every = keys.whole("full_attention_interval", default=4, smallest=1)
    usual = ["linear_attention" if (layer + 1) % every else "full_attention" for layer in range(layers)]
    kinds = keys.kinds("layer_types", layers, usual)
    bias = keys.switch("attention_bias")
    mixers = {
        "full_attention": attention(
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            bias=bias,
            output_bias=bias,
            query_factor=2,
            other_parameters=2 * head_dim,
        ),
        "linear_attention": gated_delta(
            hidden=hidden,
            key_heads=keys.whole("linear_num_key_heads", smallest=1),
            value_heads=keys.whole("linear_num_value_heads", smallest=1),
            key_dim=keys.whole("linear_key_head_dim", smallest=1),
            value_dim=keys.whole("linear_value_head_dim", smallest=1),
            kernel=keys.whole("linear_conv_kernel_dim", smallest=1),
            fused=family == "qwen3_next",
        ),
    }
    if "moe" in family or family == "qwen3_next":
        plan = Experts(
            shared_width="shared_expert_intermediate_size",
            shared_gate=True,
            step="decoder_sparse_step" if family == "qwen3_next" else "",
            types="mlp_only_layers",
            shared_path="shared_expert.",
        )
        channels = expert_channels(keys, plan, hidden, layers)
    else:
        channels = [dense_mlp(hidden=hidden, inner=keys.whole("intermediate_size", smallest=1))] * layers
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        blocks=[
            block(mixer_of(keys, mixers, kind, "layer_types"), channel, norms=2 * hidden)
            for kind, channel in zip(kinds, channels, strict=False)
        ],
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings"),
        final_norm=hidden,
    )


def read_mamba(keys: Keys, family: str, name: str) -> ModelSpec:
    """Mamba (Falcon-Mamba alike): a selective scan a block, no MLP."""
    layers, hidden = keys.layers("num_hidden_layers", "n_layer"), keys.main("hidden_size", "d_model")
    inner = keys.whole("expand", smallest=1) * hidden
    state = keys.whole("state_size", smallest=1)
    rank = -(-hidden // 16)
    if keys.has("time_step_rank") and keys.values["time_step_rank"] != "auto":
        rank = keys.whole("time_step_rank", smallest=1)
    mixer = mamba(
        hidden=hidden,
        inner=inner,
        state=state,
        rank=rank,
        kernel=keys.whole("conv_kernel", smallest=1),
        bias=keys.switch("use_bias"),
        conv_bias=keys.switch("use_conv_bias", default=True),
    )
    keys.has("intermediate_size")  # equal to expand x hidden in every class
    return _pure_state_space(keys, family, name, layers, hidden, mixer, heads=max(hidden // 64, 1))


def read_mamba2(keys: Keys, family: str, name: str) -> ModelSpec:
    """Mamba-2: state-space blocks alone, heads of one decay each (Dao and Gu 2024)."""
    layers, hidden = keys.layers(), keys.main("hidden_size")
    heads, width = keys.whole("num_heads", smallest=1), keys.whole("head_dim", smallest=1)
    inner = int(keys.share("expand", 2) * hidden)
    for implied in ("intermediate_size", "time_step_rank"):
        keys.has(implied)
    if inner != heads * width:
        keys.problem(
            "num_heads",
            f"num_heads x head_dim is {heads * width}, but expand x hidden_size is {inner}.",
            "Change num_heads or head_dim.",
        )
    mixer = mamba2(
        hidden=hidden,
        inner=inner,
        heads=heads,
        state=keys.whole("state_size", smallest=1),
        groups=keys.whole("n_groups", smallest=1),
        kernel=keys.whole("conv_kernel", smallest=1),
        bias=keys.switch("use_bias"),
        conv_bias=keys.switch("use_conv_bias", default=True),
        chunk=keys.whole("chunk_size", default=256, smallest=1),
        prefix="mixer.",
    )
    return _pure_state_space(keys, family, name, layers, hidden, mixer, heads=heads)


def _pure_state_space(
    keys: Keys, family: str, name: str, layers: int, hidden: int, mixer: Mixer, *, heads: int
) -> ModelSpec:
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=max(hidden // heads, 1),
        blocks=[block(mixer, NO_CHANNEL, norms=hidden)] * layers,
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings"),
        final_norm=hidden,
        positions=0,
        position_embedding="none",
    )


def mamba2_of(keys: Keys, hidden: int, *, inner: int | None = None, norm: bool = True) -> Mixer:
    """The Mamba-2 mixer as Bamba, Granite 4 H and Falcon-H1 spell it."""
    width = int(keys.share("mamba_expand", 2) * hidden) if inner is None else inner
    heads = keys.whole("mamba_n_heads", smallest=1)
    keys.must_divide("mamba_expand", width, "mamba_n_heads", heads)
    if keys.has("mamba_d_head") and keys.values["mamba_d_head"] != "auto":
        head = keys.whole("mamba_d_head", smallest=1)
        if head * heads != width and not keys.is_faulty("mamba_d_head", "mamba_n_heads", "mamba_expand"):
            keys.problem(
                "mamba_d_head",
                f"mamba_n_heads x mamba_d_head is {head * heads}, but the inner width is {width}.",
                "Change mamba_d_head or mamba_n_heads.",
            )
    return mamba2(
        hidden=hidden,
        inner=width,
        heads=heads,
        state=keys.whole("mamba_d_state", smallest=1),
        groups=keys.whole("mamba_n_groups", smallest=1),
        kernel=keys.whole("mamba_d_conv", smallest=1),
        bias=keys.switch("mamba_proj_bias"),
        conv_bias=keys.switch("mamba_conv_bias", default=True),
        norm=norm,
        chunk=keys.whole("mamba_chunk_size", default=256, smallest=1),
    )


def usual_attention(keys: Keys, hidden: int, heads: int, *, prefix: str = "self_attn.") -> Mixer:
    """Full attention with grouped keys, as the hybrids\' attention blocks have it."""
    bias = keys.switch("attention_bias")
    return attention(
        hidden=hidden,
        heads=heads,
        kv_heads=keys.whole("num_key_value_heads", default=heads, smallest=1),
        head_dim=head_width(keys, hidden, heads),
        bias=bias,
        output_bias=bias,
        prefix=prefix,
    )


def mixer_of(keys: Keys, mixers: dict[str, Mixer], kind: str, key: str) -> Mixer:
    """The mixer that a layer\'s kind names; an unknown kind is a problem of ``key``."""
    if kind not in mixers:
        if not keys.is_faulty(key):
            keys.problem(key, f"The kind {kind!r} is not known.", f"Choose from: {', '.join(mixers)}.")
        return next(iter(mixers.values()))
    return mixers[kind]


def hybrid(
    keys: Keys,
    family: str,
    name: str,
    hidden: int,
    heads: int,
    mixers: list[Mixer],
    channels: list[Channel],
    *,
    norms: int,
    final_norm: int | None = None,
) -> ModelSpec:
    """A decoder of the chosen mixers and channel mixers, block by block."""
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=keys.whole("num_key_value_heads", default=heads, smallest=1),
        head_dim=head_width(keys, hidden, heads),
        blocks=[block(mixer, channel, norms=norms) for mixer, channel in zip(mixers, channels, strict=False)],
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings"),
        final_norm=hidden if final_norm is None else final_norm,
    )


def read_bamba(keys: Keys, family: str, name: str) -> ModelSpec:
    """Mamba-2 blocks with attention at ``attn_layer_indices``."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    attending = {item for item in keys.items("attn_layer_indices") or () if isinstance(item, int)}
    if any(not 0 <= item < layers for item in attending):
        keys.problem(
            "attn_layer_indices",
            f"It names a block outside the {layers} that there are.",
            "Count blocks from 0 to num_hidden_layers - 1.",
        )
    scan, full = mamba2_of(keys, hidden), usual_attention(keys, hidden, heads)
    mlp = dense_mlp(
        hidden=hidden,
        inner=keys.whole("intermediate_size", smallest=1),
        bias=keys.switch("mlp_bias"),
        prefix="feed_forward.",
    )
    mixers = [full if layer in attending else scan for layer in range(layers)]
    return hybrid(keys, family, name, hidden, heads, mixers, [mlp] * layers, norms=2 * hidden)


def read_granite_hybrid(keys: Keys, family: str, name: str) -> ModelSpec:
    """Granite 4 H: Mamba-2 or attention by ``layer_types``; a shared MLP, beside the experts if any."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    kinds = keys.kinds("layer_types", layers, ["mamba"] * layers)
    bias = keys.switch("attention_bias")
    full = attention(
        hidden=hidden,
        heads=heads,
        kv_heads=keys.whole("num_key_value_heads", default=heads, smallest=1),
        head_dim=head_width(keys, hidden, heads),
        bias=bias,
        output_bias=bias,
    )
    mixers = {"mamba": mamba2_of(keys, hidden), "attention": full, "full_attention": full}
    shared = keys.whole("shared_intermediate_size", smallest=1)
    names = ("input_linear", "output_linear")
    if keys.whole("num_local_experts", smallest=0):
        count, visited = keys.experts("num_local_experts", "num_experts_per_tok")
        beside = dense_mlp(hidden=hidden, inner=shared, names=names, prefix="shared_mlp.").matrices
        channel = mixture(
            hidden=hidden,
            inner=keys.whole("intermediate_size", smallest=1),
            experts=count,
            per_token=visited,
            always=beside,
            prefix="block_sparse_moe.",
            router="router",
        )
    else:
        channel = dense_mlp(hidden=hidden, inner=shared, names=names, prefix="shared_mlp.")
    chosen = [mixer_of(keys, mixers, kind, "layer_types") for kind in kinds]
    return hybrid(keys, family, name, hidden, heads, chosen, [channel] * layers, norms=2 * hidden)


def read_falcon_h1(keys: Keys, family: str, name: str) -> ModelSpec:
    """Attention and Mamba-2 side by side in every block."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    inner = keys.whole("mamba_d_ssm", null=int(keys.share("mamba_expand", 2) * hidden), smallest=1)
    both = side_by_side(
        mamba2_of(keys, hidden, inner=inner, norm=keys.switch("mamba_rms_norm")),
        usual_attention(keys, hidden, heads),
    )
    mlp = dense_mlp(
        hidden=hidden,
        inner=keys.whole("intermediate_size", smallest=1),
        bias=keys.switch("mlp_bias"),
        prefix="feed_forward.",
    )
    return hybrid(keys, family, name, hidden, heads, [both] * layers, [mlp] * layers, norms=2 * hidden)


def read_jamba(keys: Keys, family: str, name: str) -> ModelSpec:
    """Mamba with attention every few blocks, and experts every few (Lieber et al. 2024, section 3)."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    rank = -(-hidden // 16)
    if keys.has("mamba_dt_rank") and keys.values["mamba_dt_rank"] != "auto":
        rank = keys.whole("mamba_dt_rank", smallest=1)
    scan = mamba(
        hidden=hidden,
        inner=keys.whole("mamba_expand", smallest=1) * hidden,
        state=keys.whole("mamba_d_state", smallest=1),
        rank=rank,
        kernel=keys.whole("mamba_d_conv", smallest=1),
        bias=keys.switch("mamba_proj_bias"),
        conv_bias=keys.switch("mamba_conv_bias", default=True),
        inner_norms=True,
        prefix="mamba.",
    )
    full = usual_attention(keys, hidden, heads)
    inner = keys.whole("intermediate_size", smallest=1)
    count, visited = keys.experts("num_experts", "num_experts_per_tok")
    mlp = dense_mlp(hidden=hidden, inner=inner, prefix="feed_forward.")
    routed = mlp
    if count > 1:
        routed = mixture(
            hidden=hidden,
            inner=inner,
            experts=count,
            per_token=visited,
            prefix="feed_forward.",
            router="router",
        )
    attending = _every(keys, layers, "attn_layer_period", "attn_layer_offset")
    routing = _every(keys, layers, "expert_layer_period", "expert_layer_offset")
    mixers = [full if chosen else scan for chosen in attending]
    channels = [routed if chosen else mlp for chosen in routing]
    return hybrid(keys, family, name, hidden, heads, mixers, channels, norms=2 * hidden)


def _every(keys: Keys, layers: int, period_key: str, offset_key: str) -> list[bool]:
    period, offset = keys.whole(period_key, smallest=1), keys.whole(offset_key)
    return [layer % period == offset for layer in range(layers)]


def read_recurrent_gemma(keys: Keys, family: str, name: str) -> ModelSpec:
    """RecurrentGemma: two blocks of RG-LRU, then one of windowed attention, by ``block_types`` repeated."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    pattern = [str(kind) for kind in keys.items("block_types") or ("recurrent", "recurrent", "attention")]
    head_dim = head_width(keys, hidden, heads)
    kv_heads = keys.whole("num_key_value_heads", default=heads, smallest=1)
    mixers = {
        "recurrent": rg_lru(
            hidden=hidden,
            width=keys.whole("lru_width", default=hidden, smallest=1),
            heads=heads,
            kernel=keys.whole("conv1d_width", smallest=1),
        ),
        "attention": attention(
            hidden=hidden,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            bias=keys.switch("attention_bias"),
            output_bias=True,
            prefix="temporal_block.",
            window=keys.whole("attention_window_size", smallest=1),
        ),
    }
    mlp = dense_mlp(
        hidden=hidden,
        inner=keys.whole("intermediate_size", smallest=1) // 2,
        bias=True,
        prefix="mlp_block.",
    )
    chosen = [mixer_of(keys, mixers, pattern[layer % len(pattern)], "block_types") for layer in range(layers)]
    return hybrid(keys, family, name, hidden, heads, chosen, [mlp] * layers, norms=2 * hidden)


def read_minimax_text(keys: Keys, family: str, name: str) -> ModelSpec:
    """MiniMax-01 and M1: seven blocks of lightning attention, then one of softmax attention."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    kv_heads = keys.whole("num_key_value_heads", default=heads, smallest=1)
    head_dim = head_width(keys, hidden, heads)
    usual = ["linear_attention" if (layer + 1) % 2 else "full_attention" for layer in range(layers)]
    types = keys.items("attn_type_list")
    if types is not None and not keys.has("layer_types"):
        usual = ["full_attention" if kind else "linear_attention" for kind in types]
        if len(usual) != layers:
            keys.problem(
                "attn_type_list",
                f"It names {len(usual)} layers, but there are {layers}.",
                "Give one entry a layer.",
            )
    kinds = keys.kinds("layer_types", layers, usual)
    mixers = {
        "full_attention": attention(hidden=hidden, heads=heads, kv_heads=kv_heads, head_dim=head_dim),
        "linear_attention": lightning_attention(hidden=hidden, heads=heads, head_dim=head_dim),
    }
    plan = Experts(count="num_local_experts", width=("intermediate_size",))
    chosen = [mixer_of(keys, mixers, kind, "layer_types") for kind in kinds]
    channels = expert_channels(keys, plan, hidden, layers)
    return hybrid(keys, family, name, hidden, heads, chosen, channels, norms=2 * hidden)


HYBRIDS: Final[dict[str, Callable[[Keys, str, str], ModelSpec]]] = {
    "qwen3_next": read_qwen_next,
    "qwen3_5_text": read_qwen_next,
    "qwen3_5_moe_text": read_qwen_next,
    "mamba": read_mamba,
    "falcon_mamba": read_mamba,
    "mamba2": read_mamba2,
    "bamba": read_bamba,
    "granitemoehybrid": read_granite_hybrid,
    "falcon_h1": read_falcon_h1,
    "jamba": read_jamba,
    "recurrent_gemma": read_recurrent_gemma,
    "minimax": read_minimax_text,
    "minimax_text_01": read_minimax_text,
}
