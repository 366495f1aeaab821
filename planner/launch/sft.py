"""TRL's ``trl sft`` and its arguments, which three stacks give their processes: plain, DeepSpeed and FSDP.

Arguments of Hugging Face's trainer, of TRL's SFTConfig and of its ModelConfig. How states are sharded is
the affair of those who use this.
"""

from __future__ import annotations

from planner.launch import reasons
from planner.launch.plan import LaunchPlan
from planner.launch.records import Setting, said

TASKS = ("full_finetuning", "lora", "qlora")
DTYPES = {"fp32": "float32", "tf32": "float32", "bf16": "bfloat16", "fp16": "float16"}
#: The trainer's name of an optimizer, by its kernels.
OPTIMIZERS = {
    ("adamw", "fused"): "adamw_torch_fused",
    ("adamw", "foreach"): "adamw_torch",
    ("adamw", "paged"): "paged_adamw_32bit",
    ("adamw_8bit", "fused"): "adamw_bnb_8bit",
    ("adamw_8bit", "foreach"): "adamw_bnb_8bit",
    ("adamw_8bit", "paged"): "paged_adamw_8bit",
    ("adafactor", "fused"): "adafactor",
    ("adafactor", "foreach"): "adafactor",
    ("lion", "fused"): "lion_32bit",
    ("lion", "foreach"): "lion_32bit",
    ("lion", "paged"): "paged_lion_32bit",
}


def of_program(plan: LaunchPlan) -> list[str]:
    """Reasons why ``trl sft`` cannot do the task at all."""
    found = reasons.of_task(plan, does=TASKS, by="trl sft")
    return found or reasons.of_decoder(plan)


def of_plan(plan: LaunchPlan) -> list[str]:
    """Reasons of what its arguments say, sharding and optimizer apart."""
    return [
        *reasons.of_degrees(plan),
        *reasons.of_recompute(plan),
        *reasons.of_precision(plan, does=DTYPES),
        *reasons.of_loss(plan, does=("whole", "fused")),
        *_of_adapters(plan),
    ]


def of_optimizer(plan: LaunchPlan) -> list[str]:
    asked = (plan.workload.optimizer, plan.recipe.optimizer_kernel)
    return [] if asked in OPTIMIZERS else [f"It has no {asked[1]} {asked[0]} optimizer here."]


def _of_adapters(plan: LaunchPlan) -> list[str]:
    if not plan.adapters:
        return []
    found = []
    if plan.frozen == "int4":
        found.append("It quantises to nf4 or int8, not to int4.")
    if plan.workload.quantized_head:
        found.append("It leaves the output head unquantised.")
    return found


def settings(plan: LaunchPlan, *, own_optimizer: bool = True) -> list[Setting]:
    """own_optimizer: False where the optimizer is another's to make."""
    workload, layout = plan.workload, plan.layout
    optimizer = OPTIMIZERS.get((workload.optimizer, plan.recipe.optimizer_kernel), "")
    return [
        said("--max_length", workload.sequence_length, "sequence length, tokens"),
        said("--packing", True, "samples packed to whole sequences"),
        said("--packing_strategy", "wrapped", "packing: no sequence is padded"),
        said("--per_device_train_batch_size", layout.micro_batch_size, "micro-batch, sequences"),
        said("--gradient_accumulation_steps", layout.gradient_accumulation, "micro-batches of a step"),
        said("--max_steps", plan.steps, "optimizer steps"),
        *([said("--optim", optimizer, "optimizer and its kernels")] if own_optimizer else []),
        *_precision(plan),
        said("--attn_implementation", _attention(plan), "attention kernel"),
        said("--gradient_checkpointing", layout.activation_recompute == "full", "full activation recompute"),
        *_loss(plan),
        *([said("--torch_compile", True, "torch.compile")] if workload.compile else []),
        *_adapters(plan),
    ]


def processes(plan: LaunchPlan) -> list[Setting]:
    """How many processes Accelerate's launcher starts."""
    per = "MIG GPU instance" if plan.on_mig else "GPU"
    return [
        said("--num_machines", plan.nodes, "nodes"),
        said("--num_processes", plan.processes, f"processes on all nodes, one a {per}"),
    ]


def autocast(plan: LaunchPlan) -> str:
    """What autocast or sharding casts weights to for use: "no" where they are kept as they are used."""
    precision = plan.workload.precision
    if precision in ("fp32", "tf32") or plan.recipe.master_weights == "none":
        return "no"
    return precision


def weights_as_loaded(plan: LaunchPlan) -> str:
    """Frozen weights in their own precision, trained ones as they are kept."""
    if plan.adapters:
        return DTYPES.get(plan.frozen, DTYPES[plan.workload.precision])
    return "float32" if plan.recipe.master_weights == "only" else DTYPES[plan.workload.precision]


def _precision(plan: LaunchPlan) -> list[Setting]:
    cast = autocast(plan)
    found = [
        said("--dtype", weights_as_loaded(plan), "weights as loaded"),
        said("--bf16", cast == "bf16", "bf16 mixed precision"),
        said("--fp16", cast == "fp16", "fp16 mixed precision"),
    ]
    if plan.workload.precision in ("fp32", "tf32"):
        found.append(said("--tf32", plan.workload.precision == "tf32", "TF32 matmuls"))
    return found


def _attention(plan: LaunchPlan) -> str:
    if plan.workload.attention != "flash":
        return "eager"
    half = plan.workload.precision in ("bf16", "fp16")
    return "flash_attention_2" if plan.flash_kernels and half else "sdpa"


def _loss(plan: LaunchPlan) -> list[Setting]:
    fused = plan.recipe.loss == "fused"
    return [
        said("--loss_type", "nll", "loss: cross-entropy"),
        said("--use_liger_kernel", fused, "loss and output head in one kernel"),
    ]


def _adapters(plan: LaunchPlan) -> list[Setting]:
    if not plan.adapters:
        return []
    found = [
        said("--use_peft", True, "adapters"),
        said("--lora_r", plan.workload.lora_rank, "LoRA rank"),
        said("--lora_target_modules", " ".join(plan.lora_targets), "layers with adapters"),
    ]
    if plan.frozen == "nf4":
        found += [
            said("--load_in_4bit", True, "frozen weights in 4 bits"),
            said("--bnb_4bit_quant_type", "nf4", "4-bit format"),
            said("--use_bnb_nested_quant", True, "block constants quantised as well"),
        ]
        if plan.layout.sharding == "zero3":
            storage = DTYPES[plan.workload.precision]
            found.append(said("--bnb_4bit_quant_storage", storage, "so that 4-bit weights can be sharded"))
    if plan.frozen == "int8":
        found.append(said("--load_in_8bit", True, "frozen weights in 8 bits"))
    return found


def left_to_you(plan: LaunchPlan) -> list[str]:
    return [
        *(["CUDA_VISIBLE_DEVICES: the UUID of the MIG GPU instance"] if plan.on_mig else []),
        *(["the rank and address of each node"] if plan.nodes > 1 else []),
        "--model_name_or_path, --dataset_name and --output_dir",
        "learning rate and its schedule" + (", LoRA's alpha and dropout" if plan.adapters else ""),
        *(_kept_narrow(plan)),
        "checkpoints and logging",
    ]


def _kept_narrow(plan: LaunchPlan) -> list[str]:
    """TRL's own choice of the adapters' precision, which no argument changes."""
    if plan.adapters and plan.frozen in ("nf4", "int8"):
        return ["note: TRL keeps the adapters of a quantised model in bf16, the plan counts fp32"]
    return []
