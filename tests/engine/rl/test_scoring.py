"""Scoring by hand: forward passes through a pipeline of stages."""

import pytest

from planner.engine.rl.scoring import scoring_s
from planner.engine.time.compute import blocks_compute
from tests.engine.bare import bare_constants, bare_grid, number


@pytest.mark.parametrize(("stages", "micro_batches"), [(1, 1), (1, 3), (2, 3)])
def test_micro_batches_flow_through_the_stages(stages: int, micro_batches: int) -> None:
    """m + p - 1 times a stage (Huang et al. 2019, GPipe): the blocks' share and the head."""
    grid = bare_grid(pipeline_parallel=stages, gradient_accumulation=micro_batches)
    compute = blocks_compute(grid, bare_constants())
    stage = number(compute.forward) / stages + number(compute.head)
    assert number(scoring_s([grid], bare_constants())) == pytest.approx((micro_batches + stages - 1) * stage)


def test_every_model_scores_in_turn() -> None:
    one = number(scoring_s([bare_grid()], bare_constants()))
    assert number(scoring_s([bare_grid(), bare_grid()], bare_constants())) == pytest.approx(2 * one)
    assert number(scoring_s([], bare_constants())) == 0.0
