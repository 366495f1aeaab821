"""A model whose shape was not compared with a public copy says so, in its source and to who asks for it."""

from __future__ import annotations

from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.model import read_model
from planner.contract.section import Problems

CATALOG = load_shipped_catalog()


def _codes(slug: str) -> list[str]:
    problems = Problems()
    assert read_model(slug, "model", CATALOG, problems) is not None
    return [code for code, _ in problems.notes]


def test_no_source_claims_a_shape_without_saying_where_it_was_read() -> None:
    vague = [r.slug for r in CATALOG.models() if r.provenance.source.endswith("its published shape")]
    assert vague == []
    assert [r.slug for r in CATALOG.models() if r.parameters_source == "published total"] == []


def test_a_remembered_shape_warns_and_one_that_was_read_back_does_not() -> None:
    assert not CATALOG.model("command-a").read_back
    assert "model_not_read_back" in _codes("command-a")
    assert CATALOG.model("dbrx-132b").read_back
    assert "model_not_read_back" not in _codes("dbrx-132b")


def test_bamba_has_the_sizes_of_the_published_model_rather_than_the_class_defaults() -> None:
    record = CATALOG.model("bamba-9b")
    assert record.hf_config is not None
    assert (record.hf_config["vocab_size"], record.hf_config["mamba_d_state"]) == (128_256, 128)
    assert record.parameters == 9_780_235_392
