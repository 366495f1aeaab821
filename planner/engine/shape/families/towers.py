"""Image and audio encoders of models of several parts, each a function from its config to a ``Tower``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from planner.engine.question.parts import Tower
from planner.engine.shape.families.keys import Keys

TowerReader = Callable[[Keys], Tower]


def linear(inputs: int, outputs: int, bias: bool = True) -> int:
    """Parameters of one linear layer."""
    return inputs * outputs + (outputs if bias else 0)


def vit_block(
    hidden: int,
    inner: int,
    *,
    attention_bias: bool = True,
    mlp_bias: bool = True,
    norms: int = 4,
    gated: bool = False,
    key_bias: bool = True,
) -> int:
    """Parameters of one encoder block: four projections, an MLP, and norms x hidden for its norms."""
    attention = 4 * linear(hidden, hidden, attention_bias) - (0 if key_bias else hidden)
    mlp = (2 if gated else 1) * linear(hidden, inner, mlp_bias) + linear(inner, hidden, mlp_bias)
    return attention + mlp + norms * hidden


def vit_matmul(layers: int, hidden: int, inner: int, *, gated: bool = False) -> int:
    """Matrix weights of all blocks."""
    return layers * (4 * hidden * hidden + (3 if gated else 2) * hidden * inner)


def _tower(name: str, layers: int, hidden: int, inner: int, parameters: int, *, gated: bool = False) -> Tower:
    return Tower(
        name=name,
        parameters=parameters,
        matmul_weights=vit_matmul(layers, hidden, inner, gated=gated),
        blocks=layers,
    )


def patches(keys: Keys) -> int:
    """How many patches an image has."""
    image, patch = keys.whole("image_size", smallest=1), keys.whole("patch_size", smallest=1)
    keys.must_not_exceed("patch_size", patch, "image_size", image, "A patch is larger than the image.")
    return (image // max(patch, 1)) ** 2


def _sizes(
    keys: Keys, *, depth: str = "num_hidden_layers", heads: str = "num_attention_heads"
) -> tuple[int, int, int]:
    """(layers, hidden, inner); heads must divide the width."""
    if not keys.absent and not any(
        keys.has(key) for key in ("hidden_size", "embed_dim", depth, "d_model", "vt_hidden_size")
    ):
        keys.problem("", "This part says no sizes.", "Paste its whole object, with hidden_size and layers.")
    layers, hidden = keys.layers(depth), keys.main("hidden_size")
    keys.must_divide("hidden_size", hidden, heads, keys.whole(heads, smallest=1))
    return layers, hidden, keys.whole("intermediate_size", smallest=1)


def clip_vision(keys: Keys) -> Tower:
    """CLIP's image encoder: class token, learned positions, norms before and after."""
    layers, hidden, inner = _sizes(keys)
    patch, channels = keys.whole("patch_size", smallest=1), keys.whole("num_channels", default=3)
    outside = hidden + channels * patch**2 * hidden + (patches(keys) + 1) * hidden + 4 * hidden
    return _tower("image encoder", layers, hidden, inner, outside + layers * vit_block(hidden, inner))


def clip_text(keys: Keys) -> Tower:
    """CLIP's text encoder."""
    layers, hidden, inner = _sizes(keys)
    tables = (keys.main("vocab_size") + keys.whole("max_position_embeddings", smallest=1)) * hidden
    return _tower(
        "text encoder", layers, hidden, inner, tables + 2 * hidden + layers * vit_block(hidden, inner)
    )


def siglip_text(keys: Keys) -> Tower:
    """SigLIP's text encoder, with its head."""
    plain = clip_text(keys)
    hidden = keys.main("hidden_size")
    head = linear(hidden, keys.whole("projection_size", default=hidden, null=hidden, smallest=1))
    return Tower(
        name=plain.name,
        parameters=plain.parameters + head,
        matmul_weights=plain.matmul_weights,
        blocks=plain.blocks,
    )


