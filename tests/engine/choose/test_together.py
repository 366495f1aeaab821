"""Many questions in one grid are answered as each of them alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.engine.answer.estimate import estimate, estimate_at, estimate_many
from planner.engine.choose.plan import choose, choose_each
from planner.engine.question.errors import PlanErrors
from planner.engine.question.result import PlanResult
from planner.engine.sure.calibration import Calibration
from tests.engine.questions import odd_question, question

PPO = {"critic": "gpt2", "reference": "llama-2-7b", "reward": "gpt2", "rollout_tokens": 1024}
MIXED = (
    question(),
    question(model="llama-3.1-8b", task="lora", loss="fused"),
    question(model="llama-3.1-8b", task="full_finetuning", objective="dpo"),
    question(model="mixtral-8x7b", cluster={"instance_type": "p5.48xlarge", "nodes": 8}),
    question(layout={"tensor_parallel": 8, "micro_batch_size": 1}),
    question(model="gpt2", cluster={"instance_type": "g5.xlarge", "nodes": 1}, sequence_length=1024),
    question(model="llama-3.1-70b", cluster={"instance_type": "p5.48xlarge", "nodes": "auto"}),
    question(model="gpt2", task="ppo", ppo=PPO | {"reference": "gpt2"}, sequence_length=2048),
    question(global_batch_size=3, cluster={"instance_type": "p4d.24xlarge", "nodes": 1}),
)


def test_layouts_chosen_together_are_those_chosen_alone(calibration: Calibration) -> None:
    together = choose_each(MIXED, calibration)
    assert together == [choose(request, calibration) for request in MIXED]


@pytest.mark.parametrize("nodes", [4, "auto"])
@pytest.mark.parametrize(("model", "framework"), [("llama-3.1-70b", "megatron"), ("mixtral-8x7b", "fsdp")])
def test_machines_that_share_counts_are_planned_as_each_alone(
    calibration: Calibration, model: str, framework: str, nodes: int | str
) -> None:
    """Candidates, what they hold, and the fewest nodes are looked at once for machines that share them."""
    slugs = ("p4d.24xlarge", "p4de.24xlarge", "a2-highgpu-8g", "g5.48xlarge", "p5.48xlarge", "a3-highgpu-8g")
    asked = [
        question(model=model, framework=framework, cluster={"instance_type": slug, "nodes": nodes})
        for slug in (*slugs, "g5.xlarge", "g6.xlarge")
    ]
    alone: list[object] = []
    for request in asked:
        try:
            alone.append(choose(request, calibration))
        except PlanErrors as wrong:
            alone.append(str(wrong))
    together = choose_each(asked, calibration)
    assert [str(each) if isinstance(each, PlanErrors) else each for each in together] == alone


def test_figures_computed_together_are_those_computed_alone(calibration: Calibration) -> None:
    asked = [*MIXED, *(request for seed in range(40) if (request := odd_question(seed)) is not None)]
    compared = 0
    for request, found in zip(asked, estimate_many(asked, calibration), strict=True):
        if isinstance(found, PlanErrors):
            with pytest.raises(PlanErrors):
                estimate(request, calibration)
            continue
        alone = estimate(request, calibration)
        assert found.layout == alone.layout
        assert found.explanation == () and alone.explanation
        for one, other in zip(figures(found), figures(alone), strict=True):
            assert one == pytest.approx(other, rel=1e-9)
        compared += 1
    assert compared >= 25


def figures(result: PlanResult) -> tuple[float, ...]:
    memory, time = result.memory, result.time
    return (
        memory.per_accelerator_bytes.total,
        memory.fit_probability,
        *memory.interval_bytes,
        time.step_s,
        time.total_s,
        *time.total_interval_s,
        time.model_flops_utilization,
        result.cost.usd if result.cost else 0.0,
    )


def test_a_fixed_layout_shows_what_a_setting_does_by_itself(calibration: Calibration) -> None:
    plan = estimate(question(), calibration)
    narrow = replace(question(), workload=replace(question().workload, optimizer="adamw_8bit"))
    same, other = estimate_at(plan.layout, [question(), narrow], calibration)
    assert figures(same) == pytest.approx(figures(plan), rel=1e-9)
    assert other.layout == plan.layout
    states = plan.memory.per_accelerator_bytes.optimizer_states
    assert other.memory.per_accelerator_bytes.optimizer_states < states
