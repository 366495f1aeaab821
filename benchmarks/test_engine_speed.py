"""How quick the engine is: one estimate, a large grid, a search. For ``make bench``, not for ``make test``.

Times differ between machines and from minute to minute on a busy one, so what is asserted are ratios of
times taken in one run: a plan of a grid against a plan asked for on its own, an open layout against a given
one. Rates are kept beside them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.contract.search import parse_search_request
from planner.engine.answer.blocks import BLOCK, Evaluated, evaluate_blocks, keep_freed_memory
from planner.engine.answer.estimate import estimate
from planner.engine.answer.search import search
from planner.engine.evaluate import evaluate
from planner.engine.grid.build import grid_over_layouts
from planner.engine.grid.plan_grid import Array
from planner.engine.layout.enumeration import axes_of, candidates_on, degrees_on
from planner.engine.memory.needed import needed_per_rank
from planner.engine.question.request import LayoutRequest, PlanRequest
from planner.engine.sure.calibration import Calibration
from planner.engine.time.step import step_time

WORKLOAD = {"task": "pretraining", "tokens": 1e12, "sequence_length": 8192, "global_batch_size": 1024}
PLANS = 100_000


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return shipped_calibration()


@pytest.fixture(scope="module")
def open_request() -> PlanRequest:
    cluster = {"instance_type": "p5.48xlarge", "nodes": 16}
    data = {"model": "llama-3.1-8b", "workload": WORKLOAD, "cluster": cluster}
    return parse_plan_request(data, load_shipped_catalog())


@pytest.fixture(scope="module")
def given_request(open_request: PlanRequest, calibration: Calibration) -> PlanRequest:
    layout = estimate(open_request, calibration).layout
    names = LayoutRequest.__slots__
    return replace(open_request, layout=LayoutRequest(**{name: getattr(layout, name) for name in names}))


def many_layouts(request: PlanRequest) -> dict[str, Array]:
    """The request's candidates over and over, PLANS of them."""
    axes = axes_of(request)
    candidates = candidates_on(axes, request, degrees_on(axes, request, 128))
    arrays = {name: np.resize(values, PLANS) for name, values in candidates.arrays.items()}
    return {**arrays, "nodes": np.full(PLANS, 16.0)}


def best_of(times: int, work: Callable[[], Any]) -> float:
    """Least CPU seconds of a few tries."""
    spent = []
    for _ in range(times):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return min(spent)


def test_one_given_plan(benchmark: Any, given_request: PlanRequest, calibration: Calibration) -> None:
    result = benchmark(estimate, given_request, calibration)
    assert result.fits


def test_one_open_plan(
    benchmark: Any, open_request: PlanRequest, given_request: PlanRequest, calibration: Calibration
) -> None:
    result = benchmark(estimate, open_request, calibration)
    assert result.fits
    given_s = best_of(20, lambda: estimate(given_request, calibration))
    open_s = best_of(20, lambda: estimate(open_request, calibration))
    assert open_s < 12 * given_s


def test_a_hundred_thousand_plans(
    benchmark: Any, open_request: PlanRequest, given_request: PlanRequest, calibration: Calibration
) -> None:
    """Memory and time of every plan, none left out."""
    arrays = many_layouts(open_request)

    def all_plans() -> None:
        for start in range(0, PLANS, BLOCK):
            block = {name: values[start : start + BLOCK] for name, values in arrays.items()}
            evaluate(grid_over_layouts(open_request, block), calibration)

    benchmark.pedantic(all_plans, rounds=5, warmup_rounds=1)
    each_s = best_of(3, all_plans) / PLANS
    alone_s = best_of(20, lambda: estimate(given_request, calibration))
    benchmark.extra_info["plans_per_s"] = round(1.0 / each_s)
    assert alone_s / each_s > 100


def test_a_hundred_thousand_plans_with_pruning(
    benchmark: Any, open_request: PlanRequest, given_request: PlanRequest, calibration: Calibration
) -> None:
    """As a search does it: time only for what fits."""
    arrays = many_layouts(open_request)

    def all_blocks() -> None:
        found = Evaluated.none(PLANS)
        for _ in evaluate_blocks(open_request, arrays, found, calibration):
            pass

    benchmark.pedantic(all_blocks, rounds=5, warmup_rounds=1)
    each_s = best_of(3, all_blocks) / PLANS
    alone_s = best_of(20, lambda: estimate(given_request, calibration))
    benchmark.extra_info["plans_per_s"] = round(1.0 / each_s)
    assert alone_s / each_s > 200


def test_a_block_of_layouts_and_its_kinds(
    benchmark: Any, open_request: PlanRequest, calibration: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a search looks at a block; and what it saves to compute layouts that are alike once."""
    keep_freed_memory()
    block = {name: values[:BLOCK] for name, values in many_layouts(open_request).items()}
    grid = grid_over_layouts(open_request, block)

    def whole() -> None:
        needed_per_rank(grid, calibration.memory)
        step_time(grid, calibration.timing)

    benchmark.pedantic(whole, rounds=100, warmup_rounds=5)
    by_kinds_s = best_of(100, whole)
    monkeypatch.setattr("planner.engine.grid.alike.LEAST_PLANS", np.inf)
    one_by_one_s = best_of(100, whole)
    benchmark.extra_info["plans_per_s"] = round(BLOCK / by_kinds_s)
    benchmark.extra_info["one_by_one_over_kinds"] = round(one_by_one_s / by_kinds_s, 2)
    assert one_by_one_s > 1.2 * by_kinds_s


def test_a_search_of_the_whole_catalog(benchmark: Any, calibration: Calibration) -> None:
    """Every machine, 1 to 64 nodes, every layout; the plans shown are estimated one by one as well."""
    data = {
        "model": "llama-3.1-8b",
        "workload": WORKLOAD,
        "cluster": {"any": {"nodes": [1, 2, 4, 8, 16, 32, 64]}},
        "objective": "balanced",
    }
    request = parse_search_request(data, load_shipped_catalog())
    result = benchmark.pedantic(search, args=(request, calibration), rounds=3, warmup_rounds=1)
    plans = result.evaluated - result.rejected.divisibility
    seconds = best_of(2, lambda: search(request, calibration))
    benchmark.extra_info["plans"] = plans
    benchmark.extra_info["plans_per_s"] = round(plans / seconds)
    assert result.best is not None
