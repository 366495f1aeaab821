"""What each named training stack can do: parallel axes, shardings, kinds of recompute, offloads.

Data, each row with its source. Open fields of a layout stay within what a stack usually does; what it lacks
is refused where it is asked for. ``generic`` is free. Knows no formula.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from planner.engine.question import words
from planner.engine.question.request import Framework, Offload, Recompute, Sharding, Task

#: The parallel axes that a stack may lack, by the layout field that asks for them, in words.
AXES: Final = {
    "tensor_parallel": "tensor parallelism",
    "pipeline_parallel": "pipeline parallelism",
    "interleaved_stages": "interleaved pipeline stages",
    "context_parallel": "context parallelism",
    "expert_parallel": "expert parallelism",
}
TENSOR, PIPELINE, INTERLEAVED, CONTEXT, EXPERT = AXES
EVERY_AXIS: Final = frozenset(AXES)
EVERY_RECOMPUTE: Final[tuple[Recompute, ...]] = ("none", "selective", "full")
EVERY_TASK: Final[tuple[Task, ...]] = ("pretraining", "full_finetuning", "lora", "qlora", "ppo")
#: Fine-tuning, and reinforcement learning by the same trainers: what their READMEs list.
TUNING: Final[tuple[Task, ...]] = ("full_finetuning", "lora", "qlora", "ppo")
WHOLE_BLOCKS: Final[tuple[Recompute, ...]] = ("none", "full")
READ: Final = "read in August 2026"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What one stack has.

    axes: what may be asked for.  usual_axes: what an open layout may use.  shardings, usual_shardings: alike.
    recomputes, offloads: what may be asked for.  most_ranks: over how many it trains, 0 for any number.
    tasks, decoders_only: what people run with it and so what it is offered for; nothing is refused by them.
    source: where it was read.
    """

    axes: frozenset[str]
    usual_axes: frozenset[str]
    shardings: tuple[Sharding, ...]
    usual_shardings: tuple[Sharding, ...]
    recomputes: tuple[Recompute, ...]
    offloads: tuple[Offload, ...]
    tasks: tuple[Task, ...]
    source: str
    most_ranks: int = 0
    decoders_only: bool = False


