"""The chance that a plan fits, and that an automatic layout keeps a margin where it can."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.engine.sure.intervals import chance_within
from tests.engine.questions import answer, question

ENDS = (-0.10, 0.15)


@pytest.mark.parametrize(
    ("limit", "chance"),
    [(100.0, 0.5), (100.0 * math.exp(0.15), 0.9), (100.0 * math.exp(-0.10), 0.1), (1e6, 1.0), (0.0, 0.0)],
)
def test_the_interval_ends_are_its_tenths(limit: float, chance: float) -> None:
    """By the definition of an 80 % interval: a tenth lies below it, a tenth above, half below the point."""
    assert chance_within(100.0, limit, ENDS) == pytest.approx(chance, abs=1e-9)


def test_more_memory_never_lowers_the_chance() -> None:
    chances = [chance_within(100.0, limit, ENDS) for limit in range(50, 200, 5)]
    assert chances == sorted(chances)


def test_an_automatic_layout_keeps_a_margin_where_it_can() -> None:
    """LLaMA-2 7B on eight A100-80: without recompute it would fill the cards to the brim."""
    found = answer(question(layout="auto"))
    assert found.verdict == "fits"
    assert found.memory.fit_probability >= 0.9


def test_recompute_of_a_given_layout_is_the_least_that_fits() -> None:
    """By the contract: ``auto`` takes the least recompute that fits, narrow or not."""
    asked = {"tensor_parallel": 1, "pipeline_parallel": 1, "sharding": "zero3", "micro_batch_size": 4}
    by_us = answer(question(layout=asked))
    order = ("none", "selective", "full")
    for kind in order[: order.index(by_us.layout.activation_recompute)]:
        assert not answer(question(layout=asked | {"activation_recompute": kind})).fits


@given(
    st.floats(min_value=1e8, max_value=1e12),
    st.floats(min_value=1e8, max_value=1e12),
    st.floats(min_value=1.0, max_value=3.0),
)
def test_a_chance_grows_with_the_limit_and_falls_with_the_need(
    point: float, limit: float, factor: float
) -> None:
    ends = (-0.1, 0.2)
    chance = chance_within(point, limit, ends)
    assert 0.0 <= chance <= 1.0
    assert chance_within(point, limit * factor, ends) >= chance
    assert chance_within(point * factor, limit, ends) <= chance
