"""Kernels on an ideal machine: the roofline, tiles, passes over memory, casts and dequantisation by hand."""

from typing import Any

import numpy as np
import pytest

from planner.engine.grid.plan_grid import ARCHITECTURES, COMPILED, FUSED, PLAIN, TRANSFORMER_ENGINE
from planner.engine.time import kernels
from tests.engine.bare import AMPERE, RATE, bare_constants, bare_grid, number

VOLTA = float(ARCHITECTURES.index("volta"))


def matmul(grid: Any, constants: Any, rows: float, inner: float, columns: float) -> float:
    sides = {"rows": np.float64(rows), "inner": np.float64(inner), "columns": np.float64(columns)}
    return number(kernels.matmul_s(grid, constants, rate=np.float64(RATE), **sides))


def test_work_side_by_side_adds_as_a_root_of_squares() -> None:
    assert number(kernels.root_of_squares(np.float64(3.0), np.float64(4.0))) == 5.0


def test_a_large_matmul_is_bound_by_arithmetic() -> None:
    assert matmul(bare_grid(), bare_constants(), 10, 64, 128) == pytest.approx(2 * 10 * 64 * 128 / RATE)


def test_a_slow_memory_bounds_a_matmul_by_its_three_operands() -> None:
    """Williams et al. 2009, the roofline: (10 x 64 + 64 x 128 + 10 x 128) elements of 2 bytes at 1 byte/s."""
    grid = bare_grid(memory_bandwidth_bytes_per_s=1.0)
    arithmetic, traffic = 2 * 10 * 64 * 128 / RATE, 2.0 * (640 + 8192 + 1280)
    assert matmul(grid, bare_constants(), 10, 64, 128) == pytest.approx(np.hypot(arithmetic, traffic))
    halved = bare_constants(bandwidth_efficiency=0.5)
    assert matmul(grid, halved, 10, 64, 128) == pytest.approx(np.hypot(arithmetic, 2 * traffic))


def test_waves_and_prologues_slow_a_matmul_by_the_mean_of_its_three_turns() -> None:
    # Sides 64, 64, 128: areas 4096, 8192, 8192; one wave holds 8192 elements.
    waves = bare_constants(wave_elements=8192.0)
    plain = 2 * 64 * 64 * 128 / RATE
    assert matmul(bare_grid(architecture=AMPERE), waves, 64, 64, 128) == pytest.approx(
        plain * (1 + (2 + 1 + 1) / 3)
    )
    # Tiles of 32-bit kernels are half as large.
    wide = bare_grid(architecture=AMPERE, full_precision=1)
    assert matmul(wide, waves, 64, 64, 128) == pytest.approx(plain * (1 + (2 + 1 + 1) / 6), rel=1e-3)
    shallow = bare_constants(shallow_inner=128.0)
    assert matmul(bare_grid(), shallow, 64, 64, 128) == pytest.approx(plain * (1 + (2 + 2 + 1) / 3))


@pytest.mark.parametrize(("inner", "columns", "factor"), [(64, 128, 1.0), (65, 128, 1.5), (64, 100, 1.5)])
def test_widths_that_fill_no_whole_lines_are_slower(inner: int, columns: int, factor: float) -> None:
    seconds = matmul(bare_grid(), bare_constants(misaligned=1.5), 10, inner, columns)
    assert seconds == pytest.approx(factor * 2 * 10 * inner * columns / RATE)


@pytest.mark.parametrize(("columns", "slower"), [(128, 1.0), (100, 1.5), (121, 4.0)])
def test_old_chips_leave_their_tensor_cores_idle_on_uneven_sides(columns: int, slower: float) -> None:
    old = bare_grid(architecture=VOLTA)
    seconds = matmul(old, bare_constants(misaligned=1.5), 10, 64, columns)
    slower = slower if columns != 100 else 4.0  # 100 is no multiple of 8 either
    assert seconds == pytest.approx(slower * 2 * 10 * 64 * columns / RATE)


