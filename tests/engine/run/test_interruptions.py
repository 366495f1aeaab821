"""The length of a run whose machines are taken back."""

import math

import numpy as np
import pytest

from planner.engine.question.sale import Interruptions
from planner.engine.run.interruptions import checkpoint_interval_s, lasting_ends_s, lasting_s, rate_per_s

DAY = 86_400.0
HOURLY = Interruptions(per_node_day=0.01, write_s=60.0, restart_s=900.0, checkpoint_s=3600.0)
BEST = Interruptions(per_node_day=0.01, write_s=60.0, restart_s=900.0)


def test_every_machine_can_stop_the_run() -> None:
    assert rate_per_s(50, HOURLY) == pytest.approx(0.5 / DAY)


def test_no_interruptions_no_loss() -> None:
    assert lasting_s(5 * DAY, 16, None) == 5 * DAY


def test_losses_worked_by_hand() -> None:
    """50 machines at 0.01 a day: M = 172,800 s. M e^(900/M) (e^(3660/M) - 1) / 3600 = 1.033117, where the
    writes alone are 1.016667, half an interval and a restart each half a day the rest."""
    stretch = 172_800 * math.exp(900 / 172_800) * math.expm1(3660 / 172_800) / 3600
    assert stretch == pytest.approx(1.033, abs=1e-3)
    assert lasting_s(10 * DAY, 50, HOURLY) == pytest.approx(10 * DAY * stretch)
    by_first_order = 1 + 60 / 3600 + (900 + 3660 / 2) / 172_800
    assert stretch == pytest.approx(by_first_order, rel=1e-3)


def test_the_best_interval_is_youngs() -> None:
    """The root of 2 x 60 s x 172,800 s, and no other interval loses less."""
    assert checkpoint_interval_s(0.5 / DAY, BEST) == pytest.approx(math.sqrt(2 * 60 * 172_800))
    best = lasting_s(10 * DAY, 50, BEST)
    for interval in (1000.0, 2000.0, 10_000.0, 20_000.0):
        asked = Interruptions(per_node_day=0.01, write_s=60.0, restart_s=900.0, checkpoint_s=interval)
        assert best < lasting_s(10 * DAY, 50, asked)


def test_more_machines_lose_more_and_nothing_overflows() -> None:
    nodes = np.array([1.0, 16.0, 256.0, 100_000.0])
    longer = lasting_s(np.full(4, 30 * DAY), nodes, BEST)
    assert np.all(np.diff(longer) > 0) and np.all(np.isfinite(longer)) and longer[0] > 30 * DAY
    assert lasting_s(np.array([np.inf]), 4, BEST)[0] == np.inf  # type: ignore[index]


def test_the_range_brackets_the_expected_length() -> None:
    low, high = lasting_ends_s((9 * DAY, 11 * DAY), 50, BEST)
    assert 9 * DAY < low < lasting_s(10 * DAY, 50, BEST) < high


def test_what_is_kept_of_the_time_stretches_the_run_by_its_reciprocal() -> None:
    kept = Interruptions(per_node_day=0.0, write_s=60.0, restart_s=900.0, kept_share=0.8)
    assert lasting_s(8 * DAY, 16, kept) == pytest.approx(10 * DAY)
    both = Interruptions(per_node_day=0.01, write_s=60.0, restart_s=900.0, kept_share=0.8)
    assert lasting_s(8 * DAY, 50, both) == pytest.approx(lasting_s(10 * DAY, 50, BEST))
    assert lasting_ends_s((8 * DAY, 16 * DAY), 16, kept) == pytest.approx((10 * DAY, 20 * DAY))
