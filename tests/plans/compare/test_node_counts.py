"""Node counts of a comparison, by hand: as many accelerators, as many nodes, or the fewest."""

from __future__ import annotations

import pytest

from planner.engine.question.request import LayoutRequest
from planner.plans.variations import NODE_COUNTS, _nodes, answer_node_counts, free_layout
from tests.engine.questions import answer, catalog, question

#: 4 nodes of 8.
PLAN = answer(question(model="gpt2", sequence_length=1024))


@pytest.mark.parametrize(
    ("slug", "accelerators", "nodes", "fewest"),
    [
        ("p5.48xlarge", 4, 4, None),
        ("g6e.24xlarge", 8, 4, None),
        ("g5.xlarge", 32, 4, None),
        ("a2-megagpu-16g", 2, 4, None),
    ],
)
def test_other_machines_have_as_much_as_the_plan(
    slug: str, accelerators: int, nodes: int, fewest: None
) -> None:
    record = catalog().instance(slug)
    spreads = [_nodes(record, PLAN, spread) for spread in ("accelerators", "nodes", "fewest")]
    assert spreads == [accelerators, nodes, fewest]


def test_a_part_of_a_machine_is_a_whole_one() -> None:
    small = answer(
        question(model="gpt2", sequence_length=1024, cluster={"instance_type": "g5.12xlarge", "nodes": 5})
    )
    assert _nodes(catalog().instance("p5.48xlarge"), small, "accelerators") == 3
    one = answer(
        question(model="gpt2", sequence_length=1024, cluster={"instance_type": "g5.xlarge", "nodes": 1})
    )
    assert _nodes(catalog().instance("p5.48xlarge"), one, "accelerators") == 1


def test_the_plan_s_own_number_stands_among_the_powers_of_two() -> None:
    request = question(model="gpt2", sequence_length=1024, cluster={"nodes": 3}, global_batch_size=48)
    points = answer_node_counts(request, answer(request))
    assert [point.nodes for point in points] == sorted({*NODE_COUNTS, 3})
    assert [point.answer.cluster.nodes for point in points] == [point.nodes for point in points]


def test_only_what_one_number_of_nodes_allows_is_freed() -> None:
    asked = LayoutRequest(
        tensor_parallel=2, data_parallel=4, gradient_accumulation=8, sharding_group=4, sharding="zero1"
    )
    assert free_layout(asked) == LayoutRequest(tensor_parallel=2, sharding="zero1")
