"""Whatever the layout: what a table says of it multiplies to the ranks, and to the batch."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planner.engine.layout.stacks import INTERLEAVED, STACKS, has
from planner.launch import LaunchTable, launch_tables
from tests.launch.asked import PPO, answered
from tests.launch.test_refusals import processes

RANKS = 32
BATCH = 256
#: Degrees by the ends of the names that stacks give them.
MODEL_DEGREES = ("tensor_parallel_size", "pipeline_parallel_size", "context_parallel_size")
OTHER_NAMES = {
    "tensor_model_parallel_size": MODEL_DEGREES[0],
    "pipeline_model_parallel_size": MODEL_DEGREES[1],
    "tensor_parallel_degree": MODEL_DEGREES[0],
    "pipeline_parallel_degree": MODEL_DEGREES[1],
    "context_parallel_degree": MODEL_DEGREES[2],
    "tensor_parallel_dim": MODEL_DEGREES[0],
}
MICRO = (
    "--micro-batch-size",
    "--per_device_train_batch_size",
    "micro_batch_size",
    "data.micro_batch_size",
    "batch_size",
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu",
)
POWERS = st.sampled_from([1, 2, 4, 8])


@settings(max_examples=120, deadline=None)
@given(
    tensor=POWERS,
    pipeline=POWERS,
    context=st.sampled_from([1, 2]),
    chunks=st.sampled_from([1, 2]),
    micro=st.sampled_from([1, 2]),
    sharding=st.sampled_from(["none", "zero1", "zero2", "zero3"]),
    workload=st.sampled_from(
        [
            {"framework": "megatron"},
            {"framework": "torchtitan"},
            {"framework": "deepspeed", "task": "full_finetuning"},
            {"framework": "fsdp", "task": "full_finetuning", "master_weights": "none"},
            {"task": "pretraining"},
            {"task": "lora"},
            {"task": "qlora"},
            {"task": "ppo", "ppo": PPO, "framework": "megatron"},
            {"task": "ppo", "ppo": PPO, "framework": "fsdp"},
        ]
    ),
    neuron=st.booleans(),
)
def test_degrees_multiply_to_the_ranks_and_batches_to_the_batch(
    tensor: int,
    pipeline: int,
    context: int,
    chunks: int,
    micro: int,
    sharding: str,
    workload: dict[str, Any],
    neuron: bool,
) -> None:
    stack = STACKS[workload.get("framework", "generic")]
    assume(sharding in stack.shardings and (chunks == 1 or has(stack, INTERLEAVED)))
    model_ranks = tensor * pipeline * context
    assume(RANKS % model_ranks == 0 and (chunks == 1 or pipeline > 1))
    data = RANKS // model_ranks
    assume(not neuron or workload.get("framework", "generic") == "generic")
    machine = {"instance_type": "trn1.32xlarge", "nodes": 1} if neuron else {"nodes": RANKS // 8}
    request, result = answered(
        workload={"global_batch_size": BATCH} | workload,
        cluster=machine,
        layout={
            "tensor_parallel": tensor,
            "pipeline_parallel": pipeline,
            "context_parallel": context,
            "interleaved_stages": chunks,
            "data_parallel": data,
            "micro_batch_size": micro,
            "sharding": sharding,
            "activation_recompute": "full",
        },
    )
    for table in launch_tables(request, result):
        assert processes(table) == RANKS
        assert model_degrees(table) == {"tensor": tensor, "pipeline": pipeline, "context": context}
        assert replicas(table) == data
        assert micro_batch(table) == micro
        assert batch(table) == BATCH


def model_degrees(table: LaunchTable) -> dict[str, int]:
    """The degrees that a table says; 1 of those that it leaves alone."""
    found = dict.fromkeys(MODEL_DEGREES, 1)
    for setting in table.settings:
        name = setting.name.rpartition(".")[2].lstrip("-").replace("-", "_")
        name = OTHER_NAMES.get(name, name)
        if name in found:
            found[name] = int(setting.value)
    return dict(zip(("tensor", "pipeline", "context"), found.values(), strict=True))


def replicas(table: LaunchTable) -> int:
    """Said in so many words by torchtitan, elsewhere what the processes leave."""
    said = {setting.name: setting.value for setting in table.settings}
    prefix = "--parallelism.data_parallel_"
    left = processes(table) // math.prod(model_degrees(table).values())
    if f"{prefix}shard_degree" in said:
        product = int(said[f"{prefix}shard_degree"]) * int(said[f"{prefix}replicate_degree"])
        assert product == left
    return left


def micro_batch(table: LaunchTable) -> int:
    said = {setting.name: setting.value for setting in table.settings}
    if table.stack == "torchtitan":
        whole = said["--training.local_batch_size"]
        return int(said.get("--parallelism.pipeline_parallel_microbatch_size", whole))
    return int(next(said[name] for name in MICRO if name in said))


def batch(table: LaunchTable) -> int:
    """The global batch, said or what micro-batch, accumulation and replicas multiply to."""
    said = {setting.name.lstrip("-"): setting.value for setting in table.settings}
    whole = ("global-batch-size", "training.global_batch_size", "data.global_batch_size", "train_batch_size")
    known = [int(said[name]) for name in (*whole, "data.train_batch_size") if name in said]
    if "gradient_accumulation_steps" in said:
        known.append(micro_batch(table) * int(said["gradient_accumulation_steps"]) * replicas(table))
    assert len(set(known)) == 1, known
    return known[0]
