"""An answer whole: parts that add up, numbers that can be traced, warnings, and many questions at once."""

import math
import re
import time
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from planner.contract.render import render_result
from planner.engine.answer.estimate import estimate_many
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult, StepBreakdown
from planner.engine.sure.calibration import Calibration
from tests.engine.questions import answer, odd_question, question

PPO = {"critic": "gpt2", "reference": "llama-2-7b", "reward": "gpt2", "rollout_tokens": 1024}
VARIED: list[dict[str, Any]] = [
    {},
    {"model": "llama-3.1-8b", "precision": "fp8", "cluster": {"instance_type": "p5.48xlarge", "nodes": 4}},
    {"model": "mixtral-8x7b", "cluster": {"nodes": 16}, "framework": "megatron"},
    {"model": "bert-large-uncased", "sequence_length": 512},
    {"model": "t5-11b", "sequence_length": 512},
    {"model": "llama-2-70b", "task": "qlora"},
    {"model": "llama-3.1-405b", "cluster": {"nodes": 4}},
    {"task": "ppo", "ppo": PPO},
    {"task": "ppo", "ppo": PPO | {"critic": None, "reward": None}},
    {"cluster": {"instance_type": "trn1.32xlarge", "nodes": 4}, "framework": "neuron"},
    {"model": "bert-base-uncased", "sequence_length": 128, "cluster": {"mig_profile": "3g.20gb", "nodes": 1}},
]


def varied_answers() -> list[PlanResult]:
    answers = [answer(question(**settings)) for settings in VARIED]
    for request in (odd_question(seed) for seed in range(60)):
        if request is not None:
            try:
                answers.append(answer(request))
            except PlanErrors:
                continue
    return answers


@pytest.fixture(scope="module")
def answers() -> list[PlanResult]:
    return varied_answers()


def test_the_parts_of_memory_and_step_add_up(answers: list[PlanResult]) -> None:
    for result in answers:
        parts = result.memory.per_accelerator_bytes
        whole = sum(getattr(parts, item.name) for item in fields(parts) if item.name != "total")
        assert whole == pytest.approx(parts.total, rel=1e-6)
        breakdown = result.time.step_breakdown_s
        seconds = sum(getattr(breakdown, item.name) or 0.0 for item in fields(StepBreakdown))
        assert seconds == pytest.approx(result.time.step_s, rel=1e-6)


def test_fits_is_total_within_usable(answers: list[PlanResult]) -> None:
    for result in answers:
        assert result.fits == (result.memory.per_accelerator_bytes.total <= result.memory.usable_bytes)
        assert (result.reason is None) == result.fits


def test_terms_marked_part_add_up_to_their_parent(answers: list[PlanResult]) -> None:
    for result in answers:
        by_name = {term.name: term for term in result.explanation}
        sums: dict[str, float] = {}
        for term in result.explanation:
            if term.part:
                assert term.parent is not None
                sums[term.parent] = sums.get(term.parent, 0.0) + term.value
        assert {"total", "step_s"} <= set(sums)
        for parent, whole in sums.items():
            assert whole == pytest.approx(by_name[parent].value, rel=1e-6, abs=1e-9), parent


def test_every_name_is_explained_once_and_every_parent_exists(answers: list[PlanResult]) -> None:
    for result in answers:
        names = [term.name for term in result.explanation]
        assert len(names) == len(set(names))
        assert {term.parent for term in result.explanation} - {None} <= set(names)
        assert all(term.formula and term.source and term.unit for term in result.explanation)


def test_sources_are_in_the_readers_words(answers: list[PlanResult]) -> None:
    """A reader has the paper, not the program: no source or formula names a module or a function of it."""
    for result in answers:
        for term in result.explanation:
            assert not re.search(r"planner\.|\w+_\w+\(|\b\w+_s\b\.", f"{term.source} {term.formula}"), term


