"""Laws of intervals: nested, wider the farther a plan is from what was measured."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.engine.grid.plan_grid import ARCHITECTURES, PlanGrid
from planner.engine.sure.intervals import (
    UNSAID,
    WIDENING,
    Intervals,
    Quantiles,
    bounds,
    model_kind,
    precision_kind,
    run_class,
    task_kind,
    time_scale,
    what_is_far,
)
from tests.engine.bare import AMPERE, HOPPER
from tests.engine.bare import bare_grid as bare

INTERVALS = Intervals(
    near={
        "time": Quantiles(low=-0.1, high=0.2),
        "memory": Quantiles(low=-0.01, high=0.02),
        "time/encoder": Quantiles(low=-0.5, high=0.6),
    },
    far={"time": Quantiles(low=-0.3, high=0.4), "memory": Quantiles(low=-0.05, high=0.06)},
    seen={
        "architectures": ["ampere"],
        "precisions": ["ampere/16-bit"],
        "kinds": ["decoder"],
        "frameworks": ["generic"],
        "largest_ranks": {"ampere": 8},
        "longest_sequence": 8,
    },
)


def bare_grid(**changes: float) -> PlanGrid:
    """A plan on the kind of chip that INTERVALS know."""
    return bare(**{"architecture": AMPERE, **changes})


def test_quantiles_of_the_logarithm_are_factors_of_the_point() -> None:
    assert bounds(10.0, "time", INTERVALS, ()) == pytest.approx((10 * math.exp(-0.1), 10 * math.exp(0.2)))
    assert bounds(10.0, "memory", INTERVALS, ()) == pytest.approx((10 * math.exp(-0.01), 10 * math.exp(0.02)))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_thing_far_widens_the_range_of_time_and_each_further_one_that_of_memory(count: int) -> None:
    far = ("a", "b", "c")[:count]
    wider = WIDENING**count
    assert bounds(1.0, "time", INTERVALS, far) == pytest.approx(
        (math.exp(-0.3 * wider), math.exp(0.4 * wider))
    )
    wider = WIDENING ** (count - 1)
    assert bounds(1.0, "memory", INTERVALS, far) == pytest.approx(
        (math.exp(-0.05 * wider), math.exp(0.06 * wider))
    )


def test_the_scale_is_that_of_chip_and_kind_and_grows_with_what_was_left_unsaid() -> None:
    scaled = replace(INTERVALS, scales={"architecture": {"ampere": 0.5}, "kind": {"mixture": 3.0}})
    assert time_scale(bare_grid(), scaled) == 0.5
    assert time_scale(bare_grid(moe_blocks=1), scaled) == 1.5
    assert time_scale(bare_grid(architecture=HOPPER, moe_blocks=1), scaled) == 3.0
    assert time_scale(bare_grid(unsaid_inputs=2), scaled) == pytest.approx(0.5 * UNSAID**2)
    both = bare_grid(unsaid_inputs=2, unsaid_of_machine=1)
    assert time_scale(both, scaled) == pytest.approx(0.5 * UNSAID**3)
    assert bounds(1.0, "time", INTERVALS, (), "", 2.0) == pytest.approx((math.exp(-0.2), math.exp(0.4)))


def test_the_class_is_that_of_model_and_task() -> None:
    assert run_class(bare_grid()) == "pretraining"
    assert run_class(bare_grid(finetuning=1)) == "finetuning"
    assert run_class(bare_grid(finetuning=1, encoder=1)) == run_class(bare_grid(vision=1)) == "encoder"


def test_a_narrower_class_has_quantiles_of_its_own_where_there_are_some() -> None:
    assert bounds(1.0, "time", INTERVALS, (), "encoder") == pytest.approx((math.exp(-0.5), math.exp(0.6)))
    assert bounds(1.0, "memory", INTERVALS, (), "encoder") == bounds(1.0, "memory", INTERVALS, ())


@given(point=st.floats(1e-6, 1e12), quantity=st.sampled_from(["time", "memory"]))
def test_bounds_are_nested_and_hold_the_point(point: float, quantity: str) -> None:
    found = [bounds(point, quantity, INTERVALS, ("far",) * count) for count in range(4)]
    for (low, high), (lower, higher) in itertools.pairwise(found):
        assert 0 < lower <= low <= point <= high <= higher


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"architecture": float(ARCHITECTURES.index("volta"))}, "accelerator"),
        ({"fp8": 1}, "precision"),
        ({"moe_blocks": 1}, "model kind"),
        ({"framework": 1}, "framework"),
        ({"data_parallel": 17}, "scale"),
        ({"sequence_length": 17}, "sequence"),
        ({"offload": 1}, "offload"),
    ],
)
def test_each_thing_that_was_not_measured_is_named(changes: dict[str, float], word: str) -> None:
    assert [text.split(":")[0] for text in what_is_far(bare_grid(**changes), INTERVALS)] == [word]


def test_up_to_twice_the_largest_measured_is_near() -> None:
    assert what_is_far(bare_grid(data_parallel=16, sequence_length=16), INTERVALS) == ()


def test_kinds_of_models_precisions_and_tasks() -> None:
    kinds = [{}, {"moe_blocks": 1}, {"decoder_blocks": 1}, {"vision": 1, "encoder": 1}, {"encoder": 1}]
    assert [model_kind(bare_grid(**changes)) for changes in kinds] == [
        "decoder", "mixture of experts", "encoder-decoder", "vision", "encoder",
    ]  # fmt: skip
    precisions = [{}, {"fp8": 1}, {"full_precision": 1}]
    assert [precision_kind(bare_grid(**each)) for each in precisions] == ["16-bit", "fp8", "fp32"]
    tasks = [{}, {"finetuning": 1}, {"frozen": 1}, {"frozen": 1, "quantized": 1}]
    assert [task_kind(bare_grid(**each)) for each in tasks] == ["pretraining", "finetuning", "lora", "qlora"]
