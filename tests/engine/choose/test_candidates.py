"""Which of several priced candidates is taken: by hand, with plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from planner.engine.choose.candidates import Priced, least_recompute, price_each, reluctance
from planner.engine.layout.enumeration import Candidates, axes_of, candidates_on, degrees_on
from planner.engine.sure.calibration import Calibration
from tests.engine.questions import question

ONES = ("tensor_parallel", "pipeline_parallel", "context_parallel", "expert_parallel", "interleaved_stages")


def priced(
    *,
    total: list[float],
    step_s: list[float],
    usable: float = 100.0,
    margin: float = 1.0,
    task: Any = "pretraining",
    **degrees: Any,
) -> Priced:
    arrays = {name: np.ones(len(total)) for name in ONES} | {"sharding": np.zeros(len(total))}
    arrays |= {name: np.array(values, dtype=float) for name, values in degrees.items()}
    memory = np.array(total)
    return Priced(Candidates(arrays, ()), task, memory, usable, margin, memory <= usable, np.array(step_s))


def test_the_fastest_that_fits_is_taken() -> None:
    assert priced(total=[10, 20, 30], step_s=[3.0, 1.0, 2.0]).best() == 1


def test_where_nothing_fits_the_smallest_is_taken() -> None:
    assert priced(total=[300, 110, 200], step_s=[np.inf] * 3).best() == 1


def test_ties_go_to_the_plainer_and_then_to_the_first() -> None:
    assert priced(total=[10, 10], step_s=[1.0, 1.0], tensor_parallel=[2, 1]).best() == 1
    assert priced(total=[10, 10], step_s=[1.0, 1.0]).best() == 0


def test_a_doubling_must_win_its_share() -> None:
    """A pipeline of two has to win two in a hundred; 1.9 % is too little, 2.1 % enough."""
    assert priced(total=[10, 10], step_s=[1.019, 1.0], pipeline_parallel=[1, 2]).best() == 0
    assert priced(total=[10, 10], step_s=[1.021, 1.0], pipeline_parallel=[1, 2]).best() == 1
    assert reluctance(priced(total=[10], step_s=[1], pipeline_parallel=[8])).tolist() == pytest.approx([0.06])


def test_fine_tuning_would_rather_not_split_a_model() -> None:
    plan = {"total": [10.0], "step_s": [1.0], "tensor_parallel": [2]}
    assert reluctance(priced(**plan, task="full_finetuning"))[0] == pytest.approx(0.015 + 0.35)
    assert reluctance(priced(**plan))[0] == pytest.approx(0.015)


@pytest.mark.parametrize(
    ("total", "held_back"), [(95.0, 0.0), (95.1, 0.03), (98.1, 0.03 + 0.07), (99.6, 0.03 + 0.07 + 0.1)]
)
def test_a_full_memory_holds_a_plan_back(total: float, held_back: float) -> None:
    assert reluctance(priced(total=[total], step_s=[1.0]))[0] == pytest.approx(held_back)


def test_the_least_recompute_that_fits_is_the_only_one_timed() -> None:
    fits = np.array([False, True, True, True, True, True, False, False, False])
    assert least_recompute(fits, 3).tolist() == [
        False, True, False, True, False, False, False, False, False,
    ]  # fmt: skip
    assert least_recompute(fits, 1).tolist() == fits.tolist()


def test_what_does_not_fit_is_never_timed(calibration: Calibration) -> None:
    request = question(model="llama-3.1-70b", sequence_length=8192)
    axes = axes_of(request)
    candidates = candidates_on(axes, request, degrees_on(axes, request, 32))
    (found,) = price_each([(request, candidates)], calibration)
    assert found.fits.any()
    assert not found.fits.all()
    assert (np.isfinite(found.step_s) == found.fits).all()
    assert (found.memory_total_bytes[found.fits] <= found.usable_bytes).all()


def test_a_plan_that_may_run_out_of_memory_must_win_half_a_step() -> None:
    """With a margin of 1.2, 90 of 100 lacks 0.44 of it and 80 nothing: worth 0.5 + 0.25 x 0.44 step."""
    assert priced(total=[90, 80], step_s=[1.0, 1.60], margin=1.2).best() == 1
    assert priced(total=[90, 80], step_s=[1.0, 1.62], margin=1.2).best() == 0


def test_of_two_that_may_run_out_the_better_chance_is_taken_unless_it_is_much_slower() -> None:
    """With a margin of 1.2, 94 of 100 lacks 0.68 of it and 85 lacks 0.12: 0.25 x 0.56 of the step apart."""
    assert priced(total=[94, 85], step_s=[1.0, 1.08], margin=1.2).best() == 1
    assert priced(total=[94, 85], step_s=[1.0, 1.12], margin=1.2).best() == 0
