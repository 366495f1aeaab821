"""Image encoders beyond those of ViT's time: DINOv3 and Swin 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.build import block, decoder
from planner.engine.shape.families.encoders import ATTENTION_NAMES, MLP_NAMES
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.parts.channels import dense_mlp
from planner.engine.shape.parts.mixers import attention

#: Inner width of the network that makes Swin 2's position biases (Liu et al. 2021b, section 3.3).
POSITION_NETWORK: Final = 512


def read_dinov3(keys: Keys, family: str, name: str) -> ModelSpec:
    """DINOv3 (Simeoni et al. 2025, section 3.2): rotary positions, registers, scaled branches."""
    layers, hidden, heads = keys.layers(), keys.main("hidden_size"), keys.main("num_attention_heads")
    keys.must_divide("hidden_size", hidden, "num_attention_heads", heads)
    patch, size = keys.whole("patch_size", smallest=1), keys.whole("image_size", smallest=1)
    keys.must_not_exceed("patch_size", patch, "image_size", size, "A patch is larger than the image.")
    registers = keys.whole("num_register_tokens", default=0)
    embedding = (2 + registers + 1 + keys.whole("num_channels", default=3) * patch**2) * hidden
    query, key, value = (keys.switch(name) for name in ("query_bias", "key_bias", "value_bias"))
    mixer = attention(
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=max(hidden // max(heads, 1), 1),
        output_bias=keys.switch("proj_bias", default=True),
        other_parameters=(query + key + value) * hidden,
        prefix="attention.",
    )
    gated = keys.switch("use_gated_mlp")
    mlp = dense_mlp(
        hidden=hidden,
        inner=keys.whole("intermediate_size", smallest=1),
        gated=gated,
        bias=keys.switch("mlp_bias", default=True),
        names=("gate_proj", "up_proj", "down_proj") if gated else ("up_proj", "down_proj"),
    )
    return decoder(
        keys,
        name=name,
        family=family,
        architecture="vision_encoder",
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=max(hidden // max(heads, 1), 1),
        blocks=[block(mixer, mlp, norms=6 * hidden)] * layers,
        vocab=0,
        embedding=embedding,
        tied=False,
        headless=True,
        final_norm=2 * hidden,
        positions=(size // max(patch, 1)) ** 2 + 1 + registers,
        norm="layernorm",
        position_embedding="rope",
        gated=gated,
        image_size=size,
        patch_size=patch,
    )


def read_swin2(keys: Keys, family: str, name: str) -> ModelSpec:
    """Swin 2 (Liu et al. 2021b): position biases from a small network, scaled cosine attention."""
    base = keys.main("embed_dim")
    depths = [item for item in keys.items("depths") or [2, 2, 6, 2] if isinstance(item, int)]
    heads = [item for item in keys.items("num_heads") or [3, 6, 12, 24] if isinstance(item, int)]
    if len(depths) != len(heads) or not depths:
        keys.problem(
            "depths", f"It names {len(depths)} stages, num_heads {len(heads)}.", "Give one each a stage."
        )
        depths, heads = [2], [1]
    window, patch = keys.whole("window_size", smallest=1), keys.whole("patch_size", smallest=1)
    size, ratio = keys.whole("image_size", smallest=1), keys.share("mlp_ratio", 4)
    biased = keys.switch("qkv_bias", default=True)
    blocks, further = [], 0
    for stage, (depth, count) in enumerate(zip(depths, heads, strict=True)):
        width = base * 2**stage
        network = 3 * POSITION_NETWORK + POSITION_NETWORK * count + count
        mixer = attention(
            hidden=width,
            heads=count,
            kv_heads=count,
            head_dim=max(width // max(count, 1), 1),
            bias=biased,
            key_bias=False,
            output_bias=True,
            names=ATTENTION_NAMES,
            prefix="attention.",
            other_parameters=network,
            window=window**2,
        )
        mlp = dense_mlp(
            hidden=width, inner=int(ratio * width), gated=False, bias=True, names=MLP_NAMES, prefix=""
        )
        blocks += [block(mixer, mlp, norms=4 * width)] * depth
        if stage + 1 < len(depths):
            further += 4 * width * 2 * width + 4 * width
    last, middle = base * 2 ** (len(depths) - 1), len(depths) // 2
    return decoder(
        keys,
        name=name,
        family=family,
        architecture="vision_encoder",
        hidden=base * 2**middle,
        heads=heads[middle],
        kv_heads=heads[middle],
        head_dim=max(base // max(heads[0], 1), 1),
        blocks=blocks,
        vocab=0,
        embedding=(keys.whole("num_channels", default=3) * patch**2 + 1) * base + 2 * base + further,
        tied=False,
        headless=True,
        final_norm=2 * last,
        positions=(size // max(patch, 1)) ** 2,
        norm="layernorm",
        position_embedding="relative",
        gated=False,
        image_size=size,
        patch_size=patch,
    )


IMAGE_ENCODERS: Final[dict[str, Callable[[Keys, str, str], ModelSpec]]] = {
    "dinov3_vit": read_dinov3,
    "swinv2": read_swin2,
}
