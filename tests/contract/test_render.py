"""PlanResult to the contract's JSON: its names, its units, its sums, and nothing that JSON cannot say."""

import json
import math
from dataclasses import fields, replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from planner.catalog.facts.catalog import Catalog
from planner.contract import fields as contract
from planner.contract.parse import parse_plan_request
from planner.contract.render import (
    MEMORY_PARTS,
    PPO_STEP_PARTS,
    STEP_PARTS,
    render_error,
    render_layout,
    render_result,
)
from planner.contract.search_answer import render_summary
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import Layout
from planner.engine.question.result import (
    Cost,
    Memory,
    MemoryParts,
    Parameters,
    PlanResult,
    Remedy,
    StepBreakdown,
    Term,
    Time,
    Warning,
)
from tests.contract.conftest import BASE, bent

LAYOUT = Layout(
    tensor_parallel=8,
    sequence_parallel=True,
    pipeline_parallel=1,
    interleaved_stages=1,
    context_parallel=1,
    expert_parallel=1,
    data_parallel=16,
    sharding="zero1",
    sharding_group=16,
    micro_batch_size=1,
    gradient_accumulation=64,
    activation_recompute="selective",
)


@pytest.fixture
def result(catalog: Catalog) -> PlanResult:
    """A made-up answer in which every number is another one, array scalars among them."""
    parts = MemoryParts(**{name: np.float64(index) for index, name in enumerate(MEMORY_PARTS, start=100)})
    breakdown = StepBreakdown(**{name: float(index) for index, name in enumerate(STEP_PARTS, start=1)})
    return PlanResult(
        id={"any": ["thing"]},
        fits=True,
        reason=None,
        layout=LAYOUT,
        layout_chosen=("activation_recompute",),
        cluster=parse_plan_request(BASE, catalog).cluster,
        accelerators=128,
        parameters=Parameters(total=8030261248, active=8030261248, trainable=8030261248),
        memory=Memory(
            per_accelerator_bytes=parts,
            resident_bytes=1.0,
            allocated_bytes=2.0,
            reserved_bytes=3.0,
            usable_bytes=4.0,
            interval_bytes=(5.0, 6.0),
            worst_stage=0,
            fit_probability=0.99,
            host_bytes=0.0,
            host_usable_bytes=None,
            allocated_interval_bytes=(7.0e10, 8.0e10),
            reserved_interval_bytes=(7.0e10, 9.0e10),
            needed_bytes=7.5e10,
        ),
        time=Time(
            step_s=7.0,
            step_breakdown_s=breakdown,
            step_interval_s=(8.0, 9.0),
            tokens_per_s=10.0,
            processed_tokens_per_s=12.0,
            tokens_per_s_per_accelerator=11.0,
            model_flops_utilization=0.4,
            hardware_flops_utilization=0.5,
            model_flops_utilization_interval=(0.3, 0.5),
            steps=119210,
            total_s=12.0,
            total_interval_s=(13.0, 14.0),
        ),
        cost=Cost(
            usd=15.0,
            usd_interval=(16.0, 17.0),
            price_usd_per_node_hour=55.04,
            price_as_of=date(2026, 7, 20),
            price_source="a list",
            purchase="on_demand",
            usd_per_million_tokens=0.1,
        ),
        explanation=(Term(name="weights", value=1.0, unit="byte", formula="2 x 3", source="a paper"),),
        warnings=(Warning(code="price_stale", message="old"),),
    )


def test_names_are_the_contracts(result: PlanResult) -> None:
    rendered = json.loads(json.dumps(render_result(result), allow_nan=False))
    wanted = {
        "id",
        "fits",
        "reason",
        "nearest_fit",
        "layout",
        "accelerators",
        "parameters",
        "memory",
        "time",
        "cost",
        "explanation",
        "warnings",
    }
    assert wanted <= set(rendered)
    assert rendered["id"] == {"any": ["thing"]}
    assert rendered["cost"]["price_as_of"] == "2026-07-20"
    assert rendered["memory"]["interval_bytes"] == [5.0, 6.0]
    assert rendered["time"]["steps"] == 119210
    assert rendered["explanation"][0]["formula"] == "2 x 3"
    assert rendered["warnings"] == [{"code": "price_stale", "message": "old"}]
    assert "samples_per_s" not in rendered["time"]
    assert not set(PPO_STEP_PARTS) & set(rendered["time"]["step_breakdown_s"])


