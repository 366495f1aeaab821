"""The content of a Hugging Face ``config.json``, read into a ``ModelSpec``.

The door to ``planner.engine.shape.hf``: picks the family by ``model_type`` and reports what is wrong with a
config by its field. Only the four sizes that say which model it is (width, layers, heads, vocabulary) must
be there; what else is absent takes the default of the family's class in transformers, as loading the
config there would, and ``assumed_defaults`` names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from planner.engine.question.errors import HeadroomError, PlanError
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.explicit import check_size
from planner.engine.shape.families.keys import Keys
from planner.engine.shape.families.registry import PART_FAMILIES
from planner.engine.shape.families.several import SEVERAL, read_several
from planner.engine.shape.families.unknown import is_llama_shaped, read_unknown
from planner.engine.shape.heads import class_named, with_head
from planner.engine.shape.hf import encoders, gpt_like, mixtures
from planner.engine.shape.hf.llama_like import LLAMA_VARIANTS, read_llama_like
from planner.engine.shape.reading import SpecReader
from planner.engine.shape.unread import PREDICTION, STRUCTURAL, note_unread, prediction_keys

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

#: Families that transformers knows no more, whose files still go around.
FORMER: Final[dict[str, FamilyReader]] = {"phi-msft": gpt_like.read_phi_msft}
LONGEST_NAME: Final = 100
#: Families published with another's class.
SAME_CLASS: Final = {
    "phi-msft": "phi",
    "kimi_k2": "deepseek_v3",
    "kimi_k25": "deepseek_v3",
    "deepseek_ref": "deepseek_v4",
}
#: Families of which one model is trained at a time: what is planned is the part that reads and thinks.
THINKERS: Final = {"qwen2_5_omni": "qwen2_5_omni_thinker", "qwen3_omni_moe": "qwen3_omni_moe_thinker"}
#: Families without a class in transformers, counted by the tensors of their checkpoints.
UNPUBLISHED: Final = frozenset(("kimi_k3",))
KNOWN: Final = frozenset((*FAMILIES, *FORMER, *PART_FAMILIES, *SEVERAL, *THINKERS))


def model_from_hf_config(
    config: Mapping[str, Any], name: str = "custom", field: str = "model.hf_config"
) -> ModelSpec:
    """The model that a Hugging Face config describes.

    Raises PlanError or PlanErrors whose fields are ``field`` and the key, e.g.
    ``model.hf_config.num_attention_heads``: an unknown family, a missing size, a size that is not a
    positive whole number, heads that do not divide the width, a structural key that the family does not read.
    """
    model, reader = _read(config, name, field)
    if not reader.errors:
        _note_unread(reader)
    reader.finish()
    model, _ = with_head(model, _headed(config))
    check_size(model, field)
    return model


def assumed_defaults(config: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Sizes that a readable config leaves out, with the default taken for each, in the order read."""
    _, reader = _read(config, "custom", "model.hf_config")
    return tuple(reader.assumed.items())


