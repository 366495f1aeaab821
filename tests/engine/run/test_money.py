"""Dollars from node-hours."""

import numpy as np
import pytest

from planner.engine.run.money import run_usd, usd_per_million_tokens


def test_every_node_is_billed_for_every_hour() -> None:
    assert run_usd(4, 7200.0, 10.0) == 80.0


def test_one_price_a_plan() -> None:
    usd = run_usd(np.array([1.0, 2.0]), np.array([3600.0, 1800.0]), np.array([5.0, 8.0]))
    assert np.array_equal(usd, [5.0, 8.0])


def test_a_million_tokens() -> None:
    """Two nodes at 18 dollars train 500,000 tokens in 10 s: 20 s, hence 1/90 of 36 dollars, for a million."""
    each = usd_per_million_tokens(2, 10.0, tokens_per_step=500_000.0, usd_per_node_hour=18.0)
    assert each == pytest.approx(0.2)
