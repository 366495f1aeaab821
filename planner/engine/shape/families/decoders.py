"""Decoders of Llama's plan and mixtures on it, one row a family.

A row says how the family departs from: rotary positions, grouped queries without bias, RMSNorm before
attention and MLP, gated MLP, untied head. Keys named in a row are read from the config.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from planner.engine.question.parts import Channel, Mixer
from planner.engine.question.specs import ModelSpec, Norm
from planner.engine.shape.families.build import block, decoder
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.parts.channels import GATED_NAMES, dense_mlp, mixture
from planner.engine.shape.parts.mixers import attention

QkNorm = Literal["none", "head", "width", "heads_apart"]
LLAMA_NAMES = ("q_proj", "k_proj", "v_proj", "o_proj")


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """Which keys say what a mixture is like.

    shared: key that counts shared experts, each as wide as a routed one; shared_width: key of their whole
    width instead; shared_count: a fixed number of them.  dense: key of leading dense blocks; dense_usual: how
    many where it is absent.  step: key of "every n-th block routes".  types: key of a word a block,
    ``sparse`` where it routes.  dense_width: inner width of dense blocks.  selection_bias: one parameter an
    expert that steers the choice.
    """

    count: str = "num_experts"
    per_token: tuple[str, ...] = ("num_experts_per_tok",)
    width: tuple[str, ...] = ("moe_intermediate_size",)
    shared: str = ""
    shared_width: str = ""
    shared_count: int = 0
    dense: str = ""
    dense_usual: int = 0
    step: str = ""
    types: str = ""
    dense_width: tuple[str, ...] = ("intermediate_size",)
    selection_bias: bool = False
    shared_gate: bool = False
    prefix: str = "mlp."
    router: str = "gate"
    shared_path: str = "shared_experts."


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One family.  *_bias: a key to read, or always (True) or never (False).

    block_norms: norms of the hidden width in a block; norm_shift: whether they have a bias.
    norm_key: of a switch that leaves one norm out; post_norm_key: of one that adds a norm after each mixer.
    query_factor: 2 where the query layer also makes an output gate; output_gate: a gate layer of its own.
    windows: key of the window, for the blocks that ``layer_types`` calls sliding (all where there are none
    and windows_all is set).
    """

    qkv_bias: str | bool = False
    output_bias: str | bool = False
    mlp_bias: str | bool = False
    gated: bool = True
    head_bias: str | bool = False
    qk_norm: QkNorm = "none"
    qk_norm_key: str = ""
    norm: Norm = "rmsnorm"
    norm_shift: bool = False
    norm_key: str = ""
    post_norm_key: str = ""
    block_norms: int = 2
    names: tuple[str, ...] = LLAMA_NAMES
    mlp_names: tuple[str, ...] = GATED_NAMES
    output_gate: bool = False
    window: str = ""
    windows_all: bool = False
    activation_parameters: int = 0
    sub_norms: bool = False
    experts: Experts | None = None
    tied: bool = False


GLM = Row(qkv_bias="attention_bias", mlp_names=("gate_up_proj", "down_proj"))

