"""torchtune: keys of its recipes' configurations, for full fine-tuning sharded as ZeRO-3 does.

Its recipes keep weights, gradients and states in one precision, and adapters in that of the model, which no
plan counts so: LoRA is left out.
"""

from __future__ import annotations

from planner.launch import reasons
from planner.launch.plan import LaunchPlan
from planner.launch.records import Setting, Stack, said
from planner.launch.torchrun import rendezvous, torchrun

#: Builders by hidden size and blocks, for Llama with a vocabulary of 128,256.
BUILDERS = {(4096, 32): "8b", (8192, 80): "70b", (16_384, 126): "405b"}
LLAMA_3_VOCABULARY = 128_256
#: What the plan's "selective" is for FSDP: every second block recomputed whole.
EVERY_SECOND = 2
LOSSES = {
    "whole": "torch.nn.CrossEntropyLoss",
    "compiled": "torch.nn.CrossEntropyLoss",
    "chunked": "torchtune.modules.loss.CEWithChunkedOutputLoss",
}


def _builder(plan: LaunchPlan) -> str | None:
    model = plan.model
    if model.family != "llama" or model.vocab_size != LLAMA_3_VOCABULARY:
        return None
    return BUILDERS.get((model.hidden_size, model.layers))


def cannot(plan: LaunchPlan) -> list[str]:
    found = [
        *reasons.of_machine(plan, neuron=False),
        *reasons.of_task(plan, does=("full_finetuning",), by="torchtune's full fine-tuning recipe"),
    ]
    if found:
        return found
    return [
        *([] if _builder(plan) else ["It has no builder of a model of this shape here."]),
        *reasons.of_degrees(plan),
        *reasons.of_sharding(plan, does=("zero3",)),
        *reasons.of_recompute(plan, selective=("fsdp",)),
        *reasons.of_precision(plan, does=("bf16", "fp32")),
        *reasons.of_masters(plan, does=("none",)),
        *reasons.of_plain_states(plan),
        *reasons.of_optimizer(plan, does=("adamw",), kernels=("fused", "foreach")),
        *reasons.of_loss(plan, does=LOSSES),
        *reasons.of_offload(plan),
        *reasons.of_overlap(plan),
    ]


def settings(plan: LaunchPlan) -> list[Setting]:
    layout, workload = plan.layout, plan.workload
    recompute = layout.activation_recompute == "full"
    return [
        *torchrun(plan),
        said("model._component_", f"torchtune.models.llama3_1.llama3_1_{_builder(plan)}", "model"),
        said("tokenizer.max_seq_len", workload.sequence_length, "sequence length, tokens"),
        said("dataset.packed", True, "samples packed to whole sequences"),
        said("batch_size", layout.micro_batch_size, "micro-batch, sequences"),
        said("gradient_accumulation_steps", layout.gradient_accumulation, "micro-batches of a step"),
        said("epochs", 1, "passes over the data"),
        said("max_steps_per_epoch", plan.steps, "optimizer steps"),
        said("dtype", "fp32" if workload.precision == "fp32" else "bf16", "weights, gradients, states"),
        said("optimizer._component_", "torch.optim.AdamW", "optimizer"),
        said("optimizer.fused", plan.recipe.optimizer_kernel == "fused", "fused kernels of its step"),
        said("loss._component_", LOSSES[plan.recipe.loss], "loss"),
        said("fsdp_reshard_after_forward", True, "ZeRO-3: weights sharded between uses"),
        said("fsdp_cpu_offload", False, "nothing in host memory"),
        said("tensor_parallel_dim", 1, "tensor parallel degree"),
        said("enable_activation_checkpointing", recompute, "full activation recompute"),
        *_selective(plan),
        said("enable_activation_offloading", False, "no activations in host memory"),
        said("optimizer_in_bwd", False, "all gradients are there when it steps"),
        said("compile", workload.compile, "torch.compile"),
    ]


def _selective(plan: LaunchPlan) -> list[Setting]:
    if plan.layout.activation_recompute != "selective":
        return []
    return [
        said("ac_mode", "selective", "recompute of some blocks"),
        said("ac_option", EVERY_SECOND, "of every so many blocks one is recomputed"),
    ]


def left_to_you(plan: LaunchPlan) -> list[str]:
    return [
        *rendezvous(plan),
        "tokenizer, dataset and checkpointer, of the model that you start from",
        "learning rate and its schedule",
        "checkpoints and logging",
    ]


STACK = Stack(
    slug="torchtune",
    frameworks=("torchtune", "fsdp"),
    reasons=cannot,
    program=lambda plan: "tune run … full_finetune_distributed --config …",
    settings=settings,
    left_to_you=left_to_you,
)