def siglip_vision(keys: Keys) -> Tower:
    """SigLIP's image encoder: positions without class token, attention-pooling head unless switched off."""
    layers, hidden, inner = _sizes(keys)
    patch, channels = keys.whole("patch_size", smallest=1), keys.whole("num_channels", default=3)
    outside = linear(channels * patch**2, hidden) + patches(keys) * hidden + 2 * hidden
    head = _pooling_head(hidden, inner) if keys.switch("vision_use_head", default=True) else 0
    return _tower("image encoder", layers, hidden, inner, outside + head + layers * vit_block(hidden, inner))


def siglip2_vision(keys: Keys) -> Tower:
    """SigLIP 2 for images of any size: a linear patch layer and ``num_patches`` positions."""
    layers, hidden, inner = _sizes(keys)
    patch, channels = keys.whole("patch_size", smallest=1), keys.whole("num_channels", default=3)
    outside = (
        linear(channels * patch**2, hidden) + keys.whole("num_patches", smallest=1) * hidden + 2 * hidden
    )
    head = _pooling_head(hidden, inner) if keys.switch("vision_use_head", default=True) else 0
    return _tower("image encoder", layers, hidden, inner, outside + head + layers * vit_block(hidden, inner))


def _pooling_head(hidden: int, inner: int) -> int:
    attention = 4 * linear(hidden, hidden)
    return hidden + attention + 2 * hidden + linear(hidden, inner) + linear(inner, hidden)


def pixtral(keys: Keys) -> Tower:
    """Pixtral: rotary positions, gated MLP, RMSNorm, no biases."""
    layers, hidden, inner = _sizes(keys)
    patch, channels = keys.whole("patch_size", smallest=1), keys.whole("num_channels", default=3)
    keys.has("image_size")
    keys.has("head_dim")
    one = vit_block(hidden, inner, attention_bias=False, mlp_bias=False, norms=2, gated=True)
    outside = channels * patch**2 * hidden + hidden
    return _tower("image encoder", layers, hidden, inner, outside + layers * one, gated=True)


def qwen2_5_vision(keys: Keys) -> Tower:
    """Qwen2.5-VL: windowed blocks of RMSNorm and a gated MLP, and a merger to the text's width."""
    layers, hidden, inner = _sizes(keys, depth="depth", heads="num_heads")
    patch, frames = keys.whole("patch_size", smallest=1), keys.whole("temporal_patch_size", smallest=1)
    channels = keys.whole("in_channels", "in_chans", default=3)
    merged = hidden * keys.whole("spatial_merge_size", smallest=1) ** 2
    out = keys.whole("out_hidden_size", smallest=1)
    one = vit_block(hidden, inner, norms=2, gated=True)
    merger = hidden + linear(merged, merged) + linear(merged, out)
    outside = channels * frames * patch**2 * hidden + merger
    return _tower("image encoder", layers, hidden, inner, outside + layers * one, gated=True)


def qwen2_vision(keys: Keys) -> Tower:
    """Qwen2-VL: LayerNorm, an MLP of ``mlp_ratio`` times the width; ``hidden_size`` is the text's width."""
    if not keys.absent and not (keys.has("depth") or keys.has("embed_dim")):
        keys.problem("", "This part says no sizes.", "Paste its whole object, with embed_dim and depth.")
    layers, width = keys.layers("depth"), keys.main("embed_dim")
    inner = int(width * keys.share("mlp_ratio", 4))
    patch, frames = keys.whole("patch_size", smallest=1), keys.whole("temporal_patch_size", smallest=1)
    channels = keys.whole("in_channels", "in_chans", default=3)
    merged = width * keys.whole("spatial_merge_size", smallest=1) ** 2
    out = keys.whole("hidden_size", smallest=1)
    merger = 2 * width + linear(merged, merged) + linear(merged, out)
    outside = channels * frames * patch**2 * width + merger
    return _tower("image encoder", layers, width, inner, outside + layers * vit_block(width, inner))


