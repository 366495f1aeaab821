"""The models of a PPO round: which is trained, what a frozen one weighs, whose activations count."""

from __future__ import annotations

import numpy as np
import pytest

from planner.engine.evaluate import Evaluation
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.peak import MemoryTerms, memory_per_rank
from planner.engine.rl.memory import round_memory, weights_only_bytes
from planner.engine.rl.ppo import part_of, scalar_head
from planner.engine.time.step import step_time
from tests.engine.bare import bare_constants, bare_grid, number
from tests.engine.rl.rounds import phase, rollout


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


def test_frozen_experts_are_spread() -> None:
    """512 of 1536 parameters are experts: whole on 4 ranks with expert parallelism."""
    grid = bare_grid(moe_blocks=1, routed_expert_parameters=512, expert_parallel=4)
    assert number(weights_only_bytes(grid)) == 2 * (1024 + 512 / 4)


def test_a_critic_ends_in_one_number_a_token() -> None:
    critic = scalar_head(bare_grid())
    assert number(critic.head_matmul) == 0
    assert number(critic.head_parameters) == 8


def evaluation(**changes: float) -> Evaluation:
    grid = bare_grid(**changes)
    return Evaluation(grid, memory_per_rank(grid, MemoryConstants()), step_time(grid, bare_constants()))


def test_states_of_all_models_add_up_and_activations_count_once() -> None:
    actor, critic = evaluation(), evaluation(micro_batch_size=2)
    found = round_memory([actor, critic], np.asarray(100.0), phase(), rollout(split=True))
    assert number(found.weights) == 2 * number(actor.memory.weights) + 100
    assert number(found.optimizer_states) == 2 * number(actor.memory.optimizer_states)
    assert number(found.activations) == number(critic.memory.activations)
    assert number(found.resident) == 2 * number(actor.memory.resident) + 100
    assert number(found.terms["frozen_models"]) == 100
    assert number(found.terms["generation_weights"]) == number(found.terms["generation_cache"]) == 0
    parts = ("weights", "gradients", "optimizer_states", "activations", "logits", "temporary", "framework")
    assert number(found.total) == pytest.approx(sum(number(getattr(found, part)) for part in parts))


def moving(memory: MemoryTerms) -> float:
    return sum(number(getattr(memory, part)) for part in ("activations", "logits", "temporary"))


def test_a_sleeping_engine_takes_the_place_of_the_activations() -> None:
    """2000 sequences of 512 bytes are more than training moves: the rest of them comes on top."""
    actor, none = evaluation(), np.asarray(0.0)
    large = phase(rollout(sequences=2000.0))
    found = round_memory([actor], none, large, rollout())
    grown = number(found.total) - number(actor.memory.total)
    assert grown == pytest.approx(3072 + 2000 * 512 - moving(actor.memory))
    assert number(found.terms["generation_weights"]) == 3072
    small = round_memory([actor], none, phase(rollout(sequences=0.1)), rollout(engine="static"))
    assert number(small.total) == pytest.approx(number(actor.memory.total))


def test_an_engine_that_stays_awake_stands_beside_training() -> None:
    actor, none = evaluation(), np.asarray(0.0)
    found = round_memory([actor], none, phase(), rollout(sleep=False))
    assert number(found.total) - number(actor.memory.total) == pytest.approx(3072 + 4 * 512)


def test_static_batches_decode_with_the_training_weights() -> None:
    actor, none = evaluation(), np.asarray(0.0)
    found = round_memory([actor], none, phase(), rollout(sleep=False, engine="static"))
    assert number(found.terms["generation_weights"]) == 0


@pytest.mark.parametrize(
    ("name", "times"),
    [("forward", 1), ("backward", 1), ("optimizer", 3), ("other", 3), ("pipeline_bubble", 3)],
)
def test_each_update_has_its_own_fixed_costs(name: str, times: int) -> None:
    actor = evaluation(pipeline_parallel=2, gradient_accumulation=6)
    assert number(part_of(actor, name, 3.0)) == pytest.approx(times * number(getattr(actor.step, name)))


def test_gradients_are_reduced_for_each_update() -> None:
    actor = evaluation(data_parallel=4)
    once, thrice = (number(part_of(actor, "data_communication", updates)) for updates in (1.0, 3.0))
    assert once == number(actor.step.data_communication)
    assert thrice == pytest.approx(once + 2 * number(actor.step.terms["reduction_exposed_s"]))
