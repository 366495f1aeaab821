"""Seconds of one kernel on one rank: matmuls, memory-bound passes, casts, adapters, dequantisation.

Rates are achievable ones: a share of the peak that the calibration fits, lower for short sides. Arrays of
shape (plans,) in, seconds out. How kernels make up a step is counted elsewhere.
"""

from __future__ import annotations

import numpy as np

from planner.engine.grid.plan_grid import (
    ARCHITECTURES,
    COMPILED,
    DEEPSPEED,
    FUSED,
    MEGATRON,
    NEURON,
    PLAIN,
    TRANSFORMER_ENGINE,
    Array,
    Flags,
    PlanGrid,
)
from planner.engine.grid.scalars import NONE, anywhere, entries, larger, one_of, smaller, where
from planner.engine.time.constants import TimingConstants

#: Stacks that split a stage's hand-over among its tensor-parallel ranks.
SCATTERING_FRAMEWORKS = (MEGATRON, DEEPSPEED, NEURON)
HOPPER = float(ARCHITECTURES.index("hopper"))
BLACKWELL = float(ARCHITECTURES.index("blackwell"))
TURING = float(ARCHITECTURES.index("turing"))
#: Volta and Turing leave their tensor cores idle where a side is no multiple of 8 elements (NVIDIA Deep
#: Learning Performance Guide, Matrix Multiplication, section 2: cuBLAS before 11): fp16 then runs at a
#: quarter of the peak.
NO_TENSOR_CORES = 4.0
#: Rows of one tile of a grouped matmul (CUTLASS, 128 x 128 and up).
TILE_ROWS = 128.0
#: Under autocast, residuals and norms move fp32 (twice the bytes) and each block's two inputs of matrix
#: products are cast (6 bytes an element): 12 passes of 2 bytes become 12 of 4 and two casts. Our own count.
AUTOCAST_HIDDEN = 2.5
#: Passes of two bytes that Hugging Face's modules make over each element of a norm (cast to fp32, squared,
#: averaged, scaled, cast back, weighted: 36 bytes) and of a query or key that is turned (two products, a
#: rotated copy and an addition: 20 bytes); an activation and its gate are two kernels, five passes. Counted
#: in transformers 4.46, models/llama/modeling_llama.py.
MANY_NORM = 18.0
MANY_ROTARY = 10.0
#: Output elements of one wave of tiles relative to A100's (108 multiprocessors, tiles of 128 x 256), by
#: architecture: multiprocessors and tile of its usual kernels (V100 80 and 128 x 128, T4 40 and 128 x 128,
#: L40S 142 and 128 x 128, RTX PRO 6000 188 and 128 x 128, H100 132 and 128 x 256, B200 148 and 256 x 256 on
#: pairs, a NeuronCore's 128 x 512 array, MI300X 304 and 256 x 128). 32-bit kernels have tiles of half the
#: size.
WAVES = {
    "volta": 0.37, "turing": 0.19, "ampere": 1.0, "ada": 0.66, "hopper": 1.22, "blackwell": 1.8,
    "trainium": 0.05, "other": 1.0, "cdna3": 2.8, "cdna4": 2.4, "blackwell_rtx": 0.87,
}  # fmt: skip
WAVE_SHARES = np.array([WAVES[name] for name in ARCHITECTURES])
#: Share of the peak that large fp8 products reach, over that on Hopper, by architecture: measured on H100
#: 1403 of 1979 TFLOP/s, B200 3433 of 4500 (stas00/ml-engineering, compute/accelerator, read 2026-11-29), RTX
#: 4090 354 of 330 (its clock is 1.42 of the kind's card), RTX PRO 6000 905 of 960 (xzwgit/gpu-flops-bench,
#: commit 5a32ae9, 2026-08). AMD's as in 16 bits (668 of 1307 on MI300X, 1565 of 2500 on MI355X): the same
#: power limits them. Others as Hopper.
FP8_SHARES = {
    "hopper": 0.709, "blackwell": 0.763, "ada": 0.757, "blackwell_rtx": 0.943, "cdna3": 0.45, "cdna4": 0.553,
}  # fmt: skip
FP8_RATIOS = np.array([FP8_SHARES.get(name, FP8_SHARES["hopper"]) for name in ARCHITECTURES])
FP8_RATIOS = FP8_RATIOS / FP8_SHARES["hopper"]
#: Host time of a block's launches relative to eager PyTorch, by kind of kernels (PLAIN, COMPILED, FUSED,
#: TRANSFORMER_ENGINE): kernels counted. Our judgement.
LAUNCH_SHARES = np.array([1.0, 0.55, 0.7, 0.8])
#: What is left of it where graphs are replayed: one launch for many kernels. Some 2.5 us and 1.5 ns a kernel
#: rather than 5 to 10 us for each (NVIDIA, "Constant-time launch for straight-line CUDA graphs", 2024).
GRAPH_SHARE = 0.05


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
    """Flags, shape (plans,): where Transformer Engine splits matrix products to overlap tensor-parallel
    communication, which is with Megatron on Hopper and later.

    Source: NVIDIA's NeMo and Megatron-Bridge recipes (tp_comm_overlap).
    """
    recent = (grid.architecture == HOPPER) | (grid.architecture == BLACKWELL)
    by_megatron: Flags = (grid.framework == MEGATRON) & recent
    return by_megatron


