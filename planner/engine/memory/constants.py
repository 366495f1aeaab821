"""The few fitted numbers of the memory model, and how the named stacks differ where their code says so.

A trait is read from a framework's own code or documentation and is not fitted; a constant is fitted to
measured runs (``planner/accuracy/fit/memory.py``) and comes in as data. Nothing here depends on a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.engine.grid.plan_grid import ARCHITECTURES

#: Order of the accelerator architectures and frameworks, as ``planner.engine.grid.plan_grid`` numbers them.
ARCHITECTURE_COUNT = len(ARCHITECTURES)


def _each(value: float) -> NDArray[np.float64]:
    return np.full(ARCHITECTURE_COUNT, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConstants:
    """Fitted constants: ``*_bytes`` in bytes, ``*_share`` a share of the bytes that it multiplies.

    context_bytes: driver context, kernels and libraries of one process, by architecture, shape
    (architectures,).
    communicator_bytes: NCCL buffers of one communicator, shape (architectures,); a rank has one for each
    degree above 1.
    The reserve shares say what the caching allocator holds beyond the bytes it has handed out.
    reserve_share: of the activations and buffers alive at a moment (fragmentation).
    state_reserve_share: of everything allocated; the part that it can never give back.
    idle_reserve_share: of gradients and step copies not alive at the fullest moment: activations cannot reuse
    their blocks.
    backward_reserve_share: of short-lived tensors of the backward pass: the logits cannot reuse their blocks.
    gather_reserve_share: of gathered weights: only the stream that gathers them can reuse their blocks.
    crossing_reserve_share: of activations allocated while others are freed: micro-batches of a pipeline, and
    second copies of block inputs.
    whole_logit_bytes, compiled_chunk_logit_bytes: per logit at the peak of a cross-entropy on whole logits
    (or on eager chunks, of which nothing is freed), on compiled chunks.
    fused_hidden_bytes: per element of the last hidden state where the loss is fused with the head: its
    gradient and a chunk of logits, as many tokens at a time as make the chunk as large as the hidden state.
    working_share: share of the recompute working set and its gradients that is alive at once.
    adapter_working_share: the same where adapters are trained (wider copies of their inputs).
    quantized_input_bytes: kept per input element of a quantised matrix without recompute.
    learned_expert_load: tokens of the fullest rank's experts over an even share where the router balances as
    it has learnt to, a ratio.
    interval: {"allocated" | "reserved" | "nvidia-smi": (low, high)} factors of an 80 % interval.
    """

    context_bytes: NDArray[np.float64] = field(default_factory=lambda: _each(0.6e9))
    communicator_bytes: NDArray[np.float64] = field(default_factory=lambda: _each(0.4e9))
    reserve_share: float = 0.08
    state_reserve_share: float = 0.01
    idle_reserve_share: float = 0.3
    backward_reserve_share: float = 0.2
    gather_reserve_share: float = 0.0
    crossing_reserve_share: float = 0.0
    whole_logit_bytes: float = 12.0
    compiled_chunk_logit_bytes: float = 2.5
    fused_hidden_bytes: float = 5.0
    working_share: float = 1.0
    adapter_working_share: float = 1.0
    quantized_input_bytes: float = 4.0
    learned_expert_load: float = 1.3
    interval: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> MemoryConstants:
        """From ``{"constants": {...}, "interval": {...}}`` as the calibration file holds it.

        Raises KeyError where a name is not one of the constants.
        """
        values: dict[str, Any] = dict(data["constants"])
        unknown = set(values) - {item for item in cls.__dataclass_fields__ if item != "interval"}
        if unknown:
            raise KeyError(f"unknown memory constants: {sorted(unknown)}")
        for name in ("context_bytes", "communicator_bytes"):
            known = np.atleast_1d(np.asarray(values[name], dtype=float))
            # Kinds that came after the fit have what its last one, "other", has.
            values[name] = np.concatenate([known, np.full(ARCHITECTURE_COUNT - known.size, known[-1])])
        interval = {kind: (float(low), float(high)) for kind, (low, high) in data.get("interval", {}).items()}
        return cls(**values, interval=interval)


#: How the stacks differ, columns in the order of ``grid.FRAMEWORKS``
#: (generic, megatron, fsdp, deepspeed, torchtitan, neuron).
TRAITS = {
    # Plain PyTorch modules: each elementwise step keeps its own tensors for backward. Megatron and Neuron
    # bring fused kernels. DeepSpeed pretrains with Megatron's (Megatron-DeepSpeed) but fine-tunes plain
    # modules.
    "plain": (1.0, 0.0, 1.0, 0.0, 1.0, 0.0),
    "plain_finetuning": (1.0, 0.0, 1.0, 1.0, 1.0, 0.0),
    # Attention through scaled_dot_product_attention: grouped keys and values are repeated to all heads, which
    # the flash-attention package does not need.
    "repeated_heads": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    # Gradients live in a contiguous buffer from the first step to the last (Megatron's param_and_grad_buffer,
    # DeepSpeed's contiguous_gradients); plain PyTorch frees them with zero_grad(set_to_none=True).
    "gradient_buffer": (0.0, 1.0, 0.0, 1.0, 0.0, 1.0),
    # DistributedDataParallel reduces in buckets beside the gradients (gradient_as_bucket_view is off).
    "bucket_copies": (1.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    # FSDP's flat shards keep their gradients between steps.
    "gradients_between_steps": (0.0, 1.0, 1.0, 1.0, 0.0, 1.0),
    # Output head and loss are split over the vocabulary under tensor parallelism; with FSDP2 and DTensor only
    # torchtitan does so (loss parallel), elsewhere each rank holds the whole head and its logits.
    "vocabulary_parallel": (1.0, 1.0, 0.0, 1.0, 1.0, 1.0),
    # Cross-entropy that reuses its own buffers: Megatron's vocabulary-parallel one; flash-attn's, which the
    # FSDP pretraining stacks use (llm-foundry: loss_fn fused_crossentropy).
    "in_place_loss": (0.0, 1.0, 1.0, 1.0, 0.0, 1.0),
    # Fine-tuning runs the model's own loss, unless kernels are fused (``Traits.in_place_loss``).
    "in_place_loss_finetuning": (0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    # Megatron keeps its gradient buffers where the optimizer's states are the host's
    # (core/optimizer/cpu_offloading); FSDP1's CPUOffload copies each gradient shard to the host and holds it
    # on the accelerator until the backward pass has ended (_runtime_utils.py, _saved_grad_shard);
    # ZeRO-Offload and FSDP2's policy take the gradients along.
    "offload_keeps_gradients": (0.0, 1.0, 1.0, 0.0, 0.0, 1.0),
    # What "selective" means: the attention core (Megatron); every second matmul kept, the rest recomputed
    # (torchtitan's per-operator checkpointing); whole blocks for half of the layers (IBM's FSDP trainer).
    "selective_operators": (0.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "selective_blocks": (0.0, 0.0, 1.0, 0.0, 0.0, 0.0),
    # FSDP1's root unit holds token table and head whole from forward to the end of backward; FSDP2
    # (torchtitan, and whatever is compiled) keeps the head alone.
    "root_embedding": (1.0, 0.0, 1.0, 0.0, 0.0, 0.0),
    # Under pipeline parallelism FSDP2 leaves a stage's weights whole between micro-batches and adds up whole
    # gradients until the last one (torchtitan, reshard_after_forward with pipelines).
    "whole_in_pipeline": (0.0, 0.0, 1.0, 0.0, 1.0, 0.0),
    # DeepSpeed gathers up to stage3_max_live_parameters = 1e9 and reduces in buckets of 5e8; ZeRO-3 steps in
    # sub-groups of 1e9 (its defaults).
    "buckets": (0.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    # FSDP1 with adapters ends its backward pass with a second copy of every recomputed block's input
    # (measured: peaks of fms-acceleration's FSDP runs grow by two block inputs a token, others' by one).
    "retained_inputs": (0.0, 0.0, 1.0, 0.0, 0.0, 0.0),
    # Transformer Engine keeps matmul inputs in fp8 and an fp8 copy and its transpose of each weight; torchao
    # (torchtitan) casts again instead.
    "fp8_copies": (1.0, 1.0, 0.0, 1.0, 0.0, 0.0),
}
#: Stacks that are made of another one's parts and have its traits: Hugging Face's trainers, and torchtune,
#: run plain PyTorch modules. In the order of ``grid.FRAMEWORKS``, after those above.
BUILT_ON = {"trl": 0, "axolotl": 0, "torchtune": 0, "llama_factory": 0, "unsloth": 0}
TRAIT_NAMES = tuple(TRAITS)
TRAIT_TABLE: NDArray[np.float64] = np.array(
    [[*TRAITS[name], *(TRAITS[name][column] for column in BUILT_ON.values())] for name in TRAIT_NAMES]
)
