"""Counts published configs in models built on torch's meta device: tests/engine/golden/parts_counts.json.

Needs transformers in the interpreter that runs it; each row names the release whose class was built, and a
run recounts the rows of the release installed (``python -m scripts.parts_counts``; a difference ends it with
status 1 unless ``--write``). ``--add FILE`` first adds rows ``{"name", "config"}``, a JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[1] / "tests" / "engine" / "golden" / "parts_counts.json"
#: Which class of a family is counted: the first that there is.
MAPPINGS = (
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
    "MODEL_FOR_CAUSAL_LM_MAPPING",
    "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING",
    "MODEL_FOR_MULTIMODAL_LM_MAPPING",
    "MODEL_MAPPING",
)
#: Families whose base model is counted although they have a language-model class too.
ENCODERS = frozenset(
    (
        *(
            "bert",
            "roberta",
            "xlm-roberta",
            "camembert",
            "electra",
            "modernbert",
            "distilbert",
            "vit",
            "deit",
        ),
        *("albert", "longformer", "big_bird", "ernie", "data2vec-text", "xlm-roberta-xl", "esm", "xlnet"),
        *("deberta-v2", "mpnet", "megatron-bert", "roberta-prelayernorm"),
    )
)
#: Parts that are trained alone: the auto classes know the whole only, and not its parts' configurations.
THINKERS = {"qwen2_5_omni_thinker": "Qwen2_5OmniThinkerForConditionalGeneration"}
#: Keys that no count depends on and that some classes cannot read.
LEFT_OUT = frozenset(
    (
        "model_type",
        "architectures",
        "quantization_config",
        "auto_map",
        "torch_dtype",
        "dtype",
        "_name_or_path",
    )
)


def class_of(config: Any, named: str) -> Any:
    """The class whose parameters are counted for a transformers configuration.

    named: the class that the config names; it counts where its head is not a language model's.
    """
    import transformers
    from transformers.models.auto import modeling_auto

    if config.model_type in THINKERS:
        return getattr(transformers, THINKERS[config.model_type])
    if named.endswith("Model") and hasattr(transformers, named):
        return getattr(transformers, named)
    names = ("MODEL_MAPPING",) if config.model_type in ENCODERS else MAPPINGS
    for name in names:
        mapping = getattr(modeling_auto, name, None)
        if mapping is not None and type(config) in mapping:
            found = mapping[type(config)]
            return found[0] if isinstance(found, tuple) else found
    raise LookupError(f"transformers has no model of {config.model_type}")


def count(config: dict[str, Any]) -> int:
    """Parameters of the model that a config describes, built without memory for its weights."""
    import torch
    from transformers import CONFIG_MAPPING

    settings = {key: value for key, value in config.items() if key not in LEFT_OUT}
    if config["model_type"] in THINKERS:
        import transformers

        configuration = getattr(transformers, THINKERS[config["model_type"]]).config_class
    else:
        configuration = CONFIG_MAPPING[config["model_type"]]
    built = configuration.from_dict(settings)
    with torch.device("meta"):
        model = class_of(built, (config.get("architectures") or [""])[0])(built)
    return sum(parameter.numel() for parameter in model.parameters())


def main() -> None:
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--add", type=Path, help="rows to add, a JSON object a line")
    parser.add_argument("--write", action="store_true", help="record what was counted")
    chosen = parser.parse_args()
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    rows, release, differing = golden["counts"], transformers.__version__, 0
    if chosen.add:
        known = {row["name"] for row in rows}
        for line in chosen.add.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["name"] not in known:
                rows.append(
                    {"name": row["name"], "transformers": release, "total": None, "config": row["config"]}
                )
    for row in rows:
        if row["transformers"] != release:
            continue
        try:
            total = count(row["config"])
        except Exception as problem:  # a class that cannot be built says nothing of our count
            print(f"{row['name']}: not built: {problem!r}"[:200])
            continue
        if total != row["total"]:
            differing += 1
            print(f"{row['name']}: {row['total']} recorded, {total} counted")
            row["total"] = total
    if chosen.write or chosen.add:
        rows = [row for row in rows if row["total"] is not None]
        made = {"torch": torch.__version__.partition("+")[0], "date": datetime.now(tz=UTC).date().isoformat()}
        lines = ",\n".join(json.dumps(row) for row in rows)
        GOLDEN.write_text(
            f'{{\n"made_with": {json.dumps(made)},\n"counts": [\n{lines}\n]\n}}\n', encoding="utf-8"
        )
    elif differing:
        sys.exit(1)


if __name__ == "__main__":
    main()
