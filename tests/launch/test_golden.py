"""Whole tables, read once by eye against the stacks' own files, a plan each.

The expected ones stand in ``golden/``: the program, then a line for each setting.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from planner.launch import launch_tables
from tests.launch.asked import PPO, answered

GOLDEN = Path(__file__).parent / "golden"
PLANS: dict[str, dict[str, Any]] = {
    "megatron": {
        "workload": {"framework": "megatron", "sequence_length": 8192},
        "layout": {
            "tensor_parallel": 4,
            "pipeline_parallel": 2,
            "interleaved_stages": 2,
            "micro_batch_size": 1,
            "activation_recompute": "selective",
        },
    },
    "megatron_experts": {
        "model": "qwen3-30b-a3b",
        "workload": {"framework": "megatron"},
        "layout": {
            "expert_parallel": 4,
            "tensor_parallel": 2,
            "micro_batch_size": 1,
            "activation_recompute": "full",
        },
    },
    "torchtitan": {
        "workload": {"framework": "torchtitan"},
        "layout": {
            "tensor_parallel": 1,
            "sharding_group": 8,
            "micro_batch_size": 2,
            "activation_recompute": "selective",
        },
    },
    "torchtitan_pipeline": {
        "workload": {"framework": "torchtitan"},
        "layout": {
            "tensor_parallel": 2,
            "pipeline_parallel": 4,
            "interleaved_stages": 2,
            "micro_batch_size": 1,
            "activation_recompute": "full",
        },
    },
    "neuron": {
        "workload": {"framework": "neuron"},
        "cluster": {"instance_type": "trn1.32xlarge"},
        "layout": {"tensor_parallel": 32, "micro_batch_size": 1, "activation_recompute": "selective"},
    },
    "deepspeed": {
        "workload": {"framework": "deepspeed", "task": "full_finetuning", "offload": "optimizer"},
        "layout": {"sharding": "zero2", "micro_batch_size": 2, "activation_recompute": "full"},
    },
    "fsdp": {
        "workload": {"framework": "fsdp", "task": "qlora"},
        "layout": {"sharding": "zero3", "micro_batch_size": 2, "activation_recompute": "full"},
    },
    "trl": {
        "workload": {
            "task": "lora",
            "lora_targets": ["q_proj", "v_proj"],
            "lora_rank": 8,
            "global_batch_size": 32,
        },
        "cluster": {"instance_type": "g5.2xlarge", "nodes": 1},
        "layout": {"sharding": "none", "micro_batch_size": 1, "activation_recompute": "full"},
    },
    "axolotl": {
        "layout": {
            "tensor_parallel": 1,
            "sharding": "zero3",
            "micro_batch_size": 2,
            "activation_recompute": "full",
        },
    },
    "torchtune": {
        "workload": {
            "framework": "fsdp",
            "task": "full_finetuning",
            "master_weights": "none",
            "loss": "chunked",
        },
        "layout": {"micro_batch_size": 2, "activation_recompute": "selective"},
    },
    "verl": {
        "workload": {"task": "ppo", "ppo": PPO, "framework": "fsdp"},
        "layout": {"micro_batch_size": 2, "activation_recompute": "full"},
    },
}


@pytest.mark.parametrize("name", PLANS)
def test_a_whole_table(name: str) -> None:
    stack = name.partition("_")[0]
    tables = {table.stack: table for table in launch_tables(*answered(**PLANS[name]))}
    lines = [f"{setting.name} {setting.value}".rstrip() for setting in tables[stack].settings]
    expected = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert [tables[stack].program, *lines] == expected


def test_every_expected_table_is_asked_for() -> None:
    assert {file.stem for file in GOLDEN.glob("*.txt")} == set(PLANS)


@pytest.mark.parametrize(("moe", "ranks"), [({}, "1"), ({"split_experts": True}, "2")])
def test_experts_are_split_as_the_plan_splits_them(moe: dict[str, Any], ranks: str) -> None:
    asked = PLANS["megatron_experts"]
    tables = launch_tables(*answered(**asked | {"workload": asked["workload"] | {"moe": moe}}))
    (table,) = (each for each in tables if each.stack == "megatron")
    values = {setting.name: setting.value for setting in table.settings}
    assert values["--expert-tensor-parallel-size"] == ranks
