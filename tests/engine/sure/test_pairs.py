"""Which of two plans is better: causes that both share cancel, prices and chips of their own do not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from planner.engine.question.request import Cluster
from planner.engine.sure.pairs import (
    Compared,
    SharedErrors,
    as_good,
    chance_better,
    price_variance,
    runs_alike,
    spread_of,
    time_variance,
)
from tests.engine.questions import question

SHARED = SharedErrors(same_chip=0.5, other_chip=0.7, other_stack=0.8)


def machine(instance: str = "p5.48xlarge", **changes: Any) -> Cluster:
    return replace(question(cluster={"instance_type": instance, "nodes": 2}).cluster, **changes)


def one(cluster: Cluster | None = None, **changes: Any) -> Compared:
    settings: dict[str, Any] = {
        "layout": "tensor 8",
        "stack": "megatron",
        "total_s": 1000.0,
        "usd": 100.0,
        "time_spread": 0.1,
        "price_spread": 0.05,
    }
    return Compared(cluster=cluster or machine(), **settings | changes)


def test_a_spread_is_that_of_a_normal_four_fifths_interval() -> None:
    assert spread_of((math.exp(-1.2815515655446004), math.exp(1.2815515655446004))) == pytest.approx(1.0)
    assert spread_of((0.0, 1.0)) == 0.0


def test_equal_plans_are_even_and_shown_as_equal() -> None:
    assert chance_better(one(), one(), "cost", SHARED) == 0.5
    other = one(machine("p4d.24xlarge"))
    assert chance_better(one(), other, "cost", SHARED) == 0.5
    assert as_good(0.5)
    assert as_good(0.6)
    assert not as_good(0.61)
    assert not as_good(0.39)
    assert not as_good(None)


def test_the_chance_by_hand() -> None:
    """Other chip: variance 0.7 x (0.1^2 + 0.1^2) = 0.014; dollars add 2 x 0.05^2 = 0.005."""
    other = one(machine("p4d.24xlarge"), usd=110.0, total_s=1100.0)
    ahead = math.log(1.1)
    expected = 0.5 * (1.0 + math.erf(ahead / math.sqrt(2.0 * 0.014)))
    assert chance_better(one(), other, "time", SHARED) == pytest.approx(expected)
    expected = 0.5 * (1.0 + math.erf(ahead / math.sqrt(2.0 * 0.019)))
    assert chance_better(one(), other, "cost", SHARED) == pytest.approx(expected)
    # Dollars x time: twice ahead, four times the variance of time.
    expected = 0.5 * (1.0 + math.erf(2.0 * ahead / math.sqrt(2.0 * (4.0 * 0.014 + 0.005))))
    assert chance_better(one(), other, "balanced", SHARED) == pytest.approx(expected)


def test_chances_of_a_pair_add_up() -> None:
    other = one(machine("p4d.24xlarge"), usd=130.0)
    there, back = chance_better(one(), other, "cost", SHARED), chance_better(other, one(), "cost", SHARED)
    assert there is not None
    assert back is not None
    assert there > 0.5
    assert there + back == pytest.approx(1.0)


def test_the_same_run_sold_otherwise_differs_in_price_alone() -> None:
    spot = one(machine(purchase="spot"), usd=40.0)
    assert time_variance(one(), spot, SHARED) == 0.0
    assert price_variance(one(), spot) == pytest.approx(2 * 0.05**2)
    assert chance_better(one(), spot, "time", SHARED) == 0.5
    assert runs_alike(machine(), machine(region="eu-west-1"))
    assert not runs_alike(machine(), machine(nodes=3))


def test_another_layout_on_the_same_offer_differs_in_time_alone() -> None:
    other = one(layout="tensor 4", usd=110.0)
    assert time_variance(one(), other, SHARED) == pytest.approx(0.5 * 0.02)
    assert price_variance(one(), other) == 0.0


@pytest.mark.parametrize(
    ("chip", "stack", "share"),
    [(False, False, 0.5), (True, False, 0.7), (False, True, 0.8), (True, True, 1.0)],
)
def test_what_differs_adds_to_what_does_not_cancel(chip: bool, stack: bool, share: float) -> None:
    assert SHARED.apart(chip=chip, stack=stack) == pytest.approx(share)


def test_without_prices_only_time_is_compared() -> None:
    assert chance_better(one(), one(usd=None), "cost", SHARED) is None
    assert chance_better(one(), one(machine("p4d.24xlarge"), usd=None, total_s=2e3), "time", SHARED) > 0.9  # type: ignore[operator]


def test_a_sure_difference_is_certain() -> None:
    sure = {"time_spread": 0.0, "price_spread": 0.0}
    assert chance_better(one(**sure), one(usd=101.0, **sure), "cost", SHARED) == 1.0
    assert chance_better(one(usd=101.0, **sure), one(**sure), "cost", SHARED) == 0.0
