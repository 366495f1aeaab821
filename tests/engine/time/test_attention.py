"""Attention cores by hand: 3 sequences of 10 queries that meet 5 of 10 keys, 2 heads of 4."""

import numpy as np
import pytest

from planner.engine.grid.plan_grid import ARCHITECTURES, ATTENTION_KERNELS, COMPILED
from planner.engine.time import flops
from planner.engine.time.attention import (
    MASKED_RATIO,
    WIDE_RATIO,
    AttentionTime,
    attention_core_s,
    fused_rate,
)
from planner.engine.time.attention_rates import BACKWARD, FORWARD, Curves, rates_of
from planner.engine.time.constants import TimingConstants
from tests.engine.bare import AMPERE, RATE, bare_constants, bare_grid, framework, number

#: 2 x 3 x 10 queries x 5 keys x 2 heads x (4 + 4).
OPERATIONS = 2 * 30 * 5 * 2 * 8


def core(constants: TimingConstants | None = None, **changes: float) -> AttentionTime:
    return attention_core_s(
        bare_grid(**changes),
        constants or bare_constants(),
        sequences=np.float64(3.0),
        queries=np.float64(10.0),
        keys=np.float64(10.0),
        keys_met=np.float64(5.0),
    )


def test_fused_attention_runs_at_a_rate_of_its_own() -> None:
    found = core(bare_constants(neuron_attention=0.5))
    assert number(found.forward) == pytest.approx(OPERATIONS / (0.5 * RATE))


def test_flash_backward_is_five_matmuls_for_two() -> None:
    """Dao et al. 2022, algorithms 1 and 4."""
    found = core()
    assert number(found.backward) == pytest.approx(2.5 * number(found.forward))


#: FlashAttention repository and Shah et al. 2024: TFLOP/s, by kernel, chip, head width, direction, causal and
#: tokens. fwd_bwd: both directions together, 3.5 times the forward's work.
PLOTTED = [
    *(("flash_2", "ampere", 128, "fwd_bwd", True, 512 * 2**n, rate) for n, rate in
      enumerate([99, 133, 155, 173, 182, 189])),
    *(("flash_2", "hopper", 128, "fwd_bwd", True, 512 * 2**n, rate) for n, rate in
      enumerate([163, 221, 265, 294, 308, 328])),
    *(("flash_1", "ampere", 128, "fwd_bwd", True, tokens, rate) for tokens, rate in
      [(2048, 72), (16384, 83)]),
    *(("flash_2", "hopper", 128, "fwd", False, tokens, rate) for tokens, rate in [(1024, 350), (16384, 370)]),
    *(("flash_3", "hopper", 128, "fwd", False, tokens, rate) for tokens, rate in [(1024, 565), (16384, 648)]),
    *(("cudnn", "hopper", 128, "fwd", False, tokens, rate) for tokens, rate in [(1024, 574), (16384, 595)]),
    *(("flash_3", "hopper", 64, "fwd", False, tokens, rate) for tokens, rate in [(1024, 392), (16384, 497)]),
    *(("cudnn", "hopper", 64, "fwd", False, tokens, rate) for tokens, rate in [(1024, 373), (16384, 413)]),
    *(("flash_2", "hopper", 128, "bwd", False, tokens, rate) for tokens, rate in [(512, 214), (16384, 322)]),
    *(("flash_3", "hopper", 128, "bwd", False, tokens, rate) for tokens, rate in [(512, 316), (16384, 561)]),
    *(("cudnn", "hopper", 128, "bwd", False, tokens, rate) for tokens, rate in [(512, 305), (16384, 516)]),
]  # fmt: skip
PEAKS = {"ampere": 312e12, "hopper": 989.4e12, "blackwell": 2250e12, "blackwell_rtx": 480e12}


@pytest.mark.parametrize(("kernel", "chip", "head", "way", "causal", "tokens", "tflops"), PLOTTED)
def test_published_rates_come_back(
    kernel: str, chip: str, head: int, way: str, causal: bool, tokens: int, tflops: float
) -> None:
    grid = bare_grid(
        attention_kernel=float(ATTENTION_KERNELS.index(kernel)),
        architecture=float(ARCHITECTURES.index(chip)),
        bf16_flops_per_s=PEAKS[chip], head_dim=head, causal=float(causal), sequence_length=tokens,
    )  # fmt: skip
    length = np.float64(tokens)
    forward, backward = (
        number(fused_rate(grid, bare_constants(), curve, length)) / 1e12 for curve in (FORWARD, BACKWARD)
    )
    rate = {"fwd": forward, "bwd": backward, "fwd_bwd": 3.5 / (1 / forward + 2.5 / backward)}[way]
    assert rate == pytest.approx(tflops, rel=0.12)


def test_a_width_between_two_tiles_is_computed_as_the_wider() -> None:
    shape = {"architecture": AMPERE, "attention_kernel": float(ATTENTION_KERNELS.index("flash_2"))}
    odd, even = (
        number(fused_rate(bare_grid(**shape, head_dim=head), bare_constants(), FORWARD, np.float64(1e9)))
        for head in (80, 96)
    )
    assert odd == pytest.approx(even * 80 / 96)


def test_a_kernel_that_a_chip_lacks_is_the_next_that_it_has() -> None:
    assert rates_of("flash_3", "ampere") == rates_of("flash_2", "ampere")
    assert rates_of("cudnn", "turing") == rates_of("flash_1", "turing")
    assert rates_of("flash_2", "other") == rates_of("flash_2", "ampere")


