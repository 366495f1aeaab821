"""Experts are whole where ranks share them, unless the question says that tensor parallelism splits them."""

import pytest

from planner.engine.grid.expert_split import expert_tensor_parallel
from tests.engine.bare import bare_grid, number


@pytest.mark.parametrize(("expert_parallel", "asked", "split"), [(4, 0, 1), (4, 1, 2), (1, 0, 2), (1, 1, 2)])
def test_ranks_that_split_an_expert(expert_parallel: int, asked: int, split: int) -> None:
    grid = bare_grid(tensor_parallel=2, expert_parallel=expert_parallel, split_experts=asked)
    assert number(expert_tensor_parallel(grid)) == split
