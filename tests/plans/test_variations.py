"""The same run elsewhere: what a page asks of other machines is what a reader would ask of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import LayoutRequest
from planner.plans import answers
from planner.plans.variations import FOLLOWING, free_layout, on_machines
from tests.api.test_v1 import QUESTION

CATALOG = load_shipped_catalog()
RUN = QUESTION["workload"] | {"precision": None}


def on(instance: str, **workload: Any) -> dict[str, Any]:
    cluster = {"instance_type": instance, "nodes": 2}
    return QUESTION | {"workload": RUN | workload, "cluster": cluster, "layout": "auto", "id": None}


@pytest.mark.parametrize("start", ["p5.48xlarge", "p3.16xlarge"])
def test_a_moved_run_is_the_question_that_one_would_ask(start: str) -> None:
    request = parse_plan_request(on(start), CATALOG)
    for record in CATALOG.instances():
        try:
            asked = parse_plan_request(on(record.slug), CATALOG)
        except PlanErrors:
            with pytest.raises(PlanErrors):
                on_machines(request, replace(request.cluster, accelerator=record.spec.accelerator))
            continue
        moved = on_machines(request, asked.cluster)
        assert replace(moved, notes=()) == replace(asked, notes=()), record.slug


def test_a_moved_run_has_the_same_answer() -> None:
    request = parse_plan_request(on("p5.48xlarge"), CATALOG)
    for slug in ("p3.16xlarge", "p4d.24xlarge", "g5.48xlarge"):
        asked = parse_plan_request(on(slug), CATALOG)
        (moved,) = answers.answer_each([on_machines(request, asked.cluster)])
        (direct,) = answers.answer_each([asked])
        assert not isinstance(moved, PlanErrors)
        assert not isinstance(direct, PlanErrors)
        assert replace(moved, warnings=()) == replace(direct, warnings=())


def test_fp16_stands_in_for_bf16_where_a_chip_lacks_it_and_is_told() -> None:
    request = parse_plan_request(on("p5.48xlarge", precision="bf16"), CATALOG)
    volta = parse_plan_request(on("p3.16xlarge"), CATALOG).cluster
    moved = on_machines(request, volta)
    assert moved.workload.precision == "fp16"
    assert "stand_in_precision" in dict(moved.notes)


def test_what_a_chip_lacks_altogether_is_an_error() -> None:
    request = parse_plan_request(on("p5.48xlarge", precision="fp8"), CATALOG)
    ampere = parse_plan_request(on("p4d.24xlarge"), CATALOG).cluster
    with pytest.raises(PlanErrors):
        on_machines(request, ampere)


def test_a_free_layout_keeps_the_degrees() -> None:
    asked = LayoutRequest(tensor_parallel=8, data_parallel=4, gradient_accumulation=2, sharding_group=4)
    assert free_layout(asked) == LayoutRequest(tensor_parallel=8)
    assert all(getattr(free_layout(asked), name) is None for name in FOLLOWING)
