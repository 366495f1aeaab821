"""A search finds what estimates one by one would find, counts what it turned down, and is quick."""

import re
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from planner.contract.search import parse_search_request
from planner.contract.search_answer import render_search
from planner.engine.answer.estimate import estimate
from planner.engine.answer.kept import best_by, front
from planner.engine.answer.search import search
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.question.search_request import Market, SearchRequest, SearchResult
from planner.engine.sure.calibration import Calibration
from tests.engine.questions import WORKLOAD, catalog, sent_back

CLUSTERS = [
    {"instance_type": "p4d.24xlarge", "nodes": 1},
    {"instance_type": "p4d.24xlarge", "nodes": 4},
    {"instance_type": "p5.48xlarge", "nodes": 2},
    {"instance_type": "p5.48xlarge", "nodes": 4},
    {"instance_type": "g5.12xlarge", "nodes": 2},
]


def asked(*, model: str = "llama-2-7b", cluster: Any = None, **settings: Any) -> SearchRequest:
    workload = WORKLOAD | settings.pop("workload", {})
    data = {"model": model, "workload": workload, "cluster": cluster or CLUSTERS, "objective": "cost"}
    return parse_search_request(data | settings, catalog())


def accounted(result: SearchResult) -> int:
    rejected = result.rejected
    return result.fitting + rejected.memory + rejected.divisibility + rejected.deadline + rejected.budget


def usd(result: PlanResult) -> float:
    assert result.cost is not None
    return result.cost.usd


def test_what_is_shown_is_what_estimate_says(calibration: Calibration) -> None:
    request = asked()
    result = search(request, calibration)
    assert result.top
    for shown in (*result.top, *result.pareto):
        alone = estimate(
            PlanRequest(
                model=request.model,
                workload=request.workload,
                cluster=shown.cluster,
                layout=sent_back(shown.layout),
            ),
            calibration,
        )
        assert alone.layout == shown.layout
        assert (alone.memory, alone.time, alone.cost) == (shown.memory, shown.time, shown.cost)


@pytest.mark.parametrize("objective", ["cost", "time", "balanced"])
def test_the_best_come_first(objective: str, calibration: Calibration) -> None:
    result = search(asked(objective=objective), calibration)
    assert result.best is not None
    best, first = result.best, result.top[0]
    assert (best.layout, best.time, best.cost) == (first.layout, first.time, first.cost)
    assert len(result.top) == 20
    scores = {
        "cost": [usd(each) for each in result.top],
        "time": [each.time.total_s for each in result.top],
        "balanced": [usd(each) * each.time.total_s for each in result.top],
    }[objective]
    assert scores == sorted(scores)
    assert all(each.fits for each in result.top)


def test_no_estimate_beats_the_search(calibration: Calibration) -> None:
    """The layout that an estimate chooses on the same machines is among those searched."""
    request = asked(objective="time")
    fastest = search(request, calibration).top[0].time.total_s
    for cluster in request.clusters:
        chosen = estimate(
            PlanRequest(model=request.model, workload=request.workload, cluster=cluster), calibration
        )
        if chosen.fits:
            assert fastest <= chosen.time.total_s * (1 + 1e-12)


def test_the_front_is_a_front(calibration: Calibration) -> None:
    result = search(asked(), calibration)
    times = [each.time.total_s for each in result.pareto]
    dollars = [usd(each) for each in result.pareto]
    assert times == sorted(times)
    assert dollars == sorted(dollars, reverse=True)
    for other in result.top:
        assert any(
            each.time.total_s <= other.time.total_s and usd(each) <= usd(other) for each in result.pareto
        )


def test_everything_looked_at_is_accounted_for(calibration: Calibration) -> None:
    free = search(asked(), calibration)
    assert accounted(free) == free.evaluated > 1000
    days = free.top[0].time.total_s / 86_400
    late = search(asked(deadline_days=days / 2), calibration)
    assert accounted(late) == late.evaluated == free.evaluated
    assert late.rejected.deadline > 0
    dear = search(asked(budget_usd=usd(free.top[0]) * 1.01), calibration)
    assert accounted(dear) == dear.evaluated
    assert dear.rejected.budget > 0
    assert 0 < dear.fitting < free.fitting
    assert all(usd(each) <= usd(free.top[0]) * 1.01 for each in dear.top)


def test_nothing_feasible_is_an_answer(calibration: Calibration) -> None:
    too_big = asked(model="llama-3.1-405b", cluster=[{"instance_type": "g5.xlarge", "nodes": 1}])
    result = search(too_big, calibration)
    assert (result.best, result.pareto, result.top, result.fitting) == (None, (), (), 0)
    assert result.rejected.memory > 0
    assert accounted(result) == result.evaluated
    rendered = render_search(result, elapsed_s=0.1)
    assert rendered["best"] is None
    impossible = search(asked(deadline_days=1e-6), calibration)
    assert impossible.best is None
    assert impossible.rejected.deadline > 0


