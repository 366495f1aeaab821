"""What a training stack runs when the question does not say: kernels, attention, lengths, experts.

Each default follows what the named stack does as it is shipped today; where no stack is named, what a careful
user of today's tools has. The explanation names what was taken.
"""

from __future__ import annotations

from math import log, sqrt

from planner.engine.question.request import (
    AttentionKernel,
    Balance,
    Dispatcher,
    Kernels,
    Sequences,
    Workload,
)

#: Standard deviation of the lengths over their mean from which on a longer spread fills the cache no further.
VARYING_SPREAD = 0.25
#: Attention kernels that keep the table of scores.
UNFUSED = ("standard", "sdpa_math")
#: Chips with the FlashAttention-2 kernels of Dao 2023 (Ampere and later), and with cuDNN's fused ones.
WITHOUT_FLASH_2 = ("volta", "turing")
WITH_CUDNN = ("hopper", "blackwell", "blackwell_rtx")
#: Stacks that run Hugging Face's model code as it is, for fine-tuning.
HUGGING_FACE = ("generic", "fsdp", "deepspeed", "trl", "axolotl", "llama_factory")
#: Stacks whose mixture-of-experts code multiplies all experts of a rank in one grouped kernel
#: (Megatron-Core moe_grouped_gemm, torchtitan; Hugging Face's loops over experts).
GROUPED = ("generic", "megatron", "torchtitan", "neuron")
#: Stacks that can run the exchange of experts beside the compute of another micro-batch, and have fused
#: dispatchers for it.
OVERLAPPING = ("generic", "megatron")


def attention_kernel(workload: Workload, architecture: str) -> AttentionKernel:
    """The attention kernel that runs on this chip.

    NVIDIA's stacks take cuDNN's on Hopper and later (Transformer Engine's documentation of its attention
    back ends, 2024); PyTorch's scaled_dot_product_attention and the flash-attn package give FlashAttention-2.
    """
    if workload.attention_kernel is not None:
        return workload.attention_kernel
    if workload.attention == "standard":
        return "standard"
    if architecture in WITHOUT_FLASH_2:
        return "flash_1"
    if workload.framework == "megatron" and architecture in WITH_CUDNN:
        return "cudnn"
    return "cudnn" if architecture == "blackwell" else "flash_2"


def is_flash(workload: Workload) -> bool:
    """Whether the scores are never kept. An attention kernel that is named decides it."""
    if workload.attention_kernel is not None:
        return workload.attention_kernel not in UNFUSED
    return workload.attention == "flash"


def kernels(workload: Workload, architecture: str) -> Kernels:
    """What runs between the matrix products.

    Megatron-LM: Transformer Engine where it runs (Ampere and later), its own fused kernels before. DeepSpeed
    pretrains with Megatron's model code. XLA compiles what Neuron runs. torchtitan and plain FSDP run eager
    PyTorch unless compiled. Stacks that fuse the cross-entropy also fuse norms, rotary and activation (Liger,
    Unsloth, FastKernels). A careful user without a named stack pretrains with fused kernels and fine-tunes
    the model of Hugging Face as it is.
    """
    if workload.kernels is not None:
        return workload.kernels
    if workload.compile or workload.framework == "neuron":
        return "compiled"
    pretraining = workload.task == "pretraining"
    if workload.framework == "megatron":
        return "fused" if architecture in WITHOUT_FLASH_2 else "transformer_engine"
    if workload.framework == "unsloth" or (not pretraining and workload.loss == "fused"):
        return "fused"
    if pretraining and workload.framework in ("deepspeed", "generic"):
        return "fused"
    return "plain"


def autocast(workload: Workload) -> bool:
    """Whether weights stay fp32 and are cast for each product, as torch.autocast does.

    Hugging Face's trainer does so in fp16, whose loss scaling needs fp32 gradients (transformers, trainer.py,
    fp16); elsewhere not unless asked.
    """
    if workload.autocast is not None:
        return workload.autocast
    trainer = workload.framework in ("generic", "trl", "llama_factory")
    return workload.task == "full_finetuning" and trainer and workload.precision == "fp16"


def wide_attention(workload: Workload) -> bool:
    """Whether attention runs in fp32: after PEFT's k-bit preparation the residual stream and with it queries
    and keys are fp32 where autocast is off; trainers have it on (peft.prepare_model_for_kbit_training).
    """
    return bool(workload.k_bit_preparation) and workload.autocast is False


