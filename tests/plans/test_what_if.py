"""What if: one knob at a time, and what a row shows is what applying it gives."""

from __future__ import annotations

from datetime import date

import pytest
from django.http import QueryDict

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.plans.answers import answer_plan
from planner.plans.form import ScenarioForm
from planner.plans.what_if import Knob, what_if
from planner.web import formats

TODAY = date(2026, 11, 29)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_shipped_catalog()


def turned(query: str, catalog: Catalog) -> dict[str, Knob]:
    form = ScenarioForm.of_query(QueryDict(query), catalog)
    question = parse_plan_request(form.request(), catalog, today=TODAY)
    knobs = what_if(form, question, answer_plan(question, catalog), today=TODAY)
    return {knob.name: knob for knob in knobs}


def test_every_knob_that_a_plan_has_is_turned(catalog: Catalog) -> None:
    assert list(turned("", catalog)) == [
        "Sequence length", "Micro-batch", "Recompute", "Precision", "Stack", "Nodes",
    ]  # fmt: skip
    assert "LoRA rank" in turned("task=lora&instance=g6e.xlarge&nodes=1&tokens=10M&batch=8", catalog)


@pytest.mark.parametrize(
    "query", ["", "task=lora&tokens=100M&instance=g6e.xlarge&nodes=1&batch=64", "tp=8&mbs=2&nodes=4"]
)
def test_applying_a_row_gives_what_it_shows(query: str, catalog: Catalog) -> None:
    for knob in turned(query, catalog).values():
        for row in knob.rows:
            if row.kind == "error":
                assert not row.query
                continue
            form = ScenarioForm.of_query(QueryDict(row.query), catalog)
            result = answer_plan(parse_plan_request(form.request(), catalog, today=TODAY), catalog)
            assert result.verdict == row.kind, (knob.name, row.setting)
            assert formats.duration(result.time.total_s).text == row.time, (knob.name, row.setting)


def test_nodes_go_one_up_and_one_down(catalog: Catalog) -> None:
    nodes = turned("", catalog)["Nodes"]
    assert (nodes.now, [row.setting for row in nodes.rows]) == ("16", ["15", "17"])
    assert [row.setting for row in turned("nodes=1", catalog)["Nodes"].rows] == ["2"]


def test_differences_carry_their_sign(catalog: Catalog) -> None:
    shorter, longer = turned("", catalog)["Sequence length"].rows
    assert shorter.time_change.startswith("\N{MINUS SIGN}")
    assert longer.time_change.startswith("+")


def test_a_slice_has_no_nodes_to_add(catalog: Catalog) -> None:
    query = "model=llama-3.2-1b&task=lora&tokens=10M&batch=8&nodes=1&mig=3g.40gb"
    assert "Nodes" not in turned(query, catalog)


def test_a_stack_of_other_chips_is_not_offered(catalog: Catalog) -> None:
    assert "AWS Neuron" not in [row.setting for row in turned("", catalog)["Stack"].rows]
    assert "AWS Neuron" in [row.setting for row in turned("instance=trn1.32xlarge", catalog)["Stack"].rows]