def rate_tflops(kernel: str, chip: str, length: float, curve: Curves = FORWARD, **changes: float) -> float:
    grid = bare_grid(
        attention_kernel=float(ATTENTION_KERNELS.index(kernel)),
        architecture=float(ARCHITECTURES.index(chip)),
        **{"bf16_flops_per_s": PEAKS[chip], "head_dim": 128, "causal": 0.0, **changes},
    )
    return number(fused_rate(grid, bare_constants(), curve, np.float64(length))) / 1e12


@pytest.mark.parametrize(
    ("length", "curve", "tflops"), [(4096, FORWARD, 94), (8192, FORWARD, 104), (1024, BACKWARD, 73)]
)
def test_the_memory_efficient_kernel_runs_as_published(length: int, curve: Curves, tflops: float) -> None:
    """A100, heads of 128, no mask: xformers issue 712; its pull 587 and NVIDIA/cutlass pull 992."""
    unmasked = rate_tflops("memory_efficient", "ampere", length, curve) / MASKED_RATIO
    assert unmasked == pytest.approx(tflops, rel=0.12)


@pytest.mark.parametrize(("length", "curve", "tflops"), [(8192, FORWARD, 23.5), (1024, BACKWARD, 14.7)])
def test_fp32_queries_take_three_tf32_products(length: int, curve: Curves, tflops: float) -> None:
    """A100, heads of 128: facebookresearch/xformers issue 712 and pull 587."""
    wide = rate_tflops("flash_2", "ampere", length, curve, wide_attention=1)
    assert wide == pytest.approx(tflops, rel=0.15)
    assert rate_tflops("flash_2", "ampere", length, curve, full_precision=1) == wide
    assert wide < WIDE_RATIO * rate_tflops("flash_2", "ampere", length, curve)


def test_a_mask_given_as_a_tensor_slows_the_kernel_that_takes_it() -> None:
    grid = {"flash": 1, "attention_kernel": float(ATTENTION_KERNELS.index("memory_efficient"))}
    row = bare_grid(sequence_length=8, causal=1, **grid)
    assert number(flops.attended_tokens(row, row.sequence_length)) == 8
    assert rate_tflops("memory_efficient", "ampere", 8192) < rate_tflops("flash_1", "ampere", 8192)


def test_power_limits_attention_as_it_does_matmuls() -> None:
    """An H100 PCIe at 350 W and an L4 at 72 W do not run at their peak's share."""
    free = rate_tflops("flash_2", "hopper", 8192)
    assert rate_tflops("flash_2", "hopper", 8192, sustained_share=0.8) == pytest.approx(0.8 * free)


@pytest.mark.parametrize(("kernel", "tflops"), [("flash_2", 187)])
def test_an_rtx_5090_reaches_what_was_measured(kernel: str, tflops: float) -> None:
    """PyTorch's FlashAttention-2, 4096 queries and 8192 keys (gau-nernst, 2025: 187 of 209.5 TFLOP/s)."""
    share = 254.0 / 209.5 / (457.6 / 480)
    found = rate_tflops(kernel, "blackwell_rtx", 4096, bf16_flops_per_s=209.5e12, sustained_share=share)
    assert found == pytest.approx(tflops, rel=0.12)


@pytest.mark.parametrize(("length", "tflops"), [(2048, 381), (16384, 379)])
def test_flash_attention_2_on_b200_with_narrow_heads(length: int, tflops: float) -> None:
    """Heads of 64, forward (Dao-AILab/flash-attention issue 1589, 2025)."""
    found = rate_tflops("flash_2", "blackwell", length, bf16_flops_per_s=2250e12, head_dim=64)
    assert found == pytest.approx(tflops, rel=0.12)


def test_samples_of_a_packed_row_do_not_see_each_other() -> None:
    row = bare_grid(sequence_length=8, sample_tokens=4)
    assert number(flops.attended_tokens(row, row.sequence_length)) == 2
    whole = bare_grid(sequence_length=8, sample_tokens=4, flash=0)
    assert number(flops.attended_tokens(whole, whole.sequence_length)) == 8


@pytest.mark.parametrize(
    ("stack", "passes"), [("generic", 6.0), ("megatron", 4.0), ("deepspeed", 4.0), ("fsdp", 6.0)]
)
def test_unfused_scores_are_passed_over_again_and_again(stack: str, passes: float) -> None:
    """Arithmetic, and passes over 3 x 10 x 10 scores of 2 heads, 2 bytes each, at 100 bytes a second."""
    constants = bare_constants(score_passes=6.0, fused_score_passes=4.0)
    changes = {"flash": 0, "memory_bandwidth_bytes_per_s": 100.0, "framework": framework(stack)}
    found = core(constants, **changes)
    moved = passes * 600 * 2 / 100
    assert number(found.forward) == pytest.approx(OPERATIONS / RATE + moved)
    assert number(found.backward) == pytest.approx(2 * OPERATIONS / RATE + 1.46 * moved)
    wide = core(constants, **changes, autocast=1)
    assert number(wide.forward) == pytest.approx(OPERATIONS / RATE + 1.5 * moved)
    compiled = core(constants, **changes, kernels=COMPILED)
    assert number(compiled.forward) == pytest.approx(OPERATIONS / RATE + 4.0 * 600 * 2 / 100)


def test_heads_are_split_over_tensor_parallel_ranks() -> None:
    for flash in (0, 1):
        changes = {"flash": flash, "memory_bandwidth_bytes_per_s": 100.0}
        whole, half = core(**changes), core(**changes, tensor_parallel=2)
        assert number(half.forward) == pytest.approx(number(whole.forward) / 2)
        assert number(half.backward) == pytest.approx(number(whole.backward) / 2)
