"""Files of a plan: what was asked and assumed, and names from the scenario."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from django.test import Client

from planner.catalog.facts.loader import load_shipped_catalog
from planner.plans import exports, inputs
from planner.plans.answers import estimate_plan
from planner.plans.links import constants_version
from tests.contract.merge_patch import merge_patch
from tests.plans.plans import a_request, a_result

QUERY = "model=llama-2-7b&nodes=4&tokens=300B"


@pytest.mark.django_db
class TestTheSpreadsheet:
    def rows(self, client: Client, query: str = QUERY) -> dict[tuple[str, str], str]:
        sheet = csv.reader(io.StringIO(client.get(f"/plan.csv?{query}").content.decode()))
        return {(row[0], row[1]): row[2] for row in sheet}

    def test_it_holds_what_was_asked_and_what_was_assumed(self, client: Client) -> None:
        rows = self.rows(client)
        assert rows["asked", "model"] == "llama-2-7b"
        assert rows["asked", "cluster.nodes"] == "4"
        assert rows["assumed", "workload.precision"] == "bf16"
        assert rows["assumed", "cluster.region"] == "us-east-1"
        assert rows["scenario", "constants"] == constants_version()
        assert rows["cost", "price source"] and rows["cost", "price seen"]

    def test_what_is_asked_is_not_assumed(self, client: Client) -> None:
        rows = self.rows(client, f"{QUERY}&precision=fp16")
        assert rows["asked", "workload.precision"] == "fp16"
        assert ("assumed", "workload.precision") not in rows

    def test_files_are_named_after_the_scenario(self, client: Client) -> None:
        for ending in ("csv", "json"):
            said = client.get(f"/plan.{ending}?{QUERY}")["Content-Disposition"]
            assert f'filename="llama-2-7b-pretraining-4-x-p5-48xlarge.{ending}"' in said

    def test_json_has_the_question_beside_the_answer(self, client: Client) -> None:
        told = client.get(f"/plan.json?{QUERY}").json()["asked"]
        assert told["request"]["model"] == "llama-2-7b"
        assert told["constants"] == constants_version()
        assert client.get(told["address"].replace("http://testserver", "")).status_code == 200


@pytest.mark.django_db
class TestAssumptions:
    """Defaults that matter are in both files, and what is said of a change is what happens."""

    QUERY = "model=llama-3.2-1b&task=lora&tokens=100M&batch=64&nodes=1&instance=g6e.12xlarge"

    def test_json_says_what_another_value_does(self, client: Client) -> None:
        answer = client.get(f"/plan.json?{self.QUERY}").json()
        told = answer["assumptions"]
        assert told and all(each["effect"] > 0.05 for each in told)
        for other in (each["others"][0] for each in told):
            changed = merge_patch(answer["asked"]["request"], other["request_patch"])
            result = estimate_plan(changed, load_shipped_catalog())
            assert result.time.total_s == other["total_s"]
            assert result.memory.per_accelerator_bytes.total == other["memory_total_bytes"]

    def test_so_does_the_spreadsheet(self, client: Client) -> None:
        told = client.get(f"/plan.json?{self.QUERY}").json()["assumptions"]
        sheet = csv.reader(io.StringIO(client.get(f"/plan.csv?{self.QUERY}").content.decode()))
        rows = {(row[0], row[1]): row[2] for row in sheet}
        for each in told:
            assert rows["matters", each["field"]] == each["value"]
            for other in each["others"]:
                assert rows["instead", f"{each['field']} = {other['value']}: time"] == str(other["total_s"])


class TestNames:
    def test_a_strange_name_is_still_a_file_name(self) -> None:
        request, result = a_request(), a_result()
        strange = replace(request, model=replace(request.model, name='../"; =cmd|' * 20))
        stem = exports.file_stem(strange, result)
        assert set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert 0 < len(stem) <= exports.LONGEST_STEM


@pytest.mark.django_db
class TestTheSummary:
    def test_who_signs_reads_answer_bill_and_assumptions(self, client: Client) -> None:
        text = client.get(f"/summary?{QUERY}").content.decode()
        assert "<h2>Asked</h2>" in text and "<h2>Assumed</h2>" in text
        assert "Signature" in text
        assert constants_version() in text
        assert "as_of=" in text
        assert "on_demand" not in text.split("<article")[1].split('<dl class="title-block')[0]

    def test_a_plan_that_makes_no_sense_has_no_summary(self, client: Client) -> None:
        response = client.get("/summary?nodes=0")
        assert response.status_code == 422
        assert "This plan cannot be summed up" in response.content.decode()


def test_units_that_are_another_value_are_no_units() -> None:
    nodes = inputs.FIELDS["cluster.nodes"]
    assert nodes.unit.startswith("or ")
    assert inputs.unit_of(nodes) == ""
