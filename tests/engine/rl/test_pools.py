"""Rounds put together: in turn, on two pools, ahead; scoring and new weights by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from planner.engine.grid.plan_grid import FULL_RECOMPUTE, ZERO_3
from planner.engine.rl.lengths import response_lengths
from planner.engine.rl.pools import Round, round_of
from planner.engine.rl.rollout import Rollout
from planner.engine.rl.scoring import forward_pass_s, scoring_s
from planner.engine.rl.synchronization import weight_synchronization_s
from planner.engine.time.step import step_time
from tests.engine.bare import LINK, NETWORK, bare_constants, bare_grid, number
from tests.engine.rl.rounds import IDEAL, phase, rollout


def round_with(asked: Rollout, *, training: float, scoring: float = 2.0) -> Round:
    return round_of(
        asked,
        phase(asked, constants=replace(IDEAL, engine_step_s=1.0), peak_flops_per_s=1e30),
        scoring=np.float64(scoring),
        training=np.float64(training),
        synchronization=np.float64(1.0),
    )


def exposed(found: Round, training: float) -> float:
    parts = (found.generation, found.scoring, found.synchronization, found.waiting)
    return training + sum(number(part) for part in parts)


def test_in_turn_all_phases_add_up() -> None:
    """6 steps of a second, 2 of scoring, 3 of training, 1 of new weights, on one pool or on two."""
    for split in (False, True):
        assert exposed(round_with(rollout(split=split), training=3.0), 3.0) == pytest.approx(6 + 2 + 3 + 1)


@pytest.mark.parametrize(("training", "step", "waiting"), [(3.0, 6 + 1, 1.0), (9.0, 2 + 9 + 1, 0.0)])
def test_ahead_the_slower_pool_sets_the_pace(training: float, step: float, waiting: float) -> None:
    found = round_with(rollout(split=True, staleness_steps=1), training=training)
    assert exposed(found, training) == pytest.approx(step)
    assert number(found.waiting) == pytest.approx(waiting)
    assert number(found.idle) == pytest.approx(max(training + 2 - 6, 0))


@pytest.mark.parametrize("split", [False, True])
def test_working_further_ahead_never_slows(split: bool) -> None:
    lengths = response_lengths(6.0, 5.0, 40.0)
    steps = [
        exposed(
            round_with(
                rollout(split=split, staleness_steps=ahead, sequences=64.0, lengths=lengths), training=3.0
            ),
            3.0,
        )
        for ahead in range(9)
    ]
    assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(steps))
    assert steps[-1] < steps[0]


def test_partial_rollouts_spare_the_wait_for_the_longest() -> None:
    """Launches alone and places for all: a round of as many steps as the mean answer has tokens."""
    lengths = response_lengths(6.0, 5.0, 40.0)
    asked = rollout(sequences=64.0, lengths=lengths, partial_rollouts=True)
    assert number(round_with(asked, training=3.0).generation) == pytest.approx(6)
    whole = round_with(replace(asked, partial_rollouts=False), training=3.0)
    assert number(whole.generation) > 20


def synchronization(asked: Rollout, *, ranks: float, moved: float = 0.0, **grid: float) -> float:
    generation = phase(asked, ranks=ranks)
    return number(
        weight_synchronization_s(
            bare_grid(**grid),
            asked,
            IDEAL,
            generation,
            ranks=np.float64(ranks),
            moved_bytes=np.float64(moved),
        )
    )


def test_new_weights_pass_the_slowest_link_once() -> None:
    """3072 bytes at 100 bytes/s within a node, at 40 between nodes; alone there is nothing to send."""
    assert synchronization(rollout(), ranks=1.0) == 0
    assert synchronization(rollout(), ranks=4.0) == pytest.approx(3072 / LINK)
    assert synchronization(rollout(), ranks=8.0) == pytest.approx(3072 / NETWORK)


def test_adapters_alone_are_sent() -> None:
    """16 of 1536 parameters are adapters of a frozen base."""
    adapters = {"frozen": 1.0, "lora_parameters": 16.0}
    assert synchronization(rollout(), ranks=4.0, **adapters) == pytest.approx(2 * 16 / LINK)


def test_an_engine_that_shares_its_ranks_is_woken() -> None:
    asked, woken = rollout(), replace(IDEAL, handover_s=5.0)
    for split, extra in ((False, 5.0), (True, 0.0)):
        found = weight_synchronization_s(
            bare_grid(),
            replace(asked, split=split),
            woken,
            phase(asked),
            ranks=np.float64(1.0),
            moved_bytes=np.float64(0.0),
        )
        assert number(found) == extra


def test_states_that_made_room_come_back() -> None:
    assert synchronization(rollout(), ranks=1.0, moved=5e10) == pytest.approx(4.0)


def test_static_batches_in_the_training_layout_need_no_new_weights() -> None:
    static = rollout(engine="static")
    assert synchronization(static, ranks=4.0) == 0
    assert synchronization(static, ranks=4.0, sharding=ZERO_3) == pytest.approx(3072 / LINK)


def test_scoring_is_the_forward_part_of_training() -> None:
    """No link is slow here: forward passes alone, and their share of the bubble in a pipeline."""
    grid = bare_grid(gradient_accumulation=3)
    step = step_time(grid, bare_constants())
    assert number(forward_pass_s(grid, step)) == pytest.approx(number(step.forward))
    piped = bare_grid(gradient_accumulation=3, pipeline_parallel=2)
    stages = step_time(piped, bare_constants(pipeline_exposed=0.0))
    share = number(stages.forward) / (number(stages.forward) + number(stages.backward))
    expected = number(stages.forward) + share * number(stages.pipeline_bubble)
    assert number(forward_pass_s(piped, stages)) == pytest.approx(expected)


def test_shards_are_gathered_for_scoring_too() -> None:
    grid = bare_grid(sharding=ZERO_3, data_parallel=4, sharding_group=4, recompute=FULL_RECOMPUTE)
    step = step_time(grid, bare_constants())
    assert number(step.data_communication) > 0
    expected = number(step.forward) + number(step.data_communication) / 3
    assert number(forward_pass_s(grid, step)) == pytest.approx(expected)


def test_every_model_scores_in_turn() -> None:
    grid = bare_grid()
    step = step_time(grid, bare_constants())
    one = number(scoring_s([(grid, step)], IDEAL))
    assert number(scoring_s([(grid, step)] * 2, IDEAL)) == pytest.approx(2 * one)
    assert number(scoring_s([], IDEAL)) == 0.0
    assert number(scoring_s([(grid, step)], replace(IDEAL, scoring_overhead=1.5))) == pytest.approx(1.5 * one)
