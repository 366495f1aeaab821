"""Seconds of one kernel on one rank: matmuls, memory-bound passes, casts, adapters, dequantisation.

Rates are achievable ones: a share of the peak that the calibration fits, lower for short sides. Arrays of
shape (plans,) in, seconds out. How kernels make up a step is counted elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planner.engine.grid.plan_grid import (
    ARCHITECTURES,
    DEEPSPEED,
    GENERIC,
    MEGATRON,
    NEURON,
    Array,
    Flags,
    PlanGrid,
)
from planner.engine.grid.scalars import where
from planner.engine.time.constants import TimingConstants

#: Stacks that split a stage's hand-over among its tensor-parallel ranks.
SCATTERING_FRAMEWORKS = [MEGATRON, DEEPSPEED, NEURON]
HOPPER = float(ARCHITECTURES.index("hopper"))
BLACKWELL = float(ARCHITECTURES.index("blackwell"))


def root_of_squares(first: Array, second: Array) -> Array:
    """Time of two activities that run side by side but never wholly hide each other, in their unit (seconds).

    first, second: seconds of each, for example host and device, arithmetic and traffic, compute and
    communication. The result is 41 % above the larger where both are equal, and close to the larger where
    they differ.
    Source: our own choice, a smooth maximum.
    """
    # Products and a root round the same way in every SIMD lane, unlike powers, so that a plan computed alone
    # has the same digits as one in a large grid.
    return np.sqrt(first * first + second * second)


def tuned(grid: PlanGrid) -> Flags:
    """Flags, shape (plans,): where Transformer Engine's kernels run, which is with Megatron on Hopper and
    later.

    Source: our own choice of where they make a difference.
    """
    recent = (grid.architecture == HOPPER) | (grid.architecture == BLACKWELL)
    by_megatron: Flags = (grid.framework == MEGATRON) & recent
    return by_megatron


def kernel_stack(grid: PlanGrid) -> NDArray[np.int_]:
    """Index of the framework whose kernels run, shape (plans,).

    DeepSpeed pretrains with Megatron's model code but fine-tunes the PyTorch model it is given.
    Source: the code of Megatron-DeepSpeed.
    """
    plain = (grid.framework == DEEPSPEED) & (grid.finetuning > 0)
    return np.asarray(where(plain, GENERIC, grid.framework)).astype(int)


def achievable_bandwidth(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Achievable bytes/s of the rank's memory, shape (plans,).

    Source: peak bandwidth of the catalog x ``bandwidth_efficiency`` (fitted).
    """
    return grid.memory_bandwidth_bytes_per_s * constants.bandwidth_efficiency


