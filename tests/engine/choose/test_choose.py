"""Layouts and node counts that an expert would nod at, and the smallest change that makes a plan fit."""

import time
from dataclasses import replace
from typing import Any

import pytest

from planner.catalog.facts.shapes import model_of_record
from planner.engine.answer.estimate import estimate
from planner.engine.choose.nodes import fewest_nodes_that_fit, usable_node_counts
from planner.engine.layout.enumeration import axes_of, ranks_per_node
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.sure.calibration import Calibration
from tests.engine.questions import answer, catalog, patched, question, sent_back


def codes(result: PlanResult) -> set[str]:
    return {warning.code for warning in result.warnings}


def ranks(result: PlanResult) -> int:
    layout = result.layout
    model_ranks = layout.tensor_parallel * layout.pipeline_parallel * layout.context_parallel
    return model_ranks * layout.data_parallel


def test_a_small_model_is_only_replicated() -> None:
    layout = answer(question(model="gpt2", sequence_length=1024)).layout
    assert (layout.tensor_parallel, layout.pipeline_parallel, layout.context_parallel) == (1, 1, 1)
    assert layout.data_parallel == 32


def test_one_accelerator_shares_nothing() -> None:
    layout = answer(question(model="gpt2", cluster={"instance_type": "g5.xlarge", "nodes": 1})).layout
    assert (layout.data_parallel, layout.sharding, layout.sharding_group) == (1, "none", 1)


def test_a_model_too_large_to_replicate_is_split() -> None:
    result = answer(
        question(
            model="llama-3.1-70b", cluster={"instance_type": "p5.48xlarge", "nodes": 16}, framework="megatron"
        )
    )
    assert result.fits
    assert 2 <= result.layout.tensor_parallel <= 8
    assert result.layout.sharding == "zero1"


def test_tensor_parallel_stays_within_the_node() -> None:
    for instance, most in (("g5.12xlarge", 4), ("p4d.24xlarge", 8), ("a2-megagpu-16g", 16)):
        layout = answer(
            question(model="llama-3.1-70b", cluster={"instance_type": instance, "nodes": 16})
        ).layout
        assert layout.tensor_parallel <= most


def test_a_pipeline_has_work_to_fill_it() -> None:
    for model in ("llama-3.1-405b", "gpt-3-175b", "bloom-176b"):
        layout = answer(question(model=model, cluster={"nodes": 64}, framework="megatron")).layout
        assert layout.pipeline_parallel == 1 or layout.gradient_accumulation >= layout.pipeline_parallel


def test_fine_tuning_shards_rather_than_splits() -> None:
    roomy = {"instance_type": "p5.48xlarge", "nodes": 1}
    result = answer(question(model="llama-3.1-8b", task="full_finetuning", cluster=roomy))
    assert result.fits
    assert (result.layout.tensor_parallel, result.layout.sharding) == (1, "zero1")


def test_long_sequences_are_split_over_ranks() -> None:
    result = answer(
        question(
            model="llama-3.1-8b",
            sequence_length=262_144,
            global_batch_size=16,
            cluster={"instance_type": "p5.48xlarge", "nodes": 16},
        )
    )
    assert result.fits
    assert result.layout.context_parallel > 1


def test_experts_are_spread() -> None:
    result = answer(
        question(
            model="mixtral-8x7b", cluster={"instance_type": "p5.48xlarge", "nodes": 8}, framework="megatron"
        )
    )
    assert result.fits
    assert result.layout.expert_parallel > 1


def test_recompute_is_the_least_that_fits(calibration: Calibration) -> None:
    request = question(
        model="llama-2-7b",
        sequence_length=4096,
        layout={"tensor_parallel": 2, "pipeline_parallel": 1, "micro_batch_size": 4, "sharding": "zero1"},
    )
    chosen = estimate(request, calibration)
    assert chosen.fits
    kinds = ["none", "selective", "full"]
    for kind in kinds[: kinds.index(chosen.layout.activation_recompute)]:
        milder = replace(request, layout=replace(request.layout, activation_recompute=kind))
        assert not estimate(milder, calibration).fits


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"model": "mixtral-8x7b", "cluster": {"nodes": 16}},
        {"model": "llama-3.1-405b", "cluster": {"nodes": 16}},
        {"model": "t5-11b"},
        {"model": "bert-base-uncased", "sequence_length": 512},
        {
            "cluster": {"mig_profile": "3g.20gb", "nodes": 1},
            "model": "bert-base-uncased",
            "sequence_length": 128,
        },
        {"cluster": {"nodes": 100_000}},
        {"cluster": {"nodes": 13}},
        {"cluster": {"nodes": 16}, "model": "gpt2", "global_batch_size": 8},
        {"cluster": {"instance_type": "trn1.32xlarge", "nodes": 4}, "framework": "neuron"},
        {"model": "llama-3.1-8b", "sequence_length": 131_072, "cluster": {"instance_type": "p5.48xlarge"}},
    ],
)
def test_a_layout_sent_back_gives_the_same_numbers(
    settings: dict[str, Any], calibration: Calibration
) -> None:
    request = question(**settings)
    first = estimate(request, calibration)
    again = estimate(replace(request, layout=sent_back(first.layout)), calibration)
    assert again.layout == first.layout
    assert again.memory == first.memory
    assert again.time == first.time
    assert again.cost == first.cost
    assert codes(again) == codes(first)


