"""Scalars stay scalars, and rows of one become scalars."""

import numpy as np

from planner.engine.grid.scalars import (
    anywhere,
    entries,
    is_shared,
    larger,
    on_scalars,
    one_of,
    smaller,
    where,
    within,
)
from tests.engine.memory.plans import plan_grid, plan_layout, plan_request


def test_a_condition_that_all_plans_share_picks_one_side_as_it_is() -> None:
    array = np.array([1.0, 2.0])
    assert where(np.bool_(True), array, 0.0) is array
    assert where(np.bool_(False), array, 3.0) == 3.0
    assert where(array > 1.5, 1.0, 0.0).tolist() == [0.0, 1.0]
    # A side that was no array, compared, is Python's own flag.
    assert where(2.0 > 1.0, array, 0.0) is array


def test_a_grid_of_one_becomes_scalars_and_a_larger_one_stays() -> None:
    request = plan_request()
    assert on_scalars(plan_grid(request, plan_layout())).tensor_parallel.shape == ()
    two = plan_grid(request, plan_layout(), plan_layout())
    assert on_scalars(two) is two


def test_what_all_plans_share_stays_a_number() -> None:
    """An array of shape () would compute ten times slower, and all that is computed of it as well."""
    table, shared = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), np.float64(1.0)
    assert is_shared(entries(table[0], shared))
    assert is_shared(within(shared, 2.0, np.float64(3.0)))
    assert entries(table, shared).tolist() == [2.0, 5.0]
    assert entries(table, np.array([2.0, 0.0])).tolist() == [[3.0, 1.0], [6.0, 4.0]]
    assert within(np.array([0.0, 9.0]), 1.0, 3.0).tolist() == [1.0, 3.0]


def test_one_plan_of_many_is_enough() -> None:
    assert anywhere(np.array([0.0, 1.0]) > 0.0)
    assert not anywhere(np.array([0.0, 0.0]) > 0.0)
    assert anywhere(np.float64(1.0) > 0.0)
    assert not anywhere(False)
    assert one_of(np.array([1.0, 2.0, 5.0]), (2.0, 5.0)).tolist() == [False, True, True]


def test_the_larger_and_the_smaller_are_as_numpy_s() -> None:
    one, two, array = np.float64(1.0), np.float64(2.0), np.array([0.0, 3.0])
    for first, second in (
        (one, two),
        (two, one),
        (one, 2.0),
        (2.0, one),
        (1.0, 2.0),
        (array, one),
        (one, array),
    ):
        for own, theirs in ((larger, np.maximum), (smaller, np.minimum)):
            assert np.array_equal(own(first, second), theirs(first, second))
            # Python's own floats would raise where they are divided by zero.
            assert type(own(first, second)) is not float
    assert larger(one > 0.0, one > 2.0)
