"""Launch hints: the arguments by which a training stack is told the layout that a plan stands for.

Names of arguments are the stacks' own, as documented by Megatron-LM, torchtitan and DeepSpeed. A hint covers
size and layout; data, checkpoints and learning rate are the reader's.
"""

from __future__ import annotations

import json
from typing import Any

from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult


def launch_hint(request: PlanRequest, result: PlanResult) -> str:
    """The start of a launch line for the plan's stack, or for the one that its layout suits."""
    if result.cluster.accelerator.vendor.lower() == "aws":
        return _neuron(request, result)
    framework = request.workload.framework
    layout = result.layout
    model_parallel = layout.tensor_parallel * layout.pipeline_parallel * layout.expert_parallel > 1
    if framework == "megatron" or (framework == "generic" and model_parallel):
        return _megatron(request, result)
    if framework in ("torchtitan", "fsdp") or (framework == "generic" and layout.sharding == "zero3"):
        return _torchtitan(request, result)
    return _deepspeed(request, result)


def _torchrun(result: PlanResult) -> list[str]:
    nodes = result.cluster.nodes or 1
    return [f"torchrun --nnodes {nodes} --nproc-per-node {result.cluster.accelerators_per_node}"]


def _written(lines: list[str]) -> str:
    return " \\\n  ".join(lines)


def _megatron(request: PlanRequest, result: PlanResult) -> str:
    layout, workload = result.layout, request.workload
    lines = [*_torchrun(result), "pretrain_gpt.py"]
    lines.append(
        f"--tensor-model-parallel-size {layout.tensor_parallel} "
        f"--pipeline-model-parallel-size {layout.pipeline_parallel}"
    )
    if layout.sequence_parallel:
        lines.append("--sequence-parallel")
    if layout.interleaved_stages > 1:
        chunk = request.model.layers // (layout.pipeline_parallel * layout.interleaved_stages)
        lines.append(f"--num-layers-per-virtual-pipeline-stage {chunk}")
    if layout.context_parallel > 1:
        lines.append(f"--context-parallel-size {layout.context_parallel}")
    if layout.expert_parallel > 1:
        lines.append(f"--expert-model-parallel-size {layout.expert_parallel}")
    if layout.sharding != "none":
        lines.append("--use-distributed-optimizer --overlap-grad-reduce --overlap-param-gather")
    lines.append(
        f"--seq-length {workload.sequence_length} --micro-batch-size {layout.micro_batch_size} "
        f"--global-batch-size {workload.global_batch_size}"
    )
    if layout.activation_recompute == "selective":
        lines.append("--recompute-activations")
    elif layout.activation_recompute == "full":
        lines.append("--recompute-granularity full --recompute-method uniform --recompute-num-layers 1")
    if workload.attention == "flash":
        lines.append("--use-flash-attn")
    if workload.precision in ("bf16", "fp16"):
        lines.append(f"--{workload.precision}")
    return _written(lines)


def _torchtitan(request: PlanRequest, result: PlanResult) -> str:
    layout, workload = result.layout, request.workload
    sharded = layout.data_parallel if layout.sharding == "zero3" else 1
    replicas = 1 if layout.sharding == "zero3" else layout.data_parallel
    mode = {"none": "none", "selective": "selective", "full": "full"}[layout.activation_recompute]
    return _written(
        [
            *_torchrun(result),
            "-m torchtitan.train",
            f"--parallelism.data_parallel_shard_degree {sharded} "
            f"--parallelism.data_parallel_replicate_degree {replicas}",
            f"--parallelism.tensor_parallel_degree {layout.tensor_parallel} "
            f"--parallelism.pipeline_parallel_degree {layout.pipeline_parallel} "
            f"--parallelism.context_parallel_degree {layout.context_parallel}",
            f"--training.local_batch_size {layout.micro_batch_size} "
            f"--training.global_batch_size {workload.global_batch_size} "
            f"--training.seq_len {workload.sequence_length}",
            f"--activation_checkpoint.mode {mode}",
        ]
    )


def _deepspeed(request: PlanRequest, result: PlanResult) -> str:
    layout, workload = result.layout, request.workload
    stage = {"none": 0, "zero1": 1, "zero2": 2, "zero3": 3}[layout.sharding]
    zero: dict[str, Any] = {"stage": stage, "overlap_comm": workload.overlap_communication}
    if workload.offload == "optimizer":
        zero["offload_optimizer"] = {"device": "cpu"}
    config: dict[str, Any] = {
        "train_batch_size": workload.global_batch_size,
        "train_micro_batch_size_per_gpu": layout.micro_batch_size,
        "gradient_accumulation_steps": layout.gradient_accumulation,
        "zero_optimization": zero,
    }
    if workload.precision in ("bf16", "fp16"):
        config[workload.precision] = {"enabled": True}
    launch = f"{_torchrun(result)[0]} train.py --deepspeed ds_config.json"
    return f"{launch}\n\n# ds_config.json\n{json.dumps(config, indent=2)}"


def _neuron(request: PlanRequest, result: PlanResult) -> str:
    layout, workload = result.layout, request.workload
    cores = result.cluster.accelerators_per_node * result.cluster.accelerator.ranks_per_accelerator
    return _written(
        [
            f"torchrun --nnodes {result.cluster.nodes or 1} --nproc-per-node {cores}",
            "train.py  # neuronx-distributed: neuronx_distributed_config(",
            f"#   tensor_parallel_size={layout.tensor_parallel}, "
            f"pipeline_parallel_size={layout.pipeline_parallel}, "
            f"sequence_parallel={layout.sequence_parallel},",
            f"#   optimizer_config={{'zero_one_enabled': {layout.sharding != 'none'}}})",
            f"# micro-batch {layout.micro_batch_size}, global batch {workload.global_batch_size}, "
            f"sequence {workload.sequence_length}",
        ]
    )
