"""Throughput and utilization, by hand and as two papers print them."""

import numpy as np
import pytest

from planner.engine.run import throughput


def test_tokens_a_second() -> None:
    assert throughput.tokens_per_s(4_000_000.0, 8.0) == 500_000.0


def test_two_neuron_cores_are_one_chip() -> None:
    """1,000 tokens/s on 32 ranks, two of which are a chip: 62.5 a chip."""
    assert throughput.tokens_per_s_per_accelerator(1000.0, 32.0, 2.0) == 62.5
    assert throughput.tokens_per_s_per_accelerator(1000.0, 8.0, 1.0) == 125.0


def test_samples_a_second() -> None:
    assert throughput.samples_per_s(256.0, 4.0) == 64.0


def test_model_flops_utilization_is_work_over_peak() -> None:
    """6e15 FLOPs in 2 s are 3e15 a second: on 8 ranks of 1e15 three eighths."""
    share = throughput.model_flops_utilization(6e15, 2.0, ranks=8.0, peak_flops_per_s=1e15)
    assert share == pytest.approx(0.375)


def test_hardware_flops_utilization_counts_the_recomputed() -> None:
    """A third more FLOPs in the same time: 4 / 8 instead of 3 / 8."""
    share = throughput.hardware_flops_utilization(6e15, 2e15, 2.0, ranks=8.0, peak_flops_per_s=1e15)
    assert share == pytest.approx(0.5)


def test_palm_540b() -> None:
    """Chowdhery et al. 2022, section 4.1 and appendix B: 238.3e3 tokens/s on 6,144 TPU v4 of 275 TFLOP/s are
    46.2 % (45.7 % without attention); 118 layers, 48 heads of 256, 2,048 tokens."""
    per_token = 6 * 540.35e9 + 12 * 118 * 48 * 256 * 2048
    share = throughput.model_flops_utilization(
        238.3e3 * per_token, 1.0, ranks=6144.0, peak_flops_per_s=275e12
    )
    assert share == pytest.approx(0.462, abs=0.001)
    plain = throughput.model_flops_utilization(
        238.3e3 * 6 * 540.35e9, 1.0, ranks=6144.0, peak_flops_per_s=275e12
    )
    assert plain == pytest.approx(0.457, abs=0.001)


def test_one_share_a_plan() -> None:
    share = throughput.flops_utilization(
        np.array([1e15, 1e15]),
        np.array([1.0, 2.0]),
        ranks=np.array([2.0, 2.0]),
        peak_flops_per_s=np.array([1e15, 1e15]),
    )
    assert np.array_equal(share, [0.5, 0.25])
