"""PPO phase by phase, and against published step times."""

import json
from typing import Any

import numpy as np
import pytest

from planner.accuracy.calibration import DATA_DIRECTORY
from planner.contract.parse import parse_plan_request
from planner.engine.grid.build import grid_over_layouts, layout_numbers
from planner.engine.grid.plan_grid import PlanGrid
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.rl.generation import cache_bytes_per_token
from tests.engine.questions import answer, catalog, question

RUNS = [
    run
    for line in (DATA_DIRECTORY / "runs" / "measured.jsonl").read_text(encoding="utf-8").splitlines()
    if (run := json.loads(line))["source"] in ("deepspeed-chat", "nemo-aligner")
]
PPO = {"critic": "gpt2", "reference": "llama-2-7b", "reward": "gpt2", "rollout_tokens": 1024}


def ppo(**settings: Any) -> PlanResult:
    return answer(question(task="ppo", ppo=PPO | settings.pop("ppo", {}), **settings))


def one_plan(request: PlanRequest) -> PlanGrid:
    layout = {name: np.array([value]) for name, value in layout_numbers(answer(request).layout).items()}
    return grid_over_layouts(request, layout)


def generation_s(result: PlanResult) -> float:
    seconds = result.time.step_breakdown_s.generation
    assert seconds is not None
    return seconds


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run["row_id"])
def test_published_steps_are_met_within_a_factor(run: dict[str, Any]) -> None:
    """Batches, lengths and layouts of these runs are partly unpublished: within a factor of 2.6."""
    result = answer(parse_plan_request(run["request"], catalog()))
    measured, workload = run["measured"], run["request"]["workload"]
    tokens = workload["global_batch_size"] * workload["sequence_length"]
    per_accelerator = measured.get("tokens_per_s_per_accelerator")
    step_s = measured.get("step_s") or tokens / (per_accelerator * result.accelerators)
    assert step_s / 2.6 <= result.time.step_s <= step_s * 2.6


@pytest.mark.parametrize(
    ("model", "elements"), [("llama-3.1-8b", 32 * 2 * 8 * 128), ("deepseek-v3", 61 * 512)]
)
def test_cache_of_grouped_and_of_latent_attention(model: str, elements: int) -> None:
    grid = one_plan(question(model=model))
    assert float(cache_bytes_per_token(grid)) == 2 * elements


def test_there_are_published_runs() -> None:
    assert len(RUNS) >= 10


def test_longer_answers_take_longer() -> None:
    layout = {"tensor_parallel": 1, "pipeline_parallel": 1, "sharding": "zero3", "micro_batch_size": 4}
    settings: dict[str, Any] = {"layout": layout, "activation_recompute": "full"}
    short = ppo(ppo={"rollout_tokens": 128}, **settings)
    long = ppo(ppo={"rollout_tokens": 1024}, **settings)
    assert generation_s(long) > 4 * generation_s(short)


def test_more_epochs_train_more_and_generate_as_much() -> None:
    layout = {"tensor_parallel": 1, "pipeline_parallel": 1, "sharding": "zero3", "micro_batch_size": 4}
    settings: dict[str, Any] = {"layout": layout, "activation_recompute": "full"}
    once, twice = ppo(**settings), ppo(ppo={"ppo_epochs": 2}, **settings)
    first, second = once.time.step_breakdown_s, twice.time.step_breakdown_s
    assert second.forward == pytest.approx(2 * first.forward)
    assert second.backward == pytest.approx(2 * first.backward)
    assert generation_s(twice) == generation_s(once)
    assert second.scoring == first.scoring


def test_a_critic_shares_the_machines() -> None:
    """NeMo-Aligner serves actor and critic apart, so that with a critic fewer ranks generate."""
    layout = {"tensor_parallel": 8, "pipeline_parallel": 1, "micro_batch_size": 1}
    settings: dict[str, Any] = {"framework": "megatron", "layout": layout, "activation_recompute": "full"}
    with_critic = ppo(ppo={"critic": "llama-2-7b"}, **settings)
    without = ppo(ppo={"critic": None, "reward": None}, **settings)
    assert generation_s(with_critic) > generation_s(without)
