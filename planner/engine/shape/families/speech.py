"""Speech encoders of wav2vec 2.0's plan, counted as the base model: convolutions over the wave, then blocks.

The convolutions and the convolutional positions count before the first block; their time is not modelled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.build import block, decoder
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.families.towers import linear
from planner.engine.shape.parts.channels import dense_mlp
from planner.engine.shape.parts.mixers import attention

USUAL_WIDTHS: Final = (512,) * 7
USUAL_KERNELS: Final = (10, 3, 3, 3, 3, 2, 2)
NAMES: Final = ("q_proj", "k_proj", "v_proj", "out_proj")
MLP_NAMES: Final = ("intermediate_dense", "output_dense")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRow:
    """gated_bias: WavLM's relative positions with a gate (Chen et al. 2021, section 3.2).

    projection_norm: a norm of the features before they are projected, unless a key says otherwise.
    """

    gated_bias: bool = False
    projection_norm_key: str = ""


SPEECH_ROWS: Final[dict[str, SpeechRow]] = {
    "wav2vec2": SpeechRow(),
    "hubert": SpeechRow(projection_norm_key="feat_proj_layer_norm"),
    "wavlm": SpeechRow(gated_bias=True),
    "unispeech": SpeechRow(),
    "unispeech-sat": SpeechRow(),
}


def read_speech(keys: Keys, family: str, name: str) -> ModelSpec:
    """A family of ``SPEECH_ROWS`` (Baevski et al. 2020, section 2; Hsu et al. 2021)."""
    row = SPEECH_ROWS[family]
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    keys.must_divide("hidden_size", hidden, "num_attention_heads", heads)
    head_dim = max(hidden // max(heads, 1), 1)
    widths = _numbers(keys, "conv_dim", USUAL_WIDTHS)
    extra = 0
    if row.gated_bias:
        extra = heads + 8 * head_dim + 8
    if keys.switch("add_adapter"):
        keys.problem("add_adapter", "Adapter convolutions are not modelled.", "Set add_adapter to false.")
    mixer = attention(
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=head_dim,
        bias=True,
        output_bias=True,
        names=NAMES,
        prefix="attention.",
        other_parameters=extra,
    )
    mlp = dense_mlp(
        hidden=hidden,
        inner=keys.whole("intermediate_size", smallest=1),
        gated=False,
        bias=True,
        names=MLP_NAMES,
        prefix="feed_forward.",
    )
    embedding = _features(keys, widths) + linear(widths[-1], hidden) + _positions(keys, hidden)
    normed = not row.projection_norm_key or keys.switch(row.projection_norm_key, default=True)
    embedding += 2 * widths[-1] if normed else 0
    embedding += hidden if _masked(keys) else 0
    if row.gated_bias:
        embedding += keys.whole("num_buckets", default=320, smallest=1) * heads
    return decoder(
        keys,
        name=name,
        family=family,
        architecture="encoder",
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=head_dim,
        blocks=[block(mixer, mlp, norms=4 * hidden)] * layers,
        vocab=0,
        embedding=embedding,
        tied=False,
        headless=True,
        final_norm=2 * hidden,
        positions=0,
        norm="layernorm",
        position_embedding="none",
        gated=False,
    )


def _numbers(keys: Keys, key: str, usual: tuple[int, ...]) -> tuple[int, ...]:
    listed = keys.items(key)
    if listed is None:
        return usual
    sound = [item for item in listed if isinstance(item, int) and not isinstance(item, bool) and item > 0]
    if len(sound) != len(listed) or not sound:
        keys.problem(key, "It must list positive whole numbers.", "Give one number a convolution.")
        return usual
    return tuple(sound)


def _features(keys: Keys, widths: tuple[int, ...]) -> int:
    """The convolutions over the wave, with a norm of the first alone (``group``) or of each (``layer``)."""
    kernels = _numbers(keys, "conv_kernel", USUAL_KERNELS)
    if len(kernels) != len(widths):
        if not keys.is_faulty("conv_dim", "conv_kernel"):
            keys.problem(
                "conv_kernel",
                f"It names {len(kernels)} convolutions, conv_dim {len(widths)}.",
                "Give one entry each a convolution.",
            )
        kernels = (1,) * len(widths)
    inputs = (1, *widths[:-1])
    biased = keys.switch("conv_bias")
    weights = sum(
        one * out * kernel + (out if biased else 0)
        for one, out, kernel in zip(inputs, widths, kernels, strict=True)
    )
    each = keys.choice("feat_extract_norm", "group", ("group", "layer")) == "layer"
    return weights + 2 * (sum(widths) if each else widths[0])


def _positions(keys: Keys, hidden: int) -> int:
    """One grouped convolution whose weight is kept as a direction and a length a tap."""
    taps = keys.whole("num_conv_pos_embeddings", default=128, smallest=1)
    groups = keys.whole("num_conv_pos_embedding_groups", default=16, smallest=1)
    return hidden * (hidden // max(groups, 1)) * taps + taps + hidden


def _masked(keys: Keys) -> bool:
    """A vector stands for masked spans where masking has a chance."""
    chances = [keys.values.get(key) for key in ("mask_time_prob", "mask_feature_prob")]
    return any(
        chance is None or (isinstance(chance, int | float) and chance > 0) for chance in chances[:1]
    ) or (isinstance(chances[1], int | float) and chances[1] > 0)


SPEECH: Final[dict[str, Callable[[Keys, str, str], ModelSpec]]] = dict.fromkeys(SPEECH_ROWS, read_speech)
