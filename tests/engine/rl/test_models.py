"""The models of a PPO round: which is trained, what a frozen one weighs, whose activations count."""

from __future__ import annotations

import numpy as np
import pytest

from planner.engine.evaluate import Evaluation
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.peak import memory_per_rank
from planner.engine.rl.generation import Generation
from planner.engine.rl.ppo import ppo_memory, scalar_head, weights_only_bytes
from planner.engine.time.step import step_time
from tests.engine.bare import bare_constants, bare_grid, number


@pytest.mark.parametrize(
    ("changes", "split"),
    [
        ({}, 1),
        ({"tensor_parallel": 2, "pipeline_parallel": 2}, 4),
        ({"sharding": 3, "sharding_group": 4}, 4),
        ({"sharding": 1, "sharding_group": 4}, 1),
    ],
)
def test_a_frozen_model_keeps_its_weights_alone(changes: dict[str, float], split: int) -> None:
    assert number(weights_only_bytes(bare_grid(**changes))) == 1536 * 2 / split


def test_a_critic_ends_in_one_number_a_token() -> None:
    critic = scalar_head(bare_grid())
    assert number(critic.head_matmul) == 0
    assert number(critic.head_parameters) == 8


def evaluation(**changes: float) -> Evaluation:
    grid = bare_grid(**changes)
    return Evaluation(grid, memory_per_rank(grid, MemoryConstants()), step_time(grid, bare_constants()))


def test_states_of_all_models_add_up_and_activations_count_once() -> None:
    actor, critic = evaluation(), evaluation(micro_batch_size=2)
    none = np.asarray(0.0)
    found = ppo_memory([actor, critic], np.asarray(100.0), Generation(none, none, none))
    assert number(found.weights) == 2 * number(actor.memory.weights) + 100
    assert number(found.optimizer_states) == 2 * number(actor.memory.optimizer_states)
    assert number(found.activations) == number(critic.memory.activations)
    assert number(found.resident) == 2 * number(actor.memory.resident) + 100
    parts = ("weights", "gradients", "optimizer_states", "activations", "logits", "temporary", "framework")
    assert number(found.total) == pytest.approx(sum(number(getattr(found, part)) for part in parts))


def test_a_large_cache_takes_the_place_of_the_activations() -> None:
    actor = evaluation()
    none, cache = np.asarray(0.0), np.asarray(1e6)
    found = ppo_memory([actor], none, Generation(none, none, cache))
    moving = sum(number(getattr(found, part)) for part in ("activations", "logits", "temporary"))
    assert moving == pytest.approx(1e6)