def scatters(grid: PlanGrid) -> Flags:
    """Flags, shape (plans,): where the stack splits a stage's hand-over among its tensor-parallel ranks.

    Source: Narayanan et al. 2021, section 4.1 (scatter/gather); Megatron's code, which DeepSpeed and Neuron
    run.
    """
    return one_of(grid.framework, SCATTERING_FRAMEWORKS)


def fuses_softmax(grid: PlanGrid) -> Flags:
    """Flags, shape (plans,): where scale, mask and softmax of unfused attention are one kernel: Megatron-LM
    and what is built on it, Transformer Engine, and compiled graphs.

    Source: Megatron-LM fused softmax kernels; NVIDIA's BERT recipes leave them apart.
    """
    built = (grid.framework == MEGATRON) | ((grid.framework == DEEPSPEED) & (grid.finetuning == 0))
    fused: Flags = built | (grid.kernels == TRANSFORMER_ENGINE) | (grid.kernels == COMPILED)
    return fused


def pads_vocabulary(grid: PlanGrid) -> Flags:
    """Flags, shape (plans,): where the stack pads the token table to a multiple of 128 rows a rank.

    Source: Megatron-LM (make-vocab-size-divisible-by), which DeepSpeed pretrains with; llm-foundry's and
    NVIDIA's own BERT do so too. Fine-tuning takes the model as it is.
    """
    pads: Flags = (grid.finetuning == 0) | (grid.framework == MEGATRON)
    return pads


