"""Scalars stay scalars, and rows of one become scalars."""

import numpy as np

from planner.engine.grid.scalars import on_scalars, where
from tests.engine.memory.plans import plan_grid, plan_layout, plan_request


def test_a_condition_that_all_plans_share_picks_one_side_as_it_is() -> None:
    array = np.array([1.0, 2.0])
    assert where(np.bool_(True), array, 0.0) is array
    assert where(np.bool_(False), array, 3.0) == 3.0
    assert where(array > 1.5, 1.0, 0.0).tolist() == [0.0, 1.0]


def test_a_grid_of_one_becomes_scalars_and_a_larger_one_stays() -> None:
    request = plan_request()
    assert on_scalars(plan_grid(request, plan_layout())).tensor_parallel.shape == ()
    two = plan_grid(request, plan_layout(), plan_layout())
    assert on_scalars(two) is two
