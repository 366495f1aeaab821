"""What is never shown: another task, another layout, too many processes for a slice, another chip's stack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from planner.launch import LaunchTable, launch_tables, why_not
from planner.launch.stacks import STACKS
from tests.launch.asked import PPO, answered

FULL = {"activation_recompute": "full"}


def shown(**question: Any) -> list[str]:
    return [table.stack for table in launch_tables(*answered(**question))]


@pytest.mark.parametrize("task", ["lora", "qlora"])
@pytest.mark.parametrize("framework", ["generic", "megatron"])
def test_adapters_never_give_pretraining(task: str, framework: str) -> None:
    request, result = answered(workload={"task": task, "framework": framework}, layout=FULL)
    tables = launch_tables(request, result)
    assert not any("pretrain" in table.program for table in tables)
    assert why_not(request, result)["megatron"].startswith("pretrain_gpt.py does not do")


@pytest.mark.parametrize("framework", ["generic", "torchtitan", "megatron", "fsdp", "deepspeed"])
def test_ppo_is_never_torchtitan_nor_a_fine_tuning_program(framework: str) -> None:
    stacks = shown(workload={"task": "ppo", "ppo": PPO, "framework": framework}, layout=FULL)
    assert set(stacks) <= {"verl"}


def test_without_a_critic_responses_are_compared_and_the_plan_has_no_number_of_them() -> None:
    grpo = PPO | {"critic": None}
    request, result = answered(workload={"task": "ppo", "ppo": grpo, "framework": "megatron"}, layout=FULL)
    assert launch_tables(request, result) == ()
    assert "no number" in why_not(request, result)["verl"]


@pytest.mark.parametrize("task", ["pretraining", "full_finetuning", "lora", "qlora"])
def test_one_mig_slice_gets_one_process(task: str) -> None:
    tables = launch_tables(*on_mig(task))
    for table in tables:
        assert processes(table) == 1
        assert "CUDA_VISIBLE_DEVICES: the UUID of the MIG GPU instance" in table.left_to_you
    assert tables or task == "full_finetuning"  # which the engine counts without fp32 master weights


def test_several_mig_slices_are_not_one_launch() -> None:
    request, result = on_mig("lora")
    several = replace(result, layout=replace(result.layout, data_parallel=2))
    assert launch_tables(request, several) == ()
    assert "launcher each" in why_not(request, several)["trl"]


def on_mig(task: str) -> Any:
    return answered(
        "llama-3.2-1b",
        workload={"task": task, "global_batch_size": 8, "sequence_length": 1024},
        cluster={"nodes": 1, "mig_profile": "3g.40gb"},
        layout={"data_parallel": 1, "activation_recompute": "full", "sharding": "none"},
    )


def processes(table: LaunchTable) -> int:
    said = {setting.name: setting.value for setting in table.settings}
    if "--num_processes" in said:
        return int(said["--num_processes"])
    if "trainer.n_gpus_per_node" in said:
        return int(said["trainer.nnodes"]) * int(said["trainer.n_gpus_per_node"])
    return int(said["--nnodes"]) * int(said["--nproc-per-node"])


@pytest.mark.parametrize("task", ["pretraining", "full_finetuning", "lora"])
@pytest.mark.parametrize("framework", ["generic", "neuron", "megatron", "deepspeed"])
def test_trainium_is_neurons_alone(task: str, framework: str) -> None:
    stacks = shown(
        workload={"task": task, "framework": framework},
        cluster={"instance_type": "trn1.32xlarge"},
        layout={"tensor_parallel": 8, "sharding": "zero1"},
    )
    assert set(stacks) <= {"neuron"}
    assert stacks == [] or (task != "lora" and framework in ("generic", "neuron"))


def test_neuron_is_not_for_gpus() -> None:
    assert why_not(*answered())["neuron"] == "It runs on Trainium only."


def test_a_named_framework_is_asked_for_and_no_other() -> None:
    request, result = answered(workload={"framework": "megatron"})
    assert [table.stack for table in launch_tables(request, result)] == ["megatron"]
    assert why_not(request, result)["torchtitan"] == "The plan is for megatron."


@pytest.mark.parametrize(
    ("workload", "layout", "stack", "reason"),
    [
        ({}, {"sharding": "zero2"}, "megatron", "It does not shard as ZeRO-2 does."),
        ({"optimizer": "adafactor"}, {}, "megatron", "It has no adafactor optimizer here."),
        ({"loss": "fused"}, {}, "megatron", "It has no fused loss here."),
        ({"compile": True}, {}, "megatron", "It has no flag for torch.compile."),
        ({}, {"sharding": "zero3"}, "torchtitan", "It does not keep 16-bit weights with fp32 master weights"),
        (
            {"master_weights": "only"},
            {"sharding": "zero3", "activation_recompute": "selective"},
            "torchtitan",
            "Its selective recompute is not the plan's.",
        ),
        (
            {"task": "lora"},
            {"tensor_parallel": 2, "activation_recompute": "full"},
            "trl",
            "It has no tensor parallelism here.",
        ),
        (
            {"task": "lora", "offload": "optimizer"},
            {"sharding": "zero3", "activation_recompute": "full"},
            "fsdp",
            "It cannot offload optimizer states alone.",
        ),
        (
            {"task": "lora", "frozen_precision": "int4"},
            {"sharding": "none", "activation_recompute": "full"},
            "trl",
            "It quantises to nf4 or int8, not to int4.",
        ),
    ],
)
def test_what_a_stack_cannot_express_is_said(
    workload: dict[str, Any], layout: dict[str, Any], stack: str, reason: str
) -> None:
    asked = answered(workload=workload, layout=layout)
    assert stack not in [table.stack for table in launch_tables(*asked)]
    assert why_not(*asked)[stack].startswith(reason)


@pytest.mark.parametrize("model", ["bert-base-uncased", "t5-base", "mistral-7b", "deepseek-v3"])
def test_a_model_that_flags_do_not_describe_is_not_described(model: str) -> None:
    workload = {"framework": "megatron", "sequence_length": 512}
    if model == "t5-base":
        workload["decoder_sequence_length"] = 128
    assert shown(model=model, workload=workload, cluster={"nodes": 16}) == []


def test_each_stack_is_shown_or_says_why_not_in_one_sentence() -> None:
    request, result = answered()
    shown_stacks = {table.stack for table in launch_tables(request, result)}
    said = why_not(request, result)
    assert shown_stacks | set(said) == {stack.slug for stack in STACKS}
    assert not shown_stacks & set(said)
    assert all(sentence.endswith(".") and ". " not in sentence for sentence in said.values())


def test_a_table_that_would_lose_a_field_is_not_shown() -> None:
    found = why_not(*answered(workload={"framework": "trl", "task": "lora", "objective": "dpo"}))
    assert any("objective" in sentence for sentence in found.values())
    assert not launch_tables(*answered(workload={"framework": "trl", "task": "lora", "objective": "dpo"}))
