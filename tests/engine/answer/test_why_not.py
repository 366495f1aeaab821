"""Why a plan is not the answer: which constraint, by how much, and the least change that would do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planner.contract.search import parse_search_request
from planner.contract.search_answer import render_search
from planner.engine.answer.search import search
from planner.engine.question.errors import PlanErrors
from planner.engine.question.search_request import SearchRequest, SearchResult
from planner.engine.sure.calibration import Calibration
from tests.engine.questions import WORKLOAD, catalog

CLUSTERS = [
    {"instance_type": "p4d.24xlarge", "nodes": 4},
    {"instance_type": "p5.48xlarge", "nodes": 2},
    {"instance_type": "p5.48xlarge", "nodes": 4},
    {"instance_type": "g5.48xlarge", "nodes": 2},
]


def asked(**settings: Any) -> SearchRequest:
    data = {"model": "llama-2-7b", "workload": WORKLOAD, "cluster": CLUSTERS, **settings}
    return parse_search_request(data, catalog())


def found(calibration: Calibration, **settings: Any) -> SearchResult:
    return search(asked(**settings), calibration)


def test_a_machine_that_costs_more_is_told_its_level_price(calibration: Calibration) -> None:
    result = found(calibration, why_not=[{"cluster": cluster} for cluster in CLUSTERS])
    best = result.best
    assert best is not None
    assert best.cost is not None
    held = {(each.plan.cluster.instance_type, each.plan.cluster.nodes): each for each in result.why_not}
    own = held.pop((best.cluster.instance_type, best.cluster.nodes))
    assert own.reasons == ()
    assert own.plan.layout == best.layout
    assert own.standing is not None
    assert own.standing.equal
    for each in held.values():
        (reason,) = each.reasons
        if reason.constraint == "memory":
            continue
        assert each.plan.cost is not None
        assert reason.constraint == "price"
        assert reason.needed is not None
        hours = each.plan.cost.usd / each.plan.cost.price_usd_per_node_hour
        assert reason.needed * hours == pytest.approx(best.cost.usd)


def test_a_late_and_dear_plan_is_told_both(calibration: Calibration) -> None:
    free = found(calibration).best
    assert free is not None
    assert free.cost is not None
    days, usd = free.time.total_s / 86_400, free.cost.usd
    result = found(
        calibration, deadline_days=days * 0.9, budget_usd=usd * 0.9, why_not=[{"cluster": CLUSTERS[0]}]
    )
    late, dear = result.why_not[0].reasons
    assert (late.constraint, dear.constraint) == ("deadline_days", "budget_usd")
    assert late.needed == pytest.approx(result.why_not[0].plan.time.total_s / 86_400)
    assert late.by == pytest.approx(late.needed - days * 0.9)
    assert dear.by is not None
    assert dear.by > 0


def test_a_given_layout_is_held_as_it_is(calibration: Calibration) -> None:
    layout = {"tensor_parallel": 8, "pipeline_parallel": 2, "micro_batch_size": 1, "sharding": "zero1"}
    result = found(calibration, objective="time", why_not=[{"cluster": CLUSTERS[1], "layout": layout}])
    (each,) = result.why_not
    assert each.plan.layout.pipeline_parallel == 2
    assert each.reasons[-1].constraint == "time"
    assert each.beaten_by is not None
    assert each.beaten_by.time.total_s <= each.plan.time.total_s


def test_what_does_not_fit_is_told_how_many_bytes_and_what_would_do(calibration: Calibration) -> None:
    tiny = {"instance_type": "g4dn.xlarge", "nodes": 1}
    workload = WORKLOAD | {"precision": "fp16"}
    result = found(calibration, workload=workload, why_not=[{"cluster": tiny}])
    (reason,) = result.why_not[0].reasons
    assert reason.constraint == "memory"
    assert reason.by is not None
    assert reason.by > 0
    assert reason.needed == result.why_not[0].plan.memory.per_accelerator_bytes.total


def test_a_layout_that_cannot_exist_is_refused_at_its_place(calibration: Calibration) -> None:
    with pytest.raises(PlanErrors) as refused:
        found(calibration, why_not=[{"cluster": CLUSTERS[1], "layout": {"tensor_parallel": 7}}])
    assert refused.value.errors[0].field == "why_not.0.layout.tensor_parallel"
    with pytest.raises(PlanErrors) as refused:
        asked(why_not=[{"cluster": {"instance_type": "p9.none"}}])
    assert refused.value.errors[0].field.startswith("why_not.0.cluster")
    with pytest.raises(PlanErrors) as refused:
        asked(why_not={"cluster": CLUSTERS[0]})
    assert refused.value.errors[0].field == "why_not"


class TestNothingIsLeft:
    def test_the_deadline_that_would_do(self, calibration: Calibration) -> None:
        result = found(calibration, deadline_days=0.5)
        assert result.best is None
        (only,) = result.relaxations
        assert only.constraint == "deadline_days"
        assert only.needed is not None
        again = found(calibration, deadline_days=only.needed)
        assert again.best is not None
        assert again.best.time.total_s == only.plan.time.total_s  # type: ignore[union-attr]
        assert found(calibration, deadline_days=only.needed * (1 - 1e-9)).best is None

    def test_the_budget_that_would_do(self, calibration: Calibration) -> None:
        result = found(calibration, budget_usd=100.0)
        (only,) = result.relaxations
        assert only.constraint == "budget_usd"
        assert only.needed is not None
        assert found(calibration, budget_usd=only.needed).best is not None
        assert found(calibration, budget_usd=only.needed * (1 - 1e-9)).best is None

    def test_each_alone_where_either_would_do_and_both_where_neither_does(
        self, calibration: Calibration
    ) -> None:
        front = found(calibration).pareto
        fast, cheap = front[0], front[-1]
        assert fast.cost is not None
        assert cheap.cost is not None
        if fast is not cheap:
            days, usd = fast.time.total_s / 86_400 * 1.001, cheap.cost.usd * 1.001
            result = found(calibration, deadline_days=days, budget_usd=usd)
            assert [each.constraint for each in result.relaxations] == ["deadline_days", "budget_usd"]
            for each in result.relaxations:
                changed = {"deadline_days": days, "budget_usd": usd, each.constraint: each.needed}
                assert found(calibration, **changed).best is not None
        (both,) = found(calibration, deadline_days=0.1, budget_usd=10.0).relaxations
        assert both.constraint == "deadline_days and budget_usd"
        assert both.plan is not None

    def test_the_memory_that_lacks(self, calibration: Calibration) -> None:
        small = [{"instance_type": "g5.xlarge", "nodes": 1}, {"instance_type": "g5.12xlarge", "nodes": 1}]
        result = found(calibration, model="llama-3.1-70b", cluster=small)
        (only,) = result.relaxations
        assert (only.constraint, only.unit) == ("memory", "byte")
        assert only.plan is not None
        assert only.plan.cluster.instance_type == "g5.12xlarge"  # four times as many share the weights
        rendered = render_search(result, elapsed_s=0.0)["relaxations"][0]
        assert rendered["by"] == only.by
        assert rendered["message"].startswith("Nothing fits in memory")


def test_the_funnel_ends_with_what_fits(calibration: Calibration) -> None:
    request = asked()
    for limits in ({}, {"deadline_days": 20.0, "budget_usd": 5e5}):
        result = search(replace(request, **limits), calibration)
        stages = render_search(result, elapsed_s=0.0)["funnel"]
        assert stages[0]["left"] == result.evaluated
        assert stages[-1]["left"] == result.fitting
        lefts = [stage["left"] for stage in stages]
        assert lefts == sorted(lefts, reverse=True)


def test_each_other_machine_is_named_with_its_chance(calibration: Calibration) -> None:
    rendered = render_search(found(calibration), elapsed_s=0.0)
    pairs = rendered["ranking"]["pairs"]
    machines = {plan["cluster"]["instance_type"] for plan in rendered["top"]}
    assert {pair["other"] for pair in pairs} == machines - {rendered["best"]["cluster"]["instance_type"]}
    for pair in pairs:
        assert 0.5 <= pair["better"] <= 1.0
        assert ("beats" in pair["words"]) != pair["equal"]
        assert rendered["top"][pair["other_in_top"]]["best_is"]["better"] == pair["better"]
