"""What a scenario leaves to defaults: the ones that matter, and what is said of a change is what happens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.http import QueryDict

from planner.catalog.facts.loader import load_shipped_catalog
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.plans.assumptions import SHARE, Alternative, Assumption, assumptions, change_in_words, stacks
from planner.plans.charts.stacks import same_figures, stack_chart
from planner.plans.form import ScenarioForm
from planner.plans.scenario import answer
from tests.plans.plans import a_result

CATALOG = load_shipped_catalog()


def scenario(query: str) -> tuple[ScenarioForm, PlanRequest, PlanResult]:
    form = ScenarioForm.of_query(QueryDict(query), CATALOG)
    return form, *answer(form)


def found(query: str) -> dict[str, Assumption]:
    return {each.name: each for each in assumptions(*scenario(query))}


TUNING = "task=full_finetuning&tokens=100M&batch=64&nodes=1"
LORA = "task=lora&tokens=100M&batch=64&nodes=1"


def test_the_defaults_of_a_fine_tuning_that_people_trip_over_are_told() -> None:
    told = found(TUNING)
    assert told["master_weights"].value == "None"
    assert told["framework"].value == "Generic"
    assert told["loss"].value == "Whole logits"
    assert {"fp32 alone"} <= {other.label for other in told["master_weights"].others}


def test_only_what_matters_is_told_the_largest_effect_first() -> None:
    for query in ("", TUNING):
        effects = [each.effect for each in assumptions(*scenario(query))]
        assert effects and min(effects) > SHARE
        assert effects == sorted(effects, reverse=True)


def test_what_was_asked_for_is_not_assumed() -> None:
    assert "loss" not in found(f"{TUNING}&loss=fused")
    assert "framework" not in found(f"{TUNING}&framework=fsdp")


@pytest.mark.parametrize("query", ["", TUNING, f"{LORA}&instance=g6e.12xlarge"])
def test_a_link_leads_to_what_it_says(query: str) -> None:
    _, _, plan = scenario(query)
    for each in found(query).values():
        for other in each.others:
            _, _, then = scenario(other.query)
            assert then.time.total_s == pytest.approx(other.result.time.total_s, rel=1e-9)
            total = then.memory.per_accelerator_bytes.total
            assert total == pytest.approx(other.result.memory.per_accelerator_bytes.total, rel=1e-9)
            assert change_in_words(plan, then) == other.says
            assert "framework" in parse_qs(other.query) or each.name != "framework"


def test_the_same_run_by_each_stack() -> None:
    form, request, plan = scenario("model=llama-3.1-70b&nodes=64")
    by_name = {each.value: each for each in stacks(form, request, plan)}
    assert set(by_name) == {"generic", "megatron", "fsdp", "deepspeed", "torchtitan"}
    assert by_name["generic"].result.time.total_s == pytest.approx(plan.time.total_s, rel=1e-9)
    assert by_name["megatron"].result.time.total_s < plan.time.total_s
    _, _, then = scenario(by_name["megatron"].query)
    assert then.time.total_s == pytest.approx(by_name["megatron"].result.time.total_s, rel=1e-9)


def test_stacks_are_those_that_people_use_for_the_task() -> None:
    names = {each.value for each in stacks(*scenario(LORA))}
    assert "trl" in names and "megatron" not in names


def an_alternative(name: str, result: PlanResult) -> Alternative:
    return Alternative(value=name, label=name, query=f"framework={name}", result=result, says="")


def test_the_chart_says_what_the_stack_does_to_this_plan() -> None:
    form, request, plan = scenario("model=llama-3.1-70b&nodes=64")
    chart = stack_chart(stacks(form, request, plan), plan, "generic")
    assert chart is not None
    assert "with Generic" in chart.finding and "with Megatron-LM" in chart.finding
    (bars,) = chart.figure["data"]
    assert len(bars["x"]) == len(bars["y"]) == len(bars["error_x"]["array"])
    assert sum("your plan" in text for text in bars["text"]) == 1
    assert bars["x"] == sorted(bars["x"], reverse=True)


def test_stacks_that_are_not_told_apart_share_a_bar() -> None:
    slow = a_result()
    quick = replace(slow, time=replace(slow.time, total_s=slow.time.total_s / 2))
    stacked = [an_alternative(name, result) for name, result in (("a", slow), ("b", quick), ("c", slow))]
    assert [[each.value for each in bar] for bar in same_figures(stacked)] == [["b"], ["a", "c"]]
    assert stack_chart(stacked[:1], slow, "a") is None


@pytest.mark.django_db
class TestPage:
    def test_it_is_fetched_after_the_answer_and_works_without_a_script(self, client: Any) -> None:
        query = "model=llama-2-7b&nodes=4"
        page = client.get(f"/?{query}").content.decode()
        assert 'id="assumed" hx-get="/assumed?model=llama-2-7b&amp;nodes=4"' in page
        assert 'id="chart-stacks' not in page
        whole = client.get(f"/assumed?{query}").content.decode()
        assert "<html" in whole and 'id="chart-stacks-data"' in whole and "<h2>Assumed</h2>" in whole
        part = client.get(f"/assumed?{query}", headers={"HX-Request": "true"}).content.decode()
        assert "<html" not in part and 'id="assumed"' in part

    def test_a_question_that_makes_no_sense(self, client: Any) -> None:
        assert client.get("/assumed?tp=7").status_code == 422


def test_the_finding_says_where_it_fits_rather_than_how_quick_it_would_be() -> None:
    lacking = a_result(fits=False)
    fitting = a_result(seconds=20 * 86_400.0)
    chart = stack_chart([an_alternative("a", lacking), an_alternative("b", fitting)], lacking, "a")
    assert chart is not None
    assert chart.finding == "With a it does not fit; with b it does, in 20.0 days."
