"""The content of a Hugging Face ``config.json``, read into a ``ModelSpec``.

The door to ``planner.engine.shape.hf``: picks the family by ``model_type`` and reports what is wrong with a
config by its field. Only the four sizes that say which model it is (width, layers, heads, vocabulary) must
be there; what else is absent takes the default of the family's class in transformers, as loading the
config there would, and ``assumed_defaults`` names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from planner.engine.question.errors import PlanError
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.explicit import check_size
from planner.engine.shape.hf import encoders, gpt_like, mixtures
from planner.engine.shape.hf.llama_like import LLAMA_VARIANTS, read_llama_like
from planner.engine.shape.reading import SpecReader, nearest

FamilyReader = Callable[[SpecReader, str, str], ModelSpec]

FAMILIES: Final[dict[str, FamilyReader]] = {
    **dict.fromkeys(LLAMA_VARIANTS, read_llama_like),
    "mixtral": mixtures.read_mixtral,
    "qwen2_moe": mixtures.read_qwen_moe,
    "qwen3_moe": mixtures.read_qwen_moe,
    "deepseek_v2": mixtures.read_deepseek,
    "deepseek_v3": mixtures.read_deepseek,
    "kimi_k2": mixtures.read_deepseek,
    "glm4_moe": mixtures.read_glm_moe,
    "olmoe": mixtures.read_olmoe,
    "gpt_oss": mixtures.read_gpt_oss,
    "gpt2": gpt_like.read_gpt2,
    "gpt_bigcode": gpt_like.read_gpt_bigcode,
    "gptj": gpt_like.read_gptj,
    "gpt_neo": gpt_like.read_gpt_neo,
    "gpt_neox": gpt_like.read_gpt_neox,
    "opt": gpt_like.read_opt,
    "bloom": gpt_like.read_bloom,
    "mpt": gpt_like.read_mpt,
    "falcon": gpt_like.read_falcon,
    "phi": gpt_like.read_phi,
    "starcoder2": gpt_like.read_starcoder2,
    "bert": encoders.read_bert,
    "roberta": encoders.read_bert,
    "xlm-roberta": encoders.read_bert,
    "camembert": encoders.read_bert,
    "electra": encoders.read_electra,
    "modernbert": encoders.read_modernbert,
    "distilbert": encoders.read_distilbert,
    "t5": encoders.read_t5,
    "mt5": encoders.read_t5,
    "umt5": encoders.read_t5,
    "vit": encoders.read_vit,
    "deit": encoders.read_vit,
}


def model_from_hf_config(
    config: Mapping[str, Any], name: str = "custom", field: str = "model.hf_config"
) -> ModelSpec:
    """The model that a Hugging Face config describes.

    Raises PlanError or PlanErrors whose fields are ``field`` and the key, e.g.
    ``model.hf_config.num_attention_heads``: an unknown family, a missing size, a size that is not a
    positive whole number, heads that do not divide the width.
    """
    model, reader = _read(config, name, field)
    reader.finish()
    check_size(model, field)
    return model


def assumed_defaults(config: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Sizes that a readable config leaves out, with the default taken for each, in the order read."""
    _, reader = _read(config, "custom", "model.hf_config")
    return tuple(reader.assumed.items())


def _read(config: Mapping[str, Any], name: str, field: str) -> tuple[ModelSpec, SpecReader]:
    if not isinstance(config, Mapping):
        raise PlanError(
            field,
            repr(config)[:200],
            "This must be an object.",
            "Paste the whole content of config.json, from { to }.",
        )
    family = _family(config, field)
    reader = SpecReader(config, field)
    return FAMILIES[family](reader, family, name), reader


def _family(config: Mapping[str, Any], field: str) -> str:
    model_type = config.get("model_type")
    if model_type is None:
        guess = _family_by_class(config.get("architectures")) or "llama"
        raise PlanError(
            f"{field}.model_type",
            None,
            "This key is missing.",
            f'Add the family, e.g. "model_type": "{guess}".',
        )
    if isinstance(model_type, str) and model_type in FAMILIES:
        return model_type
    if isinstance(config.get("text_config"), Mapping):
        raise PlanError(
            f"{field}.model_type",
            _short(model_type),
            "This is a model of several parts (such as image and text), which are not modelled together.",
            "Paste the content of its text_config alone, with the model_type that stands in it.",
        )
    near = nearest(model_type, FAMILIES)
    suggestion = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(sorted(FAMILIES))}."
    raise PlanError(
        f"{field}.model_type",
        _short(model_type),
        "This model family is not known.",
        f"{suggestion} Or describe the model as an explicit architecture.",
    )


def _family_by_class(architectures: Any) -> str | None:
    """The family whose name a class name such as ``LlamaForCausalLM`` begins with, the longest such."""
    if not isinstance(architectures, list) or not architectures or not isinstance(architectures[0], str):
        return None
    class_name = architectures[0].lower()
    by_class_name = {family.replace("_", "").replace("-", ""): family for family in FAMILIES}
    fitting = [name for name in by_class_name if class_name.startswith(name)]
    return by_class_name[max(fitting, key=len)] if fitting else None


def _short(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= 200 else repr(value)[:200]
