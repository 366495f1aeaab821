"""Which layouts there are, counted by hand."""

from __future__ import annotations

import pytest

from planner.engine.layout.enumeration import (
    Candidates,
    axes_of,
    candidates_on,
    context_choices,
    degrees_of_any_size,
    degrees_on,
    divisors,
    expert_choices,
    micro_batch_choices,
    pipeline_choices,
    ranks_per_node,
    sharding_choices,
    tensor_choices,
)
from planner.engine.question.request import PlanRequest
from tests.engine.questions import question


def layouts(request: PlanRequest, ranks: int) -> Candidates:
    axes = axes_of(request)
    return candidates_on(axes, request, degrees_on(axes, request, ranks))


def test_divisors_by_hand() -> None:
    assert divisors(12) == [1, 2, 3, 4, 6, 12]
    assert divisors(49) == [1, 7, 49]


def test_tensor_parallel_stays_in_a_node_and_divides_the_heads() -> None:
    # Llama 2 7B: 32 heads, 8 GPUs a node.
    assert tensor_choices(question()) == [1, 2, 4, 8]
    # GPT-2: 12 heads; 3 and 6 do not divide a node of 8.
    assert tensor_choices(question(model="gpt2", sequence_length=1024)) == [1, 2, 4]


def test_stages_may_idle_for_fifteen_hundredths() -> None:
    """32 layers: 5 stages of 7 make 35 places, 9 % too many; 6 of 6 make 36, 12.5 %; 7 of 5 make 35; 9 of 4
    make 36; 10 of 4 make 40, 25 %, and 17 of 2 make 34, 12 of 3 make 36."""
    found = pipeline_choices(question().model)
    assert {1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 16, 17, 18, 32} <= set(found)
    assert not {3 * 7, 10, 13, 14, 15, 20, 31} & set(found)


def test_context_parallel_leaves_each_rank_eight_thousand_tokens() -> None:
    assert context_choices(question(sequence_length=16384 - 1)) == [1]
    assert context_choices(question(sequence_length=16384)) == [1, 2]
    assert context_choices(question(sequence_length=131_072)) == [1, 2, 4, 8, 16]


def test_experts_are_tried_in_quadruplings() -> None:
    assert expert_choices(question(model="mixtral-8x7b").model) == [1, 4, 8]
    assert expert_choices(question(model="qwen3-30b-a3b").model) == [1, 4, 16, 64]
    assert expert_choices(question().model) == [1]


def test_micro_batches_divide_the_batch_up_to_65536_tokens() -> None:
    assert micro_batch_choices(question(sequence_length=8192, global_batch_size=256)) == [1, 2, 4, 8]
    # 60 = 4 x 15: its powers of two, and odd divisors a doubling apart.
    assert micro_batch_choices(question(sequence_length=2048, global_batch_size=60)) == [1, 2, 3, 4, 5, 15]


@pytest.mark.parametrize(
    ("framework", "kinds"),
    [
        ("fsdp", ["zero3"]),
        ("torchtitan", ["zero3"]),
        ("megatron", ["zero1"]),
        ("generic", ["none", "zero1", "zero3"]),
    ],
)
def test_stacks_shard_as_they_do(framework: str, kinds: list[str]) -> None:
    assert list(sharding_choices(question(framework=framework))) == kinds


def test_a_node_of_gpu_instances_holds_all_of_its_profile() -> None:
    assert ranks_per_node(question().cluster) == 8
    assert ranks_per_node(question(cluster={"mig_profile": "3g.20gb", "nodes": 1}).cluster) == 8 * 2
    assert (
        ranks_per_node(question(cluster={"instance_type": "trn1.32xlarge"}, framework="neuron").cluster) == 32
    )


def test_degrees_multiply_to_the_ranks_and_divide_the_batch() -> None:
    request = question(global_batch_size=24)
    found = degrees_on(axes_of(request), request, 32)
    assert len(found.data)
    assert set(found.ranks.tolist()) == {32}
    assert all(24 % data == 0 for data in found.data.tolist())
    assert {int(data) for data in found.data} <= {1, 2, 4, 8}


def test_a_pipeline_has_as_many_micro_batches_as_stages() -> None:
    arrays = layouts(question(global_batch_size=16), 32).arrays
    piped = arrays["pipeline_parallel"] > 1
    assert piped.any()
    assert (arrays["gradient_accumulation"] >= arrays["pipeline_parallel"])[piped].all()
    assert (arrays["gradient_accumulation"] == arrays["pipeline_parallel"])[piped].any()


def test_replica_micro_batch_and_accumulation_give_the_batch() -> None:
    arrays = layouts(question(global_batch_size=48), 32).arrays
    batch = arrays["data_parallel"] * arrays["micro_batch_size"] * arrays["gradient_accumulation"]
    assert set(batch.tolist()) == {48.0}


def test_interleaving_needs_a_pipeline_whose_stages_divide_the_micro_batches() -> None:
    arrays = layouts(question(), 32).arrays
    interleaved = arrays["interleaved_stages"] > 1
    assert interleaved.any()
    assert (arrays["pipeline_parallel"][interleaved] > 1).all()
    assert (arrays["gradient_accumulation"] % arrays["pipeline_parallel"] == 0)[interleaved].all()


def test_one_rank_shares_with_nobody() -> None:
    request = question(cluster={"instance_type": "g5.xlarge", "nodes": 1}, global_batch_size=4)
    assert set(layouts(request, 1).arrays["sharding"].tolist()) == {0.0}


def test_sharding_spans_data_and_context_parallel_ranks() -> None:
    arrays = layouts(question(sequence_length=32768), 32).arrays
    assert (arrays["context_parallel"] > 1).any()
    assert (arrays["sharding_group"] == arrays["data_parallel"] * arrays["context_parallel"]).all()


def test_any_size_stays_within_the_most_ranks() -> None:
    request = question(global_batch_size=24)
    ranks = degrees_of_any_size(axes_of(request), request, 64).ranks
    assert ranks.max() == 64
    assert len(set(ranks.tolist())) > 5


def test_layouts_alike_but_for_recompute_stand_side_by_side() -> None:
    found = layouts(question(), 32)
    assert found.kinds == 3
    assert found.arrays["recompute"][:6].tolist() == [0, 1, 2, 0, 1, 2]
    assert found.layout(1).activation_recompute == "selective"
    assert found.looked_at >= len(found)