def test_every_number_of_an_answer_is_a_term(answers: list[PlanResult]) -> None:
    for result in answers:
        values = {term.name: term.value for term in result.explanation}
        memory, spent = result.memory, result.time
        told: dict[str, float] = {
            "total": memory.per_accelerator_bytes.total,
            "resident": memory.resident_bytes,
            "allocated": memory.allocated_bytes,
            "reserved": memory.reserved_bytes,
            "memory_bytes": memory.usable_bytes,
            "step_s": spent.step_s,
            "steps": spent.steps,
            "total_s": spent.total_s,
            "tokens_per_s": spent.tokens_per_s,
            "tokens_per_s_per_accelerator": spent.tokens_per_s_per_accelerator,
            "model_flops_utilization": spent.model_flops_utilization,
            "hardware_flops_utilization": spent.hardware_flops_utilization,
            "parameters_total": result.parameters.total,
            "parameters_active": result.parameters.active,
            "parameters_trainable": result.parameters.trainable,
        }
        if result.cost is not None:
            told |= {"usd": result.cost.usd, "usd_per_million_tokens": result.cost.usd_per_million_tokens}
        parts = memory.per_accelerator_bytes
        told |= {item.name: getattr(parts, item.name) for item in fields(parts)}
        for item in fields(StepBreakdown):
            value = getattr(spent.step_breakdown_s, item.name)
            if value:
                told[item.name] = value
        for name, value in told.items():
            assert values[name] == pytest.approx(value, rel=1e-12), name


def test_a_formula_shows_the_numbers_that_were_used() -> None:
    result = answer(question(layout={"tensor_parallel": 8, "pipeline_parallel": 1, "micro_batch_size": 2}))
    formulas = {term.name: term.formula for term in result.explanation}
    assert f"{result.time.steps} steps" in formulas["total_s"]
    assert "TP 8" in formulas["tensor_communication"]
    assert "4 nodes" in formulas["usd"]
    assert f"${result.cost.price_usd_per_node_hour:.2f} per node-hour" in formulas["usd"]  # type: ignore[union-attr]


def test_the_precision_recipe_is_named() -> None:
    recipe = {term.name: term for term in answer(question()).explanation}["bytes_per_parameter"]
    assert recipe.value == pytest.approx(2 + 4 + 2 + 8)
    assert "master_weights separate (default of generic pretraining)" in recipe.formula
    asked = answer(question(master_weights="only"))
    named = {term.name: term for term in asked.explanation}["bytes_per_parameter"]
    assert "master_weights only," in named.formula


def test_the_headlines_follow_from_one_another(answers: list[PlanResult]) -> None:
    for result in answers:
        spent = result.time
        assert spent.total_s == pytest.approx(spent.steps * spent.step_s)
        if result.cost is not None:
            hours = max(spent.total_s, 60.0) / 3600  # by the second, a minute at least
            nodes = result.cluster.nodes
            assert nodes is not None
            assert result.cost.usd == pytest.approx(hours * nodes * result.cost.price_usd_per_node_hour)


def test_intervals_bracket_the_point(answers: list[PlanResult]) -> None:
    for result in answers:
        low, high = result.time.step_interval_s
        assert 0 < low <= result.time.step_s <= high
        low, high = result.memory.interval_bytes
        assert 0 < low <= result.memory.per_accelerator_bytes.total <= high
        low, high = result.time.total_interval_s
        assert low <= result.time.total_s <= high
        if result.cost is not None:
            assert result.cost.usd_interval[0] <= result.cost.usd <= result.cost.usd_interval[1]


