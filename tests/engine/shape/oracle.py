"""Hugging Face transformers as the oracle: builds a config's model on torch's meta device and counts.

Needs requirements-oracle.txt. ``python -m tests.engine.shape.oracle`` records golden/oracle_counts.json anew,
which the quick tests read, so that they need no torch.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import transformers

from tests.engine.shape.oracle_configs import ODD_FAMILIES, PUBLISHED, Config, odd_config

GOLDEN = Path(__file__).parents[1] / "golden" / "oracle_counts.json"
ODD_SHAPES_A_FAMILY = 3

_ENCODERS = (
    "bert",
    "roberta",
    "xlm-roberta",
    "camembert",
    "electra",
    "modernbert",
    "distilbert",
    "vit",
    "deit",
)
_BUILT_AS = {"kimi_k2": "deepseek_v3"}  # published with code of its own, which is DeepSeek-V3's
_ENCODER_DECODERS = ("t5", "mt5", "umt5")


def build(config: Config) -> Any:
    """The model that the contract says a config stands for, without memory for its weights."""
    family = config["model_type"]
    settings = {key: value for key, value in config.items() if key != "model_type"}
    hf_config = transformers.CONFIG_MAPPING[_BUILT_AS.get(family, family)].from_dict(settings)
    if family in _ENCODERS:
        model_class = transformers.AutoModel
    elif family in _ENCODER_DECODERS:
        model_class = transformers.AutoModelForSeq2SeqLM
    else:
        model_class = transformers.AutoModelForCausalLM
    with torch.device("meta"):
        return model_class.from_config(hf_config)


def count(model: Any) -> int:
    """Parameters of a built model, a tied tensor once."""
    return sum(parameter.numel() for parameter in model.parameters())


def record() -> None:
    """Writes what the oracle says of every published and a few odd shapes."""
    configs = dict(PUBLISHED)
    for family in ODD_FAMILIES:
        configs |= {f"odd {family} {seed}": odd_config(family, seed) for seed in range(ODD_SHAPES_A_FAMILY)}
    lines = [
        json.dumps({"name": name, "total": count(build(config)), "config": config})
        for name, config in configs.items()
    ]
    made_with = {
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "date": datetime.now(tz=UTC).date().isoformat(),
    }
    rows = ",\n".join(lines)
    GOLDEN.write_text(
        f'{{\n"made_with": {json.dumps(made_with)},\n"counts": [\n{rows}\n]\n}}\n', encoding="utf-8"
    )


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    record()
