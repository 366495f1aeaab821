"""Pareto fronts and rankings of plain numbers: ties, prices that are missing, order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.engine.answer.kept import best_by, front

NUMBERS = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=12)


def found(pairs: list[tuple[float, float]]) -> list[int]:
    seconds, dollars = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    return list(front(seconds, dollars))


@pytest.mark.parametrize(
    ("pairs", "kept"),
    [
        # Alike in both: the first stands for all.
        ([(1, 1), (1, 1)], [0]),
        # As fast and dearer, as dear and slower: neither is on the front.
        ([(1, 2), (1, 1)], [1]),
        ([(2, 1), (1, 1)], [1]),
        ([(3, 1), (1, 3), (2, 2)], [1, 2, 0]),
        ([(1, 3), (2, 3), (3, 3)], [0]),
    ],
)
def test_ties_leave_one_plan(pairs: list[tuple[float, float]], kept: list[int]) -> None:
    assert found(pairs) == kept


@given(NUMBERS)
def test_nothing_on_the_front_is_beaten_and_all_else_is(pairs: list[tuple[int, int]]) -> None:
    kept = found([(float(a), float(b)) for a, b in pairs])
    for index, (seconds, dollars) in enumerate(pairs):
        beaten = any(s <= seconds and d <= dollars and (s, d) != (seconds, dollars) for s, d in pairs)
        if index in kept:
            assert not beaten
        elif not beaten:
            assert any(pairs[other] == (seconds, dollars) for other in kept)


def test_without_any_price_the_fastest_stands_alone() -> None:
    assert list(front(np.array([3.0, 1.0, 2.0]), np.full(3, np.nan))) == [1]


def test_rankings_break_ties_by_the_other_measure_and_put_the_unpriced_last() -> None:
    seconds, dollars = np.array([2.0, 2.0, 1.0, 4.0]), np.array([3.0, 2.0, np.nan, 1.0])
    assert list(best_by("time", seconds, dollars)) == [2, 1, 0, 3]
    assert list(best_by("cost", seconds, dollars)) == [3, 1, 0, 2]
    # Products 6, 4, none, 4: of equal products the faster first.
    assert list(best_by("balanced", seconds, dollars)) == [1, 3, 0, 2]
