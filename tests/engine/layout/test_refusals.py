"""Layouts that make no sense are refused by field, with a remedy; what is left open is derived or chosen."""

from typing import Any

import pytest

from planner.engine.layout.enumeration import divisors
from planner.engine.question.errors import PlanErrors
from tests.engine.questions import answer, question

LLAMA_70B = "llama-3.1-70b"


@pytest.mark.parametrize(
    ("field", "value", "settings"),
    [
        ("layout.tensor_parallel", 7, {"layout": {"tensor_parallel": 7}}),
        ("layout.tensor_parallel", 3, {"layout": {"tensor_parallel": 3}}),
        ("layout.pipeline_parallel", 64, {"layout": {"pipeline_parallel": 64}, "cluster": {"nodes": 8}}),
        ("layout.pipeline_parallel", 5, {"layout": {"pipeline_parallel": 5}}),
        ("layout.tensor_parallel", 16, {"layout": {"tensor_parallel": 16}, "cluster": {"nodes": 1}}),
        ("layout.data_parallel", 5, {"layout": {"data_parallel": 5}}),
        (
            "layout.data_parallel",
            8,
            {"layout": {"tensor_parallel": 2, "pipeline_parallel": 1, "data_parallel": 8}},
        ),
        ("layout.interleaved_stages", 2, {"layout": {"pipeline_parallel": 1, "interleaved_stages": 2}}),
        ("layout.interleaved_stages", 99, {"layout": {"pipeline_parallel": 4, "interleaved_stages": 99}}),
        ("layout.context_parallel", 3, {"layout": {"context_parallel": 3}}),
        ("layout.expert_parallel", 8, {"layout": {"expert_parallel": 8}}),
        ("layout.expert_parallel", 3, {"model": "mixtral-8x7b", "layout": {"expert_parallel": 3}}),
        (
            "layout.expert_parallel",
            8,
            {
                "model": "mixtral-8x7b",
                "layout": {"expert_parallel": 8, "tensor_parallel": 1, "pipeline_parallel": 8},
            },
        ),
        (
            "layout.expert_parallel",
            8,
            {
                "model": "mixtral-8x7b",
                "moe": {"split_experts": True},
                "cluster": {"nodes": 2},
                "layout": {"expert_parallel": 8, "tensor_parallel": 4, "pipeline_parallel": 1},
            },
        ),
        (
            "layout.micro_batch_size",
            16,
            {"layout": {"tensor_parallel": 1, "pipeline_parallel": 1, "micro_batch_size": 16}},
        ),
        (
            "layout.micro_batch_size",
            3,
            {"layout": {"tensor_parallel": 1, "pipeline_parallel": 1, "micro_batch_size": 3}},
        ),
        ("layout.micro_batch_size", 512, {"layout": {"micro_batch_size": 512}}),
        (
            "layout.gradient_accumulation",
            3,
            {"layout": {"data_parallel": 32, "micro_batch_size": 2, "gradient_accumulation": 3}},
        ),
        ("layout.gradient_accumulation", 3, {"layout": {"gradient_accumulation": 3}}),
        (
            "workload.global_batch_size",
            8,
            {"layout": {"tensor_parallel": 1, "pipeline_parallel": 1}, "global_batch_size": 8},
        ),
        (
            "layout.data_parallel",
            32,
            {"layout": {"data_parallel": 32}, "global_batch_size": 8},
        ),
        ("layout.sharding_group", 7, {"layout": {"data_parallel": 32, "sharding_group": 7}}),
        (
            "layout.tensor_parallel",
            2,
            {"cluster": {"mig_profile": "3g.20gb"}, "layout": {"tensor_parallel": 2}},
        ),
        (
            "layout.pipeline_parallel",
            2,
            {"cluster": {"mig_profile": "3g.20gb"}, "layout": {"pipeline_parallel": 2}},
        ),
        (
            "layout.data_parallel",
            128,
            {"cluster": {"mig_profile": "3g.20gb"}, "layout": {"data_parallel": 128}},
        ),
    ],
)
def test_an_impossible_layout_names_its_field(field: str, value: int, settings: dict[str, Any]) -> None:
    with pytest.raises(PlanErrors) as refused:
        answer(question(**settings))
    first = refused.value.errors[0]
    assert (first.field, first.value) == (field, value)
    assert first.message
    assert first.remedy


def test_every_problem_of_a_layout_is_named_once() -> None:
    with pytest.raises(PlanErrors) as refused:
        answer(question(layout={"tensor_parallel": 7, "pipeline_parallel": 99, "context_parallel": 3}))
    assert [error.field for error in refused.value.errors] == [
        "layout.tensor_parallel",
        "layout.pipeline_parallel",
        "layout.context_parallel",
    ]


def test_a_remedy_works() -> None:
    with pytest.raises(PlanErrors) as refused:
        answer(question(layout={"tensor_parallel": 8, "pipeline_parallel": 1, "data_parallel": 5}))
    assert "Use 4" in refused.value.errors[0].remedy
    asked = {"tensor_parallel": 8, "pipeline_parallel": 1, "data_parallel": 4}
    assert answer(question(layout=asked)).layout.data_parallel == 4


def test_what_is_unique_is_derived_and_not_called_chosen() -> None:
    asked = {"tensor_parallel": 4, "pipeline_parallel": 2, "sharding": "zero1", "micro_batch_size": 2}
    result = answer(question(layout=asked, activation_recompute="full"))
    assert result.layout.data_parallel == 4
    assert result.layout.gradient_accumulation == 256 // (4 * 2)
    assert result.layout.sharding_group == 4
    assert "data_parallel" not in result.layout_chosen
    assert "tensor_parallel" not in result.layout_chosen
    assert "activation_recompute" not in result.layout_chosen


def test_what_is_chosen_is_named() -> None:
    result = answer(question(layout={"tensor_parallel": 4}))
    assert result.layout.tensor_parallel == 4
    assert {"pipeline_parallel", "micro_batch_size", "sharding", "activation_recompute"} <= set(
        result.layout_chosen
    )


def test_accumulation_settles_the_micro_batch() -> None:
    asked = {"data_parallel": 32, "gradient_accumulation": 4}
    layout = answer(question(layout=asked)).layout
    assert (layout.micro_batch_size, layout.gradient_accumulation) == (2, 4)


def test_context_and_interleaving_stay_at_one_where_an_object_leaves_them_out() -> None:
    layout = answer(
        question(
            layout={"tensor_parallel": 8, "pipeline_parallel": 2, "micro_batch_size": 1},
            sequence_length=32_768,
            global_batch_size=32,
        )
    ).layout
    assert (layout.context_parallel, layout.interleaved_stages) == (1, 1)


def test_uneven_stages_can_be_asked_for() -> None:
    result = answer(
        question(
            model=LLAMA_70B,
            cluster={"nodes": 6},
            layout={"tensor_parallel": 8, "pipeline_parallel": 6},
        )
    )
    assert result.layout.pipeline_parallel == 6


@pytest.mark.parametrize("number", [1, 2, 12, 97, 800_000])
def test_divisors_divide(number: int) -> None:
    found = divisors(number)
    assert found == sorted(set(found))
    assert {1, number} <= set(found)
    assert all(number % each == 0 for each in found)