def matmul_efficiency(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Share of the 16-bit peak that a large matmul reaches, power limit included. Shape (plans,).

    Source: efficiency of the architecture (fitted) x what the power limit leaves (``sustained_share``), or
    as measured on the machine, where the question says so.
    """
    share: Array = entries(constants.matmul_efficiency, grid.architecture) * clock_share(grid, constants)
    return share


def clock_share(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Rate of the machine's matmuls over that of the usual one of its kind, a ratio, shape (plans,).

    A measured rate of large matmuls replaces the usual one, in every precision alike: power and cooling,
    which make machines of one kind differ, hold in all of them.  Source: our own choice.
    """
    usual = entries(constants.matmul_efficiency, grid.architecture)
    return where(grid.measured_share > 0, grid.measured_share / usual, grid.sustained_share)


def achievable_bandwidth(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Achievable bytes/s of the rank's memory, shape (plans,).

    Source: peak bandwidth of the catalog x ``bandwidth_efficiency`` (fitted).
    """
    return grid.memory_bandwidth_bytes_per_s * constants.bandwidth_efficiency


def matmul_rate(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Achievable FLOP/s of a large matmul in the plan's precision, shape (plans,).

    Source: dense peak of the catalog x efficiency of the architecture (fitted); fp8's is Hopper's (fitted)
    times what was measured beside it (FP8_RATIOS).
    """
    low = base = matmul_efficiency(grid, constants)
    if anywhere(grid.fp8 > 0):
        # Eight bits are never slower than sixteen, where a chip's peak is the same either (Trainium).
        half = base * grid.bf16_flops_per_s / grid.peak_flops_per_s
        fp8 = constants.fp8_efficiency * entries(FP8_RATIOS, grid.architecture) * clock_share(grid, constants)
        low = where(grid.fp8 > 0, larger(fp8, half), base)
    return grid.peak_flops_per_s * where(grid.full_precision > 0, full_efficiency(grid, constants), low)


def full_efficiency(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Share of the peak of a large matmul on 32-bit operands: on tensor cores (TF32), or on plain cores,
    which libraries choose where they are as fast (A10G: 35 TFLOP/s in TF32, 31 in fp32).

    Source: ``tf32_efficiency`` and ``fp32_efficiency`` (fitted); power limits tensor cores.
    """
    if not anywhere(grid.tf32 > 0):
        return constants.fp32_efficiency + NONE
    plain = constants.fp32_efficiency * grid.fp32_flops_per_s / grid.peak_flops_per_s
    # Where 16 bits are no faster on paper (Trainium), 32 are not faster either.
    narrow = matmul_efficiency(grid, constants) * grid.bf16_flops_per_s / grid.peak_flops_per_s
    tensor_cores = constants.tf32_efficiency * clock_share(grid, constants)
    on_tensor_cores = smaller(larger(tensor_cores, plain), narrow)
    return where(grid.tf32 > 0, on_tensor_cores, constants.fp32_efficiency)


def head_rate(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Achievable FLOP/s of the output projection, which fp8 recipes leave in 16 bits. Shape (plans,).

    Source: as ``matmul_rate``.
    """
    return where(
        grid.full_precision > 0,
        grid.peak_flops_per_s * full_efficiency(grid, constants),
        grid.bf16_flops_per_s * matmul_efficiency(grid, constants),
    )


def wave_elements(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Output elements of a matmul that fill half of the chip's multiprocessors, shape (plans,).

    Source: ``wave_elements`` (fitted, for A100) x WAVE_SHARES; half of it for 32-bit operands.
    """
    whole = constants.wave_elements * entries(WAVE_SHARES, grid.architecture)
    half: Array = where(grid.full_precision > 0, 0.5, 1.0) * whole
    return half


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
    saturation = 1.0 + side_losses(grid, constants, rows, inner, columns, 1.0)
    # Tensor cores load 128-byte lines; a width that is no multiple of 64 elements leaves them partly empty.
    aligned = is_multiple(inner, 64.0) & is_multiple(columns, 64.0)
    saturation = saturation * where(aligned, 1.0, constants.misaligned)
    old = (grid.architecture <= TURING) & (grid.full_precision == 0)
    if anywhere(old):
        uneven = ~(is_multiple(inner, 8.0) & is_multiple(columns, 8.0))
        saturation = saturation * where(uneven & old, NO_TENSOR_CORES / constants.misaligned, 1.0)
    arithmetic = 2.0 * rows * inner * columns / rate * saturation
    return root_of_squares(arithmetic, operand_s(grid, constants, rows, inner, columns))


def is_multiple(counts: Array, of: float) -> Flags:
    """Flags, shape (plans,): where a count of elements is a multiple of a power of two.

    counts, of: elements.  Source: definition; the division is exact, and several times as fast as a
    remainder.
    """
    parts = counts / of
    flags: Flags = parts == np.floor(parts)
    return flags


def side_losses(
    grid: PlanGrid,
    constants: TimingConstants,
    rows: Array,
    inner: Array,
    columns: Array,
    groups: Array | float,
) -> Array:
    """What half-empty waves and tiles' prologues add to a matmul's time, a ratio, for the mean of its three
    turns.

    rows, inner, columns: counts of elements.  groups: matmuls that fill the multiprocessors together.
    Source: as ``matmul_s``.
    """
    m, k, n = larger(rows, 1.0), larger(inner, 1.0), larger(columns, 1.0)
    waves = wave_elements(grid, constants) * (1.0 / (m * n) + 1.0 / (m * k) + 1.0 / (k * n)) / groups
    losses: Array = (waves + constants.shallow_inner * (1.0 / m + 1.0 / k + 1.0 / n)) / 3.0
    return losses


def operand_s(grid: PlanGrid, constants: TimingConstants, rows: Array, inner: Array, columns: Array) -> Array:
    """Seconds to move a matmul's two operands and its result, shape (plans,).

    rows, inner, columns: counts of elements.  Source: Williams et al. 2009 (the roofline).
    """
    traffic = (rows * inner + inner * columns + rows * columns) * grid.element_bytes
    return traffic / achievable_bandwidth(grid, constants)


def many_kernels(grid: PlanGrid) -> Flags:
    """Flags, shape (plans,): where Hugging Face's modules run as they are, whose RMSNorm and rotary embedding
    are many small kernels (their LayerNorm is one). Plain pretraining runs a stack's own modules.

    Source: transformers, models/llama/modeling_llama.py; Megatron-LM and torchtitan, which have their own.
    """
    many: Flags = (grid.kernels == PLAIN) & (grid.finetuning > 0) & (grid.layernorm == 0)
    return many


def elementwise_bytes(grid: PlanGrid, tokens: Array, inner_width: Array) -> Array:
    """Bytes of memory traffic of the kernels between the matmuls of one block, forward, shape (plans,).

    tokens: per micro-batch and rank.  inner_width: of the MLP, elements. Two norms (read, write) and two
    residual additions (two reads, a write): 10 passes over the hidden width, two more for biases where there
    is no rotary embedding, three with dropout; two over the queries and keys that are turned, two over those
    that are normalised. The activation function reads and writes the inner width, three passes when gated.
    Hugging Face's modules make more passes of each (``many_kernels``, MANY_*).
    Sequence parallelism splits the hidden part; tensor parallelism always splits the heads and the inner
    part. Under autocast the hidden part is fp32.
    Source: our own count.
    """
    many = many_kernels(grid)
    hidden_split = where(grid.sequence_parallel > 0, grid.tensor_parallel, 1.0)
    unturned = where(grid.rotary_width > 0, 0.0, 2.0)
    residual = 6.0 + unturned + 3.0 * grid.dropout
    once = where(grid.autocast > 0, AUTOCAST_HIDDEN, 1.0) * (4.0 + residual)
    hidden = where(many, 2.0 * MANY_NORM + where(grid.autocast > 0, 2.0, 1.0) * residual, once)
    heads = (
        where(many, MANY_ROTARY, 2.0) * grid.rotary_width + where(many, MANY_NORM, 2.0) * grid.normed_width
    )
    inner = where(many, 2.0 + 3.0 * grid.gated, 2.0 + grid.gated) * inner_width
    return (
        tokens
        * (hidden * grid.hidden_size / hidden_split + (heads + inner) / grid.tensor_parallel)
        * grid.element_bytes
    )


def traffic_factor(grid: PlanGrid, constants: TimingConstants) -> Array:
    """Memory traffic between the matmuls relative to the counted one, a ratio, shape (plans,).

    Source: the factors of Hugging Face's modules, of a stack's plain ones, and of compiled, hand-fused and
    Transformer Engine's kernels are fitted.
    """
    plain = where(many_kernels(grid), constants.plain_traffic, constants.eager_traffic)
    fused = where(grid.kernels == FUSED, constants.fused_traffic, constants.engine_traffic)
    return where(
        grid.kernels == PLAIN, plain, where(grid.kernels == COMPILED, constants.compiled_traffic, fused)
    )


def elementwise_s(grid: PlanGrid, constants: TimingConstants, nbytes: Array) -> Array:
    """Seconds of memory-bound kernels that move ``nbytes`` bytes, shape (plans,).

    nbytes: counted traffic. Source: bytes x ``traffic_factor`` / achievable bandwidth.
    """
    return traffic_factor(grid, constants) * nbytes / achievable_bandwidth(grid, constants)


def fp8_cast_s(grid: PlanGrid, constants: TimingConstants, operand_elements: Array) -> Array:
    """Seconds to quantise matmul operands to fp8, shape (plans,): read 2 bytes and write 1 per element.

    operand_elements: count. Maxima and transposes are in ``fp8_cast_traffic`` (fitted).
    Source: our own count; NVIDIA Transformer Engine.
    """
    if not anywhere(grid.fp8 > 0):
        return NONE
    nbytes = 3.0 * operand_elements
    return grid.fp8 * constants.fp8_cast_traffic * nbytes / achievable_bandwidth(grid, constants)


def autocast_cast_s(grid: PlanGrid, constants: TimingConstants, weights: Array) -> Array:
    """Seconds to cast a block's fp32 weights for its matrix products under autocast, shape (plans,): read
    four bytes and write two for each, once a forward pass.

    weights: count per block.  Source: torch.autocast, which keeps the casts until it is left.
    """
    if not anywhere(grid.autocast > 0):
        return NONE
    nbytes = 6.0 * weights / grid.tensor_parallel
    return grid.autocast * nbytes / achievable_bandwidth(grid, constants)


def grouped_matmul_s(
    grid: PlanGrid,
    constants: TimingConstants,
    *,
    rate: Array,
    groups: Array,
    rows: Array,
    inner: Array,
    columns: Array,
) -> Array:
    """Seconds of ``groups`` matmuls of (rows x inner) @ (inner x columns) in one kernel, shape (plans,).

    rate: achievable FLOP/s of a large matmul.  groups: experts of this rank.  rows: tokens of each.

    Its tiles fill the multiprocessors together, so only the last wave of all is half empty; but each group's
    last tile of rows is filled on average by half, and few rows cannot hide reading the weights.
    Source: our own count, with the constants of ``matmul_s``; TILE_ROWS as CUTLASS's grouped kernels have.
    """
    together = larger(groups, 1.0)
    losses = side_losses(grid, constants, rows, inner, columns, together)
    saturation = 1.0 + losses + 0.5 * TILE_ROWS / larger(rows, 1.0)
    arithmetic = 2.0 * rows * inner * columns / (rate * constants.grouped_efficiency) * saturation
    return together * root_of_squares(arithmetic, operand_s(grid, constants, rows, inner, columns))


def adapter_s(grid: PlanGrid, constants: TimingConstants, tokens: Array, blocks: Array) -> Array:
    """Forward seconds of the low-rank adapters of one block, shape (plans,).

    tokens: per micro-batch and rank.  blocks: count of blocks in the model. Their matmuls are thin, so
    reading inputs and adding to outputs bounds them. Source: Hu et al. 2021 (LoRA); ``adapter_traffic`` is
    fitted.
    """
    if not anywhere(grid.frozen > 0):
        return NONE
    elements = tokens * grid.lora_width / larger(blocks, 1.0) / grid.tensor_parallel
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
    if not anywhere(grid.quantized > 0):
        return NONE
    nbytes = weights * (grid.frozen_bytes + 2.0) / grid.tensor_parallel
    passes = where(grid.integer_quantized > 0, constants.unpacking_traffic, constants.dequantisation_traffic)
    return grid.quantized * passes * nbytes / achievable_bandwidth(grid, constants)
