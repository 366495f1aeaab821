"""How a layout is completed, and which ranks a batch can use."""

from __future__ import annotations

from typing import Any

import pytest

from planner.engine.choose.layout import complete_layout, few_axes, frugal_axes, may_idle, most_usable_ranks
from planner.engine.question.request import LayoutRequest
from tests.engine.questions import question

WHOLE: dict[str, Any] = {
    "tensor_parallel": 2,
    "pipeline_parallel": 2,
    "context_parallel": 1,
    "interleaved_stages": 1,
    "expert_parallel": 1,
    "micro_batch_size": 2,
    "activation_recompute": "none",
    "sharding": "zero1",
}


def test_what_a_whole_layout_leaves_out_follows() -> None:
    found = complete_layout(question(layout=WHOLE, global_batch_size=64), 32)
    assert found is not None
    assert (found.data_parallel, found.sharding_group, found.gradient_accumulation) == (8, 8, 4)
    assert found.sequence_parallel is True
    for name in ("tensor_parallel", "micro_batch_size", "sharding"):
        rest = {key: value for key, value in WHOLE.items() if key != name}
        assert complete_layout(question(layout=rest, global_batch_size=64), 32) is None


def test_tensor_parallel_of_one_has_no_sequence_parallel() -> None:
    found = complete_layout(question(layout=WHOLE | {"tensor_parallel": 1}), 32)
    assert found is not None
    assert found.sequence_parallel is False


def test_the_most_frugal_plans_have_the_smallest_micro_batch_and_the_most_recompute() -> None:
    axes = frugal_axes(question())
    assert (list(axes.micro), list(axes.recompute), list(axes.interleaved)) == ([1], [2], [1])
    assert list(few_axes(question(model="mixtral-8x7b")).expert) == [1]


def test_machines_idle_only_where_no_degree_was_asked_for() -> None:
    assert may_idle(LayoutRequest())
    assert may_idle(LayoutRequest(sharding="zero3", activation_recompute="full"))
    assert not may_idle(LayoutRequest(tensor_parallel=2))


@pytest.mark.parametrize(("batch", "available", "used"), [(8, 128, 32), (1, 8, 4), (256, 32, 32)])
def test_the_most_whole_nodes_that_a_batch_can_use(batch: int, available: int, used: int) -> None:
    """GPT-2 splits at most 4 ways by tensor; a batch of 8 fills 8 x 4 ranks, one of 1 a part of a node."""
    request = question(model="gpt2", sequence_length=1024, global_batch_size=batch)
    assert most_usable_ranks(request, available) == used