def reading_notes(config: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(code, message) of each warning that the reading of a readable config deserves."""
    model, reader = _read(config, "custom", "model.hf_config")
    notes = []
    if str(config.get("model_type")) not in KNOWN:
        notes.append(
            (
                "family_not_known",
                f"The family {_short(config.get('model_type'))!r} is not known by name: its usual keys were "
                "read as a decoder of Llama's plan. Check the parameter count against the published one.",
            )
        )
    model, head = with_head(model, _headed(config))
    if head:
        notes.append(("architectures_head", head))
    other = _family_by_class(config.get("architectures"))
    if other is not None and other != model.family and SAME_CLASS.get(model.family) != other:
        notes.append(
            (
                "architectures_differ",
                f"architectures names {class_named(config)[:100]}, but model_type says {model.family}, which "
                "was read.",
            )
        )
    if model.family in UNPUBLISHED:
        notes.append(
            (
                "class_not_published",
                f"transformers has no class of {model.family}: the text is counted by the published list of "
                "its tensors, the encoder by its sizes alone (to some ten million parameters).",
            )
        )
    if str(config.get("model_type")) in THINKERS:
        notes.append(
            (
                "thinker_alone",
                "Planned is the model of thinker_config, which training tunes; talker and speech decoder are "
                "left out.",
            )
        )
    return (*notes, *_left_out(model, reader))


def essential_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A readable config without the keys that no answer depends on; read again, it gives the same model.

    Labels are kept as their number.  Raises as ``model_from_hf_config`` does.
    """
    model_from_hf_config(config)
    model, reader = _read(config, "custom", "model.hf_config")
    kept = _asked_for(config, reader)
    labels = kept.pop("id2label", None)
    if isinstance(labels, Mapping):
        kept["num_labels"] = len(labels)
    try:
        again, _ = _read(kept, "custom", "model.hf_config")
        same = with_head(again, _headed(kept)) == with_head(model, _headed(config))
        same = same and reading_notes(kept) == reading_notes(config)
    except HeadroomError:
        same = False
    return kept if same else dict(config)


def _headed(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config whose ``architectures`` names the model that was read."""
    thinker = config.get("thinker_config") if str(config.get("model_type")) in THINKERS else None
    return thinker if isinstance(thinker, Mapping) else config


#: Keys that say more than a family's reader asks for: names, heads, and what stops an answer unread.
ALWAYS_KEPT: Final = frozenset(
    ("model_type", "architectures", "_name_or_path", "num_labels", "id2label", "layer_types", "head_dim")
)


def _asked_for(values: Mapping[str, Any], reader: SpecReader) -> dict[str, Any]:
    parts = {name: part for name, part in reader.parts if name}
    asked = reader.seen.union(*(part.seen for name, part in reader.parts if not name))
    asked |= ALWAYS_KEPT | STRUCTURAL | parts.keys()
    return {
        key: _asked_for(value, parts[key]) if key in parts and isinstance(value, Mapping) else value
        for key, value in values.items()
        if key in asked or PREDICTION.match(str(key))
    }


def _left_out(model: ModelSpec, reader: SpecReader) -> list[tuple[str, str]]:
    """Warnings of what stands in the config and does not count."""
    notes = []
    readers = [reader, *(part for _, part in reader.parts)]
    predicted = tuple(dict.fromkeys(key for one in readers for key in prediction_keys(one.values)))
    if predicted:
        notes.append(
            (
                "prediction_blocks_not_counted",
                f"Multi-token-prediction blocks ({', '.join(predicted)}) are not built by the class in "
                "transformers and are not counted.",
            )
        )
    unread = note_unread(reader, stop=False) if model.family in SEVERAL else ()
    if unread:
        notes.append(
            (
                "keys_not_read",
                f"These keys beside the parts' own objects are not read by the class: {', '.join(unread)}.",
            )
        )
    if model.parts is not None and any(group.mixer.state_flops for group in model.parts.groups):
        kinds = dict.fromkeys(group.mixer.kind for group in model.parts.groups if group.mixer.state_flops)
        notes.append(
            (
                "scan_not_measured",
                f"No run of such blocks ({', '.join(kinds)}) was measured: their time and memory follow from "
                "published FLOP and byte counts alone, and may be off by twice.",
            )
        )
    if model.towers:
        named = ", ".join(f"{tower.name} {tower.parameters / 1e6:,.0f}M" for tower in model.towers)
        notes.append(
            (
                "towers_not_timed",
                f"Counted with its other parts ({named}), whose weights and states are in memory; the time "
                "and activations of images or audio are not modelled, only those of the text.",
            )
        )
    return notes


def _note_unread(reader: SpecReader) -> None:
    """Structural keys that were not read stop the answer; in a model of several parts, its text part's."""
    if isinstance(reader, Keys) and reader.model_type in SEVERAL:
        beside = {key for name, part in reader.parts if not name for key in reader.seen}
        for name, part in reader.parts:
            if name in ("text_config", ""):
                part.errors = reader.errors
                part.seen |= beside
                note_unread(part)
        return
    note_unread(reader)


def _read(config: Mapping[str, Any], name: str, field: str) -> tuple[ModelSpec, SpecReader]:
    if not isinstance(config, Mapping):
        raise PlanError(
            field,
            repr(config)[:200],
            "This must be an object.",
            "Paste the whole content of config.json, from { to }.",
        )
    family = _family(config, field)
    if family in THINKERS:
        return _read_thinker(config, family, name, field)
    if family in SEVERAL:
        return read_several(config, family, name, field, _read_text)
    return _read_text(config, family, name, field)


def _read_thinker(
    config: Mapping[str, Any], family: str, name: str, field: str
) -> tuple[ModelSpec, SpecReader]:
    thinker = config.get("thinker_config")
    if not isinstance(thinker, Mapping):
        raise PlanError(
            f"{field}.thinker_config",
            _short(thinker),
            "The model that is trained is described in this object, which is missing.",
            "Paste the whole config.json.",
        )
    model, reader = read_several(thinker, THINKERS[family], name, f"{field}.thinker_config", _read_text)
    return replace(model, family=family), reader


def _read_text(config: Mapping[str, Any], family: str, name: str, field: str) -> tuple[ModelSpec, SpecReader]:
    """A model of one part."""
    plain = FAMILIES.get(family) or FORMER.get(family)
    if plain is not None:
        reader = SpecReader(config, field)
        return plain(reader, family, name), reader
    keys = Keys(config, field, family)
    return PART_FAMILIES.get(family, read_unknown)(keys, family, name), keys


def _family(config: Mapping[str, Any], field: str) -> str:
    model_type = config.get("model_type")
    if model_type is None:
        guess = _family_by_class(config.get("architectures"))
        example = f', e.g. "model_type": "{guess}"' if guess else ", as it stands in the model's config.json"
        raise PlanError(f"{field}.model_type", None, "This key is missing.", f"Add the family{example}.")
    if isinstance(model_type, str) and model_type in KNOWN:
        return model_type
    if isinstance(config.get("thinker_config"), Mapping):
        raise PlanError(
            f"{field}.model_type",
            _short(model_type),
            "This is a model of several models, of which one is trained at a time.",
            "Paste the content of its thinker_config alone, with the model_type that stands in it.",
        )
    if any(
        isinstance(config.get(part), Mapping) for part in ("text_config", "vision_config", "audio_config")
    ):
        raise PlanError(
            f"{field}.model_type",
            _short(model_type),
            "This is a model of several parts (such as image and text), of a family that is not known.",
            "Paste the content of its text_config alone, with the model_type that stands in it.",
        )
    if isinstance(model_type, str) and 0 < len(model_type) <= LONGEST_NAME and is_llama_shaped(config):
        return model_type
    raise PlanError(
        f"{field}.model_type",
        _short(model_type),
        "This model family is not known.",
        f"{_spelled(model_type)}Describe the model as an explicit architecture.",
    )


def _spelled(model_type: Any) -> str:
    """A question where the name is a known family's but for case and hyphens; never for a name alike."""
    if not isinstance(model_type, str):
        return ""
    plain = {family.replace("-", "_"): family for family in KNOWN}
    known = plain.get(model_type.strip().lower().replace("-", "_"))
    return f"Is {known} meant? Otherwise: " if known else ""


def _family_by_class(architectures: Any) -> str | None:
    """The family whose name a class name such as ``LlamaForCausalLM`` begins with, the longest such."""
    if not isinstance(architectures, list) or not architectures or not isinstance(architectures[0], str):
        return None
    class_name = architectures[0].lower().replace("_", "")
    by_class_name = {family.replace("_", "").replace("-", ""): family for family in KNOWN}
    fitting = [name for name in by_class_name if class_name.startswith(name)]
    return by_class_name[max(fitting, key=len)] if fitting else None


def _short(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= 200 else repr(value)[:200]
