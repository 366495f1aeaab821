"""The fitted constants against physics: nothing beyond what machines can do, nothing held by its bound."""

from __future__ import annotations

import numpy as np
import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.accuracy.fit import least_squares
from planner.engine.grid.clock import REFERENCE_SHARES
from planner.engine.grid.plan_grid import ARCHITECTURES, FRAMEWORKS
from planner.engine.time import attention_rates

TIMING = shipped_calibration().timing


@pytest.mark.parametrize("chip", sorted(REFERENCE_SHARES))
def test_no_matmul_beats_the_best_that_was_measured(chip: str) -> None:
    assert TIMING.matmul_efficiency[ARCHITECTURES.index(chip)] <= REFERENCE_SHARES[chip]


def test_no_share_of_a_peak_is_above_one() -> None:
    names = (
        "fp8_efficiency tf32_efficiency neuron_attention grouped_efficiency bandwidth_efficiency"
        " link_efficiency pcie_efficiency network_efficiency"
    )
    assert all(0.0 < getattr(TIMING, name) <= 1.0 for name in names.split())
    assert np.all((TIMING.matmul_efficiency > 0.0) & (TIMING.matmul_efficiency < 1.0))


def test_kernels_that_fuse_more_move_no_more() -> None:
    assert TIMING.compiled_traffic <= TIMING.fused_traffic <= TIMING.eager_traffic
    # Hugging Face's modules: more passes are counted, and all but those are made.
    assert 1.0 <= TIMING.plain_traffic < 1.5
    assert TIMING.fused_score_passes < TIMING.score_passes


def test_a_round_between_machines_takes_longer_than_one_within() -> None:
    assert TIMING.network_latency_s > TIMING.link_latency_s


def test_attention_s_published_rates_are_below_the_products_and_ordered() -> None:
    """No kernel beats the best matrix products of its chip."""
    for curves in (attention_rates.FORWARD, attention_rates.BACKWARD):
        for chip, name in enumerate(ARCHITECTURES):
            best = REFERENCE_SHARES.get(name, 0.86)
            assert np.all((curves.share[:, chip] > 0.0) & (curves.share[:, chip] < 0.9 * best)), name
    assert np.all(attention_rates.BACKWARD.share <= attention_rates.FORWARD.share)


def test_no_constant_is_held_by_its_bound() -> None:
    values = least_squares.from_mapping(shipped_constants())
    held = [
        f"{unknown.name}/{unknown.key}"
        for unknown, value, low, high in zip(
            least_squares.UNKNOWNS, values, least_squares.LOW, least_squares.HIGH, strict=True
        )
        if value - low < 1e-3 or high - value < 1e-3
    ]
    assert held == []


def shipped_constants() -> dict[str, float | dict[str, float]]:
    values: dict[str, float | dict[str, float]] = {}
    for unknown in least_squares.UNKNOWNS:
        own = getattr(TIMING, unknown.name)
        if not unknown.key:
            values[unknown.name] = float(own)
            continue
        table = values.setdefault(unknown.name, {})
        assert isinstance(table, dict)
        names: tuple[str, ...] = FRAMEWORKS if unknown.name == "step_slack_s" else ARCHITECTURES
        table[unknown.key] = float(own[names.index(unknown.key)])
    return values