STACKS: Final[dict[Framework, Stack]] = {
    "generic": Stack(
        axes=EVERY_AXIS,
        usual_axes=EVERY_AXIS,
        shardings=("none", "zero1", "zero2", "zero3"),
        usual_shardings=("none", "zero1", "zero3"),
        recomputes=EVERY_RECOMPUTE,
        offloads=("optimizer", "parameters", "activations"),
        tasks=EVERY_TASK,
        source="no stack is named: whatever some stack has",
    ),
    "megatron": Stack(
        axes=EVERY_AXIS,
        usual_axes=EVERY_AXIS,
        shardings=("none", "zero1", "zero2", "zero3"),
        usual_shardings=("zero1",),
        recomputes=EVERY_RECOMPUTE,
        offloads=("optimizer", "activations"),
        tasks=("pretraining", "full_finetuning", "ppo"),
        source="NVIDIA/Megatron-LM megatron/training/arguments.py (--optimizer-cpu-offload, "
        "--data-parallel-sharding-strategy), core/transformer/transformer_config.py (recompute_modules, "
        f"fine_grained_activation_offloading), commit d98e8a6, {READ}",
    ),
    "fsdp": Stack(
        axes=frozenset({TENSOR, PIPELINE, CONTEXT, EXPERT}),
        usual_axes=frozenset(),
        shardings=("none", "zero1", "zero2", "zero3"),
        usual_shardings=("zero3",),
        recomputes=EVERY_RECOMPUTE,
        offloads=("optimizer", "parameters", "activations"),
        tasks=EVERY_TASK,
        source="huggingface/accelerate src/accelerate/parallelism_config.py (tp_size, cp_size, "
        "dp_shard_size), utils/dataclasses.py (cpu_offload), commit 16cb6eb; PyTorch torch.distributed "
        f"(fsdp, tensor.parallel, pipelining), {READ}",
    ),
    "deepspeed": Stack(
        axes=frozenset({TENSOR, PIPELINE, CONTEXT, EXPERT}),
        usual_axes=frozenset(),
        shardings=("none", "zero1", "zero2", "zero3"),
        usual_shardings=("none", "zero1", "zero3"),
        recomputes=EVERY_RECOMPUTE,
        offloads=("optimizer", "parameters", "activations"),
        tasks=EVERY_TASK,
        source="deepspeedai/DeepSpeed runtime/zero/offload_config.py, runtime/tensor_parallel/config.py "
        "(autotp_size), runtime/config.py (sequence_parallel_size), pipe/, moe/, "
        f"runtime/activation_checkpointing/config.py (cpu_checkpointing), commit edaa722, {READ}",
    ),
    "torchtitan": Stack(
        axes=EVERY_AXIS,
        usual_axes=EVERY_AXIS - {INTERLEAVED},
        shardings=("none", "zero2", "zero3"),
        usual_shardings=("zero3",),
        recomputes=EVERY_RECOMPUTE,
        offloads=("optimizer", "parameters"),
        tasks=("pretraining",),
        decoders_only=True,
        source="pytorch/torchtitan torchtitan/config/configs.py (*_parallel_degree, enable_cpu_offload, "
        f"fsdp_reshard_after_forward), commit b5bcd76, {READ}",
    ),
    "neuron": Stack(
        axes=EVERY_AXIS,
        usual_axes=EVERY_AXIS - {INTERLEAVED},
        shardings=("none", "zero1"),
        usual_shardings=("zero1",),
        recomputes=EVERY_RECOMPUTE,
        offloads=(),
        tasks=("pretraining", "full_finetuning", "lora"),
        source="aws-neuron/neuronx-distributed-training examples/conf (tensor_model_parallel_size, zero1, "
        f"activations_checkpoint_granularity), commit 9169aa0, {READ}",
    ),
    "trl": Stack(
        axes=frozenset({CONTEXT}),
        usual_axes=frozenset(),
        shardings=("none", "zero1", "zero2", "zero3"),
        usual_shardings=("none", "zero2", "zero3"),
        recomputes=WHOLE_BLOCKS,
        offloads=("optimizer", "parameters", "activations"),
        tasks=TUNING,
        decoders_only=True,
        source="huggingface/trl docs/source/distributing_training.md (FSDP2 or DeepSpeed by accelerate, "
        f"cp_size), trainer/sft_config.py (activation_offloading), commit f2cd577, {READ}",
    ),
    "axolotl": Stack(
        axes=frozenset({TENSOR, CONTEXT}),
        usual_axes=frozenset(),
        shardings=("none", "zero1", "zero2", "zero3"),
        usual_shardings=("none", "zero2", "zero3"),
        recomputes=WHOLE_BLOCKS,
        offloads=("optimizer", "parameters", "activations"),
        tasks=TUNING,
        decoders_only=True,
        source="axolotl-ai-cloud/axolotl src/axolotl/utils/schemas/config.py (tensor_parallel_size, "
        f"context_parallel_size, dp_shard_size, activation_offloading), commit 067b021, {READ}",
    ),
    "torchtune": Stack(
        axes=frozenset({TENSOR, CONTEXT}),
        usual_axes=frozenset(),
        shardings=("none", "zero2", "zero3"),
        usual_shardings=("none", "zero3"),
        recomputes=EVERY_RECOMPUTE,
        offloads=("optimizer", "parameters", "activations"),
        tasks=TUNING,
        decoders_only=True,
        source="pytorch/torchtune recipes/full_finetune_distributed.py (tensor_parallel_dim, "
        f"context_parallel_dim, fsdp_cpu_offload, enable_activation_offloading), commit bd2a0fc, {READ}",
    ),
    "llama_factory": Stack(
        axes=frozenset(),
        usual_axes=frozenset(),
        shardings=("none", "zero1", "zero2", "zero3"),
        usual_shardings=("none", "zero2", "zero3"),
        recomputes=WHOLE_BLOCKS,
        offloads=("optimizer", "parameters"),
        tasks=TUNING,
        decoders_only=True,
        source="hiyouga/LLaMA-Factory src/llamafactory/hparams (its Megatron adapter is another stack: name "
        f"megatron), examples/deepspeed, commit ff6d4d1, {READ}",
    ),
    "unsloth": Stack(
        axes=frozenset(),
        usual_axes=frozenset(),
        shardings=("none",),
        usual_shardings=("none",),
        recomputes=WHOLE_BLOCKS,
        offloads=("activations",),
        most_ranks=1,
        tasks=TUNING,
        decoders_only=True,
        source="unslothai/unsloth unsloth/models/_utils.py (Unsloth_Offloaded_Gradient_Checkpointer), "
        f"README.md (several GPUs are under work), commit 015bdef, {READ}",
    ),
}


def has(stack: Stack, axis: str) -> bool:
    """Whether a stack has the axis of this layout field; micro-batches and replicas every stack has."""
    return axis not in AXES or axis in stack.axes


def label(framework: Framework) -> str:
    """The stack's name for people."""
    return words.FRAMEWORKS[framework].label


def those_with(able: Callable[[Stack], bool]) -> str:
    """The named stacks for which ``able`` holds, for a remedy: ``megatron, torchtitan``."""
    return ", ".join(name for name, stack in STACKS.items() if name != "generic" and able(stack))
