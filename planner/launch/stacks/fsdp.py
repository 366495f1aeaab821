"""PyTorch FSDP through Accelerate's launcher, around ``trl sft``: weights, gradients and states sharded."""

from __future__ import annotations

from planner.launch import reasons, sft
from planner.launch.plan import LaunchPlan
from planner.launch.records import Setting, Stack, flag, said


def cannot(plan: LaunchPlan) -> list[str]:
    found = [*reasons.of_machine(plan, neuron=False), *sft.of_program(plan)]
    if found:
        return found
    return [
        *sft.of_plan(plan),
        *reasons.of_sharding(plan, does=("zero3",)),
        *reasons.of_masters(plan, does=("only", "none")),
        *reasons.of_plain_states(plan),
        *sft.of_optimizer(plan),
        *reasons.of_offload(plan),
        *reasons.of_overlap(plan),
        *_of_quantised(plan),
    ]


def _of_quantised(plan: LaunchPlan) -> list[str]:
    quantised = plan.adapters and plan.frozen == "int8"
    return ["It cannot shard weights of 8 bits."] if quantised else []


def settings(plan: LaunchPlan) -> list[Setting]:
    return [
        *sft.processes(plan),
        said("--mixed_precision", sft.autocast(plan), "weights as used"),
        flag("--use_fsdp", "fully sharded data parallel"),
        said("--fsdp_version", 2, "FSDP2"),
        said("--fsdp_reshard_after_forward", True, "ZeRO-3 over all processes: weights sharded between uses"),
        said("--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP", "gathered block by block"),
        said("--fsdp_offload_params", False, "nothing in host memory"),
        *sft.settings(plan),
    ]


STACK = Stack(
    slug="fsdp",
    frameworks=("trl", "fsdp"),
    reasons=cannot,
    program=lambda plan: "accelerate launch … trl/scripts/sft.py …",
    settings=settings,
    left_to_you=sft.left_to_you,
)
