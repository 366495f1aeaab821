"""Facts of measured runs in the contract's words: the table, and what it makes of rows."""

from __future__ import annotations

import json

import pytest

from planner.accuracy.facts import ITSELF, Mapping, mappings, request_with_facts
from planner.accuracy.runs import FURTHER, MEASURED, read_rows
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request

ROW = {"source": "a page", "request": {"workload": {"task": "lora"}, "cluster": {}, "layout": {}}}


@pytest.mark.parametrize("mapping", mappings(), ids=lambda each: f"{each.source}-{each.fact}-{each.field}")
def test_each_row_of_the_table_is_sound_and_says_why(mapping: Mapping) -> None:
    assert mapping.why
    assert mapping.set == ITSELF or json.loads(mapping.set) is not None
    assert bool(mapping.fact) == bool(mapping.value)
    assert mapping.field.split(".")[0] in ("workload", "cluster", "layout")


def test_a_fact_sets_its_field_and_leaves_the_row_alone() -> None:
    row = ROW | {"facts": {"base_weights": "fp8"}}
    assert request_with_facts(row)["workload"] == {"task": "lora", "frozen_precision": "fp8"}
    assert row["request"]["workload"] == {"task": "lora"}


def test_a_source_sets_what_all_its_runs_have() -> None:
    row = ROW | {"source": "kempnerforge"}
    assert request_with_facts(row)["workload"]["gradient_sync"] == "last_micro_batch"


def test_a_row_without_facts_stays_as_it_is() -> None:
    assert request_with_facts(ROW) == ROW["request"]


def test_every_run_on_known_machines_is_a_question_with_its_facts() -> None:
    catalog = load_shipped_catalog()
    known = {record.slug for record in catalog.accelerators()}
    for path in (MEASURED, FURTHER):
        for row in read_rows(path):
            if row["request"]["cluster"].get("accelerator", "h100-sxm") in known:
                parse_plan_request(row["request"], catalog)