def qwen3_vision(keys: Keys) -> Tower:
    """Qwen3-VL and 3.5: learned positions, and a merger for each layer whose features enter the text."""
    layers, hidden, inner = _sizes(keys, depth="depth", heads="num_heads")
    patch, frames = keys.whole("patch_size", smallest=1), keys.whole("temporal_patch_size", smallest=1)
    channels = keys.whole("in_channels", default=3)
    merged = hidden * keys.whole("spatial_merge_size", smallest=1) ** 2
    out = keys.whole("out_hidden_size", smallest=1)
    two = linear(merged, merged) + linear(merged, out)
    deep = keys.items("deepstack_visual_indexes")
    usual = 3 if keys.model_type.startswith(("qwen3_vl", "qwen3_omni")) else 0
    count = usual if deep is None else len(deep)
    mergers = 2 * hidden + two + count * (2 * merged + two)
    outside = linear(channels * frames * patch**2, hidden) + mergers
    outside += keys.whole("num_position_embeddings", smallest=1) * hidden
    return _tower("image encoder", layers, hidden, inner, outside + layers * vit_block(hidden, inner))


def glm4_vision(keys: Keys) -> Tower:
    """GLM-4.1V: RMSNorm, a gated MLP of the text's width, a strided convolution, and a gated merger."""
    layers, hidden, inner = _sizes(keys, depth="depth", heads="num_heads")
    patch, frames = keys.whole("patch_size", smallest=1), keys.whole("temporal_patch_size", smallest=1)
    channels, merge = keys.whole("in_channels", default=3), keys.whole("spatial_merge_size", smallest=1)
    out = keys.whole("out_hidden_size", smallest=1)
    bias = keys.switch("attention_bias")
    one = vit_block(hidden, out, attention_bias=bias, mlp_bias=False, norms=2, gated=True)
    merger = linear(out, out, bias=False) + 2 * out + 3 * out * inner
    outside = linear(channels * frames * patch**2, hidden) + patches(keys) * hidden + 2 * hidden
    thinning = linear(hidden * merge**2, out)
    return _tower(
        "image encoder", layers, hidden, out, outside + thinning + merger + layers * one, gated=True
    )