@pytest.mark.parametrize(
    ("changes", "share"),
    [
        ({}, 0.5),
        ({"sustained_share": 0.8}, 0.4),
        ({"sustained_share": 0.8, "fp8": 1, "bf16_flops_per_s": RATE / 2}, 0.32),
        ({"fp8": 1, "bf16_flops_per_s": RATE / 2}, 0.4),
        # Where sixteen bits have the same peak, eight run at their rate at least.
        ({"fp8": 1}, 0.5),
        ({"full_precision": 1}, 0.2),
        ({"full_precision": 1, "tf32": 1}, 0.3),
    ],
)
def test_each_precision_has_its_share_of_peak(changes: dict[str, float], share: float) -> None:
    shares = bare_constants(
        matmul_efficiency=0.5,
        fp8_efficiency=0.4,
        fp32_efficiency=0.2,
        tf32_efficiency=0.3,
    )
    assert number(kernels.matmul_rate(bare_grid(**changes), shares)) == pytest.approx(share * RATE)


@pytest.mark.parametrize(("chip", "ratio"), [("hopper", 1.0), ("blackwell", 0.763 / 0.709), ("cdna3", 0.635)])
def test_fp8_reaches_of_its_peak_what_was_measured_beside_hopper(chip: str, ratio: float) -> None:
    """stas00/ml-engineering: 1403 of 1979 TFLOP/s on H100, 3433 of 4500 on B200."""
    constants = bare_constants(fp8_efficiency=0.5, matmul_efficiency=0.1)
    grid = bare_grid(fp8=1, architecture=float(ARCHITECTURES.index(chip)))
    assert number(kernels.matmul_rate(grid, constants)) == pytest.approx(0.5 * ratio * RATE, rel=1e-2)


def test_thirty_two_bits_are_never_faster_than_sixteen() -> None:
    grid = bare_grid(full_precision=1, tf32=1)
    constants = bare_constants(matmul_efficiency=0.4, tf32_efficiency=0.8, fp32_efficiency=0.1)
    assert number(kernels.matmul_rate(grid, constants)) == pytest.approx(0.4 * RATE)


def test_tf32_is_never_slower_than_plain_cores() -> None:
    grid = bare_grid(full_precision=1, tf32=1, fp32_flops_per_s=0.9 * RATE)
    constants = bare_constants(fp32_efficiency=0.5, tf32_efficiency=0.4)
    assert number(kernels.matmul_rate(grid, constants)) == pytest.approx(0.45 * RATE)


def test_the_head_stays_in_sixteen_bits_under_fp8() -> None:
    grid = bare_grid(fp8=1, peak_flops_per_s=2 * RATE)
    constants = bare_constants(matmul_efficiency=0.5, fp8_efficiency=0.4)
    assert number(kernels.head_rate(grid, constants)) == pytest.approx(0.5 * RATE)
    full = bare_grid(full_precision=1, peak_flops_per_s=RATE / 8)
    assert number(kernels.head_rate(full, bare_constants(fp32_efficiency=0.4))) == pytest.approx(0.05 * RATE)


@pytest.mark.parametrize(
    ("changes", "elements"),
    [
        # Twelve passes over the hidden width of 8, two over the inner width of 16; three with a gate.
        ({}, 12 * 8 + 2 * 16),
        ({"gated": 1}, 12 * 8 + 3 * 16),
        ({"dropout": 1}, 15 * 8 + 2 * 16),
        # Under autocast the hidden part moves fp32 and is cast.
        ({"autocast": 1}, 2.5 * 12 * 8 + 2 * 16),
        ({"tensor_parallel": 4}, 12 * 8 + 2 * 4),
        ({"tensor_parallel": 4, "sequence_parallel": 1}, 12 * 2 + 2 * 4),
        # Rotary embedding reads and writes queries and keys, in place of two passes for biases; their norms
        # once more, both split by tensor parallelism.
        ({"rotary_width": 20}, 10 * 8 + 2 * 20 + 2 * 16),
        ({"rotary_width": 20, "normed_width": 20, "tensor_parallel": 4}, 10 * 8 + 4 * 20 / 4 + 2 * 4),
        # Hugging Face's modules: 18 passes a norm, 10 over what is turned, 18 over what is normalised, five
        # for an activation and its gate.
        (
            {"kernels": PLAIN, "finetuning": 1, "gated": 1, "rotary_width": 20, "normed_width": 20},
            (36 + 6) * 8 + (10 + 18) * 20 + 5 * 16,
        ),
        (
            {"kernels": PLAIN, "finetuning": 1, "layernorm": 1},
            12 * 8 + 2 * 16,
        ),
    ],
)
def test_passes_between_matmuls(changes: dict[str, float], elements: float) -> None:
    grid = bare_grid(**changes)
    assert number(kernels.elementwise_bytes(grid, grid.sequence_length, grid.ffn_size)) == 8 * elements * 2


