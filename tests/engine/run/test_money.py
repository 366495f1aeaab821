"""Dollars from node-hours, as they are billed."""

import math

import numpy as np
import pytest

from planner.engine.question.sale import Blocks, PriceSpread, Sale
from planner.engine.run.money import (
    billed_s,
    block_days,
    can_be_bought,
    commitment_terms,
    commitment_usd,
    price_ends,
    run_usd,
    usd_ends,
    usd_per_million_tokens,
    why_not_sold,
)

DAY = 86_400.0
BLOCKS = Blocks(
    block_days=14, longest_days=182, nodes_a_block=64, nodes_in_all=256, ends_early_s=1800.0, days_ahead=56
)


def test_every_node_is_billed_for_every_hour() -> None:
    assert run_usd(4, 7200.0, 10.0) == 80.0


def test_one_price_a_plan() -> None:
    usd = run_usd(np.array([1.0, 2.0]), np.array([3600.0, 1800.0]), np.array([5.0, 8.0]))
    assert np.array_equal(usd, [5.0, 8.0])


def test_a_million_tokens() -> None:
    """36 dollars that train 180 million tokens: 20 cents a million."""
    assert usd_per_million_tokens(36.0, 180e6) == pytest.approx(0.2)


def test_by_the_second_with_a_minimum() -> None:
    sale = Sale(minimum_s=60.0)
    assert billed_s(12.0, sale) == 60.0
    assert billed_s(3601.5, sale) == 3601.5
    assert np.array_equal(billed_s(np.array([1.0, 90.0, np.inf]), sale), [60.0, 90.0, np.inf])


@pytest.mark.parametrize(
    ("days", "bought"),
    [
        (0.1, 1),
        (0.99, 2),
        (1.0, 2),
        (13.5, 14),
        (14.5, 21),
        (20.9, 21),
        (29.0, 35),
        (181.0, 182),
        (183.0, 189),
    ],
)
def test_blocks_are_whole_days_then_whole_weeks(days: float, bought: int) -> None:
    """Machines go half an hour before the end, so a run of just a day needs a second one."""
    assert block_days(days * DAY, BLOCKS) == bought
    assert billed_s(days * DAY, Sale(blocks=BLOCKS)) == bought * DAY


def test_what_no_block_holds_is_said() -> None:
    sale = Sale(blocks=BLOCKS)
    assert why_not_sold(256, 10 * DAY, sale) == ""
    assert "256 instances in all" in why_not_sold(257, 10 * DAY, sale)
    assert "182 days" in why_not_sold(64, 200 * DAY, sale)
    assert why_not_sold(1, DAY, Sale(not_sold="Nobody sells it.")) == "Nobody sells it."
    assert list(can_be_bought(64, np.array([DAY, 200 * DAY, np.inf]), sale)) == [True, False, False]


def test_a_commitment_is_owed_to_the_end_of_its_last_term() -> None:
    """16 machines at 20.695 dollars for 26,280 hours: 8.7 million. 13 months take two terms of a year."""
    assert commitment_usd(16, 20.695, years=3) == pytest.approx(8_701_833.6)
    assert commitment_terms(30 * DAY, Sale(commitment_years=3)) == 1
    assert commitment_terms(395 * DAY, Sale(commitment_years=1)) == 2
    assert commitment_terms(395 * DAY, Sale()) == 0


def test_a_price_is_less_sure_the_older_it_is_and_the_longer_the_run() -> None:
    """A year at 10 % a year: 1.28 x 0.1 in the logarithm; four years double that."""
    settled = PriceSpread(log_change_a_year=0.1)
    assert price_ends(settled, age_days=365, run_s=90 * DAY) == pytest.approx((-0.128155, 0.128155), rel=1e-5)
    assert price_ends(settled, age_days=4 * 365, run_s=0.0)[1] == pytest.approx(0.25631, rel=1e-4)
    assert price_ends(settled, age_days=0, run_s=90 * DAY) == (0.0, 0.0)
    moving = PriceSpread(log_change_a_year=0.1, moves=True)
    assert price_ends(moving, age_days=0, run_s=3 * 365 * DAY)[1] == pytest.approx(0.128155, rel=1e-5)
    zones = PriceSpread(zones=(-0.3, 0.4))
    assert price_ends(zones, age_days=900, run_s=DAY) == pytest.approx((-0.3, 0.4))


def test_time_and_price_are_taken_together_as_independent() -> None:
    """Logarithms of 3 and 4 tenths give 5 tenths; none of both gives the point itself."""
    low, high = usd_ends(100.0, (100 * math.exp(-0.3), 100 * math.exp(0.3)), (-0.4, 0.4))
    assert (low, high) == pytest.approx((100 * math.exp(-0.5), 100 * math.exp(0.5)))
    assert usd_ends(100.0, (100.0, 100.0), (0.0, 0.0)) == (100.0, 100.0)