def test_a_machine_without_a_price_is_kept_but_comes_last(calibration: Calibration) -> None:
    free = {
        "accelerator": "h100-sxm",
        "accelerators_per_node": 8,
        "nodes": 4,
        "internode_gbps_per_node": 3200,
    }
    result = search(asked(cluster=[free, {"instance_type": "p4d.24xlarge", "nodes": 1}]), calibration)
    assert result.best is not None
    assert result.best.cost is not None
    assert all(each.cost is not None for each in result.pareto)
    alone = search(asked(cluster=[free]), calibration)
    assert alone.best is not None
    assert alone.best.cost is None
    assert len(alone.pareto) == 1
    assert search(asked(cluster=[free], budget_usd=1e9), calibration).fitting == 0


def test_only_what_varies_is_varied(calibration: Calibration) -> None:
    result = search(asked(vary=["micro_batch_size", "sharding"]), calibration)
    for each in result.top:
        layout = each.layout
        assert (layout.tensor_parallel, layout.pipeline_parallel, layout.expert_parallel) == (1, 1, 1)
    assert search(asked(vary=["activation_recompute"]), calibration).evaluated < result.evaluated


def test_machines_that_differ_in_price_alone_share_their_times(calibration: Calibration) -> None:
    purchases = ["on_demand", "reserved_1y"]
    request = asked(
        cluster=[{"instance_type": "p4d.24xlarge", "nodes": 2, "purchase": each} for each in purchases]
    )
    result = search(replace(request, limit=1000), calibration)
    fastest = {
        purchase: min(each.time.step_s for each in result.top if each.cluster.purchase == purchase)
        for purchase in purchases
    }
    assert fastest["on_demand"] == fastest["reserved_1y"]


@pytest.mark.parametrize("model", ["mixtral-8x7b", "bert-base-uncased", "t5-small", "vit-base-patch16-224"])
def test_every_kind_of_model_can_be_searched(model: str, calibration: Calibration) -> None:
    workload = {"sequence_length": 512}
    if model.startswith("vit"):
        request = parse_search_request(
            {
                "model": model,
                "workload": {"task": "pretraining", "samples": 1e8, "global_batch_size": 1024},
                "cluster": CLUSTERS,
            },
            catalog(),
        )
    else:
        request = asked(model=model, workload=workload)
    result = search(request, calibration)
    assert result.best is not None
    assert result.best.fits


def test_ppo_can_be_searched(calibration: Calibration) -> None:
    ppo = {"critic": "gpt2", "reference": None, "reward": "gpt2", "rollout_tokens": 1024}
    result = search(asked(workload={"task": "ppo", "ppo": ppo}, cluster=CLUSTERS[1:3]), calibration)
    assert result.best is not None
    assert result.best.time.step_breakdown_s.generation


def test_a_search_looks_at_how_many_generate(calibration: Calibration) -> None:
    """Apart, each size of the pools is a plan of its own, and says the same when it is estimated alone."""
    ppo: dict[str, Any] = {"critic": None, "reference": None, "reward": None, "rollout_tokens": 1024}
    ppo["staleness_steps"] = 1

    def found(**generation: int) -> SearchResult:
        workload = {"task": "ppo", "ppo": ppo | {"generation": generation}}
        request = asked(workload=workload, cluster=CLUSTERS[1:2], limit=3)
        return search(replace(request, objective="time"), calibration)

    every, half = found(), found(accelerators=16)
    assert every.evaluated > 2 * half.evaluated
    best = every.best
    assert best is not None and half.best is not None and best.generation is not None
    assert best.time.step_s <= half.best.time.step_s
    layout = best.layout
    trained = layout.tensor_parallel * layout.pipeline_parallel * layout.data_parallel
    assert trained + best.generation.accelerators == best.accelerators


def test_absurd_ranges_are_refused_with_the_count_and_the_axis(calibration: Calibration) -> None:
    request = asked(model="deepseek-v3", workload={"global_batch_size": 2**20})
    offers = tuple(replace(request.clusters[0], usd_per_node_hour=1.0 + place) for place in range(1000))
    nodes = tuple(range(8, 8 * 50_000, 8))
    with pytest.raises(PlanErrors) as refused:
        search(replace(request, clusters=Market(offers, nodes)), calibration)
    error = refused.value.errors[0]
    assert (error.field, error.value) == ("cluster.any.nodes", len(nodes))
    assert re.search(r"means \d+,\d{3},\d{3},\d{3},\d{3} layouts", error.message)
    assert f"{len(nodes):,}" in error.remedy


def test_ranking_and_front_of_numbers() -> None:
    seconds = np.array([4.0, 1.0, 2.0, 2.0, 8.0])
    dollars = np.array([1.0, 8.0, 2.0, 3.0, np.nan])
    assert list(front(seconds, dollars)) == [1, 2, 0]
    assert list(best_by("cost", seconds, dollars)) == [0, 2, 3, 1, 4]
    assert list(best_by("time", seconds, dollars)) == [1, 2, 3, 0, 4]
    assert list(best_by("balanced", seconds, dollars)) == [2, 0, 3, 1, 4]
    assert list(front(seconds[4:], dollars[4:])) == [0]


def test_the_whole_catalog_is_searched_in_seconds(calibration: Calibration) -> None:
    request = asked(model="llama-3.1-8b", cluster={"any": {"nodes": [1, 2, 4, 8, 16, 32, 64]}})
    started = time.process_time()
    result = search(request, calibration)
    assert time.process_time() - started < 10
    assert result.evaluated > 100_000