def test_mfu_is_the_palm_formula() -> None:
    """6 N + 12 L H Q T per token (Chowdhery et al. 2022, appendix B) over the dense peak."""
    result = answer(question(model="gpt2", sequence_length=1024))
    matmul_weights = 124_439_808 - 1024 * 768 - 12 * 13 * 768 - 2 * 768
    # Biases are no matmuls: 9 x hidden and the norms' 4 x hidden a block are left out above.
    per_token = 6 * matmul_weights + 12 * 12 * 12 * 64 * 1024
    peak = 312e12 * result.accelerators
    assert result.time.model_flops_utilization == pytest.approx(
        per_token * result.time.tokens_per_s / peak, rel=1e-3
    )


def test_no_price_no_cost() -> None:
    cluster = {
        "accelerator": "h100-sxm",
        "accelerators_per_node": 8,
        "nodes": 2,
        "internode_gbps_per_node": 3200,
    }
    result = answer(question(cluster=cluster))
    assert result.cost is None
    assert "no_price" in {warning.code for warning in result.warnings}


def test_a_plan_that_does_not_fit_is_answered_in_full() -> None:
    result = answer(question(model="llama-3.1-405b", cluster={"nodes": 1}))
    assert not result.fits
    assert result.time.total_s > 0
    assert result.cost is not None


def test_ppo_has_its_own_phases() -> None:
    breakdown = answer(question(task="ppo", ppo=PPO)).time.step_breakdown_s
    assert breakdown.generation is not None and breakdown.generation > 0
    assert breakdown.scoring is not None and breakdown.scoring > 0
    assert answer(question()).time.step_breakdown_s.generation is None


def test_fewer_models_take_less_memory_and_time() -> None:
    layout = {"tensor_parallel": 1, "pipeline_parallel": 1, "sharding": "zero3", "micro_batch_size": 4}
    settings: dict[str, Any] = {"task": "ppo", "layout": layout, "activation_recompute": "full"}
    four = answer(question(ppo=PPO | {"critic": "llama-2-7b"}, **settings))
    two = answer(question(ppo=PPO | {"critic": None, "reward": None}, **settings))
    assert two.memory.per_accelerator_bytes.total < four.memory.per_accelerator_bytes.total
    assert two.time.step_s < four.time.step_s


def test_odd_questions_are_answered_or_refused(calibration: Calibration) -> None:
    """No crash, no division by zero or overflow on the way, nothing negative or not finite."""
    asked = 0
    for request in (odd_question(seed) for seed in range(1000, 1330)):
        if request is None:
            continue
        with np.errstate(all="raise", under="ignore"):
            (result,) = estimate_many([request], calibration)
        if isinstance(result, PlanErrors):
            assert all(error.field and error.message and error.remedy for error in result.errors)
            continue
        asked += 1
        for path, number in numbers(render_result(result)):
            assert math.isfinite(number) and number >= 0, (request, path)
    assert asked >= 150


def numbers(value: Any, path: str = "") -> list[tuple[str, float]]:
    if isinstance(value, dict):
        return [found for name, inner in value.items() for found in numbers(inner, f"{path}.{name}")]
    if isinstance(value, list):
        return [found for index, inner in enumerate(value) for found in numbers(inner, f"{path}.{index}")]
    return [(path, value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_three_hundred_questions_take_seconds(calibration: Calibration) -> None:
    """The contract's batch, a part of it: mixed kinds, half of them with an open layout."""
    drawn = [request for seed in range(500) if (request := odd_question(seed)) is not None][:300]
    assert len(drawn) == 300
    started = time.process_time()
    results = estimate_many(drawn, calibration)
    assert time.process_time() - started < 10
    assert len(results) == 300
    assert all(
        result.id == request.id
        for request, result in zip(drawn, results, strict=True)
        if isinstance(result, PlanResult)
    )


def test_one_bad_question_spoils_no_other(calibration: Calibration) -> None:
    good: PlanRequest = question()
    bad = question(layout={"tensor_parallel": 7})
    first, second, third = estimate_many([good, bad, replace(good, id=3)], calibration)
    assert isinstance(first, PlanResult) and isinstance(third, PlanResult)
    assert isinstance(second, PlanErrors)
    assert third.id == 3