@pytest.mark.parametrize(
    ("record", "names"),
    [
        (MemoryParts, MEMORY_PARTS),
        (StepBreakdown, STEP_PARTS + PPO_STEP_PARTS),
        (Layout, contract.LAYOUT.names),
    ],
)
def test_no_field_of_the_answer_is_left_out(record: Any, names: tuple[str, ...]) -> None:
    assert tuple(field.name for field in fields(record)) == names


def test_ppo_and_samples_add_their_parts(result: PlanResult) -> None:
    breakdown = replace(result.time.step_breakdown_s, generation=100.0, scoring=20.0)
    time = replace(result.time, step_breakdown_s=breakdown, samples_per_s=3.0)
    rendered = render_result(replace(result, time=time))["time"]
    assert rendered["step_breakdown_s"]["generation"] == 100.0
    assert rendered["samples_per_s"] == 3.0


def test_what_is_unknown_is_null(result: PlanResult) -> None:
    rendered = render_result(replace(result, cost=None, id=None))
    assert rendered["cost"] is None
    assert rendered["id"] is None


def test_the_nearest_fit_can_be_sent_back(result: PlanResult, catalog: Catalog) -> None:
    nearest = Remedy(
        kind="recompute",
        change="Recompute the attention.",
        request_patch={"layout": {"activation_recompute": "full"}},
        fit_probability=0.95,
        total_s=3.0,
        usd=None,
        layout=LAYOUT,
        nodes=16,
        instance_type="p5.48xlarge",
        accelerator="h100-sxm",
        memory_total_bytes=1.0,
        usable_bytes=2.0,
    )
    rendered = render_result(replace(result, fits=False, reason="too big", remedies=(nearest,)))
    first = rendered["remedies"][0]
    assert {name: rendered["nearest_fit"][name] for name in first} == first
    read = parse_plan_request(bent({"layout": rendered["nearest_fit"]["layout"]}), catalog)
    assert render_layout(LAYOUT) == {name: getattr(read.layout, name) for name in contract.LAYOUT.names}


def test_a_summary_says_the_same_as_the_estimate(result: PlanResult) -> None:
    whole, summary = render_result(result), render_summary(result)
    assert summary["total_s"] == whole["time"]["total_s"]
    assert summary["usd"] == whole["cost"]["usd"]
    assert summary["memory_total_bytes"] == whole["memory"]["per_accelerator_bytes"]["total"]
    assert summary["cluster"] == whole["cluster"]
    assert summary["layout"] == whole["layout"]


def test_a_nan_in_an_answer_is_our_mistake_and_loud(result: PlanResult) -> None:
    with pytest.raises(ValueError, match="JSON cannot express"):
        render_result(replace(result, time=replace(result.time, step_s=math.nan)))


def test_one_problem_stands_alone_and_several_are_listed() -> None:
    first, second = (PlanError(name, 1, "is wrong.", "Mend it.") for name in ("a", "b.c"))
    shown = {"field": "a", "value": 1, "message": "is wrong.", "remedy": "Mend it."}
    assert render_error(first) == {"error": shown, "errors": [shown]}
    assert render_error(PlanErrors([first]), request_id=7) == {"id": 7, "error": shown, "errors": [shown]}
    several = render_error(PlanErrors([first, second]))
    assert several["error"] == shown
    assert [problem["field"] for problem in several["errors"]] == ["a", "b.c"]


def test_every_part_of_the_answer_is_rendered(result: PlanResult) -> None:
    rendered = render_result(replace(result, time=replace(result.time, samples_per_s=1.0)))
    assert set(rendered) == {"verdict", "nearest_fit", *(field.name for field in fields(PlanResult))}
    for part, record in (("parameters", Parameters), ("memory", Memory), ("time", Time), ("cost", Cost)):
        assert set(rendered[part]) == {field.name for field in fields(record)}
    assert set(rendered["explanation"][0]) == set(Term._fields)
