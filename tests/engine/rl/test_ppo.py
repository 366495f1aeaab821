"""Rounds asked as users ask them."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.engine.grid.build import grid_over_layouts, layout_numbers
from planner.engine.grid.plan_grid import PlanGrid
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.rl.decode import cache_bytes_per_token
from planner.engine.rl.ppo import evaluate_ppo
from tests.engine.questions import answer, question

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


@pytest.mark.parametrize(
    ("model", "elements"), [("llama-3.1-8b", 32 * 2 * 8 * 128), ("deepseek-v3", 61 * 512)]
)
def test_cache_of_grouped_and_of_latent_attention(model: str, elements: int) -> None:
    grid = one_plan(question(model=model))
    assert float(cache_bytes_per_token(grid)) == 2 * elements


LAYOUT: dict[str, Any] = {
    "layout": {"tensor_parallel": 1, "pipeline_parallel": 1, "sharding": "zero3", "micro_batch_size": 4},
    "activation_recompute": "full",
}


def test_longer_answers_take_longer() -> None:
    short = ppo(ppo={"rollout_tokens": 128}, **LAYOUT)
    long = ppo(ppo={"rollout_tokens": 1024}, **LAYOUT)
    assert generation_s(long) > 3 * generation_s(short)


def test_more_epochs_train_more_and_generate_as_much() -> None:
    once, twice = ppo(**LAYOUT), ppo(ppo={"ppo_epochs": 2}, **LAYOUT)
    first, second = once.time.step_breakdown_s, twice.time.step_breakdown_s
    assert second.forward == pytest.approx(2 * first.forward)
    assert second.backward == pytest.approx(2 * first.backward)
    assert generation_s(twice) == generation_s(once)
    assert second.scoring == first.scoring


def test_more_updates_step_more_often_over_the_same_tokens() -> None:
    once, often = ppo(**LAYOUT), ppo(ppo={"updates_per_step": 8}, **LAYOUT)
    first, second = once.time.step_breakdown_s, often.time.step_breakdown_s
    assert second.forward == first.forward
    assert second.optimizer == pytest.approx(8 * first.optimizer)


def test_real_lengths_are_packed_but_with_deepspeed() -> None:
    real = {"mean_prompt_tokens": 200, "mean_response_tokens": 300, "max_response_tokens": 1024}
    whole, packed = ppo(**LAYOUT), ppo(ppo=real, **LAYOUT)
    padded = ppo(ppo=real, framework="deepspeed", **LAYOUT)
    rows = ppo(framework="deepspeed", **LAYOUT)
    assert packed.time.step_breakdown_s.forward < 0.4 * whole.time.step_breakdown_s.forward
    assert padded.time.step_breakdown_s.forward == rows.time.step_breakdown_s.forward


def test_fewer_answers_at_once_take_longer() -> None:
    few = ppo(ppo={"generation": {"max_sequences": 2}}, **LAYOUT)
    assert generation_s(few) > 2 * generation_s(ppo(**LAYOUT))


def test_adapters_on_the_actor_need_little_and_no_reference() -> None:
    whole, adapters = ppo(**LAYOUT), ppo(ppo={"actor_lora_rank": 16}, **LAYOUT)
    parts = [result.memory.per_accelerator_bytes for result in (whole, adapters)]
    assert parts[1].optimizer_states < 0.2 * parts[0].optimizer_states
    assert parts[1].gradients < 0.2 * parts[0].gradients
    assert adapters.time.step_breakdown_s.backward < whole.time.step_breakdown_s.backward


def test_the_engine_awake_takes_memory_from_training() -> None:
    asleep, awake = ppo(ppo={"sleep": True}, **LAYOUT), ppo(ppo={"sleep": False}, **LAYOUT)
    total = [each.memory.per_accelerator_bytes.total for each in (asleep, awake)]
    assert total[1] > total[0] + 1e9


def test_parts_of_the_step_add_up_with_all_of_a_round() -> None:
    result = ppo(ppo={"staleness_steps": 1, "generation": {"accelerators": 8}})
    breakdown = result.time.step_breakdown_s
    parts = [getattr(breakdown, item.name) for item in fields(breakdown)]
    assert None not in parts
    assert sum(parts) == pytest.approx(result.time.step_s)
    layout = result.layout
    trained = layout.data_parallel * layout.tensor_parallel * layout.pipeline_parallel
    assert trained == result.accelerators - 8


@pytest.mark.parametrize("split", [False, True])
def test_one_formula_for_one_plan_and_for_many(split: bool) -> None:
    placement = {"placement": "split" if split else "colocated", "generation": {"accelerators": 8}}
    asked = question(task="ppo", ppo=PPO | placement, activation_recompute="full")
    calibration = shipped_calibration()
    other = replace(answer(asked).layout, micro_batch_size=1, gradient_accumulation=64)
    layouts = {
        name: np.array([first, second], dtype=float)
        for (name, first), second in zip(
            layout_numbers(answer(asked).layout).items(),
            layout_numbers(other).values(),
            strict=True,
        )
    }
    together = evaluate_ppo(asked, layouts, calibration)
    for row in (0, 1):
        one = {name: value[row : row + 1] for name, value in layouts.items()}
        alone = evaluate_ppo(asked, one, calibration)
        assert float(together.step.step[row]) == pytest.approx(float(alone.step.step), rel=1e-12)
        total = np.broadcast_to(together.memory.total, (2,))[row]
        assert float(total) == pytest.approx(float(np.max(alone.memory.total)), rel=1e-12)


def test_the_answer_says_how_it_generates() -> None:
    pool = ppo(ppo={"generation": {"engine": "sglang", "tensor_parallel": 4}}, **LAYOUT).generation
    assert pool is not None
    assert (pool.engine, pool.tensor_parallel, pool.pipeline_parallel) == ("sglang", 4, 1)
    assert pool.replicas * 4 == pool.accelerators
    assert pool.round_s > 0 and pool.idle_s == 0
    assert answer(question()).generation is None


REAL = {"mean_prompt_tokens": 100, "mean_response_tokens": 300, "max_response_tokens": 1024}


@pytest.mark.parametrize("engine", ["vllm", "static"])
def test_more_accelerators_never_generate_longer(engine: str) -> None:
    seconds = [
        generation_s(ppo(ppo=REAL | {"generation": {"engine": engine, "accelerators": count}}, **LAYOUT))
        for count in (1, 2, 3, 5, 8, 16, 32)
    ]
    assert seconds == sorted(seconds, reverse=True)


@pytest.mark.parametrize("critic", [None, "gpt2"])
def test_generation_ahead_never_slows_a_step(critic: str | None) -> None:
    apart = REAL | {"critic": critic, "placement": "split", "generation": {"accelerators": 16}}
    steps = [
        ppo(ppo=apart | {"staleness_steps": ahead, "partial_rollouts": partial}).time.step_s
        for partial in (False, True)
        for ahead in (0, 1, 2, 4)
    ]
    assert steps[:4] == sorted(steps[:4], reverse=True)
    assert steps[4:] == sorted(steps[4:], reverse=True)
    assert all(partial <= whole for whole, partial in zip(steps[:4], steps[4:], strict=True))


def test_longer_answers_never_take_less() -> None:
    steps = [
        ppo(ppo={"mean_response_tokens": mean, "max_response_tokens": 1024}, **LAYOUT).time.step_s
        for mean in (50, 100, 200, 400, 800, 1024)
    ]
    assert steps == sorted(steps)
