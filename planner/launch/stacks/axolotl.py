"""axolotl: keys of its YAML configuration, with DeepSpeed or FSDP2 where states are sharded.

It pretrains as well, from weights drawn anew. Keys within ``deepspeed`` are DeepSpeed's, given in place.
"""

from __future__ import annotations

from planner.launch import reasons, sft
from planner.launch.plan import LaunchPlan
from planner.launch.records import Setting, Stack, said
from planner.launch.torchrun import rendezvous, torchrun

STAGES = {"zero1": 1, "zero2": 2, "zero3": 3}
DEEPSPEED_OPTIMIZER = "adamw_torch_fused"


def cannot(plan: LaunchPlan) -> list[str]:
    found = [
        *reasons.of_machine(plan, neuron=False),
        *reasons.of_task(plan, does=("pretraining", "full_finetuning", "lora", "qlora"), by="axolotl train"),
    ]
    if found:
        return found
    return [
        *reasons.of_decoder(plan),
        *reasons.of_degrees(plan),
        *reasons.of_sharding(plan, does=("none", "zero1", "zero2", "zero3")),
        *reasons.of_recompute(plan),
        *reasons.of_precision(plan, does=("bf16",)),
        *reasons.of_loss(plan, does=("whole", "fused")),
        *sft.of_optimizer(plan),
        *_of_attention(plan),
        *_of_adapters(plan),
        *(_of_deepspeed(plan) if by_deepspeed(plan) else _of_pytorch(plan)),
    ]


def by_deepspeed(plan: LaunchPlan) -> bool:
    """ZeRO is DeepSpeed's; FSDP2 shards as ZeRO-3 does, and keeps one copy of the weights."""
    separate = plan.recipe.master_weights == "separate"
    framework = plan.workload.framework
    return framework == "deepspeed" or (separate or plan.layout.sharding in ("zero1", "zero2"))


def _of_attention(plan: LaunchPlan) -> list[str]:
    flash = plan.workload.attention == "flash" and plan.flash_kernels
    return [] if flash else ["It packs samples with the flash-attention package only."]


def _of_adapters(plan: LaunchPlan) -> list[str]:
    if not plan.adapters:
        return []
    if plan.frozen not in ("nf4", "int8", "bf16") or plan.workload.quantized_head:
        return ["It keeps frozen weights in bf16, int8 or nf4, and the head in bf16."]
    if plan.frozen in ("nf4", "int8") and plan.layout.sharding == "zero3":
        return ["It is told here to shard weights of 16 bits only."]
    return []


def _of_deepspeed(plan: LaunchPlan) -> list[str]:
    if plan.workload.framework == "fsdp":
        return ["FSDP shards weights, gradients and states together."]
    plain = plan.workload.optimizer == "adamw" and plan.recipe.optimizer_kernel != "paged"
    wide = plan.adapters
    return [
        *reasons.of_masters(plan, does=("only",) if plan.adapters else ("separate",)),
        *([] if plain else ["With DeepSpeed it is told AdamW here."]),
        *([] if plan.states == "fp32" else ["DeepSpeed keeps optimizer states in fp32."]),
        *([] if plan.gradients_fp32 == wide else ["Gradients have the precision of the weights in use."]),
        *([] if plan.layout.sharding != "none" else ["DeepSpeed is used here to shard."]),
    ]


def _of_pytorch(plan: LaunchPlan) -> list[str]:
    unsharded = plan.layout.sharding == "none" and not plan.adapters
    return [
        *reasons.of_masters(plan, does=("none",) if unsharded else ("only", "none")),
        *reasons.of_plain_states(plan),
        *reasons.of_offload(plan),
        *reasons.of_overlap(plan),
    ]


def settings(plan: LaunchPlan) -> list[Setting]:
    layout, workload = plan.layout, plan.workload
    return [
        *torchrun(plan),
        *_task(plan),
        said("sequence_len", workload.sequence_length, "sequence length, tokens"),
        said("micro_batch_size", layout.micro_batch_size, "micro-batch, sequences"),
        said("gradient_accumulation_steps", layout.gradient_accumulation, "micro-batches of a step"),
        said("max_steps", plan.steps, "optimizer steps"),
        *_precision(plan),
        said("optimizer", _optimizer(plan), "optimizer and its kernels"),
        said("attn_implementation", "flash_attention_2", "attention kernel"),
        said("gradient_checkpointing", layout.activation_recompute == "full", "full activation recompute"),
        *_loss(plan),
        *([said("torch_compile", True, "torch.compile")] if workload.compile else []),
        *_sharding(plan),
    ]


