"""``workload.ppo``: what a round may be asked, and what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from planner.catalog.facts.catalog import Catalog
from planner.contract.parse import parse_plan_request
from planner.contract.rl_fields import GENERATION, PPO
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PpoWorkload
from planner.engine.rl.rollout import UNSAID, range_scale, rollout_of, trained_length
from tests.contract.conftest import bent

USUAL: dict[str, Any] = {"critic": None, "reference": None, "reward": None, "rollout_tokens": 512}
BATCH = 256


def changes(**ppo: Any) -> dict[str, Any]:
    return {
        "model": "llama-3.1-8b",
        "workload.task": "ppo",
        "workload.sequence_length": 1024,
        "workload.global_batch_size": BATCH,
        "workload.ppo": USUAL | ppo,
    }


def read(catalog: Catalog, **ppo: Any) -> PpoWorkload:
    found = parse_plan_request(bent(changes(**ppo)), catalog).workload.ppo
    assert found is not None
    return found


def test_every_field_is_read(catalog: Catalog) -> None:
    asked: dict[str, Any] = {
        "algorithm": "GRPO",
        "prompts": 32,
        "responses_per_prompt": 8,
        "mean_prompt_tokens": 100.5,
        "mean_response_tokens": 300,
        "max_response_tokens": 512,
        "response_std_tokens": 120,
        "placement": "split",
        "staleness_steps": 2,
        "partial_rollouts": True,
        "updates_per_step": 4,
        "micro_batch_tokens": 16384,
        "actor_lora_rank": 32,
        "sleep": False,
        "ppo_epochs": 2,
    }
    engine = {
        "engine": "sglang",
        "tensor_parallel": 4,
        "pipeline_parallel": 1,
        "expert_parallel": 1,
        "accelerators": 8,
        "precision": "fp8",
        "max_sequences": 128,
        "memory_share": 0.7,
        "prefix_cache": False,
        "eager": True,
    }
    assert set(asked) | set(USUAL) | {"actor", "generation"} == set(PPO.names)
    assert set(engine) == set(GENERATION.names)
    found = read(catalog, **asked, generation=engine)
    for name, value in (asked | {"algorithm": "grpo"}).items():
        assert getattr(found, name) == value, name
    for name, value in engine.items():
        assert getattr(found.generation, name) == value, name


@pytest.mark.parametrize(
    ("ppo", "field"),
    [
        ({"mean_response_tokens": 400, "max_response_tokens": 300}, "max_response_tokens"),
        ({"max_response_tokens": 300}, "max_response_tokens"),
        ({"mean_response_tokens": 700}, "mean_response_tokens"),
        ({"mean_prompt_tokens": 900, "mean_response_tokens": 400}, "mean_prompt_tokens"),
        ({"micro_batch_tokens": 500}, "micro_batch_tokens"),
        ({"prompts": 10, "responses_per_prompt": 8}, "prompts"),
        ({"prompts": 100}, "prompts"),
        ({"responses_per_prompt": 7}, "responses_per_prompt"),
        ({"updates_per_step": 257}, "updates_per_step"),
        ({"staleness_steps": -1}, "staleness_steps"),
        ({"algorithm": "grop"}, "algorithm"),
        ({"placement": "apart"}, "placement"),
        ({"generation": 7}, "generation"),
        ({"generation": {"engines": "vllm"}}, "generation.engines"),
        ({"generation": {"engine": "vlm"}}, "generation.engine"),
        ({"generation": {"tensor_parallel": 3}}, "generation.tensor_parallel"),
        ({"generation": {"pipeline_parallel": 33}}, "generation.pipeline_parallel"),
        ({"generation": {"expert_parallel": 2}}, "generation.expert_parallel"),
        ({"generation": {"tensor_parallel": 4, "accelerators": 6}}, "generation.accelerators"),
        ({"generation": {"memory_share": 1.5}}, "generation.memory_share"),
        ({"generation": {"precision": "int4"}}, "generation.precision"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_remedy(
    catalog: Catalog, ppo: dict[str, Any], field: str
) -> None:
    with pytest.raises(PlanErrors) as refused:
        read(catalog, **ppo)
    [error] = refused.value.errors
    assert error.field == f"workload.ppo.{field}"
    assert error.message and error.remedy


def test_more_may_be_generated_than_is_trained_on(catalog: Catalog) -> None:
    request = parse_plan_request(bent(changes(prompts=64, responses_per_prompt=8)), catalog)
    assert [code for code, _ in request.notes if code == "generated_more"]
    assert rollout_of(request.workload, 0.6).sequences == 512


@pytest.mark.parametrize(
    ("ppo", "deviation"),
    [
        ({}, 0.0),
        ({"mean_response_tokens": 300}, 0.6 * 300),
        ({"mean_response_tokens": 512, "max_response_tokens": 512}, 0.0),
        ({"mean_response_tokens": 300, "generation": {"engine": "static"}}, 0.0),
        ({"mean_response_tokens": 300, "response_std_tokens": 50}, 50),
    ],
)
def test_lengths_vary_where_a_mean_was_given(catalog: Catalog, ppo: dict[str, Any], deviation: float) -> None:
    request = parse_plan_request(bent(changes(**ppo)), catalog)
    found = rollout_of(request.workload, 0.6)
    assert found.lengths.mean == (ppo.get("mean_response_tokens") or 512)
    assert (len(found.lengths.tokens) == 1) == (deviation == 0.0)


def test_rows_of_real_length_are_trained_on(catalog: Catalog) -> None:
    real = {"mean_prompt_tokens": 100, "mean_response_tokens": 300}
    assert trained_length(parse_plan_request(bent(changes(**real)), catalog).workload) == 400
    assert trained_length(parse_plan_request(bent(changes()), catalog).workload) == 1024
    padded = changes(**real) | {"workload.framework": "deepspeed"}
    assert trained_length(parse_plan_request(bent(padded), catalog).workload) == 1024


def test_rows_are_packed_or_padded_as_they_are_said_to_be(catalog: Catalog) -> None:
    real = {"mean_prompt_tokens": 100, "mean_response_tokens": 300}
    for kind, tokens in (("packed", 400), ("unpadded", 400), ("padded_to_max", 1024)):
        asked = changes(**real) | {"workload.sequences": {"kind": kind}}
        assert trained_length(parse_plan_request(bent(asked), catalog).workload) == tokens


def test_what_is_left_out_widens_the_range(catalog: Catalog) -> None:
    everything = {"mean_response_tokens": 300, "max_response_tokens": 512}
    everything |= {"generation": {"engine": "vllm", "tensor_parallel": 2}}
    assert range_scale(parse_plan_request(bent(changes(**everything)), catalog).workload) == 1.0
    left_out = parse_plan_request(bent(changes()), catalog).workload
    assert range_scale(left_out) == pytest.approx(UNSAID**4)


def test_working_ahead_needs_accelerators_apart(catalog: Catalog) -> None:
    assert read(catalog, staleness_steps=1).split
    assert not read(catalog).split
    assert not read(catalog, staleness_steps=1, placement="colocated").split
