"""How long answers are, and how long a batch waits for its longest."""

from __future__ import annotations

import numpy as np
import pytest

from planner.engine.rl.lengths import any_alive, response_lengths, usual_deviation


@pytest.mark.parametrize(
    ("mean", "deviation", "longest"),
    [(158.0, 95.0, 1024.0), (158.0, 95.0, None), (3200.0, 1900.0, 4096.0), (700.0, 2000.0, 1536.0)],
)
def test_the_mean_is_kept_and_nothing_is_longer_than_the_limit(
    mean: float, deviation: float, longest: float | None
) -> None:
    found = response_lengths(mean, deviation, longest)
    assert float(np.sum(found.tokens * found.alive)) == pytest.approx(mean)
    assert longest is None or float(found.tokens.sum()) <= longest * 1.001
    assert np.all(np.diff(found.alive) <= 0)


@pytest.mark.parametrize(("deviation", "longest"), [(0.0, None), (100.0, 50.0)])
def test_answers_of_one_length(deviation: float, longest: float | None) -> None:
    """Without a spread, or where the limit is the mean, every answer has the mean length."""
    found = response_lengths(50.0, deviation, longest)
    assert found.tokens.tolist() == [50.0]
    assert found.alive.tolist() == [1.0]


def expected_longest(count: float) -> float:
    found = response_lengths(100.0, 60.0, None)
    return float(np.sum(found.tokens * any_alive(found.alive, np.asarray(count))))


def test_one_answer_is_as_long_as_the_mean_and_many_wait_for_the_tail() -> None:
    """Monte Carlo of 64 log-normal answers with mean 100 and deviation 60: as sampled."""
    assert expected_longest(1.0) == pytest.approx(100.0)
    sampled = (
        np.random.default_rng(0).lognormal(np.log(100.0) - 0.1537, 0.5545, (4000, 64)).max(axis=1).mean()
    )
    assert expected_longest(64.0) == pytest.approx(sampled, rel=0.03)
    assert expected_longest(64.0) < expected_longest(4096.0)


def test_the_usual_spread() -> None:
    assert usual_deviation(100.0, None, 0.6) == 60.0
    assert usual_deviation(100.0, 100.0, 0.6) == 0.0