def internvl_vision(keys: Keys) -> Tower:
    """InternViT: class token, learned positions, scaled branches, perhaps norms of query and key."""
    layers, hidden, inner = _sizes(keys)
    image, patch = _side(keys, "image_size", 448), _side(keys, "patch_size", 14)
    bias, channels = keys.switch("attention_bias"), keys.whole("num_channels", default=3)
    norm = 1 if keys.choice("norm_type", "layer_norm", ("layer_norm", "rms_norm")) == "rms_norm" else 2
    learned = (image // max(patch, 1)) ** 2 + 1 if keys.switch("use_absolute_position_embeddings") else 0
    outside = (1 + learned) * hidden + linear(channels * patch**2, hidden)
    outside += hidden if keys.switch("use_mask_token") else 0
    outside += 0 if keys.switch("use_mean_pooling", default=True) else 2 * hidden
    one = vit_block(hidden, inner, attention_bias=bias, norms=2 * norm + 2)
    one += 0 if bias else hidden  # the output layer keeps its bias
    one += 2 * hidden if keys.switch("use_qk_norm") else 0
    return _tower("image encoder", layers, hidden, inner, outside + layers * one)


def _side(keys: Keys, key: str, usual: int) -> int:
    """The side of a square image or patch, given once or once a direction."""
    value = keys.values.get(key) if keys.has(key) else usual
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 100_000:
        keys.problem(key, "A positive whole number is wanted here.", f"Give {key} in pixels.")
        return usual
    return value


def idefics3_vision(keys: Keys) -> Tower:
    """Idefics 3 and SmolVLM: SigLIP's encoder without its pooling head."""
    layers, hidden, inner = _sizes(keys)
    patch, channels = keys.whole("patch_size", smallest=1), keys.whole("num_channels", default=3)
    outside = linear(channels * patch**2, hidden) + patches(keys) * hidden + 2 * hidden
    return _tower("image encoder", layers, hidden, inner, outside + layers * vit_block(hidden, inner))


def exaone_vision(keys: Keys) -> Tower:
    """EXAONE 4.5: Qwen2.5-VL's encoder with grouped keys."""
    plain = qwen2_5_vision(keys)
    layers, hidden = keys.layers("depth"), keys.main("hidden_size")
    heads = keys.whole("num_heads", smallest=1)
    kv_heads = keys.whole("num_key_value_heads", default=heads, smallest=1)
    spared = 2 * (hidden - kv_heads * (hidden // heads))
    return Tower(
        name=plain.name,
        parameters=plain.parameters - layers * spared * (hidden + 1),
        matmul_weights=plain.matmul_weights - layers * spared * hidden,
        blocks=layers,
    )


def gemma4_audio(keys: Keys) -> Tower:
    """Gemma 4's audio encoder: a Conformer with two half MLPs, chunked attention and a light convolution."""
    layers, hidden = keys.layers(), keys.main("hidden_size")
    heads = keys.whole("num_attention_heads", default=8, smallest=1)
    widths = [item for item in keys.items("subsampling_conv_channels") or (128, 32) if isinstance(item, int)]
    first, second = [*widths, 32, 32][:2]
    front = 9 * first + first + 9 * first * second + second + second * 32 * hidden
    halves = 2 * (2 * 4 * hidden * hidden + 2 * hidden)
    mixing = 5 * hidden * hidden + hidden // heads
    light = 3 * hidden * hidden + keys.whole("conv_kernel_size", default=5) * hidden + 2 * hidden
    one = halves + mixing + light + 3 * hidden
    out = linear(hidden, keys.whole("output_proj_dims", default=1536, null=1536, smallest=1))
    return Tower(
        name="audio encoder",
        parameters=front + layers * one + out,
        matmul_weights=layers * (16 + 5 + 3) * hidden * hidden,
        blocks=layers,
    )


def omni_audio(keys: Keys) -> Tower:
    """Qwen3-Omni's audio encoder: three strided convolutions before Whisper's blocks, two layers after."""
    layers = keys.layers("encoder_layers", "num_hidden_layers")
    hidden = keys.main("d_model", "hidden_size")
    inner = keys.whole("encoder_ffn_dim", smallest=1)
    mels, width = keys.whole("num_mel_bins", default=128), keys.whole("downsample_hidden_size", default=480)
    for _ in range(3):
        mels = (mels + 1) // 2
    front = linear(9, width) + 2 * linear(9 * width, width) + width * mels * hidden
    out = linear(hidden, hidden) + linear(hidden, keys.whole("output_dim", default=3584, smallest=1))
    return _tower(
        "audio encoder", layers, hidden, inner, front + out + 2 * hidden + layers * vit_block(hidden, inner)
    )


def llama4_vision(keys: Keys) -> Tower:
    """Llama 4: class token at the end, norms before and after, a pixel-shuffle adapter."""
    layers, hidden, inner = _sizes(keys)
    patch, channels = keys.whole("patch_size", smallest=1), keys.whole("num_channels", default=3)
    out = keys.whole("projector_output_dim", smallest=1)
    middle = keys.whole("projector_input_dim", smallest=1)
    keys.has("vision_output_dim")
    outside = hidden + channels * patch**2 * hidden + (patches(keys) + 1) * hidden + 4 * hidden
    adapter = inner * middle + out * out
    return _tower(
        "image encoder", layers, hidden, inner, outside + adapter + layers * vit_block(hidden, inner)
    )


def mllama_vision(keys: Keys) -> Tower:
    """Llama 3.2's image encoder: tiles with learned embeddings, gated global blocks after the local ones."""
    layers, hidden, inner = _sizes(keys, heads="attention_heads")
    patch, channels = keys.whole("patch_size", smallest=1), keys.whole("num_channels", default=3)
    tiles, further = keys.whole("max_num_tiles", smallest=1), keys.whole("num_global_layers")
    ratios = keys.items("supported_aspect_ratios")
    kinds = (len(ratios) if ratios else 8) + 1
    keys.has("intermediate_layers_indices")
    positions = patches(keys) + 1
    outside = hidden + channels * patch**2 * hidden
    outside += 1 + positions * hidden + kinds * tiles * positions * hidden
    outside += 2 * (1 + kinds * tiles * hidden) + 4 * hidden
    one = vit_block(hidden, inner, attention_bias=False)
    return _tower(
        "image encoder", layers + further, hidden, inner, outside + layers * one + further * (one + 2)
    )


def gemma4_vision(keys: Keys) -> Tower:
    """Gemma 4: a position table an axis, query and key norms, four norms a block, gated MLP.

    Clipped layers keep their bounds as buffers; standardisation has none that are trained.
    """
    layers, hidden, inner = _sizes(keys)
    patch = keys.whole("patch_size", smallest=1)
    head_dim = keys.whole("head_dim", smallest=1)
    width = keys.whole("num_attention_heads") * head_dim
    kv_width = keys.whole("num_key_value_heads") * head_dim
    outside = 2 * keys.whole("position_embedding_size", smallest=1) * hidden + 3 * patch**2 * hidden
    for buffer in ("use_clipped_linears", "standardize", "global_head_dim"):
        keys.has(buffer)
    one = 2 * hidden * width + 2 * hidden * kv_width + 3 * hidden * inner + 2 * head_dim + 4 * hidden
    return _tower("image encoder", layers, hidden, inner, outside + layers * one, gated=True)


def moonvit(keys: Keys) -> Tower:
    """Kimi's MoonViT: a grid of positions, LayerNorm, biases everywhere."""
    if not keys.has("vt_hidden_size"):
        return _kimi_plain(keys)
    hidden, inner = keys.whole("vt_hidden_size", smallest=1), keys.whole("vt_intermediate_size", smallest=1)
    layers = keys.layers("vt_num_hidden_layers")
    keys.must_divide(
        "vt_hidden_size", hidden, "vt_num_attention_heads", keys.whole("vt_num_attention_heads", smallest=1)
    )
    grid = keys.whole("init_pos_emb_height", default=64) * keys.whole("init_pos_emb_width", default=64)
    outside = linear(3 * keys.whole("patch_size", smallest=1) ** 2, hidden) + grid * hidden + 2 * hidden
    return _tower("image encoder", layers, hidden, inner, outside + layers * vit_block(hidden, inner))


def _kimi_plain(keys: Keys) -> Tower:
    layers, hidden, inner = _sizes(keys)
    grid = keys.whole("pos_emb_height", "init_pos_emb_height", default=64)
    grid *= keys.whole("pos_emb_width", "init_pos_emb_width", default=64)
    outside = linear(3 * keys.whole("patch_size", smallest=1) ** 2, hidden) + grid * hidden + 2 * hidden
    return _tower("image encoder", layers, hidden, inner, outside + layers * vit_block(hidden, inner))


def step_vision(keys: Keys) -> Tower:
    """Step 3.7: scaled residual branches, and two strided convolutions that thin the patches."""
    layers, hidden = keys.layers("num_hidden_layers", "layers"), keys.main("hidden_size", "width")
    keys.has("intermediate_size")
    inner = int(hidden * keys.share("mlp_ratio", 8960 / 1536))
    patch = keys.whole("patch_size", default=14, smallest=1)
    positions = (keys.whole("image_size", default=728, smallest=1) // patch) ** 2
    outside = 3 * patch**2 * hidden + positions * hidden + 2 * hidden
    thinning = linear(9 * hidden, 2 * hidden) + linear(18 * hidden, 4 * hidden)
    one = vit_block(hidden, inner, norms=6)
    return _tower("image encoder", layers, hidden, inner, outside + thinning + layers * one)


def minimax_vision(keys: Keys) -> Tower:
    """MiniMax-M3: CLIP's blocks over patches of two frames, with rotary positions."""
    layers, hidden, inner = _sizes(keys)
    patch = keys.whole("patch_size", smallest=1)
    frames = keys.whole("temporal_patch_size", default=2, smallest=1)
    outside = 3 * frames * patch**2 * hidden + 2 * hidden
    return _tower("image encoder", layers, hidden, inner, outside + layers * vit_block(hidden, inner))


def whisper_encoder(keys: Keys) -> Tower:
    """Whisper's encoder: two convolutions, fixed-length positions, keys without bias."""
    layers = keys.layers("encoder_layers", "num_hidden_layers")
    hidden = keys.main("d_model", "hidden_size")
    inner = keys.whole("encoder_ffn_dim", "intermediate_size", smallest=1)
    mels, positions = keys.whole("num_mel_bins", smallest=1), keys.whole("max_source_positions", smallest=1)
    outside = linear(3 * mels, hidden) + linear(3 * hidden, hidden) + positions * hidden + 2 * hidden
    one = vit_block(hidden, inner, key_bias=False)
    return _tower("audio encoder", layers, hidden, inner, outside + layers * one)


TOWERS: Final[dict[str, TowerReader]] = {
    "clip_vision_model": clip_vision,
    "clip_text_model": clip_text,
    "siglip_vision_model": siglip_vision,
    "siglip_text_model": siglip_text,
    "siglip2_vision_model": siglip2_vision,
    "siglip2_text_model": siglip_text,
    "pixtral": pixtral,
    "qwen2_5_vl": qwen2_5_vision,
    "qwen2_5_vl.vision_config": qwen2_5_vision,
    "qwen2_vl": qwen2_vision,
    "qwen2_vl.vision_config": qwen2_vision,
    "glm4v_vision": glm4_vision,
    "glm4v.vision_config": glm4_vision,
    "glm4v_moe_vision": glm4_vision,
    "glm4v_moe.vision_config": glm4_vision,
    "internvl_vision": internvl_vision,
    "idefics3_vision": idefics3_vision,
    "smolvlm_vision": idefics3_vision,
    "exaone4_5_vision": exaone_vision,
    "gemma4_audio": gemma4_audio,
    "qwen3_omni_moe_audio_encoder": omni_audio,
    "qwen3_omni_moe_vision_encoder": qwen3_vision,
    "qwen3_vl_vision": qwen3_vision,
    "qwen3_vl_moe_vision": qwen3_vision,
    "qwen2_5_vl_vision": qwen2_5_vision,
    "qwen2_vl_vision": qwen2_vision,
    "qwen3_vl.vision_config": qwen3_vision,
    "qwen3_vl_moe.vision_config": qwen3_vision,
    "qwen3_5_vision": qwen3_vision,
    "qwen3_5_moe_vision": qwen3_vision,
    "qwen3_vl": qwen3_vision,
    "qwen3_vl_moe": qwen3_vision,
    "qwen3_5": qwen3_vision,
    "qwen3_5_moe": qwen3_vision,
    "llama4_vision_model": llama4_vision,
    "mllama_vision_model": mllama_vision,
    "gemma4_vision": gemma4_vision,
    "kimi_k25": moonvit,
    "kimi_k25_vision": moonvit,
    "step3p5_vision": step_vision,
    "minimax_m3_vl_vision": minimax_vision,
    "voxtral_encoder": whisper_encoder,
    "qwen2_audio_encoder": whisper_encoder,
}
