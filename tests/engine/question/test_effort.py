"""The budget of a question: work is counted before it is done, and refused where it is too much."""

import tracemalloc

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.engine.question import effort
from planner.engine.question.errors import PlanErrors
from planner.plans.answers import estimate_plan

WORKLOAD = {"task": "pretraining", "tokens": 1e12, "sequence_length": 8192, "precision": "bf16"}
#: Highly composite in every respect: as many layouts as a question can mean.
DIVISIBLE_MODEL = {
    "architecture": "decoder", "layers": 5040, "hidden_size": 5040, "attention_heads": 5040, "kv_heads": 5040,
    "ffn_size": 5040, "vocab_size": 50_000, "experts": 720, "experts_per_token": 2,
}  # fmt: skip
MACHINES = {
    "accelerator": "h100-sxm", "accelerators_per_node": 720, "internode_gbps_per_node": 400,
    "usd_per_node_hour": 10,
}  # fmt: skip


@pytest.mark.parametrize("nodes", [1, "auto"])
@pytest.mark.parametrize("framework", ["generic", "megatron"])
def test_a_question_of_millions_of_layouts_is_refused_before_they_are_laid_out(
    nodes: int | str, framework: str
) -> None:
    question = {
        "model": DIVISIBLE_MODEL,
        "workload": WORKLOAD | {"global_batch_size": 73_513_440, "framework": framework},
        "cluster": MACHINES | {"nodes": nodes},
    }
    tracemalloc.start()
    with effort.at_most(400_000) as budget, pytest.raises(PlanErrors) as refused:
        estimate_plan(question, load_shipped_catalog())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "more work" in refused.value.errors[0].message
    assert refused.value.errors[0].remedy
    assert budget.used <= 400_000
    assert peak < 600 * 2**20


def test_a_usual_question_takes_a_small_part_of_the_budget() -> None:
    question = {
        "model": "deepseek-v3",
        "workload": WORKLOAD | {"global_batch_size": 15_360},
        "cluster": {"instance_type": "p5.48xlarge", "nodes": "auto"},
        "deadline_days": 60,
    }
    with effort.at_most(1_500_000) as budget:
        estimate_plan(question, load_shipped_catalog())
    assert 0 < budget.used < 750_000


def test_nothing_is_refused_without_a_budget() -> None:
    effort.plans_ahead(10**12)
    effort.combinations_ahead(10**12)


def test_a_budget_ends_with_its_block_and_can_be_widened() -> None:
    with effort.at_most(2_000) as budget:
        effort.plans_ahead(500)
        with pytest.raises(PlanErrors):
            effort.plans_ahead(500)
        budget.widen(10_000)
        effort.plans_ahead(500)
        assert budget.used == 2 * (500 + effort.GRID_OVERHEAD_PLANS)
    effort.plans_ahead(10**9)


def test_one_array_is_never_larger_than_memory_allows() -> None:
    with effort.at_most(10**12), pytest.raises(PlanErrors):
        effort.combinations_ahead(effort.MOST_COMBINATIONS + 1)


def test_a_question_that_means_a_search_has_its_budget() -> None:
    with effort.at_most(2_000, 10_000) as budget:
        effort.search_ahead()
        assert budget.plans == 10_000
    effort.search_ahead()
