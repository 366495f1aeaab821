"""Dollars by hand."""

import math

import pytest

from planner.engine.run.money import run_usd


def test_all_nodes_are_billed_by_the_hour() -> None:
    assert run_usd(4, 7200.0, 30.0) == pytest.approx(4 * 2 * 30)


def test_without_a_price_there_is_no_sum() -> None:
    assert math.isnan(float(run_usd(4, 7200.0, math.nan)))
