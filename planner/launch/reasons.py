"""Reasons why a stack cannot do a plan, as far as several stacks share them.

Each function returns whole sentences, an empty list where nothing stands in the way. A stack's own reasons
stand with the stack.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from planner.launch.plan import LaunchPlan

TASKS = {
    "pretraining": "pretraining",
    "full_finetuning": "full fine-tuning",
    "lora": "LoRA",
    "qlora": "QLoRA",
    "ppo": "PPO",
}
SHARDINGS = {"zero1": "ZeRO-1", "zero2": "ZeRO-2", "zero3": "ZeRO-3"}
MASTERS = {
    "separate": "16-bit weights with fp32 master weights beside them",
    "only": "fp32 weights alone, cast for each use",
    "none": "16-bit weights without fp32 master weights",
}


def of_machine(plan: LaunchPlan, *, neuron: bool) -> list[str]:
    """Reasons of the chip, and of plans whose processes do not follow from the machine.

    neuron: whether the stack runs on Trainium, and there only.
    """
    if plan.on_neuron and not neuron:
        return ["It does not run on Trainium."]
    if neuron and not plan.on_neuron:
        return ["It runs on Trainium only."]
    layout = plan.layout
    if plan.on_mig and plan.model_ranks * layout.data_parallel > 1:
        return ["A process sees one MIG GPU instance, so that several need a launcher each."]
    if plan.model_ranks * layout.data_parallel != plan.processes:
        return ["The plan's degrees do not multiply to the ranks of its machines."]
    return []


def of_task(plan: LaunchPlan, *, does: Collection[str], by: str) -> list[str]:
    """by: the program that does them."""
    task = plan.workload.task
    return [] if task in does else [f"{by} does not do {TASKS[task]}."]


def of_decoder(plan: LaunchPlan) -> list[str]:
    return [] if plan.model.architecture == "decoder" else ["It trains decoder-only language models here."]


def of_degrees(plan: LaunchPlan, *, only: Sequence[str] = ()) -> list[str]:
    """only: the kinds of model parallelism that the stack can do, by the layout's field names."""
    names = {
        "tensor_parallel": "tensor",
        "pipeline_parallel": "pipeline",
        "context_parallel": "context",
        "expert_parallel": "expert",
    }
    asked = [word for name, word in names.items() if name not in only and getattr(plan.layout, name) > 1]
    return [f"It has no {' and '.join(asked)} parallelism here."] if asked else []


def of_sharding(plan: LaunchPlan, *, does: Collection[str], groups: bool = False) -> list[str]:
    """groups: whether states can be sharded within groups and replicated between them."""
    sharding = plan.layout.sharding
    if sharding == "none" and sharding not in does:
        return ["It always shards states."]
    found = [] if sharding in does else [f"It does not shard as {SHARDINGS[sharding]} does."]
    if not groups and not plan.sharded_whole:
        found.append("It shards over all replicas, not within groups of them.")
    return found


def of_recompute(plan: LaunchPlan, *, selective: Collection[str] = ()) -> list[str]:
    """selective: the plan's frameworks whose "selective" means what the stack's does."""
    if plan.layout.activation_recompute != "selective" or plan.workload.framework in selective:
        return []
    return ["Its selective recompute is not the plan's."]


def of_pipeline(plan: LaunchPlan) -> list[str]:
    """Stages and chunks of equal size, filled as the interleaved schedule (1F1B) wants them."""
    layout, layers = plan.layout, plan.model.layers
    places, found = layout.pipeline_parallel * layout.interleaved_stages, []
    if layers % places:
        found.append(f"The {layers} layers do not divide evenly over {places} pipeline chunks.")
    if layout.interleaved_stages > 1 and layout.gradient_accumulation % layout.pipeline_parallel:
        found.append("Its interleaved schedule takes micro-batches by as many as there are stages.")
    return found


def of_precision(plan: LaunchPlan, *, does: Collection[str]) -> list[str]:
    precision = plan.workload.precision
    return [] if precision in does else [f"It has no setting for {precision} here."]


def of_masters(plan: LaunchPlan, *, does: Collection[str]) -> list[str]:
    """Reasons of what is kept of each trained weight; fp32 training keeps fp32 weights and nothing else."""
    master = plan.recipe.master_weights
    if plan.workload.precision in ("fp32", "tf32"):
        return [] if master == "only" else ["Training in fp32 keeps fp32 weights alone."]
    return [] if master in does else [f"It does not keep {MASTERS[master]}."]


def of_plain_states(plan: LaunchPlan) -> list[str]:
    """Gradients and moments that simply have the precision of the weights, as in plain PyTorch."""
    wide = plan.recipe.master_weights != "none"
    found = []
    if plan.gradients_fp32 != wide:
        found.append("Its gradients have the precision of the weights.")
    if plan.workload.optimizer != "adamw_8bit" and plan.states != ("fp32" if wide else narrow(plan)):
        found.append("Its optimizer states have the precision of the weights.")
    return found


def narrow(plan: LaunchPlan) -> str:
    """The 16-bit precision of a plan's states; the engine's default is bf16."""
    return plan.workload.optimizer_state_precision or "bf16"


def of_optimizer(plan: LaunchPlan, *, does: Collection[str], kernels: Collection[str]) -> list[str]:
    optimizer, kernel = plan.workload.optimizer, plan.recipe.optimizer_kernel
    found = [] if optimizer in does else [f"It has no {optimizer} optimizer here."]
    if not found and kernel not in kernels:
        found.append(f"It has no {kernel} optimizer step here.")
    return found


def of_loss(plan: LaunchPlan, *, does: Collection[str]) -> list[str]:
    # A compiled loss is a loss on whole logits in a run that is compiled.
    loss = "whole" if plan.recipe.loss == "compiled" else plan.recipe.loss
    return [] if loss in does else [f"It has no {loss} loss here."]


def of_offload(plan: LaunchPlan) -> list[str]:
    return [] if not plan.workload.offload else ["It cannot offload optimizer states alone."]


def of_overlap(plan: LaunchPlan) -> list[str]:
    alone = plan.layout.data_parallel == 1
    return [] if plan.workload.overlap_communication or alone else ["Its communication always overlaps."]


#: Fields of a workload that no table writes yet, with what stands for "as usual".
UNWRITTEN = {
    "optimizer_in_backward": (False,),
    "gradient_sync": (None,),
    "primary_weights": (None,),
    "adapter_wrapping": (None,),
    "k_bit_preparation": (None,),
    "loss_precision": (None,),
    "logits_kept": ("none",),
    "fp8_activation_input": (False,),
    "expandable_segments": (None,),
    "modules_to_save": (None,),
    "recompute_modules": (None,),
    "recompute_blocks": (None, 1.0),
    "objective": (None, "sft"),
}


def of_unwritten(plan: LaunchPlan) -> list[str]:
    """Fields that would be lost, since no table has a setting for them."""
    workload = plan.workload
    lost = [name for name, usual in UNWRITTEN.items() if getattr(workload, name) not in usual]
    lost += [f"offload of {kind}" for kind in workload.offload if kind != "optimizer"]
    return [f"No table sets {', '.join(lost)} yet."] if lost else []