@pytest.mark.parametrize(
    ("changes", "factor"),
    [
        ({"kernels": PLAIN}, 2.0),
        ({"kernels": PLAIN, "finetuning": 1}, 6.0),
        # Hugging Face's LayerNorm is one kernel.
        ({"kernels": PLAIN, "finetuning": 1, "layernorm": 1}, 2.0),
        ({"kernels": COMPILED, "finetuning": 1}, 0.5),
        ({"kernels": FUSED, "finetuning": 1}, 1.5),
        ({"kernels": TRANSFORMER_ENGINE}, 1.25),
    ],
)
def test_who_fuses_moves_fewer_bytes(changes: dict[str, float], factor: float) -> None:
    constants = bare_constants(
        eager_traffic=2.0, plain_traffic=6.0, fused_traffic=1.5, engine_traffic=1.25, compiled_traffic=0.5
    )
    grid = bare_grid(memory_bandwidth_bytes_per_s=10.0, **changes)
    assert number(kernels.elementwise_s(grid, constants, np.float64(100.0))) == pytest.approx(10 * factor)


def test_autocast_casts_each_weight_once_a_forward_pass() -> None:
    grid = bare_grid(autocast=1, tensor_parallel=2, memory_bandwidth_bytes_per_s=1.0)
    assert number(kernels.autocast_cast_s(grid, bare_constants(), np.float64(100.0))) == 100 * 6 / 2
    assert number(kernels.autocast_cast_s(bare_grid(), bare_constants(), np.float64(100.0))) == 0.0


def test_a_cast_reads_two_bytes_and_writes_one() -> None:
    grid = bare_grid(fp8=1, memory_bandwidth_bytes_per_s=1.0)
    assert number(kernels.fp8_cast_s(grid, bare_constants(), np.float64(5.0))) == 15.0
    assert number(kernels.fp8_cast_s(bare_grid(), bare_constants(), np.float64(5.0))) == 0.0


def test_adapters_read_their_width_in_each_block() -> None:
    # 8 tokens x 48 wide over 2 blocks and 2 ranks, 2 bytes each.
    grid = bare_grid(frozen=1, lora_width=48, tensor_parallel=2, memory_bandwidth_bytes_per_s=1.0)
    assert (
        number(kernels.adapter_s(grid, bare_constants(), grid.sequence_length, grid.layers))
        == 8 * 48 / 2 / 2 * 2
    )


@pytest.mark.parametrize(("integer", "passes"), [(0, 1.0), (1, 3.0)])
def test_dequantisation_reads_packed_weights_and_writes_sixteen_bits(integer: int, passes: float) -> None:
    """Dettmers et al. 2023: half a byte read and two written for each of 100 weights, on two ranks."""
    grid = bare_grid(
        quantized=1,
        integer_quantized=integer,
        frozen_bytes=0.5,
        tensor_parallel=2,
        memory_bandwidth_bytes_per_s=1.0,
    )
    seconds = kernels.dequantisation_s(grid, bare_constants(unpacking_traffic=3.0), np.float64(100.0))
    assert number(seconds) == pytest.approx(passes * 100 * 2.5 / 2)
