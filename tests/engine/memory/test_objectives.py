"""Preferences, scores and layers trained whole: counted as TRL and PEFT do."""

from __future__ import annotations

from typing import Any

import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.contract.parse import parse_plan_request
from planner.engine.choose.plan import choose, evaluate_choice
from planner.engine.question.errors import PlanErrors
from planner.engine.run.length import total_steps
from tests.engine.questions import catalog

NODE = {"accelerator": "a100-sxm-80gb", "accelerators_per_node": 1, "nodes": 1}


def evaluated(**workload: Any) -> Any:
    usual = {
        "task": "lora",
        "samples": 800,
        "sequence_length": 1024,
        "global_batch_size": 8,
        "activation_recompute": "full",
    }
    data = {
        "model": "llama-3.1-8b",
        "workload": {**usual, **workload},
        "cluster": NODE,
        "layout": {"micro_batch_size": 1},
    }
    choice = choose(parse_plan_request(data, catalog()), shipped_calibration())
    return choice, evaluate_choice(choice, shipped_calibration())


def terms(**workload: Any) -> dict[str, float]:
    memory = evaluated(**workload)[1].memory
    return {name: float(value) for name, value in memory.terms.items()}


def test_a_pair_runs_as_two_sequences_in_as_many_steps() -> None:
    choice, pair = evaluated(objective="dpo")
    _, one = evaluated(objective="sft")
    assert float(pair.grid.micro_batch_size) == 2 * float(one.grid.micro_batch_size)
    assert total_steps(choice.request) == 100


def test_full_training_on_preferences_holds_a_reference() -> None:
    frozen = {
        kind: terms(task="full_finetuning", objective=kind)["frozen_weights"] for kind in ("sft", "dpo")
    }
    assert frozen["sft"] == 0.0
    assert frozen["dpo"] == pytest.approx(2 * 8_030_261_248)
    assert terms(objective="dpo")["frozen_weights"] == terms()["frozen_weights"]


def test_a_reward_model_has_no_logits_and_no_vocabulary_head() -> None:
    _, scored = evaluated(task="full_finetuning", objective="reward")
    assert float(scored.memory.logits) == 0.0
    assert float(scored.grid.total_parameters) == 8_030_261_248 - 128_256 * 4096 + 4096


def test_layers_trained_whole_are_copied_beside_the_adapters() -> None:
    _, plain = evaluated()
    _, saved = evaluated(modules_to_save=["embed_tokens", "lm_head"])
    table = 128_256 * 4096
    assert float(saved.grid.trainable_parameters - plain.grid.trainable_parameters) == 2 * table
    # A 16-bit copy, its gradient and two moments, beside the frozen layer.
    assert float(saved.memory.weights - plain.memory.weights) == pytest.approx(2 * table * 8)


def test_all_linear_is_every_layer_of_the_blocks_and_no_head() -> None:
    grids = [evaluated(lora_targets=targets)[1].grid for targets in (None, "all-linear", ["all-linear"])]
    assert len({float(grid.lora_parameters) for grid in grids}) == 1


def test_a_layer_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(PlanErrors, match=r"modules_to_save\.0"):
        evaluated(modules_to_save=["nothing"])
