"""Pools of accelerators: which may train, and which cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from planner.engine.layout.pools import ACCELERATORS, training_sizes
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PlanRequest
from tests.engine.questions import answer, question

TENSOR = "workload.ppo.generation.tensor_parallel"
PPO = {"critic": None, "reference": None, "reward": None, "rollout_tokens": 512}
#: Eight machines of eight.
CLUSTER = {"instance_type": "p5.48xlarge", "nodes": 8}


def asked(layout: dict[str, Any] | None = None, nodes: int = 8, **ppo: Any) -> PlanRequest:
    settings: dict[str, Any] = {"cluster": CLUSTER | {"nodes": nodes}}
    return question(task="ppo", ppo=PPO | ppo, **settings, **({"layout": layout} if layout else {}))


def test_all_train_where_all_generate() -> None:
    assert training_sizes(asked(), 64) == (64,)
    assert training_sizes(asked(generation={"accelerators": 16}), 64) == (64,)


def test_the_rest_trains_where_generation_is_apart() -> None:
    assert training_sizes(asked(staleness_steps=1, generation={"accelerators": 16}), 64) == (48,)
    assert training_sizes(asked(placement="split", generation={"accelerators": 16}), 64) == (48,)


def test_without_a_number_whole_nodes_are_tried_or_chips_of_one() -> None:
    assert training_sizes(asked(staleness_steps=1), 64) == (8, 16, 24, 32, 40, 48, 56)
    assert training_sizes(asked(staleness_steps=1, nodes=1), 8) == (1, 2, 3, 4, 5, 6, 7)


def test_a_complete_layout_says_how_many_generate() -> None:
    layout = {"tensor_parallel": 4, "pipeline_parallel": 1, "context_parallel": 1, "data_parallel": 4}
    assert training_sizes(asked(layout, staleness_steps=1), 64) == (16,)


@pytest.mark.parametrize(
    ("nodes", "ppo", "field"),
    [
        (8, {"placement": "split", "generation": {"accelerators": 64}}, ACCELERATORS),
        (8, {"generation": {"accelerators": 65}}, ACCELERATORS),
        (8, {"generation": {"accelerators": 4, "tensor_parallel": 8}}, ACCELERATORS),
        (
            1,
            {"generation": {"tensor_parallel": 8, "pipeline_parallel": 2}},
            "workload.ppo.generation.tensor_parallel",
        ),
    ],
)
def test_pools_that_cannot_be(nodes: int, ppo: dict[str, Any], field: str) -> None:
    with pytest.raises(PlanErrors) as refused:
        answer(asked(nodes=nodes, **ppo))
    error = refused.value.errors[0]
    assert error.field == field
    assert error.value is not None
    assert error.remedy
