"""The content of a Hugging Face ``config.json``, read into a ``ModelSpec``.

The door to ``planner.engine.hf``: picks the family by ``model_type`` and reports what is wrong with a
config by its field. Only the four sizes that say which model it is (width, layers, heads, vocabulary) must
be there; what else is absent takes the default of the family's class in transformers, as loading the
config there would, and ``assumed_defaults`` names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from planner.engine.errors import PlanError
from planner.engine.explicit import check_size
from planner.engine.hf import encoders, gpt_like, mixtures
from planner.engine.hf.llama_like import LLAMA_VARIANTS, read_llama_like
from planner.engine.reading import SpecReader, nearest
from planner.engine.specs import ModelSpec

FamilyReader = Callable[[SpecReader, str, str], ModelSpec]

FAMILIES: Final[dict[str, FamilyReader]] = {
    **dict.fromkeys(LLAMA_VARIANTS, read_llama_like),
    "mixtral": mixtures.read_mixtral,
    "qwen2_moe": mixtures.read_qwen_moe,
    "qwen3_moe": mixtures.read_qwen_moe,
    "deepseek_v2": mixtures.read_deepseek,
    "deepseek_v3": mixtures.read_deepseek,
    "gpt_oss": mixtures.read_gpt_oss,
    "gpt2": gpt_like.read_gpt2,
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
        raise PlanError(
            f"{field}.model_type",
            None,
            "This key is missing.",
            'Add the family, e.g. "model_type": "llama".',
        )
    if isinstance(model_type, str) and model_type in FAMILIES:
        return model_type
    near = nearest(model_type, FAMILIES)
    suggestion = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(sorted(FAMILIES))}."
    raise PlanError(
        f"{field}.model_type",
        model_type if isinstance(model_type, str) and len(model_type) < 200 else repr(model_type)[:200],
        "This model family is not known.",
        f"{suggestion} Or describe the model as an explicit architecture.",
    )
