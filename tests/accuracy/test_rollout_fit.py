"""The fit of reinforcement learning: its weights, its range, and what the shipped constants say."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from planner.accuracy.calibration import ROLLOUT_FILE, shipped_calibration
from planner.accuracy.fit.rollout import (
    HIGH,
    LOW,
    PRIORS,
    balanced,
    constants_of,
    figure_weights,
    interval_of,
    nested_coverage,
)
from planner.accuracy.runs import QUALITY_WEIGHT
from planner.engine.rl.rollout import UNSAID

SHIPPED = json.loads(ROLLOUT_FILE.read_text(encoding="utf-8"))


def round_of(source: str, group: str = "one", quality: str = "good", figures: int = 1) -> Any:
    request = SimpleNamespace(workload=SimpleNamespace(ppo=None))
    run = SimpleNamespace(source=source, group=group, quality=quality, request=request)
    return SimpleNamespace(run=run, published=dict.fromkeys("abcd"[:figures], 1.0))


def test_each_source_weighs_the_same_and_each_group_within_it() -> None:
    rounds = [round_of("a", "x"), round_of("a", "x"), round_of("a", "y"), round_of("b", figures=2)]
    weights = figure_weights(rounds)
    assert weights.tolist() == pytest.approx([0.25, 0.25, 0.5, 0.5, 0.5])
    assert figure_weights([round_of("a", quality="fair")]).tolist() == [QUALITY_WEIGHT["fair"]]


def residuals(**errors: list[float]) -> Any:
    return [(round_of(source), "step", error) for source, found in errors.items() for error in found]


def test_the_range_holds_sources_rather_than_rows() -> None:
    """A hundred near-duplicates of one source do not narrow the range of the others."""
    few = residuals(a=[0.1], b=[0.5], c=[-0.2], d=[0.4])
    many = residuals(a=[0.1] * 100, b=[0.5], c=[-0.2], d=[0.4])
    assert interval_of(few)[0] == pytest.approx(interval_of(many)[0], abs=0.05)
    assert interval_of(few) == pytest.approx((-0.5, 0.2), abs=0.02)


def test_what_is_unsaid_widens_the_range_of_a_step() -> None:
    said = residuals(a=[0.1], b=[0.5], c=[-0.2], d=[0.4])
    for each, _, _ in said:
        usual = {"mean_response_tokens": None, "max_response_tokens": 9, "response_std_tokens": None}
        engine = SimpleNamespace(engine="vllm", tensor_parallel=1)
        each.run.request.workload.ppo = SimpleNamespace(**usual, generation=engine)
    assert interval_of(said)[0] == pytest.approx(-0.5 / UNSAID, abs=0.02)


def test_coverage_is_that_of_the_other_sources() -> None:
    found = nested_coverage(residuals(a=[0.1, 0.2], b=[0.15, -0.1], c=[0.9, 0.1]))
    assert found["a"] == 1.0
    assert found["c"] == 0.5


def test_errors_are_means_over_sources() -> None:
    found = balanced(residuals(a=[np.log(1.1)] * 9, b=[np.log(1.5)]))
    assert found["step"] == pytest.approx(0.3)


def test_the_shipped_constants_are_within_their_bounds_and_are_what_the_engine_has() -> None:
    logs = np.log([SHIPPED["constants"][prior.name] for prior in PRIORS])
    assert np.all(logs > LOW) and np.all(logs < HIGH)
    assert constants_of(logs).decode_bandwidth == pytest.approx(
        shipped_calibration().rollout.decode_bandwidth
    )


def test_unseen_sources_are_met_within_what_is_said() -> None:
    """True refits without each source: a step within a third, and the range holds about four in five."""
    said = SHIPPED["provenance"]
    assert said["sources"] >= 8
    assert said["relative_error"]["leave_one_source_out"]["step"] < 0.34
    assert 0.7 <= said["nested_coverage"]["mean"] <= 0.95
    assert shipped_calibration().intervals.far["time/ppo"].high == pytest.approx(SHIPPED["interval"][1])
