"""Models of several parts: a text model, an image or audio encoder, and what joins them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from planner.engine.question.parts import Tower
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.families.class_defaults import CLASS_DEFAULTS
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.families.omni_towers import ALL_TOWERS, gemma3n_embedder
from planner.engine.shape.families.towers import linear
from planner.engine.shape.reading import SpecReader

TextReader = Callable[[Mapping[str, Any], str, str, str], tuple[ModelSpec, SpecReader]]
Projector = Callable[[Keys, Keys, int], int]
MAIN_SIZES: Final = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")


#: Text parts that are another family under a name of their own.
SAME_TEXT: Final = {"glm4v_moe_text": "glm4_moe"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    """One family of several parts.

    text: model_type of the text part where its config does not say; tower, tower_type: key and default type
    of the encoder; projector: parameters of what joins them, from the whole's keys, the tower's keys and the
    text's width.  flat: whether the text's keys may stand beside ``vision_config``.  optional_tower: whether
    the encoder may be absent; fixed_tower: whether it is of the family's own kind
    whatever its model_type says.  second, second_type, second_projector: of a further encoder.
    """

    text: str
    tower: str = "vision_config"
    tower_type: str
    projector: Projector
    flat: bool = False
    optional_tower: bool = False
    fixed_tower: bool = False
    second: str = ""
    second_type: str = ""
    second_projector: Projector | None = None


def _none(keys: Keys, tower: Keys, text: int) -> int:
    return 0


def _width(tower: Keys) -> int:
    return tower.whole("hidden_size", "d_model", "vt_hidden_size", smallest=1)


def _gemma3(keys: Keys, tower: Keys, text: int) -> int:
    keys.has("mm_tokens_per_image")
    return _width(tower) * text + _width(tower)


def _linear(keys: Keys, tower: Keys, text: int) -> int:
    return _width(tower) * text


def _biased_linear(keys: Keys, tower: Keys, text: int) -> int:
    return linear(_width(tower), text)


def _llama4(keys: Keys, tower: Keys, text: int) -> int:
    keys.has("projector_output_dim")
    return tower.whole("vision_output_dim", smallest=1) * text


def _mllama(keys: Keys, tower: Keys, text: int) -> int:
    return linear(tower.whole("vision_output_dim", smallest=1), text)


def _mistral3(keys: Keys, tower: Keys, text: int) -> int:
    """A norm, a layer that merges neighbouring patches, and two more."""
    width, merge = _width(tower), keys.whole("spatial_merge_size", default=2, smallest=1)
    bias = keys.switch("multimodal_projector_bias")
    return width + width * merge**2 * width + linear(width, text, bias) + linear(text, text, bias)


def _llava(keys: Keys, tower: Keys, text: int) -> int:
    bias = keys.switch("multimodal_projector_bias", default=True)
    layers = (
        keys.items("vision_feature_layer")
        if isinstance(keys.values.get("vision_feature_layer"), list)
        else None
    )
    width = _width(tower) * (len(layers) if layers else 1)
    return linear(width, text, bias) + linear(text, text, bias)


def _llava_next(keys: Keys, tower: Keys, text: int) -> int:
    return _llava(keys, tower, text) + text  # the learned end of an image's row


def _vipllava(keys: Keys, tower: Keys, text: int) -> int:
    """Features of several layers side by side (five unless named), a norm, two layers."""
    layers = keys.items("vision_feature_layers")
    merged = _width(tower) * (5 if layers is None else max(len(layers), 1))
    return 2 * merged + linear(merged, text) + linear(text, text)


def _lfm2_vl(keys: Keys, tower: Keys, text: int) -> int:
    factor = keys.whole("downsample_factor", smallest=1)
    merged, middle = _width(tower) * factor**2, keys.whole("projector_hidden_size", smallest=1)
    bias = keys.switch("projector_bias", default=True)
    norm = 2 * merged if keys.switch("projector_use_layernorm", default=False) else 0
    return norm + linear(merged, middle, bias) + linear(middle, text, bias)


def _kimi(keys: Keys, tower: Keys, text: int) -> int:
    width = _width(tower)
    kernel = tower.items("merge_kernel_size") or [2, 2]
    merged = width * int(kernel[0]) * int(kernel[-1])
    return 2 * width + linear(merged, merged) + linear(merged, text)


def _step(keys: Keys, tower: Keys, text: int) -> int:
    return linear(4 * tower.whole("hidden_size", "width", smallest=1), text, keys.switch("projector_bias"))


def _minimax(keys: Keys, tower: Keys, text: int) -> int:
    merge = keys.whole("spatial_merge_size", default=2, smallest=1) ** 2
    middle = keys.whole("projector_hidden_size", default=text, null=text, smallest=1)
    first = linear(_width(tower), middle) + linear(middle, text)
    return first + linear(text * merge, middle) + linear(middle, text)


def _voxtral(keys: Keys, tower: Keys, text: int) -> int:
    width = tower.whole("intermediate_size", smallest=1)
    return linear(width, text, bias=False) + linear(text, text, bias=False)


def _qwen_audio(keys: Keys, tower: Keys, text: int) -> int:
    return linear(tower.whole("d_model", smallest=1), text)


def _internvl(keys: Keys, tower: Keys, text: int) -> int:
    factor = round(1 / keys.share("downsample_ratio", 0.5))
    merged = _width(tower) * factor**2
    return 2 * merged + linear(merged, text) + linear(text, text)


def _idefics3(keys: Keys, tower: Keys, text: int) -> int:
    return _width(tower) * keys.whole("scale_factor", default=2, smallest=1) ** 2 * text


def _aya(keys: Keys, tower: Keys, text: int) -> int:
    """A norm, and a gated projector behind patches put together (Cohere's Aya Vision)."""
    merged = _width(tower) * keys.whole("downsample_factor", default=2, smallest=1) ** 2
    middle = keys.whole("alignment_intermediate_size", default=text, null=text, smallest=1)
    return 2 * merged + linear(merged, middle) + linear(middle // 2, text)


def _cohere2_vision(keys: Keys, tower: Keys, text: int) -> int:
    merged = _width(tower) * keys.whole("downsample_factor", default=2, smallest=1) ** 2
    middle = keys.whole("alignment_intermediate_size", default=36864, smallest=1)
    return linear(merged, middle) + linear(middle // 2, text)


def _gemma4_audio(keys: Keys, tower: Keys, text: int) -> int:
    return tower.whole("output_proj_dims", default=1536, null=1536, smallest=1) * text


SEVERAL: Final[dict[str, Several]] = {
    "glm4v": Several(text="glm4v_text", tower_type="glm4v_vision", projector=_none),
    "glm4v_moe": Several(text="glm4v_moe_text", tower_type="glm4v_moe_vision", projector=_none),
    "internvl": Several(text="qwen2", tower_type="internvl_vision", projector=_internvl),
    "idefics3": Several(text="llama", tower_type="idefics3_vision", projector=_idefics3),
    "smolvlm": Several(text="llama", tower_type="smolvlm_vision", projector=_idefics3),
    "llava_onevision": Several(text="qwen2", tower_type="siglip_vision_model", projector=_llava_next),
    "llava_next_video": Several(text="llama", tower_type="clip_vision_model", projector=_llava_next),
    "aya_vision": Several(text="cohere2", tower_type="siglip_vision_model", projector=_aya),
    "cohere2_vision": Several(text="cohere2", tower_type="siglip_vision_model", projector=_cohere2_vision),
    "exaone4_5": Several(text="exaone4_5_text", tower_type="exaone4_5_vision", projector=_none),
    "qwen3_omni_moe_thinker": Several(
        text="qwen3_omni_moe_text",
        tower_type="qwen3_omni_moe_vision_encoder",
        projector=_none,
        second="audio_config",
        second_type="qwen3_omni_moe_audio_encoder",
    ),
    "qwen2_5_omni_thinker": Several(
        text="qwen2_5_omni_text",
        tower_type="qwen2_5_omni_vision_encoder",
        projector=_none,
        second="audio_config",
        second_type="qwen2_5_omni_audio_encoder",
    ),
    "gemma3n": Several(
        text="gemma3n_text",
        tower_type="gemma3n_vision",
        projector=gemma3n_embedder,
        second="audio_config",
        second_type="gemma3n_audio",
        second_projector=gemma3n_embedder,
        fixed_tower=True,
    ),
    "kimi_k3": Several(text="kimi_linear", tower_type="kimi_k3_vision", projector=_kimi, fixed_tower=True),
    "qwen3_vl": Several(text="qwen3_vl_text", tower_type="qwen3_vl.vision_config", projector=_none),
    "qwen3_vl_moe": Several(
        text="qwen3_vl_moe_text", tower_type="qwen3_vl_moe.vision_config", projector=_none
    ),
    "qwen3_5": Several(text="qwen3_5_text", tower_type="qwen3_5_vision", projector=_none),
    "qwen3_5_moe": Several(text="qwen3_5_moe_text", tower_type="qwen3_5_moe_vision", projector=_none),
    "qwen2_vl": Several(
        text="qwen2_vl_text", tower_type="qwen2_vl.vision_config", projector=_none, flat=True
    ),
    "qwen2_5_vl": Several(
        text="qwen2_5_vl_text", tower_type="qwen2_5_vl.vision_config", projector=_none, flat=True
    ),
    "gemma3": Several(text="gemma3_text", tower_type="siglip_vision_model", projector=_gemma3),
    "gemma4": Several(
        text="gemma4_text",
        tower_type="gemma4_vision",
        projector=_linear,
        optional_tower=True,
        second="audio_config",
        second_type="gemma4_audio",
        second_projector=_gemma4_audio,
    ),
    "paligemma": Several(text="gemma", tower_type="siglip_vision_model", projector=_biased_linear),
    "llama4": Several(text="llama4_text", tower_type="llama4_vision_model", projector=_llama4),
    "mllama": Several(text="mllama_text_model", tower_type="mllama_vision_model", projector=_mllama),
    "mistral3": Several(text="mistral", tower_type="pixtral", projector=_mistral3),
    "llava": Several(text="llama", tower_type="clip_vision_model", projector=_llava),
    "llava_next": Several(text="llama", tower_type="clip_vision_model", projector=_llava_next),
    "vipllava": Several(text="llama", tower_type="clip_vision_model", projector=_vipllava),
    **dict.fromkeys(
        ("lfm2_vl", "lfm2-vl"),
        Several(text="lfm2", tower_type="siglip2_vision_model", projector=_lfm2_vl),
    ),
    "kimi_k25": Several(text="deepseek_v3", tower_type="kimi_k25_vision", projector=_kimi, fixed_tower=True),
    "step3p7": Several(text="step3p5", tower_type="step3p5_vision", projector=_step),
    "minimax_m3_vl": Several(
        text="minimax_m3_vl_text", tower_type="minimax_m3_vl_vision", projector=_minimax, fixed_tower=True
    ),
    "voxtral": Several(text="llama", tower="audio_config", tower_type="voxtral_encoder", projector=_voxtral),
    "qwen2_audio": Several(
        text="qwen2", tower="audio_config", tower_type="qwen2_audio_encoder", projector=_qwen_audio
    ),
}


def read_several(
    config: Mapping[str, Any], family: str, name: str, field: str, read_text: TextReader
) -> tuple[ModelSpec, Keys]:
    """The text part as a model, with the other parts as its towers."""
    plan, keys = SEVERAL[family], Keys(config, field, family)
    text_type, text_config, text_field = _text_part(keys, plan)
    text, text_keys = read_text(text_config, text_type, name, text_field)
    keys.errors += text_keys.errors
    keys.assumed |= text_keys.assumed
    keys.parts.append(("text_config" if keys.has("text_config") else "", text_keys))
    towers = _towers(keys, plan, text.hidden_size)
    if plan.second and keys.has(plan.second):
        second_keys = keys.sub(plan.second, plan.second_type)
        towers += (ALL_TOWERS[plan.second_type](second_keys),)
        if plan.second_projector is not None:
            joined = plan.second_projector(keys, second_keys, text.hidden_size)
            towers += (Tower(name="second projector", parameters=joined, matmul_weights=joined),)
    for unbuilt in ("audio_config", "vision_config"):
        if keys.has(unbuilt) and unbuilt not in (plan.tower, plan.second):
            keys.problem(
                unbuilt,
                "This part of the family is not counted yet.",
                f"Set {unbuilt} to null to plan the model without it.",
            )
    return replace(text, name=name, family=family, towers=towers), keys


def _text_part(keys: Keys, plan: Several) -> tuple[str, dict[str, Any], str]:
    """(model_type, config, field) of the text part, with the class defaults of sizes left out."""
    given = dict(keys.mapping("text_config"))
    field = f"{keys.field}.text_config"
    if not given and plan.flat:
        given = {
            key: value for key, value in keys.values.items() if key not in ("vision_config", "model_type")
        }
        field = keys.field
    stated = given.get("model_type")
    text_type = stated if isinstance(stated, str) and stated != keys.model_type else plan.text
    text_type = SAME_TEXT.get(text_type, text_type)
    defaults = CLASS_DEFAULTS.get(text_type, {})
    if not any(given.get(key) is not None for key in MAIN_SIZES) and plan.text != "step3p5":
        keys.problem("text_config", "The text part says no sizes.", "Paste the whole config.json.")
    for size in MAIN_SIZES:
        if given.get(size) is None and size in defaults:
            given[size] = keys.assumed[size] = defaults[size]
    # What the text part says of its head wins, as in transformers 4; 5 reads the whole's, which then agrees.
    keys.has("tie_word_embeddings")
    if not isinstance(given.get("tie_word_embeddings"), bool):
        whole = keys.values.get("tie_word_embeddings", keys.defaults.get("tie_word_embeddings"))
        if isinstance(whole, bool):
            given["tie_word_embeddings"] = whole
    return text_type, given, field


def _towers(keys: Keys, plan: Several, text_width: int) -> tuple[Tower, ...]:
    if plan.optional_tower and not keys.has(plan.tower):
        return ()
    if plan.tower in keys.values and keys.values[plan.tower] is None:
        keys.problem(
            plan.tower,
            "This part says no sizes.",
            "Paste its whole object, or plan the text part alone by the content of text_config.",
        )
    stated = keys.mapping(plan.tower).get("model_type")
    kind = (
        stated
        if not plan.fixed_tower and isinstance(stated, str) and stated in ALL_TOWERS
        else plan.tower_type
    )
    tower_keys = keys.sub(plan.tower, plan.tower_type)
    if (
        isinstance(stated, str)
        and not plan.fixed_tower
        and stated not in ALL_TOWERS
        and stated not in (keys.model_type, "")
    ):
        tower_keys.problem(
            "model_type", "This encoder is not known.", f"Known: {', '.join(sorted(ALL_TOWERS))}."
        )
    tower = ALL_TOWERS[kind](tower_keys)
    joined = plan.projector(keys, tower_keys, text_width)
    return (tower, Tower(name="projector", parameters=joined, matmul_weights=joined)) if joined else (tower,)