def matmul_rate(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Achievable FLOP/s of a large matmul in the plan's precision, shape (plans,).

    Source: dense peak of the catalog x efficiency of the architecture (fitted).
    """
    base = constants.matmul_efficiency[grid.architecture.astype(int)]
    gain = where(tuned(grid), constants.engine_matmul_gain, 1.0)
    low = where(grid.fp8 > 0, constants.fp8_efficiency, base) * gain
    return grid.peak_flops_per_s * where(grid.full_precision > 0, full_efficiency(grid, constants), low)


def full_efficiency(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Share of the peak of a large matmul on 32-bit operands: on tensor cores (TF32), or on plain cores.

    Source: ``tf32_efficiency`` and ``fp32_efficiency`` (fitted).
    """
    return where(grid.tf32 > 0, constants.tf32_efficiency, constants.fp32_efficiency)


def head_rate(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Achievable FLOP/s of the output projection, which fp8 recipes leave in 16 bits. Shape (plans,).

    Source: as ``matmul_rate``.
    """
    base = constants.matmul_efficiency[grid.architecture.astype(int)]
    gain = where(tuned(grid), constants.engine_matmul_gain, 1.0)
    return where(
        grid.full_precision > 0,
        grid.peak_flops_per_s * full_efficiency(grid, constants),
        grid.bf16_flops_per_s * base * gain,
    )


def matmul_s(
    grid: PlanGrid, constants: TimingConstants, *, rate: Array, rows: Array, inner: Array, columns: Array
) -> Array:
    """Seconds of one matmul (rows x inner) @ (inner x columns), shape (plans,).

    rate: achievable FLOP/s of a large matmul.  rows, inner, columns: counts of elements.

    The tiles of a matmul's output fill the multiprocessors in waves, and the last wave is half empty on
    average. Each tile also has a prologue and an epilogue beside its inner loop. A weight takes part in three
    matmuls (output, input gradient, weight gradient) that have the same three sides in a different order;
    both effects are counted for the mean of the three. Operand traffic runs beside the arithmetic (a smooth
    roofline).
    Source: our own count; ``wave_elements``, ``shallow_inner`` and ``misaligned`` are fitted, with sources in
    timing_priors.csv.
    """
    m, k, n = np.maximum(rows, 1.0), np.maximum(inner, 1.0), np.maximum(columns, 1.0)
    saturation = (
        1.0
        + constants.wave_elements / 3.0 * (1.0 / (m * n) + 1.0 / (m * k) + 1.0 / (k * n))
        + constants.shallow_inner / 3.0 * (1.0 / m + 1.0 / k + 1.0 / n)
    )
    # Tensor cores load 128-byte lines; a width that is no multiple of 64 elements leaves them partly empty.
    aligned = (np.mod(inner, 64.0) == 0.0) & (np.mod(columns, 64.0) == 0.0)
    saturation = saturation * where(aligned, 1.0, constants.misaligned)
    arithmetic = 2.0 * rows * inner * columns / rate * saturation
    traffic = (rows * inner + inner * columns + rows * columns) * grid.element_bytes
    return root_of_squares(arithmetic, traffic / achievable_bandwidth(grid, constants))


def elementwise_bytes(grid: PlanGrid, tokens: Array, inner_width: Array) -> Array:
    """Bytes of memory traffic of the kernels between the matmuls of one block, forward, shape (plans,).

    tokens: per micro-batch and rank.  inner_width: of the MLP, elements. Two norms (read, write), two
    residual additions (two reads, a write) and rotary or bias passes: 12 passes over the hidden width, three
    more with dropout. The activation function reads and writes the inner width, three passes when gated.
    Sequence parallelism splits the hidden part; tensor parallelism always splits the inner part.
    Source: our own count.
    """
    hidden_split = where(grid.sequence_parallel > 0, grid.tensor_parallel, 1.0)
    hidden = (12.0 + 3.0 * grid.dropout) * grid.hidden_size / hidden_split
    inner = (2.0 + grid.gated) * inner_width / grid.tensor_parallel
    return tokens * (hidden + inner) * grid.element_bytes


def elementwise_s(grid: PlanGrid, constants: TimingConstants, nbytes: Array) -> Array:
    """Seconds of memory-bound kernels that move ``nbytes`` bytes, shape (plans,).

    nbytes: counted traffic. Source: bytes / achievable bandwidth; the traffic factors of eager, fused and
    compiled kernels are fitted.
    """
    # Stacks that fuse the cross-entropy also fuse norms, rotary and activation (Liger, Unsloth, FastKernels).
    whole = grid.loss_whole + grid.loss_chunked
    plain = where(grid.finetuning * whole > 0, constants.unfused_traffic, 1.0)
    eager = constants.elementwise_traffic * plain
    fused = where(grid.framework == MEGATRON, constants.megatron_traffic, eager)
    share = where(grid.compiled > 0, constants.compiled_traffic, fused)
    return share * nbytes / achievable_bandwidth(grid, constants)


def fp8_cast_s(grid: PlanGrid, constants: TimingConstants, operand_elements: Array) -> Array:
    """Seconds to quantise matmul operands to fp8, shape (plans,): read 2 bytes and write 1 per element.

    operand_elements: count. Maxima and transposes are in ``fp8_cast_traffic`` (fitted).
    Source: our own count; NVIDIA Transformer Engine.
    """
    nbytes = 3.0 * operand_elements
    return grid.fp8 * constants.fp8_cast_traffic * nbytes / achievable_bandwidth(grid, constants)


def adapter_s(grid: PlanGrid, constants: TimingConstants, tokens: Array, blocks: Array) -> Array:
    """Forward seconds of the low-rank adapters of one block, shape (plans,).

    tokens: per micro-batch and rank.  blocks: count of blocks in the model. Their matmuls are thin, so
    reading inputs and adding to outputs bounds them. Source: Hu et al. 2021 (LoRA); ``adapter_traffic`` is
    fitted.
    """
    elements = tokens * grid.lora_width / np.maximum(blocks, 1.0) / grid.tensor_parallel
    return (
        grid.frozen
        * constants.adapter_traffic
        * elements
        * grid.element_bytes
        / achievable_bandwidth(grid, constants)
    )


def dequantisation_s(grid: PlanGrid, constants: TimingConstants, weights: Array) -> Array:
    """Seconds to unpack a block's quantised weights before one use, shape (plans,).

    weights: count per block. Reads the packed bytes and writes 16 bits each.
    Source: Dettmers et al. 2023 (QLoRA), section 3; the traffic factors are fitted.
    """
    nbytes = weights * (grid.frozen_bytes + 2.0) / grid.tensor_parallel
    passes = where(grid.integer_quantized > 0, constants.unpacking_traffic, constants.dequantisation_traffic)
    return grid.quantized * passes * nbytes / achievable_bandwidth(grid, constants)
