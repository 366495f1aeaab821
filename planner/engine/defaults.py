"""What a workload keeps in memory per parameter when the question does not say: precision recipes.

Each default follows what a named stack publishes; the explanation names the recipe that was used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.engine.request import Loss, MasterWeights, OptimizerKernel, Workload

#: Bytes of one element.
ELEMENT_BYTES = {"fp32": 4.0, "tf32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 2.0, "int8": 1.0}
#: Bytes of one frozen weight. nf4 and int4: 4 bits plus block constants; double quantisation leaves
#: 0.127 bits a parameter (Dettmers et al. 2023, section 3: 0.5 to 0.127 bits at block size 64).
FROZEN_BYTES = {
    "fp32": 4.0,
    "bf16": 2.0,
    "fp16": 2.0,
    "int8": 1.0,
    "int4": 0.5 + 0.127 / 8,
    "nf4": 0.5 + 0.127 / 8,
}
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
    gradient_bytes, state_bytes.  temporary_bytes: copy that the optimizer's step keeps (foreach kernels).
    gradient_copy_bytes: second, flat copy of the gradients, sharded as they are.  gradient_partition_bytes:
    fp32 gradient of the optimizer's partition, sharded as its states.  unsynced_gradients: gradient sync is
    off between accumulation steps, which leaves gradients whole on every rank.
    frozen_bytes, frozen_head_bytes: per frozen weight of the blocks and of the output head.
    """

    weight_bytes: float
    master_bytes: float
    gradient_bytes: float
    state_bytes: float
    temporary_bytes: float
    frozen_bytes: float
    frozen_head_bytes: float
    gradient_copy_bytes: float
    gradient_partition_bytes: float
    unsynced_gradients: bool
    loss: Loss
    master_weights: MasterWeights
    optimizer_kernel: OptimizerKernel


def memory_recipe(workload: Workload) -> MemoryRecipe:
    """The recipe asked for, filled up with the framework's and the task's usual one.

    Pretraining: Megatron and DeepSpeed keep a working copy beside the fp32 master; FSDP and torchtitan the
    fp32 master alone. Fine-tuning in plain low precision keeps no master (PyTorch recipes of torchtune).
    """
    full = workload.precision in ("fp32", "tf32")
    adapters = workload.task in ("lora", "qlora")
    master = workload.master_weights or default_master_weights(workload)
    low = ELEMENT_BYTES[workload.precision]
    weight = 4.0 if full or master == "only" else low
    gradient_default = "fp32" if full or master == "only" else default_gradient(workload, master)
    gradient = ELEMENT_BYTES[workload.gradient_precision or gradient_default]
    state_precision = workload.optimizer_state_precision
    if workload.optimizer == "adamw_8bit":
        state_precision = "int8"
    elif state_precision is None:
        state_precision = (
            "int8" if workload.optimizer == "adamw_8bit" else ("fp32" if master != "none" or full else "bf16")
        )
    states = STATE_ELEMENTS[workload.optimizer] * ELEMENT_BYTES[state_precision]
    kernel = workload.optimizer_kernel or default_kernel(workload)
    temporary = weight if kernel == "foreach" else 0.0
    frozen_precision = workload.frozen_precision or (
        "nf4" if workload.task == "qlora" else ("bf16" if not full else "fp32")
    )
    head_precision = (
        frozen_precision
        if workload.quantized_head
        else (frozen_precision if frozen_precision in ("fp32", "bf16", "fp16") else "bf16")
    )
    return MemoryRecipe(
        weight_bytes=weight,
        master_bytes=4.0 if master == "separate" and not full else 0.0,
        gradient_bytes=gradient,
        state_bytes=states,
        temporary_bytes=temporary,
        frozen_bytes=FROZEN_BYTES[frozen_precision] if adapters else 0.0,
        frozen_head_bytes=FROZEN_BYTES[head_precision] if adapters else 0.0,
        gradient_copy_bytes=gradient_copy_bytes(workload) if not adapters else 0.0,
        gradient_partition_bytes=6.0 if workload.framework == "deepspeed" and not full else 0.0,
        unsynced_gradients=workload.framework == "fsdp" and master == "none",
        loss=workload.loss or default_loss(workload),
        master_weights=master,
        optimizer_kernel=kernel,
    )


def gradient_copy_bytes(workload: Workload) -> float:
    """bf16 training of DeepSpeed's pipelines accumulates a second, flat set of gradients in fp32, beside the
    16-bit gradients and their flat copy (DeepSpeed runtime/bf16_optimizer.py)."""
    accumulated = workload.framework == "deepspeed" and workload.task == "pretraining"
    return 6.0 if accumulated and workload.precision == "bf16" else 0.0


def default_master_weights(workload: Workload) -> MasterWeights:
    if workload.precision in ("fp32", "tf32"):
        return "only"
    if workload.framework in ("megatron", "deepspeed", "neuron"):
        return "separate"
    if workload.framework in ("fsdp", "torchtitan"):
        return "only"
    return "separate" if workload.task in ("pretraining", "ppo") else "none"


def default_gradient(workload: Workload, master: MasterWeights) -> Literal["fp32", "bf16"]:
    """Megatron accumulates gradients in fp32, in 16 bits in NVIDIA's fp8 recipes (NeMo performance recipes,
    grad_reduce_in_fp32 false); DeepSpeed and plain recipes in the working precision."""
    if workload.precision == "fp8" and workload.framework == "megatron":
        return "bf16"
    return "fp32" if master == "separate" and workload.framework in ("megatron", "neuron") else "bf16"


def default_kernel(workload: Workload) -> OptimizerKernel:
    """PyTorch's own optimizers default to foreach; Megatron, DeepSpeed and Neuron bring fused ones."""
    if workload.framework in ("megatron", "deepspeed", "neuron"):
        return "fused"
    return (
        "foreach"
        if workload.framework in ("fsdp", "torchtitan") or workload.task != "pretraining"
        else "fused"
    )


def default_loss(workload: Workload) -> Loss:
    return "whole"