def row_tokens(sequences: Sequences | None, row: float, at_once: float) -> float:
    """Tokens of a mean row that are computed, its padding included.

    row: length of a row, tokens.  at_once: rows padded together.  Rows padded to the longest of n: the
    expected largest of n normal variables lies at most sqrt(2 ln n) deviations above the mean.
    Source: definition of each kind; the bound is that of Boucheron et al. 2013, section 2.5.
    """
    if sequences is None or sequences.mean_tokens is None:
        return row
    mean = min(sequences.mean_tokens, row)
    if sequences.kind == "unpadded":
        return mean
    if sequences.kind == "padded_to_longest":
        spread = sequences.std_tokens or 0.0
        return min(mean + spread * sqrt(2.0 * log(max(at_once, 1.0))), sequences.max_tokens or row, row)
    return row


def varying_lengths(sequences: Sequences | None) -> float:
    """How far the micro-batches of a run differ in size, 0 to 1: for the allocator's cache.

    1 from a spread (standard deviation over mean) of VARYING_SPREAD on, and where rows are padded to the
    longest, or not at all, and nothing is said of their lengths; 0 where all rows are of one length.
    Source: the allocator simulated (planner/accuracy/allocator): what its cache holds grows no further.
    """
    if sequences is None or sequences.kind not in ("padded_to_longest", "unpadded"):
        return 0.0
    if sequences.std_tokens is None or not sequences.mean_tokens:
        return 1.0
    return min(sequences.std_tokens / sequences.mean_tokens / VARYING_SPREAD, 1.0)


def real_tokens(sequences: Sequences | None, row: float) -> float:
    """Tokens of a mean row that are trained on: without padding. Source: definition."""
    padded = sequences is not None and sequences.kind not in ("full", "packed")
    if sequences is None or sequences.mean_tokens is None or not padded:
        return row
    return min(sequences.mean_tokens, row)


def sample_tokens(sequences: Sequences | None, computed: float) -> float:
    """Tokens that attend to each other, as the mean token meets them: a sample's own in packed rows.

    computed: tokens of a row.  The mean token stands in a sample of mean + variance / mean tokens.
    Source: length-biased mean (Cox 1962, renewal theory, section 5.2).
    """
    if sequences is None or sequences.mean_tokens is None or sequences.kind not in ("packed", "unpadded"):
        return computed
    mean = sequences.mean_tokens
    return min(mean + (sequences.std_tokens or 0.0) ** 2 / mean, computed)


def dispatcher(workload: Workload) -> Dispatcher:
    """How tokens reach their experts: a plain all-to-all unless a fused dispatcher is named, or taken over
    several machines (``chooses_dispatcher``)."""
    asked = workload.moe.dispatcher if workload.moe else None
    return asked or "all_to_all"


def balance(workload: Workload) -> Balance:
    """How evenly the router spreads tokens: as it learnt to, unless it is forced."""
    asked = workload.moe.balance if workload.moe else None
    return asked or "learned"


def expert_load(workload: Workload) -> float:
    """Tokens of the fullest expert rank over an even share, 0 where the fitted one holds.

    Forced balance: 1. With a capacity, rows are padded to it and tokens beyond it dropped.
    Source: Fedus et al. 2022, section 2.2.
    """
    if workload.moe is not None and workload.moe.capacity_factor is not None:
        return workload.moe.capacity_factor
    return 1.0 if balance(workload) == "forced" else 0.0


def chooses_dispatcher(workload: Workload) -> bool:
    """Whether the dispatcher is left to a stack that has fused ones beside the plain all-to-all.

    Megatron-Core's flex dispatcher runs DeepEP and HybridEP; where no stack is named any may be had.
    """
    asked = workload.moe.dispatcher if workload.moe else None
    return asked is None and workload.framework in OVERLAPPING


def overlaps_experts(workload: Workload) -> bool:
    """Whether the exchange of experts is left to a stack that can run it beside other compute.

    Megatron-Core can since 0.13 (overlap_moe_expert_parallel_comm), and NVIDIA's recipes do so where experts
    are spread over several machines (Megatron-Bridge, scripts/performance/configs, moe_a2a_overlap on H100);
    DeepSeek's DualPipe is public too, for whoever names no stack.
    """
    asked = workload.moe.overlap if workload.moe else None
    return asked is None and workload.framework in OVERLAPPING


def grouped_matmul(workload: Workload) -> bool:
    """Whether all experts of a rank are multiplied in one kernel."""
    asked = workload.moe.grouped_matmul if workload.moe else None
    return workload.framework in GROUPED if asked is None else asked