ROWS: Final[dict[str, Row]] = {
    "ministral": Row(window="sliding_window", windows_all=True),
    "ministral3": Row(window="sliding_window", windows_all=True),
    "hunyuan_v1_dense": Row(qkv_bias="attention_bias", output_bias="attention_bias", qk_norm="head"),
    "ernie4_5": Row(qkv_bias="use_bias", output_bias="use_bias", mlp_bias="use_bias"),
    "glm": GLM,
    "glm4v_text": Row(qkv_bias=True, mlp_names=("gate_up_proj", "down_proj"), block_norms=4),
    "exaone4_5_text": Row(qk_norm="head", window="sliding_window"),
    "qwen3_omni_moe_text": Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        qk_norm="head",
        experts=Experts(step="decoder_sparse_step", types="mlp_only_layers"),
    ),
    "glm4": Row(qkv_bias="attention_bias", mlp_names=("gate_up_proj", "down_proj"), block_norms=4),
    "stablelm": Row(
        qkv_bias="use_qkv_bias",
        qk_norm="heads_apart",
        qk_norm_key="qk_layernorm",
        norm="layernorm",
        norm_shift=True,
        norm_key="use_parallel_residual",
    ),
    "nemotron": Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        mlp_bias="mlp_bias",
        gated=False,
        norm="layernorm",
        norm_shift=True,
    ),
    "internlm2": Row(
        qkv_bias="bias",
        output_bias="bias",
        names=("wqkv", "wo"),
        mlp_names=("w1", "w3", "w2"),
    ),
    "internlm3": Row(qkv_bias="qkv_bias", output_bias="bias", mlp_bias="bias"),
    "baichuan": Row(names=("W_pack", "o_proj")),
    "exaone4": Row(qk_norm="head", window="sliding_window"),
    "arcee": Row(qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias", gated=False),
    "apertus": Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        gated=False,
        qk_norm="head",
        activation_parameters=2,
    ),
    "helium": Row(qkv_bias="attention_bias"),
    "cwm": Row(window="sliding_window"),
    "bitnet": Row(qkv_bias="attention_bias", output_bias="attention_bias", sub_norms=True),
    "vaultgemma": Row(
        qkv_bias="attention_bias", output_bias="attention_bias", window="sliding_window", tied=True
    ),
    "mimo": Row(qkv_bias="attention_bias"),
    "exaone": Row(names=LLAMA_NAMES),
    "orion": Row(norm="layernorm", norm_shift=True),
    "minimax_m2": Row(
        qk_norm="width", experts=Experts(count="num_local_experts", width=("intermediate_size",))
    ),
    "dots1": Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        qk_norm="head",
        window="sliding_window",
        experts=Experts(count="n_routed_experts", shared="n_shared_experts", dense="first_k_dense_replace"),
    ),
    "hunyuan_v1_moe": Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        qk_norm="head",
        experts=Experts(
            per_token=("moe_topk", "num_experts_per_tok"),
            width=("intermediate_size",),
            shared_count=1,
            router="gate.wg",
            shared_path="shared_mlp.",
        ),
    ),
    "ernie4_5_moe": Row(
        qkv_bias="use_bias",
        output_bias="use_bias",
        mlp_bias="use_bias",
        experts=Experts(
            count="moe_num_experts",
            per_token=("moe_k",),
            shared="moe_num_shared_experts",
            dense="moe_layer_start_index",
            step="moe_layer_interval",
            selection_bias=True,
        ),
    ),
    "phimoe": Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        head_bias="lm_head_bias",
        norm="layernorm",
        norm_shift=True,
        window="sliding_window",
        windows_all=True,
        experts=Experts(count="num_local_experts", width=("intermediate_size",), router="router"),
    ),
    "granitemoe": Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        experts=Experts(
            count="num_local_experts",
            width=("intermediate_size",),
            prefix="block_sparse_moe.",
            router="router",
        ),
    ),
    "granitemoeshared": Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        experts=Experts(
            count="num_local_experts",
            width=("intermediate_size",),
            shared_width="shared_intermediate_size",
            prefix="block_sparse_moe.",
            router="router",
        ),
    ),
    "deepseek": Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        experts=Experts(
            count="n_routed_experts",
            shared="n_shared_experts",
            dense="first_k_dense_replace",
            step="moe_layer_freq",
        ),
    ),
    "flex_olmo": Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        qk_norm="width",
        experts=Experts(width=("intermediate_size",)),
    ),
    "afmoe": Row(
        qk_norm="head",
        block_norms=4,
        output_gate=True,
        window="sliding_window",
        experts=Experts(
            shared="num_shared_experts",
            dense="num_dense_layers",
            selection_bias=True,
            router="router.gate",
        ),
    ),
    "solar_open": Row(
        qkv_bias="attention_bias",
        experts=Experts(count="n_routed_experts", shared="n_shared_experts", dense="first_k_dense_replace"),
    ),
    "exaone_moe": Row(
        qk_norm="head",
        window="sliding_window",
        experts=Experts(shared="num_shared_experts", dense="first_k_dense_replace", types="mlp_layer_types"),
    ),
    "hy_v3": Row(
        qk_norm="head",
        experts=Experts(
            shared="num_shared_experts",
            dense="first_k_dense_replace",
            dense_usual=1,
            types="mlp_layer_types",
        ),
    ),
    "qwen3_vl_text": Row(qkv_bias="attention_bias", output_bias="attention_bias", qk_norm="head"),
    "qwen3_vl_moe_text": Row(
        qkv_bias="attention_bias",
        output_bias="attention_bias",
        qk_norm="head",
        experts=Experts(step="decoder_sparse_step", types="mlp_only_layers"),
    ),
    "qwen2_5_vl_text": Row(qkv_bias=True),
    "qwen2_5_omni_text": Row(qkv_bias=True),
    "qwen2_vl_text": Row(qkv_bias=True),
}


def read_row(keys: Keys, family: str, name: str) -> ModelSpec:
    """A family of ``ROWS``."""
    return from_row(keys, ROWS[family], family, name)


