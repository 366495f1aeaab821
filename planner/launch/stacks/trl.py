"""TRL alone: ``trl sft`` on one GPU, or on several that each hold all of the model."""

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
        *reasons.of_sharding(plan, does=("none",)),
        *reasons.of_masters(plan, does=("only", "none")),
        *reasons.of_plain_states(plan),
        *sft.of_optimizer(plan),
        *reasons.of_offload(plan),
        *reasons.of_overlap(plan),
    ]


def settings(plan: LaunchPlan) -> list[Setting]:
    launcher = [
        *sft.processes(plan),
        said("--mixed_precision", sft.autocast(plan), "autocast"),
    ]
    if plan.processes > 1:
        launcher.append(flag("--multi_gpu", "data parallel, states on every GPU"))
    return [*launcher, *sft.settings(plan)]


STACK = Stack(
    slug="trl",
    frameworks=("trl", "fsdp"),
    reasons=cannot,
    program=lambda plan: "accelerate launch … trl/scripts/sft.py …",
    settings=settings,
    left_to_you=sft.left_to_you,
)
