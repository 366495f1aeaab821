"""DeepSpeed ZeRO around ``trl sft``: keys of ``ds_config.json``, and the arguments beside it."""

from __future__ import annotations

from planner.launch import reasons, sft
from planner.launch.plan import LaunchPlan
from planner.launch.records import Setting, Stack, said
from planner.launch.torchrun import torchrun

STAGES = {"none": 0, "zero1": 1, "zero2": 2, "zero3": 3}
OPTIMIZERS = {"adamw": "AdamW", "lamb": "Lamb", "lion": "Lion"}


def cannot(plan: LaunchPlan) -> list[str]:
    found = [*reasons.of_machine(plan, neuron=False), *sft.of_program(plan)]
    if found:
        return found
    sharded = plan.layout.sharding != "none"
    return [
        *sft.of_plan(plan),
        *reasons.of_sharding(plan, does=STAGES),
        *reasons.of_masters(plan, does=("only",) if plan.adapters else ("separate",)),
        *reasons.of_optimizer(plan, does=OPTIMIZERS, kernels=("fused", "foreach")),
        *([] if plan.states == "fp32" else ["It keeps optimizer states in fp32."]),
        *([] if _plain_gradients(plan) else ["Its gradients have the precision of the weights in use."]),
        *([] if sharded or not plan.workload.offload else ["It offloads what it shards."]),
        *([] if _sharded_as_it_is(plan) else ["It does not shard quantised weights."]),
    ]


def _plain_gradients(plan: LaunchPlan) -> bool:
    wide = plan.workload.precision in ("fp32", "tf32") or plan.adapters
    return plan.gradients_fp32 == wide


def _sharded_as_it_is(plan: LaunchPlan) -> bool:
    quantised = plan.adapters and plan.frozen in ("nf4", "int8")
    return not quantised or plan.layout.sharding != "zero3"


def settings(plan: LaunchPlan) -> list[Setting]:
    workload, layout = plan.workload, plan.layout
    zero = "zero_optimization"
    found = [
        *torchrun(plan),
        said("--deepspeed", "ds_config.json", "the file with the keys that follow"),
        said("train_batch_size", workload.global_batch_size, "global batch, sequences"),
        said("train_micro_batch_size_per_gpu", layout.micro_batch_size, "micro-batch, sequences"),
        said("gradient_accumulation_steps", layout.gradient_accumulation, "micro-batches of a step"),
        said(f"{zero}.stage", STAGES[layout.sharding], "ZeRO stage"),
        said(f"{zero}.overlap_comm", workload.overlap_communication, "gradients reduced during backward"),
        said("optimizer.type", OPTIMIZERS[workload.optimizer], "optimizer"),
    ]
    if "optimizer" in workload.offload:
        found.append(said(f"{zero}.offload_optimizer.device", "cpu", "optimizer states in host memory"))
    found += [
        said("bf16.enabled", workload.precision == "bf16", "bf16 weights with fp32 master weights"),
        said("fp16.enabled", workload.precision == "fp16", "fp16 weights with fp32 master weights"),
    ]
    return [*found, *sft.settings(plan, own_optimizer=False)]


def left_to_you(plan: LaunchPlan) -> list[str]:
    narrow = plan.adapters and plan.workload.precision in ("bf16", "fp16")
    note = "note: DeepSpeed keeps adapters in 16 bits with fp32 master weights, the plan counts fp32 alone"
    return [
        "optimizer.params in ds_config.json: betas and weight decay",
        *([note] if narrow else []),
        *sft.left_to_you(plan),
    ]


STACK = Stack(
    slug="deepspeed",
    frameworks=("trl", "deepspeed"),
    reasons=cannot,
    program=lambda plan: "torchrun … trl/scripts/sft.py … --deepspeed ds_config.json",
    settings=settings,
    left_to_you=left_to_you,
)
