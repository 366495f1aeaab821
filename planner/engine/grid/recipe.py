"""What a workload keeps in memory per parameter when the question does not say: precision recipes.

Each default follows what a named stack publishes; the explanation names the recipe that was used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.engine.question.request import (
    AdapterWrapping,
    FrozenPrecision,
    Loss,
    MasterWeights,
    OptimizerKernel,
    StatePrecision,
    Workload,
)

#: Bytes of one element.
ELEMENT_BYTES = {"fp32": 4.0, "tf32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 2.0, "int8": 1.0}
#: Bytes of one frozen weight. nf4 and int4: 4 bits plus block constants; double quantisation leaves
#: 0.127 bits a parameter (Dettmers et al. 2023, section 3: 0.5 to 0.127 bits at block size 64).
FROZEN_BYTES = {
    "fp32": 4.0,
    "bf16": 2.0,
    "fp16": 2.0,
    "fp8": 1.0,
    "int8": 1.0,
    # Blocks of 16 with an fp8 scale, of 32 with an 8-bit exponent (OCP Microscaling formats, 1.0).
    "nvfp4": 0.5 + 1 / 16,
    "mxfp4": 0.5 + 1 / 32,
    "int4": 0.5 + 0.127 / 8,
    "nf4": 0.5 + 0.127 / 8,
}
#: Stacks whose loss is compiled where the model is.
COMPILED_LOSS = ("generic", "torchtune", "torchtitan")
#: Stacks that switch expandable segments on: torchtitan run_train.sh (since October 2024), torchtune
#: __init__.py, axolotl utils/__init__.py (set_pytorch_cuda_alloc_conf), LLaMA-Factory launcher.py.
EXPANDABLE_SEGMENTS = ("torchtitan", "torchtune", "axolotl", "llama_factory")
#: Optimizer states per parameter, as a number of elements (papers of the optimizers; Adam keeps two moments,
#: Lion and momentum SGD one, Muon one on matrices, Adafactor row and column sums only).
STATE_ELEMENTS = {
    "adamw": 2.0,
    "adamw_8bit": 2.0,
    "lamb": 2.0,
    "lion": 1.0,
    "muon": 1.0,
    "sgd": 1.0,
    "adafactor": 0.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRecipe:
    """Bytes per trainable parameter, before sharding, and how the loss is computed.

    weight_bytes: working copy.  master_bytes: fp32 copy beside it (0 where there is none).
    gradient_bytes: gradients.  state_bytes: optimizer moments.  temporary_bytes: copy that the optimizer's
    step makes (foreach kernels).  gradient_copy_bytes: second, flat copy of the gradients, sharded like them.
    gradient_partition_bytes: fp32 gradient of the optimizer's partition, sharded like its states.
    unsynced_gradients: gradient sync is off between accumulation steps, so every rank holds whole gradients.
    gathered_bytes: of a trained weight while it is gathered.  saved_bytes: all that a weight trained whole
    beside adapters keeps.  adapter_wrapping, k_bit_preparation: as in the contract.
    frozen_bytes, frozen_head_bytes: per frozen weight of the blocks and of the output head.
    """

    weight_bytes: float
    master_bytes: float
    gradient_bytes: float
    state_bytes: float
    temporary_bytes: float
    gathered_bytes: float
    saved_bytes: float
    adapter_wrapping: AdapterWrapping
    k_bit_preparation: bool
    frozen_bytes: float
    frozen_head_bytes: float
    gradient_copy_bytes: float
    gradient_partition_bytes: float
    unsynced_gradients: bool
    loss: Loss
    master_weights: MasterWeights
    optimizer_kernel: OptimizerKernel


def memory_recipe(workload: Workload, adam_share: float = 0.0) -> MemoryRecipe:
    """The recipe asked for, completed with the framework's and the task's usual one.

    Pretraining: Megatron and DeepSpeed keep a working copy beside the fp32 master weights; FSDP and
    torchtitan keep the fp32 master weights alone. Fine-tuning in plain low precision keeps no master weights
    (PyTorch recipes of torchtune). Adapters are trained in fp32 throughout, as PEFT makes them
    (autocast_adapter_dtype).
    adam_share: share of the parameters that Muon leaves to Adam.
    """
    full = workload.precision in ("fp32", "tf32")
    adapters = workload.task in ("lora", "qlora")
    master = workload.master_weights or default_master_weights(workload)
    wide = full or master == "only"
    weight = primary_bytes(workload, wide=wide)
    usual_gradient = "fp32" if wide else default_gradient(workload, master)
    gradient_precision = workload.gradient_precision or usual_gradient
    state_precision = default_state_precision(workload, master)
    kernel = workload.optimizer_kernel or default_kernel(workload)
    states = state_elements(workload.optimizer, adam_share) * ELEMENT_BYTES[state_precision]
    return MemoryRecipe(
        weight_bytes=weight,
        master_bytes=4.0 if master == "separate" and not full else 0.0,
        gradient_bytes=ELEMENT_BYTES[gradient_precision],
        state_bytes=states,
        temporary_bytes=step_temporary_bytes(workload, weight) if kernel == "foreach" else 0.0,
        gathered_bytes=gathered_bytes(workload),
        saved_bytes=saved_bytes(workload) if adapters else 0.0,
        adapter_wrapping=workload.adapter_wrapping or "with_base",
        k_bit_preparation=default_k_bit(workload)
        if workload.k_bit_preparation is None
        else workload.k_bit_preparation,
        frozen_bytes=frozen_bytes(workload) if adapters else 0.0,
        frozen_head_bytes=frozen_head_bytes(workload) if adapters else 0.0,
        gradient_copy_bytes=gradient_copy_bytes(workload),
        gradient_partition_bytes=gradient_partition_bytes(workload),
        unsynced_gradients=unsynced(workload, master),
        loss=workload.loss or default_loss(workload),
        master_weights=master,
        optimizer_kernel=kernel,
    )


def unsynced(workload: Workload, master: MasterWeights) -> bool:
    """Whether gradients are reduced after the last micro-batch alone.

    The single-device style of recipe (no master weights) runs FSDP so; stacks with a mixed-precision policy
    reduce after each. Source: torchtune recipes/full_finetune_distributed.py; measured (torchtune's rows).
    """
    if workload.gradient_sync is not None:
        return workload.gradient_sync == "last_micro_batch"
    return workload.framework == "fsdp" and master == "none"


def primary_bytes(workload: Workload, *, wide: bool) -> float:
    """Bytes of a weight that the model computes with, as it is kept.

    wide: it is the fp32 master itself. Source: Transformer Engine, primary weights in fp8
    (fp8_model_init, "quantized_model_init").
    """
    usual = 4.0 if wide else ELEMENT_BYTES[workload.precision]
    return {"fp8": 1.0, "bf16": 2.0, "fp16": 2.0, "fp32": 4.0}.get(workload.primary_weights or "", usual)


def gathered_bytes(workload: Workload) -> float:
    """Bytes of a trained weight while it is gathered and computed with: 1 where it is kept in fp8."""
    return 1.0 if workload.primary_weights == "fp8" else ELEMENT_BYTES[workload.precision]


def saved_bytes(workload: Workload) -> float:
    """Bytes per parameter of a layer trained whole beside adapters: PEFT's copy in the loaded precision, its
    gradient and the optimizer's moments, all as wide as the copy.

    Source: PEFT utils/other.py, ModulesToSaveWrapper; tuners_utils.cast_adapter_dtype, which widens adapters
    alone.
    """
    width = 4.0 if workload.precision in ("fp32", "tf32") else 2.0
    moments = 1.0 if workload.optimizer == "adamw_8bit" else width
    return width + width + STATE_ELEMENTS[workload.optimizer] * moments


def default_k_bit(workload: Workload) -> bool:
    """Whether norms, tables and head of a quantised base are left in fp32: today no named stack does.

    axolotl prepares the base and then casts them back to 16 bits for flash attention (loaders/model.py,
    _configure_embedding_dtypes); TRL no longer prepares it (trainer/sft_trainer.py); LLaMA-Factory does where
    upcast_layernorm is asked for; torchtune and Unsloth never did. Read 2026-11-29.
    """
    return False


def default_master_weights(workload: Workload) -> MasterWeights:
    """Where the fp32 weights are kept when the question does not say, by framework and task.

    fp32 training, adapters, and fp16 fine-tuning under autocast have fp32 weights only. For the sources of
    the stacks see ``memory_recipe``.
    """
    if workload.precision in ("fp32", "tf32") or workload.task in ("lora", "qlora"):
        return "only"
    if workload.framework in ("megatron", "deepspeed", "neuron"):
        return "separate"
    if workload.framework in ("fsdp", "torchtitan"):
        return "only"
    if workload.precision == "fp16" and workload.task == "full_finetuning":
        return "only"  # torch's GradScaler takes no fp16 gradients, so autocast trains fp32 weights
    return "separate" if workload.task in ("pretraining", "ppo") else "none"


def default_gradient(workload: Workload, master: MasterWeights) -> Literal["fp32", "bf16"]:
    """Megatron accumulates gradients in fp32, but in 16 bits in NVIDIA's fp8 recipes (NeMo performance
    recipes, grad_reduce_in_fp32 false). DeepSpeed and plain recipes accumulate in the working precision.
    """
    if workload.precision == "fp8" and workload.framework == "megatron":
        return "bf16"
    return "fp32" if master == "separate" and workload.framework in ("megatron", "neuron") else "bf16"


def default_state_precision(workload: Workload, master: MasterWeights) -> StatePrecision:
    """Optimizer moments are as precise as the weights that are updated; those of 8-bit Adam have 8 bits."""
    if workload.optimizer == "adamw_8bit":
        return "int8"
    if workload.optimizer_state_precision is not None:
        return workload.optimizer_state_precision
    return "bf16" if master == "none" and workload.precision not in ("fp32", "tf32") else "fp32"


def state_elements(optimizer: str, adam_share: float) -> float:
    """Moments per parameter, a count. Muon updates matrices and leaves token tables, head and norms to Adam.

    adam_share: share of the parameters outside the blocks' matrices.  Source: Jordan et al. 2024 (Muon); Liu
    et al. 2025 (Moonlight), section 2.2.
    """
    if optimizer == "muon":
        return STATE_ELEMENTS["muon"] + adam_share * (STATE_ELEMENTS["adamw"] - STATE_ELEMENTS["muon"])
    return STATE_ELEMENTS[optimizer]


def default_kernel(workload: Workload) -> OptimizerKernel:
    """PyTorch's own optimizers default to foreach, which a script on bare FSDP runs; the other stacks bring
    fused ones or ask for them.

    8-bit optimizers step one parameter after another, and so does a step within the backward pass: neither
    makes a copy of all. Hugging Face's trainers ask for the fused AdamW since 2024, and so do torchtitan and
    torchtune's configurations. Source: transformers training_args.py (optim), bitsandbytes
    optim/optimizer.py, torchtitan components/optimizer.py.
    """
    one_by_one = workload.optimizer == "adamw_8bit" or workload.optimizer_in_backward
    return "foreach" if workload.framework == "fsdp" and not one_by_one else "fused"


def step_temporary_bytes(workload: Workload, weight_bytes: float) -> float:
    """Bytes per parameter of the copy that a foreach step makes: Adam's denominator, as wide as the weights.

    weight_bytes: per parameter. Optimizers without full moments make no copy. Source: PyTorch optimizers,
    foreach implementation.
    """
    return weight_bytes if STATE_ELEMENTS[workload.optimizer] >= 1.0 else 0.0


def gradient_copy_bytes(workload: Workload) -> float:
    """Bytes per parameter of DeepSpeed's second set of gradients, beside the 16-bit ones.

    bf16 training with DeepSpeed's pipelines accumulates a flat fp32 set (4 bytes) and keeps a flat copy of
    the 16-bit gradients (2 bytes); so does its ZeRO-1 where gradients are asked for in fp32. Whether there
    is a pipeline, the layout says. Source: DeepSpeed runtime/bf16_optimizer.py, runtime/engine.py
    (_do_optimizer_sanity_check), runtime/pipe/engine.py.
    """
    accumulated = workload.framework == "deepspeed" and workload.task == "pretraining"
    return 6.0 if accumulated and workload.precision == "bf16" else 0.0


def gradient_partition_bytes(workload: Workload) -> float:
    """Bytes per parameter of the fp32 gradient of the partition that a DeepSpeed rank updates.

    In fp16 its flat 16-bit form as well (DeepSpeed runtime/zero/stage_1_and_2.py). Where whole gradients are
    accumulated in fp32, the partition is a view of them and costs nothing (runtime/bf16_optimizer.py,
    fp32_groups_gradient_flat_partition).
    """
    narrow = workload.framework == "deepspeed" and workload.precision not in ("fp32", "tf32")
    if not narrow:
        return 0.0
    return 6.0 if workload.precision == "fp16" else 4.0


def frozen_bytes(workload: Workload) -> float:
    """Bytes per frozen weight of the blocks. Source: FROZEN_BYTES."""
    return FROZEN_BYTES[frozen_precision(workload)]


def frozen_head_bytes(workload: Workload) -> float:
    """Bytes per weight of a frozen output head.

    It stays in 16 bits (or 32) unless it was asked to be quantised like the blocks.
    """
    precision = frozen_precision(workload)
    if workload.quantized_head or precision in ("fp32", "bf16", "fp16"):
        return FROZEN_BYTES[precision]
    return FROZEN_BYTES["bf16"]


def frozen_precision(workload: Workload) -> FrozenPrecision:
    """Precision of the frozen base: the one asked for, nf4 for QLoRA, else the working precision."""
    if workload.frozen_precision is not None:
        return workload.frozen_precision
    if workload.task == "qlora":
        return "nf4"
    return "fp32" if workload.precision in ("fp32", "tf32") else "bf16"


#: Precisions of frozen weights that matmuls take only once they are widened.
NARROW_STORAGE = ("int8", "int4", "nf4", "nvfp4", "mxfp4")


def dequantized(workload: Workload) -> bool:
    """Whether the frozen base is widened to the working precision before each of its matmuls, LoRA and QLoRA
    alike; 8-bit floats are multiplied as they are where the run is in fp8.
    """
    if workload.task not in ("lora", "qlora"):
        return False
    kept = frozen_precision(workload)
    return kept in NARROW_STORAGE or (kept == "fp8" and workload.precision != "fp8")


def expandable_segments(workload: Workload) -> bool:
    """Whether the caching allocator grows one segment instead of keeping blocks of many sizes.

    Source: EXPANDABLE_SEGMENTS, what each stack's launcher sets.
    """
    if workload.expandable_segments is not None:
        return workload.expandable_segments
    return workload.framework in EXPANDABLE_SEGMENTS


def default_loss(workload: Workload) -> Loss:
    """Scripts compute the loss on whole logits unless they say otherwise; stacks that compile the model
    compile the loss with it.

    torchtitan does so since 2025 (config/job_config.py, compile.components: model and loss), and so do
    torchtune's recipes; trainers on FSDP compile block by block and leave the loss as it is.
    """
    if not (workload.compile or workload.kernels == "compiled"):
        return "whole"
    return "compiled" if workload.framework in COMPILED_LOSS else "whole"
