"""Seconds of one kernel on one rank: matmuls, attention cores, memory-bound passes, casts.

Rates are achievable ones: a share of peak that the calibration fits, with saturating laws for short sides.
Arrays of shape (plans,) in, seconds out. Nothing here knows how kernels make up a step.
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
    """Two that run side by side, but never wholly hide each other (host and device, arithmetic and traffic,
    compute and communication): 41 % over the larger where they are equal, soon equal to it elsewhere.
    """
    # Products and a root, not powers: rounded alike in every lane, so a plan alone gives the same digits.
    return np.sqrt(first * first + second * second)


def tuned(grid: PlanGrid) -> Flags:
    """Where Transformer Engine's kernels run: Megatron on Hopper and later."""
    recent = (grid.architecture == HOPPER) | (grid.architecture == BLACKWELL)
    by_megatron: Flags = (grid.framework == MEGATRON) & recent
    return by_megatron


def kernel_stack(grid: PlanGrid) -> NDArray[np.int_]:
    """Index of the framework whose kernels run. DeepSpeed pretrains with Megatron's model code
    (Megatron-DeepSpeed), but fine-tunes whatever PyTorch model it is given."""
    plain = (grid.framework == DEEPSPEED) & (grid.finetuning > 0)
    return np.asarray(where(plain, GENERIC, grid.framework)).astype(int)


def achievable_bandwidth(grid: PlanGrid, constants: TimingConstants) -> Array:
    return grid.memory_bandwidth_bytes_per_s * constants.bandwidth_efficiency


def matmul_rate(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Achievable FLOP/s of a large matmul in the plan's precision."""
    base = constants.matmul_efficiency[grid.architecture.astype(int)]
    gain = where(tuned(grid), constants.engine_matmul_gain, 1.0)
    low = where(grid.fp8 > 0, constants.fp8_efficiency, base) * gain
    return grid.peak_flops_per_s * where(grid.full_precision > 0, full_efficiency(grid, constants), low)


def full_efficiency(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Share of peak of a large matmul on 32-bit operands: on tensor cores (TF32), or on plain cores."""
    return where(grid.tf32 > 0, constants.tf32_efficiency, constants.fp32_efficiency)


def head_rate(grid: PlanGrid, constants: TimingConstants) -> Array:
    """As ``matmul_rate``, for the output projection, which fp8 recipes leave in 16 bit."""
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
    """Seconds of one matmul (rows x inner) @ (inner x columns).

    The tiles of a matmul's output fill the multiprocessors in waves, the last of which is half empty on
    average; and each tile has a prologue and an epilogue beside its inner loop. Both are counted for the mean
    of the three matmuls that a weight takes part in (output, input gradient, weight gradient), whose sides
    are the same three in turn. Operand traffic runs beside the arithmetic (a smooth roofline).
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
    """Memory traffic of the kernels between matmuls of one block, forward.

    Two norms (read, write), two residual additions (two reads, a write) and rotary or bias passes: 12 passes
    over the hidden width, three more with dropout; the activation reads and writes the inner width, three
    passes when gated. Sequence parallel splits the hidden part, tensor parallel always the inner part.
    """
    hidden_split = where(grid.sequence_parallel > 0, grid.tensor_parallel, 1.0)
    hidden = (12.0 + 3.0 * grid.dropout) * grid.hidden_size / hidden_split
    inner = (2.0 + grid.gated) * inner_width / grid.tensor_parallel
    return tokens * (hidden + inner) * grid.element_bytes


def elementwise_s(grid: PlanGrid, constants: TimingConstants, nbytes: Array) -> Array:
    # Who fuses the cross-entropy fuses norms, rotary and activation too (Liger, Unsloth, FastKernels).
    whole = grid.loss_whole + grid.loss_chunked
    plain = where(grid.finetuning * whole > 0, constants.unfused_traffic, 1.0)
    eager = constants.elementwise_traffic * plain
    fused = where(grid.framework == MEGATRON, constants.megatron_traffic, eager)
    share = where(grid.compiled > 0, constants.compiled_traffic, fused)
    return share * nbytes / achievable_bandwidth(grid, constants)


def fp8_cast_s(grid: PlanGrid, constants: TimingConstants, operand_elements: Array) -> Array:
    """Quantising matmul operands: read 2 bytes, write 1, per element, with amax and transpose."""
    nbytes = 3.0 * operand_elements
    return grid.fp8 * constants.fp8_cast_traffic * nbytes / achievable_bandwidth(grid, constants)


def adapter_s(grid: PlanGrid, constants: TimingConstants, tokens: Array, blocks: Array) -> Array:
    """Low-rank adapters of one block: thin matmuls, bound by reading inputs and adding to outputs."""
    elements = tokens * grid.lora_width / np.maximum(blocks, 1.0) / grid.tensor_parallel
    return (
        grid.frozen
        * constants.adapter_traffic
        * elements
        * grid.element_bytes
        / achievable_bandwidth(grid, constants)
    )


def dequantisation_s(grid: PlanGrid, constants: TimingConstants, weights: Array) -> Array:
    """Unpacking a block's quantised weights: read the packed bytes, write 16 bit, before each use."""
    nbytes = weights * (grid.frozen_bytes + 2.0) / grid.tensor_parallel
    passes = where(grid.integer_quantized > 0, constants.unpacking_traffic, constants.dequantisation_traffic)
    return grid.quantized * passes * nbytes / achievable_bandwidth(grid, constants)
