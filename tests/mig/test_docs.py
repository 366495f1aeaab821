"""The document of partitions names every field that is read, and nothing that is not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.mig_fields import EXPORTS, MIG_TABLES
from planner.engine.question.words import PURCHASES
from planner.mig.answers import EXPORTERS, mig_json

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "mig.md").read_text(encoding="utf-8")
FIELDS = {field.name for table in MIG_TABLES for field in table.fields}
CHOICES = {choice for table in MIG_TABLES for field in table.fields for choice in field.choices or ()}


@pytest.mark.parametrize("field", sorted(FIELDS | CHOICES - {*PURCHASES}))
def test_every_field_is_documented(field: str) -> None:
    assert re.search(rf"[`\".]{re.escape(field)}[`\"]", DOCUMENT)


def test_every_file_that_can_be_asked_for_is_made() -> None:
    assert set(EXPORTERS) == set(EXPORTS)


def test_the_documents_examples_are_answered_as_it_says() -> None:
    for text in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL):
        answer = mig_json(json.loads(text), load_shipped_catalog())
        assert answer["optimal"] is True
        for name in answer:
            assert f"`{name}`" in DOCUMENT or name in ("objective", "value", "served", "created", "elapsed_s")
