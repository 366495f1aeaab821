"""Encoders of models that hear and see: Gemma 3n's, Qwen2.5-Omni's, and Kimi K3's image encoder.

Each a function from its config to a ``Tower``, as in ``towers``.
"""

from __future__ import annotations

from typing import Final

from planner.engine.question.parts import Tower
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.families.towers import TOWERS, TowerReader, linear, vit_block, whisper_encoder

#: Convolutional image encoders that are built by name: (parameters, of which in matrices and convolutions),
#: counted from timm 1.0.31 on the meta device on 2026-11-29.
BY_NAME: Final = {"mobilenetv5_300m_enc": (294_126_912, 293_841_472)}


def gemma3n_vision(keys: Keys) -> Tower:
    """MobileNet v5: its name says all; ``hidden_size`` is the width that it gives."""
    named = keys.text("architecture", "mobilenetv5_300m_enc")
    keys.has("hidden_size")
    if named not in BY_NAME:
        keys.problem(
            "architecture",
            "This encoder is not known.",
            f"Known: {', '.join(sorted(BY_NAME))}. Or plan the text alone by the content of text_config.",
        )
        named = next(iter(BY_NAME))
    parameters, matrices = BY_NAME[named]
    return Tower(name="image encoder", parameters=parameters, matmul_weights=matrices, blocks=1)


def gemma3n_audio(keys: Keys) -> Tower:
    """Gemma 3n's audio encoder: a Conformer with two half MLPs, chunked attention and a light convolution."""
    layers, hidden = keys.whole("conf_num_hidden_layers", default=12, smallest=1), keys.main("hidden_size")
    heads = keys.whole("conf_num_attention_heads", default=8, smallest=1)
    keys.must_divide("hidden_size", hidden, "conf_num_attention_heads", heads)
    channels = [item for item in keys.items("sscp_conv_channel_size") or () if isinstance(item, int)]
    first, second = [*channels, 128, 32][:2] if len(channels) >= 2 else (128, 32)
    bands = keys.whole("input_feat_size", default=128, smallest=1) // 4
    front = 9 * first + first + 9 * first * second + second + second * bands * hidden
    halves = 2 * (8 * hidden * hidden + 2 * hidden)
    mixing = 5 * hidden * hidden + hidden // heads + 2 * hidden
    light = 3 * hidden * hidden + keys.whole("conf_conv_kernel_size", default=5) * hidden + 2 * hidden
    return Tower(
        name="audio encoder",
        parameters=front + layers * (halves + mixing + light + hidden),
        matmul_weights=layers * (16 + 5 + 3) * hidden * hidden,
        blocks=layers,
    )


def gemma3n_embedder(keys: Keys, tower: Keys, text: int) -> int:
    """A table of tokens of its own, two norms, and a layer to the text's width."""
    width = tower.whole("hidden_size", default=2048, smallest=1)
    return tower.whole("vocab_size", default=128) * width + 2 * width + width * text


def qwen_omni_audio(keys: Keys) -> Tower:
    """Qwen2.5-Omni's audio encoder: Whisper's with fixed positions, a layer to the text, two marks."""
    whisper = whisper_encoder(keys)
    hidden, out = keys.main("d_model"), keys.whole("output_dim", default=3584, smallest=1)
    fixed = keys.whole("max_source_positions", smallest=1) * hidden
    return Tower(
        name="audio encoder",
        parameters=whisper.parameters - fixed + linear(hidden, out) + 2 * out,
        matmul_weights=whisper.matmul_weights + hidden * out,
        blocks=whisper.blocks,
    )


def kimi_k3_vision(keys: Keys) -> Tower:
    """Kimi K3's image encoder: MoonViT with RMSNorm, wider queries and keys, without biases."""
    hidden, inner = keys.whole("vt_hidden_size", smallest=1), keys.whole("vt_intermediate_size", smallest=1)
    layers = keys.layers("vt_num_hidden_layers")
    width = keys.whole("qkv_hidden_size", default=hidden, null=hidden, smallest=1)
    keys.must_divide(
        "qkv_hidden_size", width, "vt_num_attention_heads", keys.whole("vt_num_attention_heads", smallest=1)
    )
    grid = keys.whole("init_pos_emb_height", default=64) * keys.whole("init_pos_emb_width", default=64)
    outside = 3 * keys.whole("patch_size", smallest=1) ** 2 * hidden + grid * hidden + hidden
    mlp = vit_block(hidden, inner, attention_bias=False, mlp_bias=False, norms=2) - 4 * hidden * hidden
    one = mlp + 4 * hidden * width
    return Tower(
        name="image encoder",
        parameters=outside + layers * one,
        matmul_weights=layers * (4 * hidden * width + 2 * hidden * inner),
        blocks=layers,
    )


ALL_TOWERS: Final[dict[str, TowerReader]] = {
    **TOWERS,
    "gemma3n_vision": gemma3n_vision,
    "gemma3n_audio": gemma3n_audio,
    "qwen2_5_omni_audio_encoder": qwen_omni_audio,
    "qwen2_5_omni_vision_encoder": TOWERS["qwen2_5_vl_vision"],
    "kimi_k3_vision": kimi_k3_vision,
}