def _task(plan: LaunchPlan) -> list[Setting]:
    task = plan.workload.task
    if task == "pretraining":
        return [said("reinit_weights", True, "weights drawn anew")]
    packed = [
        said("sample_packing", True, "samples packed to whole sequences"),
        said("pad_to_sequence_len", True, "every micro-batch is as long"),
    ]
    if task == "full_finetuning":
        return packed
    return [*packed, *_adapters(plan)]


def _adapters(plan: LaunchPlan) -> list[Setting]:
    quantised = plan.frozen == "nf4"
    return [
        said("adapter", "qlora" if quantised else "lora", "adapters"),
        said("lora_r", plan.workload.lora_rank, "LoRA rank"),
        said("lora_target_modules", f"[{', '.join(plan.lora_targets)}]", "layers with adapters"),
        said("load_in_4bit", quantised, "frozen weights in 4 bits (nf4)"),
        said("load_in_8bit", plan.frozen == "int8", "frozen weights in 8 bits"),
    ]


def _precision(plan: LaunchPlan) -> list[Setting]:
    kept = plan.recipe.master_weights == "none"
    return [
        said("bf16", not kept, "bf16 mixed precision"),
        said("bfloat16", kept, "bf16 for everything"),
        said("tf32", False, "TF32 matmuls"),
    ]


def _optimizer(plan: LaunchPlan) -> str:
    if by_deepspeed(plan):
        return DEEPSPEED_OPTIMIZER
    return sft.OPTIMIZERS[plan.workload.optimizer, plan.recipe.optimizer_kernel]


def _loss(plan: LaunchPlan) -> list[Setting]:
    if plan.recipe.loss in ("whole", "compiled"):
        return []
    return [
        said("plugins", "[axolotl.integrations.liger.LigerPlugin]", "Liger's kernels"),
        said("liger_fused_linear_cross_entropy", True, "loss and output head in one kernel"),
    ]


def _sharding(plan: LaunchPlan) -> list[Setting]:
    if by_deepspeed(plan):
        return _deepspeed(plan)
    if plan.layout.sharding == "none":
        return []
    return [
        said("fsdp_version", 2, "FSDP2"),
        said("fsdp_config.reshard_after_forward", True, "ZeRO-3: weights sharded between uses"),
        said("fsdp_config.auto_wrap_policy", "TRANSFORMER_BASED_WRAP", "gathered block by block"),
        said("fsdp_config.offload_params", False, "nothing in host memory"),
    ]


def _deepspeed(plan: LaunchPlan) -> list[Setting]:
    zero, workload = "deepspeed.zero_optimization", plan.workload
    found = [
        said(f"{zero}.stage", STAGES[plan.layout.sharding], "ZeRO stage"),
        said(f"{zero}.overlap_comm", workload.overlap_communication, "gradients reduced during backward"),
    ]
    if "optimizer" in workload.offload:
        found.append(said(f"{zero}.offload_optimizer.device", "cpu", "optimizer states in host memory"))
    return [
        *found,
        said("deepspeed.bf16.enabled", True, "bf16 weights with fp32 master weights"),
        said("deepspeed.train_micro_batch_size_per_gpu", plan.layout.micro_batch_size, "micro-batch"),
        said("deepspeed.gradient_accumulation_steps", plan.layout.gradient_accumulation, "accumulated"),
    ]


def left_to_you(plan: LaunchPlan) -> list[str]:
    narrow = plan.adapters and by_deepspeed(plan)
    note = "note: DeepSpeed keeps adapters in 16 bits with fp32 master weights, the plan counts fp32 alone"
    pretrained = plan.workload.task == "pretraining"
    return [
        *rendezvous(plan),
        "base_model, and its tokenizer",
        "pretraining_dataset" if pretrained else "datasets, cut to whole sequences",
        "learning rate and its schedule" + (", lora_alpha and lora_dropout" if plan.adapters else ""),
        *([note] if narrow else []),
        "checkpoints and logging",
    ]


STACK = Stack(
    slug="axolotl",
    frameworks=("axolotl", "deepspeed", "fsdp"),
    reasons=cannot,
    program=lambda plan: "torchrun … -m axolotl.cli.train config.yaml",
    settings=settings,
    left_to_you=left_to_you,
)
