"""A field that changes nothing of an answer is said, with why."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from planner.contract.parse import parse_plan_request
from planner.engine.question.request import PlanRequest
from tests.engine.questions import catalog

ASKED: dict[str, Any] = {
    "model": "llama-3.1-8b",
    "workload": {
        "task": "pretraining",
        "tokens": 1e9,
        "sequence_length": 2048,
        "global_batch_size": 256,
        "activation_recompute": "full",
    },
    "cluster": {"instance_type": "p4d.24xlarge", "nodes": 1},
}
ROUND = {"rollout_tokens": 512}


def read(model: str = "llama-3.1-8b", cluster: dict[str, Any] | None = None, **workload: Any) -> PlanRequest:
    asked = deepcopy(ASKED)
    asked["model"] = model
    asked["workload"] |= workload
    asked["cluster"] |= cluster or {}
    return parse_plan_request(asked, catalog())


def said(request: PlanRequest, code: str = "unused_field") -> list[str]:
    return [message for found, message in request.notes if found == code]


@pytest.mark.parametrize(
    ("workload", "cluster", "word"),
    [
        ({"objective": "dpo"}, {}, "objective"),
        ({"recompute_modules": ["norms"]}, {}, "recompute_modules"),
        ({"activation_recompute": "selective", "recompute_modules": ["moe_experts"]}, {}, "no experts"),
        (
            {"activation_recompute": "selective", "recompute_modules": ["mla_up_projection"]},
            {},
            "no latent attention",
        ),
        ({"activation_recompute": "none", "recompute_blocks": 0.5}, {}, "recompute_blocks"),
        ({"attention_kernel": "flash_3"}, {}, "A100"),
        ({}, {"checkpoint_minutes": 10}, "checkpoint_minutes"),
        ({}, {"restart_minutes": 10}, "restart_minutes"),
        ({}, {"fabric": "roce"}, "fabric"),
        ({}, {"host_memory_bandwidth_bytes_per_s": 1e11}, "host_memory_bandwidth"),
        ({"task": "ppo", "ppo": {**ROUND, "placement": "split", "sleep": True}}, {}, "sleep"),
    ],
    ids=str,
)
def test_what_has_no_meaning_here_is_said(
    workload: dict[str, Any], cluster: dict[str, Any], word: str
) -> None:
    assert any(word in message for message in said(read(cluster=cluster, **workload)))


@pytest.mark.parametrize(
    ("workload", "cluster"),
    [
        ({"task": "full_finetuning", "objective": "dpo"}, {}),
        ({"objective": "mlm"}, {}),
        ({"activation_recompute": "selective", "recompute_modules": ["norms"]}, {}),
        ({"recompute_blocks": 0.5}, {}),
        ({"attention_kernel": "flash_2"}, {}),
        ({}, {"checkpoint_minutes": 10, "purchase": "spot"}),
        ({}, {"restart_minutes": 10, "interruptions_per_node_day": 0.1}),
        ({}, {"fabric": "roce", "nodes": 2}),
        ({"offload": "optimizer"}, {"host_memory_bandwidth_bytes_per_s": 1e11}),
    ],
    ids=str,
)
def test_what_has_is_not(workload: dict[str, Any], cluster: dict[str, Any]) -> None:
    assert said(read(cluster=cluster, **workload)) == []


def test_nodes_per_token_goes_with_a_dispatcher_that_uses_it() -> None:
    plain = read("mixtral-8x7b", moe={"nodes_per_token": 2})
    assert any("nodes_per_token" in message for message in said(plain))
    assert said(read("mixtral-8x7b", moe={"nodes_per_token": 2, "dispatcher": "deepep"})) == []


def test_an_objective_of_another_task_is_left_out() -> None:
    assert read(objective="dpo").workload.objective is None
    assert read(task="full_finetuning", objective="dpo").workload.objective == "dpo"


def test_a_method_says_which_models_it_has() -> None:
    def round_of(**changes: Any) -> tuple[bool, bool, list[str]]:
        request = read(task="ppo", ppo=ROUND | changes)
        ppo = request.workload.ppo
        assert ppo is not None
        return ppo.critic is not None, ppo.reference is not None, [code for code, _ in request.notes]

    assert round_of()[:2] == (False, True)
    critic, _, codes = round_of(algorithm="ppo")
    assert critic and "assumed_critic" in codes
    assert round_of(algorithm="ppo", critic=None)[0] is False
    assert round_of(algorithm="DAPO")[:2] == (False, False)
    assert round_of(algorithm="dapo", reference="llama-3.1-8b")[1] is True
    assert "critic_counted" in round_of(algorithm="grpo", critic="llama-3.1-8b")[2]
