"""Writes planner/engine/shape/families/class_defaults.py: defaults of transformers' configuration classes.

Needs transformers in the interpreter that runs it: once with 4.57.6 and once with 5.24.0, the first taking
precedence (``python -m scripts.class_defaults``, then again with ``--fill``). Only whole numbers and switches
that some family's reader asks for are kept.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import json
import re
from pathlib import Path
from typing import Any

from planner.engine.shape.families.class_defaults import CLASS_DEFAULTS

FAMILIES = Path(__file__).parents[1] / "planner" / "engine" / "shape" / "families"
TARGET = FAMILIES / "class_defaults.py"


def words_of_readers() -> set[str]:
    """Every text in the readers' sources: keys and model types among them."""
    words: set[str] = set()
    for path in FAMILIES.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        words |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
    return words


def defaults_of(config_class: Any) -> dict[str, Any]:
    """Whole-number and switch defaults: of dataclass fields (5.x) or of constructors (4.x)."""
    found: dict[str, Any] = {}
    if dataclasses.is_dataclass(config_class):
        pairs = [(field.name, field.default) for field in dataclasses.fields(config_class)]
    else:
        pairs = [("tie_word_embeddings", True)]
        for base in reversed(config_class.__mro__):
            if "__init__" in base.__dict__ and base.__name__ not in ("object", "PretrainedConfig"):
                signature = inspect.signature(base.__init__)
                pairs += [(name, given.default) for name, given in signature.parameters.items()]
    for name, value in pairs:
        if isinstance(value, bool | int):
            found[name] = value
        else:
            found.pop(name, None)
    return found


def collected() -> dict[str, dict[str, Any]]:
    """{model_type: defaults} of every class in the installed transformers, parts of a family included."""
    from transformers import CONFIG_MAPPING

    found: dict[str, dict[str, Any]] = {}
    for model_type in CONFIG_MAPPING:
        config_class = CONFIG_MAPPING[model_type]
        found.setdefault(model_type, defaults_of(config_class))
        parts = getattr(config_class, "sub_configs", None)
        for key, part in parts.items() if isinstance(parts, dict) else ():
            name = getattr(part, "model_type", "")
            found.setdefault(f"{model_type}.{key}" if name in ("", model_type) else name, defaults_of(part))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fill", action="store_true", help="keep what stands in the file, add what it lacks")
    fill = parser.parse_args().fill
    words = words_of_readers()
    found = collected()
    if fill:
        earlier = CLASS_DEFAULTS
        found = {name: found.get(name, {}) | earlier.get(name, {}) for name in sorted({*found, *earlier})}
    kept = {
        name: {key: value for key, value in sorted(defaults.items()) if key in words}
        for name, defaults in sorted(found.items())
        if name in words
    }
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(defaults)}" for name, defaults in kept.items())
    before, _, after = re.split(
        r"(?<=\"\"\"\n)(\{\n.*\n\}\n)(?=\"\"\"\))", TARGET.read_text(encoding="utf-8"), flags=re.S
    )
    TARGET.write_text(f"{before}{{\n{rows}\n}}\n{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