@pytest.mark.parametrize("nodes", [1, 2, 3, 7, 12, 13, 17, 100, 999, 4096, 65_537, 99_991, 100_000])
def test_any_number_of_nodes_is_answered(nodes: int) -> None:
    result = answer(question(model="llama-3.1-8b", global_batch_size=1024, cluster={"nodes": nodes}))
    used = ranks(result)
    assert result.accelerators == 8 * nodes
    assert used <= 8 * nodes
    assert ("idle_accelerators" in codes(result)) == (used < 8 * nodes)


def test_a_cluster_larger_than_the_batch_uses_the_most_nodes_it_can() -> None:
    request = question(model="gpt2", sequence_length=1024, global_batch_size=8, cluster={"nodes": 16})
    result = answer(request)
    usable = usable_node_counts(request)
    assert ranks(result) == 8 * usable[usable <= 16].max()
    assert result.accelerators == 128
    assert result.cost is not None
    assert result.cost.usd == pytest.approx(
        16 * result.time.total_s / 3600 * result.cost.price_usd_per_node_hour
    )


def test_a_batch_of_one_uses_a_part_of_a_node() -> None:
    result = answer(question(model="gpt2", sequence_length=128, global_batch_size=1, cluster={"nodes": 2}))
    assert "idle_accelerators" in codes(result)
    assert result.layout.data_parallel == 1


def test_a_hundred_thousand_nodes_cost_no_more_thought_than_one(calibration: Calibration) -> None:
    request = question(cluster={"nodes": 100_000})
    estimate(request, calibration)
    started = time.process_time()
    for _ in range(10):
        estimate(request, calibration)
    assert time.process_time() - started < 10 * 0.1


def test_the_fewest_nodes_that_fit(calibration: Calibration) -> None:
    request = question(model="llama-3.1-405b", cluster={"instance_type": "p5.48xlarge", "nodes": "auto"})
    result = estimate(request, calibration)
    assert result.fits
    nodes = result.cluster.nodes
    assert nodes is not None
    for fewer in range(max(1, nodes - 4), nodes):
        smaller = replace(request, cluster=replace(request.cluster, nodes=fewer))
        assert not estimate(smaller, calibration).fits


def test_the_fewest_nodes_that_meet_a_deadline(calibration: Calibration) -> None:
    request = question(
        model="llama-3.1-8b",
        tokens=1e12,
        global_batch_size=1024,
        cluster={"instance_type": "p5.48xlarge", "nodes": "auto"},
        deadline_days=20.0,
    )
    result = estimate(request, calibration)
    assert result.fits
    assert result.time.total_s <= 20 * 86_400
    counts = usable_node_counts(request)
    nodes = result.cluster.nodes
    assert nodes is not None
    previous = int(counts[counts < nodes].max())
    smaller = estimate(replace(request, cluster=replace(request.cluster, nodes=previous)), calibration)
    assert smaller.time.total_s > 20 * 86_400


def test_a_deadline_that_cannot_be_met_is_said(calibration: Calibration) -> None:
    request = question(
        model="llama-3.1-70b",
        tokens=15e12,
        global_batch_size=64,
        cluster={"nodes": "auto"},
        deadline_days=0.01,
    )
    assert "deadline_missed" in codes(estimate(request, calibration))


def test_gpu_instances_run_one_job_or_replicas() -> None:
    settings: dict[str, Any] = {"model": "bert-base-uncased", "sequence_length": 128}
    cluster = {"nodes": 1, "mig_profile": "3g.20gb"}
    one = answer(question(cluster=cluster, **settings))
    four = answer(question(cluster=cluster, layout={"data_parallel": 4}, **settings))
    assert (one.layout.data_parallel, four.layout.data_parallel) == (1, 4)
    assert one.memory.usable_bytes < 21e9
    assert one.time.step_s > four.time.step_s > one.time.step_s / 4


