"""Ranges of time hold on sources that neither the fit nor the ranges had seen, in every class."""

from __future__ import annotations

import numpy as np
import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.accuracy.fit import ranges
from planner.accuracy.runs import every_run, grid_of_runs, timed
from planner.accuracy.validate.coverage import time_coverage
from planner.engine.grid.plan_grid import ARCHITECTURES
from planner.engine.sure.intervals import bounds, run_class, time_scale, what_is_far
from tests.engine.bare import AMPERE, HOPPER, bare_grid

#: A class is judged from so many figures on.
ENOUGH = 20


@pytest.fixture(scope="module")
def covered() -> dict[str, list[tuple[str, bool]]]:
    """By class: (source, whether the range made without it holds) of each run."""
    found = time_coverage(shipped_calibration())
    by_class: dict[str, list[tuple[str, bool]]] = {}
    for run in timed(every_run(shipped_calibration())):
        if run.row_id in found:
            by_class.setdefault(run.kind, []).append((run.source, found[run.row_id][1]))
    return {kind: rows for kind, rows in by_class.items() if len(rows) >= ENOUGH}


@pytest.mark.parametrize("kind", ["pretraining", "encoder", "finetuning"])
def test_four_runs_in_five_of_unseen_sources_are_held(
    kind: str, covered: dict[str, list[tuple[str, bool]]]
) -> None:
    """Between once a source and once a row, as ``ranges.root_weights`` has it."""
    sources, held = zip(*covered[kind], strict=True)
    weight = ranges.root_weights(np.array(sources))
    share = float(np.sum(weight * np.array(held)) / weight.sum())
    assert 0.75 <= share <= 0.87
    assert 0.75 <= np.mean(held) <= 0.88


@pytest.mark.parametrize("kind", ["pretraining", "encoder", "finetuning"])
def test_ranges_are_narrower_than_a_factor_of_1_8(kind: str) -> None:
    """Median width of the ranges as shipped, high over low."""
    calibration = shipped_calibration()
    grid = grid_of_runs([run for run in timed(every_run(calibration)) if run.kind == kind])
    widths = []
    for row in range(len(grid.tensor_parallel)):
        far = what_is_far(grid, calibration.intervals, row)
        scale = time_scale(grid, calibration.intervals, row)
        low, high = bounds(1.0, "time", calibration.intervals, far, run_class(grid, row), scale)
        widths.append(high / low)
    assert np.median(widths) < 1.8


def test_every_class_with_enough_figures_is_judged(covered: dict[str, list[tuple[str, bool]]]) -> None:
    assert set(covered) == {"pretraining", "encoder", "finetuning"}


def test_a_quantile_by_weight() -> None:
    values, weight = np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0])
    assert ranges.weighted_quantile(values, weight, 0.5) == pytest.approx(2.0)
    assert ranges.weighted_quantile(values, weight, 0.0) == 1.0


def test_a_source_counts_once_in_a_scale_and_as_the_root_of_its_rows_in_a_quantile() -> None:
    sources = np.array(["a", "a", "a", "a", "b"])
    assert ranges.source_weights(sources).tolist() == [0.25, 0.25, 0.25, 0.25, 1.0]
    assert ranges.root_weights(sources).tolist() == [0.5, 0.5, 0.5, 0.5, 1.0]


def test_scales_of_few_sources_are_drawn_to_one() -> None:
    """Four sources as wide as the rest and one four times: (4 + 4) / (1 + 4), settled with the others'."""
    sources = np.array(["a", "b", "c", "d", "e"])
    chips = {"architecture": np.array(["ampere"] * 4 + ["hopper"])}
    scales = ranges.trait_scales(np.array([1.0, 1.0, 1.0, 1.0, 4.0]), chips, sources)["architecture"]
    assert scales["ampere"] == pytest.approx(1.0)
    assert scales["hopper"] == pytest.approx((4 + ranges.SCALE_PRIOR) / (1 + ranges.SCALE_PRIOR))


def test_wider_errors_of_a_chip_make_wider_ranges_of_that_chip_alone() -> None:
    rng = np.random.default_rng(5)
    count = 40
    chip = np.array([AMPERE, HOPPER] * (count // 2))
    residuals = rng.normal(size=count) * np.where(chip == HOPPER, 0.4, 0.1)
    sources = np.array([f"source {number}" for number in range(count)])
    fields = {"architecture": chip, "tensor_parallel": np.ones(count), "unsaid_inputs": np.zeros(count)}
    found = ranges.tables(bare_grid().with_fields(**fields), residuals, sources)
    scales = found["scales"]["architecture"]
    assert scales["hopper"] > 1.5 * scales["ampere"]
    assert set(scales) <= set(ARCHITECTURES)
    low, high = found["near"]["time/pretraining"]
    assert low < 0 < high
