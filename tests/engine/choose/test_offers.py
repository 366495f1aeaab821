"""Laws of offers: one thing at a time, the mildest first, and what stacks cannot do is not proposed."""

from __future__ import annotations

from typing import Any

import pytest

from planner.engine.choose.layout import Choice
from planner.engine.choose.offers import may_hold_more, small_changes, stronger_sharding
from tests.engine.memory.plans import plan_layout
from tests.engine.questions import question


def choice(layout: dict[str, Any], **workload: Any) -> Choice:
    return Choice(request=question(**workload), layout=plan_layout(**layout), open_fields=())


def test_smaller_micro_batches_come_first_then_recompute_then_sharding() -> None:
    asked = choice(
        {"micro_batch_size": 4, "gradient_accumulation": 2, "data_parallel": 4, "sharding": "zero2"}
    )
    found = [
        (kind, layout.micro_batch_size, layout.sharding, layout.activation_recompute)
        for kind, _, layout in small_changes(asked)
    ]
    kinds = ("none", "selective", "full")
    assert found == [
        ("micro_batch", 2, "zero2", "none"),
        ("micro_batch", 1, "zero2", "none"),
        *(("recompute", 4, "zero2", kind) for kind in kinds[1:]),
        *(("recompute", 2, "zero2", kind) for kind in kinds[1:]),
        *(("recompute", 1, "zero2", kind) for kind in kinds[1:]),
        *(("sharding", 4, "zero3", kind) for kind in kinds),
    ]


def test_a_smaller_micro_batch_keeps_the_batch() -> None:
    asked = choice({"micro_batch_size": 6, "gradient_accumulation": 2})
    for _, _, layout in small_changes(asked):
        assert layout.micro_batch_size * layout.gradient_accumulation == 12
        assert layout.micro_batch_size <= 6


@pytest.mark.parametrize(
    ("framework", "sharding", "stronger"),
    [
        ("generic", "none", ["zero1", "zero2", "zero3"]),
        ("fsdp", "zero2", ["zero3"]),
        ("megatron", "none", ["zero1"]),
        ("megatron", "zero1", []),
        ("generic", "zero3", []),
    ],
)
def test_only_stronger_sharding_that_the_stack_has(
    framework: str, sharding: str, stronger: list[str]
) -> None:
    asked = choice({"sharding": sharding}, framework=framework)
    assert stronger_sharding(asked) == stronger


def test_one_replica_has_nobody_to_share_with() -> None:
    assert stronger_sharding(choice({"data_parallel": 1})) == []
    assert stronger_sharding(choice({"data_parallel": 1, "context_parallel": 2})) != []


def test_another_machine_has_more_ranks_or_more_memory() -> None:
    own = question(cluster={"instance_type": "p4d.24xlarge", "nodes": 2}).cluster
    larger = question(cluster={"instance_type": "p4de.24xlarge", "nodes": 1}).cluster
    more = question(cluster={"instance_type": "g5.xlarge", "nodes": 17}).cluster
    fewer = question(cluster={"instance_type": "g5.xlarge", "nodes": 16}).cluster
    assert [may_hold_more(each, own, "bf16") for each in (own, larger, more, fewer)] == [
        False,
        True,
        True,
        False,
    ]
