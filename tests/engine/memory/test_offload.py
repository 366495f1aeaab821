"""What leaves the accelerator for the host, what the host then holds, and whether it can."""

from __future__ import annotations

from typing import Any

import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.contract.parse import parse_plan_request
from planner.contract.render import render_result
from planner.engine.answer.estimate import estimate
from tests.engine.questions import catalog

PARAMETERS = 6_738_415_616


def answer(
    offload: Any = None, *, framework: str = "deepspeed", cluster: Any = None, **workload: Any
) -> dict[str, Any]:
    usual = {
        "task": "full_finetuning",
        "tokens": 1e6,
        "sequence_length": 1024,
        "global_batch_size": 8,
        "activation_recompute": "full",
        "framework": framework,
    }
    node = {"accelerator": "a100-sxm-80gb", "accelerators_per_node": 1, "nodes": 1}
    data = {
        "model": "llama-2-7b",
        "workload": {**usual, **({"offload": offload} if offload else {}), **workload},
        "cluster": {**node, **(cluster or {})},
        "layout": {"sharding": "zero3", "micro_batch_size": 1},
    }
    return render_result(estimate(parse_plan_request(data, catalog()), shipped_calibration()))


def parts(result: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = result["memory"]["per_accelerator_bytes"]
    return found


def test_gradients_leave_with_the_optimizer() -> None:
    moved = answer("optimizer")
    assert parts(moved)["gradients"] == parts(moved)["optimizer_states"] == 0.0
    assert moved["memory"]["host_bytes"] == pytest.approx(16 * PARAMETERS)


def test_megatron_keeps_its_gradient_buffers() -> None:
    layout = {"sharding": "zero1"}
    assert layout and parts(answer("optimizer", framework="megatron"))["gradients"] > 0.0


def test_parameters_leave_too() -> None:
    moved = answer("parameters")
    assert parts(moved)["weights"] == 0.0
    assert moved["memory"]["host_bytes"] == pytest.approx(18 * PARAMETERS)


def test_of_offloaded_activations_two_blocks_stay() -> None:
    stay, gone = answer(framework="trl"), answer("activations", framework="trl")
    assert parts(gone)["activations"] == pytest.approx(parts(stay)["activations"] * 2 / 32, rel=0.01)
    assert gone["memory"]["host_bytes"] == pytest.approx(30 * 1024 * 4096 * 2)


def test_a_host_that_is_too_small_is_the_reason() -> None:
    small = answer("optimizer", cluster={"host_memory_bytes": 9e10})
    assert not small["fits"]
    assert "host memory" in small["reason"]
    assert small["memory"]["host_usable_bytes"] == 9e10


def test_a_host_that_is_nearly_full_is_warned_of_and_an_unknown_one_too() -> None:
    codes = {
        size: [
            each["code"]
            for each in answer("optimizer", cluster={"host_memory_bytes": size} if size else None)["warnings"]
        ]
        for size in (1.2e11, 1e12, None)
    }
    assert "host_memory_tight" in codes[1.2e11]
    assert not {"host_memory_tight", "host_memory_unknown"} & set(codes[1e12])
    assert "host_memory_unknown" in codes[None]


def test_a_step_within_the_backward_pass_holds_one_blocks_gradients() -> None:
    usual, within = (
        answer(framework="generic", optimizer_in_backward=on, global_batch_size=1) for on in (False, True)
    )
    assert parts(within)["gradients"] == 0.0
    assert parts(within)["total"] < parts(usual)["total"] - 1.8 * PARAMETERS
