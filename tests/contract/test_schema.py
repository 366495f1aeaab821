"""The contract's schema and document: made from the fields, fresh, and of the questions that are answered."""

from __future__ import annotations

import re
from typing import Any

import pytest

from planner.contract.fields import TABLES
from planner.contract.schema import json_schema
from scripts import contract as document
from tests.contract.conftest import BASE, bent


def valid(value: Any, schema: dict[str, Any]) -> bool:
    """As much of JSON Schema as ours uses."""
    if "$ref" in schema:
        return valid(value, json_schema()["$defs"][schema["$ref"].removeprefix("#/$defs/")])
    if "anyOf" in schema and not any(valid(value, option) for option in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(is_kind(value, kind) for kind in kinds):
        return False
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, above, high = (schema.get(name) for name in ("minimum", "exclusiveMinimum", "maximum"))
        if (low is not None and value < low) or (above is not None and value <= above):
            return False
        return high is None or value <= high
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        return (
            set(schema.get("required", ())) <= set(value)
            and set(value) <= set(known)
            and all(valid(part, known[name]) for name, part in value.items())
        )
    if isinstance(value, list) and "items" in schema:
        return all(valid(item, schema["items"]) for item in value)
    return True


def is_kind(value: Any, kind: str) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return {
        "object": isinstance(value, dict),
        "array": isinstance(value, list),
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "null": value is None,
        "integer": whole or (isinstance(value, float) and value.is_integer()),
        "number": whole or isinstance(value, float),
    }[kind]


def test_the_schema_has_every_field() -> None:
    defined = json_schema()["$defs"]
    names = {name for part in defined.values() for name in part.get("properties", {})}
    assert {field.name for table in TABLES for field in table.fields} - {"hf_config"} <= names
    assert "hf_config" in str(defined["model"])


@pytest.mark.parametrize(
    ("changes", "sound"),
    [
        ({}, True),
        ({"layout": "auto"}, True),
        ({"model": {"hf_config": {"model_type": "gpt2"}}}, True),
        ({"cluster": {"accelerator": "h100-sxm", "accelerators_per_node": 8, "nodes": "auto"}}, True),
        ({"workload.precision": None}, True),
        ({"workload.precision": "bf15"}, False),
        ({"workload.global_batch_size": 0}, False),
        ({"workload.tokens": 0}, False),
        ({"workload.optimiser": "adamw"}, False),
        ({"cluster.nodes": "many"}, False),
        ({"cluster.gpus": 8}, False),
        ({"layout.tensor_parallel": 2.5}, False),
        ({"nonsense": 1}, False),
    ],
)
def test_the_schema_tells_sound_questions_from_others(changes: dict[str, Any], sound: bool) -> None:
    assert valid(bent(changes), {"$ref": "#/$defs/estimate"}) is sound


def test_a_search_is_in_the_schema() -> None:
    asked = {name: value for name, value in BASE.items() if name != "layout"}
    filters = {"any": {"nodes": [1, 2], "purchases": ["spot"]}}
    assert valid(asked | {"cluster": filters, "vary": ["sharding"]}, {"$ref": "#/$defs/search"})
    assert not valid(asked | {"cluster": {"any": {"purchases": ["gift"]}}}, {"$ref": "#/$defs/search"})


def test_the_document_is_fresh() -> None:
    written = document.DOCUMENT.read_text(encoding="utf-8")
    assert written == document.document(), "docs/contract.md is stale: run `make docs`"


def test_the_document_names_every_field_and_every_choice() -> None:
    text = document.document()
    named = set(re.findall(r"`([^`]+)`", text))
    for table in TABLES:
        for field in table.fields:
            assert field.name in named, field.path
            assert set(field.choices or ()) <= named, field.path