def test_a_rank_of_trainium_is_a_core() -> None:
    result = answer(question(cluster={"instance_type": "trn1.32xlarge", "nodes": 2}, framework="neuron"))
    assert ranks(result) == 64
    assert result.accelerators == 32
    assert result.memory.usable_bytes == pytest.approx(16 * 2**30, rel=0.05)


NOT_FITTING: list[dict[str, Any]] = [
    {"layout": {"tensor_parallel": 1, "pipeline_parallel": 1, "sharding": "none", "micro_batch_size": 1}},
    {"layout": {"tensor_parallel": 8, "pipeline_parallel": 1, "micro_batch_size": 64},
     "sequence_length": 32_768},
    {"model": "llama-3.1-70b", "cluster": {"nodes": 1}},
    {"model": "llama-3.1-405b", "cluster": {"nodes": 4}},
    {"model": "mixtral-8x7b", "cluster": {"instance_type": "g5.12xlarge", "nodes": 1}},
    {"model": "llama-3.1-8b", "task": "lora", "cluster": {"instance_type": "g5.xlarge", "nodes": 1},
     "sequence_length": 8192, "activation_recompute": "none"},
    {"activation_recompute": "none",
     "layout": {"tensor_parallel": 1, "pipeline_parallel": 1, "micro_batch_size": 8}},
]  # fmt: skip


@pytest.mark.parametrize("settings", NOT_FITTING)
def test_the_nearest_fit_is_real(settings: dict[str, Any], calibration: Calibration) -> None:
    request = question(**settings)
    result = estimate(request, calibration)
    assert not result.fits
    assert result.reason is not None
    assert "GiB" in result.reason
    nearest = result.nearest_fit
    assert nearest is not None
    again = estimate(patched(request, nearest.request_patch), calibration)
    assert again.fits
    assert again.layout == nearest.layout
    assert again.memory.per_accelerator_bytes.total == pytest.approx(nearest.memory_total_bytes, rel=1e-12)
    assert nearest.memory_total_bytes <= nearest.usable_bytes


def with_nodes(request: PlanRequest, nodes: int) -> PlanRequest:
    return replace(request, cluster=replace(request.cluster, nodes=nodes))


def test_the_nearest_fit_is_the_mildest_change(calibration: Calibration) -> None:
    asked = {"tensor_parallel": 8, "pipeline_parallel": 1, "micro_batch_size": 16, "sharding": "zero1"}
    request = question(layout=asked, sequence_length=4096, activation_recompute="none")
    result = estimate(request, calibration)
    assert not result.fits
    assert result.nearest_fit is not None
    assert result.nearest_fit.change == "use a micro-batch of 4 instead of 16"
    assert result.nearest_fit.nodes == request.cluster.nodes


def test_another_machine_is_named_where_nothing_else_fits(calibration: Calibration) -> None:
    small = question(
        model="llama-3.1-70b", global_batch_size=1, cluster={"instance_type": "g5.xlarge", "nodes": 1}
    )
    larger = question(cluster={"instance_type": "p5e.48xlarge", "nodes": 2}).cluster
    useless = question(cluster={"instance_type": "g5.xlarge", "nodes": 1}).cluster
    elsewhere = [replace(small, cluster=cluster) for cluster in (useless, larger)]
    nearest = estimate(small, calibration, alternatives=elsewhere).nearest_fit
    assert nearest is not None
    assert (nearest.instance_type, nearest.nodes) == ("p5e.48xlarge", 2)
    asked = replace(small, cluster=larger, layout=sent_back(nearest.layout))
    assert estimate(asked, calibration).fits


def test_nothing_that_fits_is_null() -> None:
    result = answer(
        question(
            model="deepseek-v3",
            global_batch_size=1,
            precision="fp16",
            cluster={"instance_type": "g4dn.12xlarge", "nodes": 1},
        )
    )
    assert not result.fits
    assert result.nearest_fit is None


def test_the_fewest_nodes_are_found_among_all(calibration: Calibration) -> None:
    """Against asking every number of nodes one by one."""
    request = question(model="llama-3.1-70b", global_batch_size=96, cluster={"nodes": 1})
    found = fewest_nodes_that_fit(request, calibration, least=1, most=100)
    fitting = [
        nodes
        for nodes in range(1, 12)
        if (result := estimate(with_nodes(request, nodes), calibration)).fits
        and ranks(result) == nodes * ranks_per_node(request.cluster)
    ]
    assert found == fitting[0]


def test_every_shipped_model_has_something_to_choose_from() -> None:
    for record in catalog().models():
        request = replace(question(), model=model_of_record(record))
        axes = axes_of(request)
        assert 1 in axes.tensor and 1 in axes.pipeline and 1 in axes.micro, record.slug
