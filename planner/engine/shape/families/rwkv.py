"""RWKV-4: a linear recurrence over time and a gated MLP over channels, each mixing in the token before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from planner.engine.question.parts import Channel, Matrix, Mixer
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.build import block, decoder
from planner.engine.shape.families.keys import Keys

#: Elementwise FLOPs a channel and token of the recurrence: two exponentials, two maxima, four products and as
#: many sums of numerator and denominator, a division, the receptance (Peng et al. 2023, equation 16).
RECURRENCE_FLOPS: Final = 16
#: RWKV-4 has no heads; channels are independent, so that any share of them can stand on a rank.
CHANNELS_A_HEAD: Final = 64


def read_rwkv(keys: Keys, family: str, name: str) -> ModelSpec:
    """RWKV-4 as transformers builds it (Peng et al. 2023, sections 3.1 and 3.2)."""
    layers, hidden = keys.layers(), keys.main("hidden_size")
    width = keys.whole("attention_hidden_size", default=hidden, null=hidden, smallest=1)
    inner = keys.whole("intermediate_size", default=4 * hidden, null=4 * hidden, smallest=1)
    mixer = Mixer(
        kind="linear_attention",
        matrices=(
            *(
                Matrix(path=f"attention.{layer}", inputs=hidden, outputs=width)
                for layer in ("key", "value", "receptance")
            ),
            Matrix(path="attention.output", inputs=width, outputs=hidden, reads="output_input_kept"),
        ),
        other_parameters=2 * width + 3 * hidden,
        state_flops=RECURRENCE_FLOPS * width + 6 * hidden,
        state_elements=4 * width + 3 * hidden,
    )
    channel = Channel(
        kind="dense",
        matrices=(
            Matrix(path="feed_forward.key", inputs=hidden, outputs=inner, reads="ffn_input_kept"),
            Matrix(path="feed_forward.receptance", inputs=hidden, outputs=hidden, reads="ffn_input_kept"),
            Matrix(path="feed_forward.value", inputs=inner, outputs=hidden, reads="down_input_kept"),
        ),
        other_parameters=2 * hidden,
        inner=inner,
    )
    heads = max(hidden // CHANNELS_A_HEAD, 1)
    return decoder(
        keys,
        name=name,
        family=family,
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=max(hidden // heads, 1),
        blocks=[block(mixer, channel, norms=4 * hidden)] * layers,
        vocab=keys.main("vocab_size"),
        embedding=keys.main("vocab_size") * hidden + 2 * hidden,
        tied=keys.switch("tie_word_embeddings", default=False),
        final_norm=2 * hidden,
        head_name="head",
        positions=keys.whole("context_length", default=1024),
        norm="layernorm",
        position_embedding="none",
        gated=False,
    )


RWKVS: Final[dict[str, Callable[[Keys, str, str], ModelSpec]]] = {"rwkv": read_rwkv}
