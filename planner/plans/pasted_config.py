"""A Hugging Face config.json as pasted by a person: checked, and reduced to the keys that set the shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from planner.contract.jsontext import MAX_JSON_BYTES, read_json
from planner.engine.question.errors import HeadroomError, PlanError
from planner.engine.shape.hf_config import essential_config

MAX_CONFIG_BYTES = MAX_JSON_BYTES
#: A pasted text that is too long to be read is shown up to here.
SHOWN_CHARACTERS = 2000
#: Keys of a Hugging Face config that do not affect shape or size; left out of the address to keep it short.
CONFIG_NOISE = re.compile(
    r"^_|.*token_id$|.*dropout$|.*_layerdrop$"
    r"|^(id2label|label2id|task_specific_params|auto_map|transformers_version|quantization_config|rope_scaling"
    r"|(torch_)?dtype|initializer_range|use_cache|suppress_tokens|begin_suppress_tokens)$"
)


def read_config(text: str) -> dict[str, Any]:
    """A pasted config.json.

    Raises PlanError for a text that is too long, not JSON, or not an object.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    field = "model.hf_config"
    if size > MAX_CONFIG_BYTES:
        raise PlanError(
            field,
            None,
            f"The pasted text is {size:,} bytes long; at most {MAX_CONFIG_BYTES:,} "
            f"({MAX_CONFIG_BYTES >> 20} MiB) are read.",
            "Paste the model's config.json alone, not its weights or tokenizer.",
        )
    try:
        config = read_json(text)
    except PlanError as problem:
        remedy = "Paste the whole file, from its first brace to its last."
        raise PlanError(field, problem.value, problem.message, remedy) from None
    if not isinstance(config, dict):
        raise PlanError(
            field,
            None,
            "This is JSON, but not the object of a config.json.",
            "Paste the file, braces included.",
        )
    return config


def is_explicit(config: Mapping[str, Any]) -> bool:
    """Whether a pasted object is an architecture in the contract's own words rather than a config.json."""
    return isinstance(config.get("architecture"), str) and "model_type" not in config


def shape_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without keys that no answer depends on; of one that cannot be read, without usual noise."""
    if is_explicit(config):
        return dict(config)
    try:
        return essential_config(config)
    except HeadroomError:
        pass
    return {key: value for key, value in config.items() if value is not None and not CONFIG_NOISE.match(key)}
