"""Every key that a table says stands in the stack's argument parser or schema, as read in its repository."""

from __future__ import annotations

import re
from typing import Any

import pytest

from planner.launch import LaunchTable, launch_tables
from planner.launch.keys import Key, editions, keys
from planner.launch.stacks import STACKS
from tests.launch.asked import PPO, answered

GPU_PLANS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"framework": "megatron"}, {"tensor_parallel": 4, "pipeline_parallel": 4, "interleaved_stages": 2}),
    ({"framework": "megatron", "offload": "optimizer", "optimizer_state_precision": "bf16"}, {}),
    ({"framework": "megatron", "precision": "fp8"}, {"context_parallel": 2, "activation_recompute": "full"}),
    ({"framework": "megatron", "precision": "fp16"}, {"activation_recompute": "selective"}),
    ({"framework": "megatron"}, {"sharding": "zero1", "sharding_group": 4, "tensor_parallel": 2}),
    ({"framework": "torchtitan"}, {"pipeline_parallel": 2, "interleaved_stages": 2, "tensor_parallel": 2}),
    ({"framework": "torchtitan"}, {"activation_recompute": "selective"}),
    ({"framework": "torchtitan", "precision": "fp8", "compile": True}, {"sharding_group": 8}),
    ({}, {"sharding": "zero3", "activation_recompute": "full"}),
    ({"framework": "deepspeed", "task": "full_finetuning", "offload": "optimizer"}, {"sharding": "zero2"}),
    ({"framework": "fsdp", "task": "full_finetuning"}, {"activation_recompute": "full"}),
    ({"framework": "fsdp", "task": "full_finetuning", "master_weights": "none"}, {}),
    (
        {"framework": "fsdp", "task": "full_finetuning", "master_weights": "none"},
        {"activation_recompute": "selective"},
    ),
    ({"task": "lora"}, {"sharding": "none", "activation_recompute": "full"}),
    (
        {"task": "lora", "loss": "fused", "compile": True},
        {"sharding": "zero3", "activation_recompute": "none"},
    ),
    ({"task": "lora", "compile": True}, {"sharding": "none", "activation_recompute": "none"}),
    ({"task": "lora", "precision": "tf32"}, {"sharding": "zero3", "activation_recompute": "full"}),
    ({"task": "lora", "precision": "tf32"}, {"sharding": "none", "activation_recompute": "full"}),
    ({"task": "lora", "frozen_precision": "int8"}, {"sharding": "none", "activation_recompute": "full"}),
    ({"task": "qlora"}, {"sharding": "none", "activation_recompute": "full"}),
    ({"task": "qlora", "framework": "fsdp"}, {"sharding": "zero3", "activation_recompute": "full"}),
    ({"task": "ppo", "ppo": PPO, "framework": "fsdp"}, {"activation_recompute": "full"}),
    (
        {"task": "ppo", "ppo": PPO, "framework": "megatron"},
        {
            "tensor_parallel": 2,
            "pipeline_parallel": 2,
            "interleaved_stages": 2,
            "activation_recompute": "full",
        },
    ),
    (
        {"task": "ppo", "ppo": PPO, "framework": "megatron"},
        {"sharding": "zero1", "activation_recompute": "selective"},
    ),
]
NEURON_PLANS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"tensor_parallel": 8, "sharding": "zero1", "activation_recompute": "selective"}),
    ({"framework": "neuron"}, {"tensor_parallel": 32, "context_parallel": 2}),
    ({"framework": "neuron", "task": "full_finetuning"}, {"tensor_parallel": 8, "pipeline_parallel": 2}),
    ({"framework": "neuron", "precision": "fp32"}, {"tensor_parallel": 32, "pipeline_parallel": 2}),
]

MOE_PPO = dict.fromkeys(("actor", "critic"), "qwen3-30b-a3b") | {"rollout_tokens": 1024}
OTHER_MODELS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("qwen3-30b-a3b", {"framework": "megatron"}, {"expert_parallel": 4, "pipeline_parallel": 2}),
    ("qwen3-30b-a3b", {"framework": "torchtitan"}, {"expert_parallel": 8, "activation_recompute": "full"}),
    ("qwen3-30b-a3b", {"framework": "megatron", "task": "ppo", "ppo": MOE_PPO}, {"expert_parallel": 8}),
    ("qwen2.5-7b", {"framework": "megatron"}, {"tensor_parallel": 4}),
]


def tables_of_all_plans() -> list[LaunchTable]:
    asked = [answered(workload=workload, layout=layout or None) for workload, layout in GPU_PLANS]
    asked += [
        answered(workload=workload, layout=layout, cluster={"instance_type": "trn1.32xlarge"})
        for workload, layout in NEURON_PLANS
    ]
    asked += [answered(model, workload=workload, layout=layout) for model, workload, layout in OTHER_MODELS]
    return [table for question, answer in asked for table in launch_tables(question, answer)]


@pytest.fixture(scope="module")
def tables() -> list[LaunchTable]:
    return tables_of_all_plans()


def test_every_key_that_is_said_was_read_and_takes_the_value(tables: list[LaunchTable]) -> None:
    wrong = [
        f"{table.stack}: {setting.name} = {setting.value!r}"
        for table in tables
        for setting in table.settings
        if (key := keys().get((table.stack, setting.name))) is None or not takes(key, setting.value)
    ]
    assert not wrong, "\n".join(wrong)


def takes(key: Key, value: str) -> bool:
    if key.type == "flag":
        return value == ""
    if key.type == "int":
        return re.fullmatch(r"\d+", value) is not None
    if key.type == "float":
        return re.fullmatch(r"\d+\.\d+", value) is not None
    if key.type == "bool":
        return value in ("true", "false")
    if key.type.startswith("choice:"):
        return value in key.type.removeprefix("choice:").split("|")
    return key.type in ("str", "list") and value != ""


def test_every_stack_is_shown_for_some_plan(tables: list[LaunchTable]) -> None:
    assert {table.stack for table in tables} == {stack.slug for stack in STACKS}


def test_no_key_is_kept_that_no_plan_is_told(tables: list[LaunchTable]) -> None:
    told = {(table.stack, setting.name) for table in tables for setting in table.settings}
    assert sorted(set(keys()) - told) == []


def test_no_table_says_a_key_twice_and_each_setting_says_what_it_is(tables: list[LaunchTable]) -> None:
    for table in tables:
        names = [setting.name for setting in table.settings]
        assert len(names) == len(set(names)), table.stack
        assert all(setting.meaning for setting in table.settings)
        assert table.left_to_you


@pytest.mark.parametrize("stack", [stack.slug for stack in STACKS])
def test_a_stack_names_the_state_of_the_repository_that_was_read(stack: str) -> None:
    edition = editions()[stack]
    assert re.fullmatch(r"[0-9a-f]{40}", edition.commit)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", edition.date)
    assert edition.source.endswith(f"/{edition.repository}/tree/{edition.commit}")
    own = {
        key.commit for key in keys().values() if key.stack == stack and key.repository == edition.repository
    }
    assert own == {edition.commit}


def test_each_key_is_read_in_one_file_of_one_commit() -> None:
    assert all(re.fullmatch(r"[0-9a-f]{40}", key.commit) and "/" in key.file for key in keys().values())
