"""Text to JSON values and back, strictly: what ordinary JSON readers accept silently is refused here by name.

Nothing here depends on plans. A line that cannot be read raises ``PlanError`` with an empty field.
"""

from __future__ import annotations

import json
import math
from typing import Any

from planner.engine.question.errors import PlanError

MAX_JSON_BYTES = 4 * 1_048_576
"""Longest request that is read: 4 MiB. Quantised models' configs list their layers: the longest seen has 3 MB
(nvidia/MiniMax-M3-NVFP4)."""
EXCERPT_CHARACTERS = 120
MAX_DEPTH = 32
"""Levels of objects and lists that a request may have: it needs six, a pasted configuration some more."""


def read_json(text: str | bytes) -> Any:
    """The value that one JSON text holds.

    Refuses, with a message for each: more than ``MAX_JSON_BYTES``, bytes that are not UTF-8, broken syntax,
    the same key twice in one object, and excessive nesting. NaN and infinities (also as 1e999) pass as
    floats, so that ``not_finite`` can say where they are.
    Raises PlanError.
    """
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_JSON_BYTES:
        raise too_long(size)
    try:
        plain = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        value = _DECODER.decode(plain)
    except PlanError:
        raise
    except UnicodeDecodeError as problem:
        raise PlanError(
            "",
            None,
            f"The text is not UTF-8: byte {problem.start} cannot be read.",
            "Save or send it as UTF-8.",
        ) from None
    except json.JSONDecodeError as problem:
        raise PlanError(
            "",
            excerpt(plain[max(0, problem.pos - 20) :]),
            f"This is not JSON: {problem.msg.lower()} at line {problem.lineno}, column {problem.colno}.",
            'Send one object per request, such as {"model": "gpt2", "workload": {…}, "cluster": {…}}.',
        ) from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise PlanError(
            "", None, "A number has too many digits.", "Write large numbers in scientific form, such as 1e12."
        ) from None
    if depth_of(value) > MAX_DEPTH:
        raise _too_deep()
    return value


def depth_of(value: Any) -> int:
    """Levels of objects and lists in a JSON value; 0 for a plain one. Without recursion, which fails."""
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [child for each in level for child in _children(each)]
    return depth


def _children(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _too_deep() -> PlanError:
    return PlanError(
        "", None, "The JSON is nested too deeply.", f"Use at most {MAX_DEPTH} levels of objects and lists."
    )


def write_json(value: Any) -> str:
    """One line of JSON in ASCII, which passes through any terminal, pipe and encoding.

    A NaN or infinity in it is a mistake of this program and raises ValueError.
    """
    return json.dumps(value, allow_nan=False)


def not_finite(value: Any, path: str = "") -> list[tuple[str, float]]:
    """Dotted path and value of every NaN and infinity in a JSON value."""
    if isinstance(value, float):
        return [] if math.isfinite(value) else [(path, value)]
    if isinstance(value, dict):
        children = [(f"{path}.{key}" if path else str(key), child) for key, child in value.items()]
    elif isinstance(value, list):
        children = [(f"{path}.{index}" if path else str(index), child) for index, child in enumerate(value)]
    else:
        return []
    return [found for child_path, child in children for found in not_finite(child, child_path)]


def too_long(size_bytes: int | None = None) -> PlanError:
    """The error for a request longer than ``MAX_JSON_BYTES``. size_bytes: None where it is not known."""
    length = f"{size_bytes:,} bytes long" if size_bytes is not None else "longer than a request may be"
    return PlanError(
        "",
        None,
        f"The request is {length}; at most {MAX_JSON_BYTES:,} bytes ({MAX_JSON_BYTES >> 20} MiB) are read.",
        "Send one request alone, with the model's config.json and nothing else in hf_config.",
    )


def plain_value(value: Any) -> Any:
    """``value`` as an error can show it: JSON-safe and short, whatever was given."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return (
            value
            if abs(value) < 2**63
            else excerpt(f"{value:.6e}" if abs(value) < 10**300 else "a huge number")
        )
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return excerpt(value)
    if isinstance(value, dict | list | tuple):
        try:
            text = json.dumps(value, default=str, ensure_ascii=False, allow_nan=False)
        except (ValueError, RecursionError):
            return excerpt(f"a {type(value).__name__}")
        return value if len(text) <= EXCERPT_CHARACTERS else excerpt(text)
    return excerpt(str(value))


def excerpt(text: str) -> str:
    """The beginning of a text, with an ellipsis where it was cut. Lone surrogates are replaced."""
    short = text if len(text) <= EXCERPT_CHARACTERS else text[: EXCERPT_CHARACTERS - 1] + "…"
    return short.encode("utf-8", "replace").decode("utf-8")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) == len(pairs):
        return read
    seen: set[str] = set()
    for key, value in pairs:
        if key in seen:
            raise PlanError(
                excerpt(key),
                plain_value(value),
                f'The key "{excerpt(key)}" is given twice.',
                "Keep one of the two.",
            )
        seen.add(key)
    return read


_DECODER = json.JSONDecoder(object_pairs_hook=_once_each)
