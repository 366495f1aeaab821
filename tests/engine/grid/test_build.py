"""From words to numbers: MIG shares, cores, links, tokens of the head."""

from __future__ import annotations

import math
from typing import Any

import pytest

from planner.engine.grid.build import (
    PCIE4_BYTES_PER_S,
    cluster_numbers,
    grid_of,
    head_share,
    workload_numbers,
)
from tests.engine.memory.plans import plan_grid, plan_layout, plan_request
from tests.engine.questions import catalog, question


def cluster(**settings: Any) -> dict[str, Any]:
    return dict(cluster_numbers(question(cluster=settings).cluster, "bf16"))


@pytest.mark.parametrize(
    ("profile", "compute", "memory", "count"),
    [
        ("1g.5gb", 1 / 7, 1 / 8, 7),
        ("2g.10gb", 2 / 7, 2 / 8, 3),
        ("3g.20gb", 3 / 7, 4 / 8, 2),
        ("7g.40gb", 1, 1, 1),
    ],
)
def test_a_gpu_instance_of_an_a100_has_sevenths_of_compute_and_eighths_of_memory(
    profile: str, compute: float, memory: float, count: int
) -> None:
    """NVIDIA MIG User Guide, table of A100 profiles: 312 TFLOP/s, 1555 GB/s whole."""
    found = cluster(instance_type="p4d.24xlarge", nodes=1, mig_profile=profile)
    assert found["peak_flops_per_s"] == pytest.approx(312e12 * compute)
    assert found["bf16_flops_per_s"] == pytest.approx(312e12 * compute)
    assert found["memory_bandwidth_bytes_per_s"] == pytest.approx(1555e9 * memory, rel=1e-3)
    assert found["ranks_per_node"] == 8 * count
    assert (found["link_bytes_per_s"], bool(found["pcie"])) == (PCIE4_BYTES_PER_S, True)


def test_an_a30_has_quarters() -> None:
    """NVIDIA MIG User Guide: A30 has four slices of each."""
    asked = {"accelerator": "a30", "accelerators_per_node": 1, "nodes": 1, "internode_gbps_per_node": 100}
    whole = cluster_numbers(question(cluster=asked).cluster, "bf16")
    half = cluster_numbers(question(cluster=asked | {"mig_profile": "2g.12gb"}).cluster, "bf16")
    assert half["peak_flops_per_s"] == pytest.approx(whole["peak_flops_per_s"] / 2)
    assert half["memory_bandwidth_bytes_per_s"] == pytest.approx(whole["memory_bandwidth_bytes_per_s"] / 2)
    assert half["ranks_per_node"] == 2


def test_an_rtx_pro_6000_has_quarters_of_compute_and_twelfths_of_memory() -> None:
    """nvidia-smi mig -lgipp of an RTX PRO 6000: twelve places; a 1g takes three of them."""
    asked = {
        "accelerator": "rtx-pro-6000",
        "accelerators_per_node": 1,
        "nodes": 1,
        "internode_gbps_per_node": 1,
    }
    whole = cluster_numbers(question(cluster=asked).cluster, "bf16")
    quarter = cluster_numbers(question(cluster=asked | {"mig_profile": "1g.24gb"}).cluster, "bf16")
    assert quarter["peak_flops_per_s"] == pytest.approx(whole["peak_flops_per_s"] / 4)
    assert quarter["memory_bandwidth_bytes_per_s"] == pytest.approx(whole["memory_bandwidth_bytes_per_s"] / 4)


def test_a_core_of_trainium_has_half_of_its_chip() -> None:
    found = cluster(instance_type="trn1.32xlarge", nodes=1)
    chip = catalog().accelerator("trainium1").spec
    assert found["ranks_per_node"] == 32
    assert found["peak_flops_per_s"] == chip.bf16_flops_per_s / 2
    assert found["memory_bytes"] == chip.memory_bytes / 2
    assert found["link_bytes_per_s"] == chip.link_bytes_per_s / 2


def test_without_a_price_there_is_no_number() -> None:
    request = question(
        cluster={"accelerator": "t4", "accelerators_per_node": 4, "nodes": 1, "internode_gbps_per_node": 10}
    )
    assert math.isnan(cluster_numbers(request.cluster, "fp16")["usd_per_node_hour"])


def test_an_encoder_s_head_sees_its_masked_tokens() -> None:
    """Devlin et al. 2019: 15 % of the tokens; a classifier has no vocabulary."""
    bert = question(model="bert-base-uncased", sequence_length=128)
    tuned = question(model="bert-base-uncased", sequence_length=128, task="full_finetuning")
    assert head_share(bert.model, bert.workload) == 0.15
    assert head_share(tuned.model, tuned.workload) == 0.0
    assert head_share(question().model, question().workload) == 1.0


def test_switches_of_a_workload_are_flags() -> None:
    request = question(task="qlora", frozen_precision="int4", lora_rank=8)
    numbers = workload_numbers(request.model, request.workload)
    assert (numbers["frozen"], numbers["quantized"], numbers["integer_quantized"], numbers["finetuning"]) == (
        1,
        1,
        1,
        1,
    )
    assert numbers["lora_width"] == numbers["lora_parameters"] / 8
    plain = workload_numbers(question().model, question().workload)
    assert (plain["frozen"], plain["lora_parameters"], plain["finetuning"]) == (0, 0, 0)
    for precision, nbytes in (("bf16", 2), ("tf32", 4)):
        asked = question(precision=precision)
        assert workload_numbers(asked.model, asked.workload)["element_bytes"] == nbytes


def test_rows_of_a_grid_are_its_plans() -> None:
    request = plan_request()
    grid = plan_grid(request, plan_layout(), plan_layout(tensor_parallel=2, data_parallel=4))
    assert grid.tensor_parallel.tolist() == [1, 2]
    assert grid.ranks.tolist() == [8, 8]
    assert grid_of(
        [(request, plan_layout(micro_batch_size=3, context_parallel=2))]
    ).tokens_per_rank.tolist() == [6144]
