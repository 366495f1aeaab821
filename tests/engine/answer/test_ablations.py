"""Each field that a run's speed turns on moves it the way it should, all else equal (ablations)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.contract.parse import parse_plan_request
from planner.engine.answer.estimate import estimate
from planner.engine.question.result import PlanResult
from tests.engine.questions import catalog

Json = dict[str, Any]
DENSE: Json = {
    "model": "llama-3.1-8b",
    "workload": {
        "task": "pretraining",
        "tokens": 1e11,
        "sequence_length": 4096,
        "global_batch_size": 256,
        "framework": "fsdp",
        "activation_recompute": "none",
    },
    "cluster": {
        "accelerator": "h100-sxm",
        "accelerators_per_node": 8,
        "nodes": 8,
        "internode_gbps_per_node": 400,
    },
    "layout": {"sharding": "zero3", "micro_batch_size": 1},
}
MIXTURE: Json = {
    "model": "qwen3-30b-a3b",
    "workload": {**DENSE["workload"], "framework": "megatron", "moe": {"balance": "forced"}},
    "cluster": DENSE["cluster"],
    "layout": {"expert_parallel": 32, "sharding": "zero1", "micro_batch_size": 1},
}
TUNED: Json = {
    **DENSE,
    "workload": {**DENSE["workload"], "task": "lora", "framework": "generic"},
    "cluster": {**DENSE["cluster"], "nodes": 1},
    "layout": {"sharding": "none", "micro_batch_size": 1},
}


def asked(question: Json, **changes: Any) -> PlanResult:
    """The answer with fields changed, each by its path, double underscores for dots; None takes one away."""
    question = deepcopy(question)
    for path, value in changes.items():
        *sections, name = path.split("__")
        place = question
        for section in sections:
            place = place.setdefault(section, {})
        if value is None:
            place.pop(name, None)
        else:
            place[name] = value
    return estimate(parse_plan_request(question, catalog()), shipped_calibration())


def step_s(question: Json, **changes: Any) -> float:
    return asked(question, **changes).time.step_s


@pytest.mark.parametrize(
    ("question", "slow", "fast"),
    [
        (DENSE, {"workload__attention_kernel": "flash_1"}, {"workload__attention_kernel": "flash_2"}),
        (DENSE, {"workload__attention_kernel": "flash_2"}, {"workload__attention_kernel": "flash_3"}),
        (
            DENSE,
            {"workload__attention_kernel": "memory_efficient"},
            {"workload__attention_kernel": "flash_1"},
        ),
        (DENSE, {"workload__kernels": "plain"}, {"workload__kernels": "compiled"}),
        (DENSE, {"workload__autocast": True}, {"workload__autocast": False}),
        (DENSE, {"workload__overlap_communication": False}, {"workload__overlap_communication": True}),
        (DENSE, {"cluster__power_limit_watts": 400}, {"cluster__power_limit_watts": 600}),
        (DENSE, {"cluster__matmul_flops_per_s": 5e14}, {"cluster__matmul_flops_per_s": 7e14}),
        (DENSE, {"cluster__fabric": "ethernet"}, {"cluster__fabric": "tcpx"}),
        (DENSE, {"cluster__fabric": "efa_v1"}, {"cluster__fabric": "infiniband"}),
        (DENSE, {"cluster__internode_gbps_per_node": 100}, {"cluster__internode_gbps_per_node": 3200}),
        (DENSE, {"workload__loss": "whole"}, {"workload__loss": "fused"}),
        (
            DENSE,
            {"workload__activation_recompute": "full"},
            {"workload__activation_recompute": "full", "workload__recompute_blocks": 0.5},
        ),
        (
            DENSE,
            {"workload__sequences": {"kind": "full"}},
            {"workload__sequences": {"kind": "packed", "mean_tokens": 512}},
        ),
        (
            DENSE,
            {"workload__gradient_sync": "every_micro_batch"},
            {"workload__gradient_sync": "last_micro_batch"},
        ),
        (MIXTURE, {"workload__moe__dispatcher": "all_to_all"}, {"workload__moe__dispatcher": "deepep"}),
        (MIXTURE, {"workload__moe__capacity_factor": 1.5}, {"workload__moe__capacity_factor": 1.0}),
        (MIXTURE, {"workload__moe__balance": "learned"}, {"workload__moe__balance": "forced"}),
        (MIXTURE, {"workload__moe__grouped_matmul": False}, {"workload__moe__grouped_matmul": True}),
        (
            MIXTURE,
            {"workload__moe__split_experts": True, "layout__tensor_parallel": 2},
            {"workload__moe__split_experts": False, "layout__tensor_parallel": 2},
        ),
        (MIXTURE, {"workload__moe__overlap": False}, {"workload__moe__overlap": True}),
        (
            MIXTURE,
            {"workload__moe__dispatcher": "deepep"},
            {"workload__moe__dispatcher": "deepep", "workload__moe__nodes_per_token": 2},
        ),
        (MIXTURE, {"workload__cuda_graphs": False}, {"workload__cuda_graphs": True}),
        (TUNED, {"workload__task": "qlora"}, {"workload__task": "lora"}),
        (
            TUNED,
            {"workload__sequences": {"kind": "padded_to_max", "mean_tokens": 1024}},
            {"workload__sequences": {"kind": "unpadded", "mean_tokens": 1024}},
        ),
    ],
    ids=str,
)
def test_a_field_moves_the_step(question: Json, slow: Json, fast: Json) -> None:
    assert step_s(question, **slow) > step_s(question, **fast)


def test_what_does_not_concern_a_run_leaves_it_alone() -> None:
    """One machine has no network; graphs hardly matter where the device sets the pace; nor a limit above."""
    alone = {"cluster__nodes": 1, "cluster__internode_gbps_per_node": 3200}
    assert step_s(DENSE, **alone, cluster__fabric="ethernet") == step_s(DENSE, **alone)
    assert step_s(DENSE, workload__cuda_graphs=True) == pytest.approx(step_s(DENSE), rel=0.01)
    assert step_s(DENSE, cluster__power_limit_watts=700) == step_s(DENSE)


def test_a_measured_rate_is_taken_as_it_is_but_never_beyond_the_peak() -> None:
    """Matmuls at twice the rate halve at most the time; what is beyond the peak counts as the peak."""
    alone = {"cluster__nodes": 1}
    slower, faster = (step_s(DENSE, **alone, cluster__matmul_flops_per_s=rate) for rate in (3e14, 6e14))
    assert 1.4 < slower / faster < 2.0
    beyond, peak = (step_s(DENSE, **alone, cluster__matmul_flops_per_s=rate) for rate in (5e15, 1e15))
    assert beyond == peak


def test_the_network_of_an_instance_is_the_one_that_it_has() -> None:
    bought = {**DENSE, "cluster": {"instance_type": "p5.48xlarge", "nodes": 8}}
    assert step_s(bought) == step_s(bought, cluster__fabric="efa_v2")
    assert step_s(bought, cluster__fabric="infiniband") < step_s(bought)


def test_goodput_stretches_the_run_and_its_bill_but_not_its_steps() -> None:
    priced = {**DENSE, "cluster": {"instance_type": "p5.48xlarge", "nodes": 8}}
    whole, kept = asked(priced), asked(priced, cluster__goodput=0.8)
    assert kept.time.step_s == whole.time.step_s
    assert kept.time.total_s == pytest.approx(whole.time.total_s / 0.8)
    assert kept.time.total_interval_s == pytest.approx([end / 0.8 for end in whole.time.total_interval_s])
    assert whole.cost is not None and kept.cost is not None
    assert kept.cost.usd == pytest.approx(whole.cost.usd / 0.8)
    assert whole.time.interruptions is None
    assert kept.time.interruptions is not None and kept.time.interruptions.expected == 0.0
    terms = {term.name: term for term in kept.explanation}
    assert terms["lost_s"].value == pytest.approx(0.2 * kept.time.total_s)
    assert "0.8 of the time" in terms["lost_s"].formula


def test_a_larger_batch_a_longer_row_and_more_machines_do_what_they_must() -> None:
    assert step_s(DENSE, workload__global_batch_size=512) > step_s(DENSE)
    alone = {"cluster__nodes": 1}
    longer = {"workload__sequence_length": 8192, "workload__global_batch_size": 128}
    # As many tokens at once: attention alone grows.
    assert step_s(DENSE, **alone, **longer) > step_s(DENSE, **alone, layout__micro_batch_size=2)
    assert step_s(DENSE, cluster__nodes=16) < step_s(DENSE)