def from_row(keys: Keys, row: Row, family: str, name: str, *, extra_norms: int = 0) -> ModelSpec:
    """The model that a row and a config describe."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    kv_heads = keys.whole("num_key_value_heads", default=heads, smallest=1)
    head_dim = head_width(keys, hidden, heads)
    keys.must_divide("num_attention_heads", heads, "num_key_value_heads", kv_heads)
    window = _windowed(keys, row, layers)
    mixers = [_attention(keys, row, hidden, heads, kv_heads, head_dim, size) for size in window]
    channels = _channels(keys, row, hidden, layers)
    shift = 2 if row.norm_shift else 1
    norms = row.block_norms
    if row.norm_key and keys.switch(row.norm_key):
        norms -= 1
    if row.post_norm_key and keys.switch(row.post_norm_key):
        norms += 2
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        blocks=[
            block(mixer, channel, norms=norms * shift * hidden + extra_norms)
            for mixer, channel in zip(mixers, channels, strict=True)
        ],
        vocab=keys.main("vocab_size"),
        tied=keys.switch("tie_word_embeddings", default=row.tied),
        final_norm=shift * hidden,
        head_bias=_biased(keys, row.head_bias),
        norm=row.norm,
        gated=row.gated,
    )


def head_width(keys: Keys, hidden: int, heads: int) -> int:
    """head_dim where given, else the class default, else hidden / heads."""
    if keys.has("head_dim"):
        return keys.whole("head_dim", smallest=1)
    if "head_dim" not in keys.values and isinstance(keys.defaults.get("head_dim"), int):
        return keys.whole("head_dim", smallest=1)
    keys.must_divide("hidden_size", hidden, "num_attention_heads", heads)
    return max(hidden // heads, 1)


def _attention(
    keys: Keys, row: Row, hidden: int, heads: int, kv_heads: int, head_dim: int, window: int
) -> Mixer:
    normed = row.qk_norm != "none" and (not row.qk_norm_key or keys.switch(row.qk_norm_key))
    widths = {
        "none": 0,
        "head": 2 * head_dim,
        "width": (heads + kv_heads) * head_dim,
        "heads_apart": (heads + kv_heads) * head_dim,
    }
    gate = heads * head_dim * hidden if row.output_gate else 0
    return attention(
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        bias=_biased(keys, row.qkv_bias),
        output_bias=_biased(keys, row.output_bias),
        names=row.names,
        other_parameters=(widths[row.qk_norm] if normed else 0) + gate,
        window=window,
    )


def _channels(keys: Keys, row: Row, hidden: int, layers: int) -> list[Channel]:
    biased = _biased(keys, row.mlp_bias)
    experts = row.experts
    if experts is None:
        inner = keys.whole("intermediate_size", smallest=1)
        mlp = dense_mlp(
            hidden=hidden,
            inner=inner,
            gated=row.gated,
            bias=biased,
            names=row.mlp_names if row.gated else row.mlp_names[-2:],
            other_parameters=row.activation_parameters + (hidden + inner if row.sub_norms else 0),
        )
        return [mlp] * layers
    return expert_channels(keys, experts, hidden, layers, biased)


def expert_channels(
    keys: Keys,
    experts: Experts,
    hidden: int,
    layers: int,
    biased: bool = False,
    *,
    latent: int = 0,
    latent_norm: int = 0,
) -> list[Channel]:
    """One channel mixer a block: routed, or dense where the keys say so.

    latent: width that routed tokens are projected to (0: none), latent_norm: parameters of a norm of it.
    """
    count, visited = keys.experts(experts.count, *experts.per_token)
    inner = keys.whole(*experts.width, smallest=1)
    shared = experts.shared_count * inner
    if experts.shared:
        shared = keys.whole(experts.shared, default=0, null=0) * inner
    if experts.shared_width:
        shared = keys.whole(experts.shared_width, default=0, null=0)
    routed = mixture(
        hidden=hidden,
        inner=inner,
        experts=count,
        per_token=visited,
        shared_inner=shared,
        shared_gate=experts.shared_gate,
        bias=biased,
        shared_bias=biased,
        latent=latent,
        other_parameters=(count if experts.selection_bias else 0) + latent_norm,
        prefix=experts.prefix,
        router=experts.router,
        shared=experts.shared_path,
    )
    dense = dense_blocks(keys, experts, layers)
    if not any(dense):
        return [routed] * layers
    mlp = dense_mlp(hidden=hidden, inner=keys.whole(*experts.dense_width, smallest=1), bias=biased)
    return [mlp if is_dense else routed for is_dense in dense]


def dense_blocks(keys: Keys, experts: Experts, layers: int) -> list[bool]:
    """Which blocks have a dense MLP."""
    first = keys.whole(experts.dense, default=experts.dense_usual, null=0) if experts.dense else 0
    step = keys.whole(experts.step, default=1, smallest=1) if experts.step else 1
    if experts.types == "mlp_only_layers":
        named = {item for item in keys.items("mlp_only_layers") or () if isinstance(item, int)}
        return [layer in named or (layer + 1) % step != 0 for layer in range(layers)]
    if experts.types and keys.has(experts.types):
        return [kind != "sparse" for kind in keys.kinds(experts.types, layers, ["sparse"] * layers)]
    if experts.step == "moe_layer_interval":
        last = keys.whole("moe_layer_end_index", default=-1, smallest=-1)
        last = layers - 1 if last < 0 else last
        return [not ((layer + 1) % step == 0 and first <= layer <= last) for layer in range(layers)]
    return [layer < first or layer % step != 0 for layer in range(layers)]


def _windowed(keys: Keys, row: Row, layers: int) -> list[int]:
    """The window of each block, 0 for none."""
    if not row.window or ("sliding_window" in keys.values and not keys.has("sliding_window")):
        return [0] * layers
    size = keys.whole(row.window, default=0, null=0)
    kinds = keys.kinds("layer_types", layers)
    if kinds:
        return [size if kind == "sliding_attention" else 0 for kind in kinds]
    return [size if row.windows_all else 0] * layers


def _biased(keys: Keys, bias: str | bool) -> bool:
    return bias if isinstance(bias, bool) else keys.switch(bias)
