"""What must hold of any plan, whatever the constants: laws that a reader would take for granted."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.accuracy.calibration import shipped_calibration
from planner.engine.evaluate import Evaluation, evaluate
from planner.engine.grid.build import grid_of, grid_over_layouts
from planner.engine.layout.enumeration import axes_of, candidates_on, degrees_on
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from tests.engine.questions import answer, question, sent_back

MODELS = ("gpt2", "llama-2-7b", "llama-3.1-8b", "mixtral-8x7b", "bert-large-uncased", "t5-small")

layouts = st.fixed_dictionaries(
    {
        "tensor_parallel": st.sampled_from([1, 2, 4]),
        "pipeline_parallel": st.sampled_from([1, 2]),
        # Named, so that the two plans compared are laid out alike whether they fit or not.
        "context_parallel": st.just(1),
        "expert_parallel": st.just(1),
        "interleaved_stages": st.just(1),
        "sharding": st.sampled_from(["none", "zero1", "zero2", "zero3"]),
        "micro_batch_size": st.sampled_from([1, 2, 4]),
        "activation_recompute": st.sampled_from(["none", "selective", "full"]),
    }
)
questions = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "sequence_length": st.sampled_from([128, 512, 2048]),
        "global_batch_size": st.sampled_from([256, 1024]),
        "layout": layouts,
        "attention": st.sampled_from(["flash", "standard"]),
        "framework": st.sampled_from(["generic", "megatron", "fsdp", "deepspeed"]),
    }
)


def asked(drawn: dict[str, Any], **changes: Any) -> PlanResult | None:
    """The answer, or None where the draw makes no sense (gpt2's 12 heads over 8, say)."""
    try:
        return answer(question(**{**drawn, **changes}))
    except PlanErrors:
        return None


@given(questions)
def test_parts_add_up(drawn: dict[str, Any]) -> None:
    result = asked(drawn)
    if result is None:
        return
    parts = result.memory.per_accelerator_bytes
    assert sum(getattr(parts, item.name) for item in fields(parts)) == pytest.approx(
        2 * parts.total, rel=1e-6
    )
    steps = result.time.step_breakdown_s
    seconds = sum(getattr(steps, item.name) or 0.0 for item in fields(steps))
    assert seconds == pytest.approx(result.time.step_s, rel=1e-6)
    assert all((getattr(steps, item.name) or 0.0) >= 0.0 for item in fields(steps))


@given(questions, st.floats(min_value=1.0, max_value=4.0))
def test_more_memory_never_makes_a_plan_stop_fitting(drawn: dict[str, Any], factor: float) -> None:
    request = question(**drawn)
    chip = request.cluster.accelerator
    larger = replace(chip, memory_bytes=int(chip.memory_bytes * factor))
    try:
        before = answer(request)
        after = answer(replace(request, cluster=replace(request.cluster, accelerator=larger)))
    except PlanErrors:
        return
    assert after.fits or not before.fits


@given(questions)
def test_more_nodes_never_give_one_rank_more_work(drawn: dict[str, Any]) -> None:
    """At a fixed layout twice the nodes are twice the replicas: each computes half as much a step."""
    one, two = asked(drawn, cluster={"nodes": 2}), asked(drawn, cluster={"nodes": 4})
    if one is None or two is None:
        return
    for name in ("forward", "backward", "recompute"):
        assert getattr(two.time.step_breakdown_s, name) <= getattr(one.time.step_breakdown_s, name) * (
            1 + 1e-9
        )


@given(questions)
def test_a_larger_batch_never_shortens_the_step(drawn: dict[str, Any]) -> None:
    small, large = asked(drawn), asked(drawn, global_batch_size=2 * drawn["global_batch_size"])
    if small is not None and large is not None:
        assert large.time.step_s >= small.time.step_s * (1 - 1e-9)


@given(questions)
def test_a_longer_sequence_takes_more_memory_and_time(drawn: dict[str, Any]) -> None:
    short, long = asked(drawn), asked(drawn, sequence_length=2 * drawn["sequence_length"])
    if short is not None and long is not None:
        assert long.memory.per_accelerator_bytes.total >= short.memory.per_accelerator_bytes.total
        assert long.time.step_s >= short.time.step_s


@given(questions)
def test_sharding_more_never_takes_more_state(drawn: dict[str, Any]) -> None:
    states = []
    for sharding in ("none", "zero1", "zero3"):
        result = asked(drawn, layout={**drawn["layout"], "sharding": sharding})
        if result is None:
            return
        states.append(result.memory.resident_bytes)
    assert states == sorted(states, reverse=True)


@given(questions)
def test_recomputing_more_keeps_fewer_activations_and_takes_no_less_time(drawn: dict[str, Any]) -> None:
    none = asked(drawn, layout={**drawn["layout"], "activation_recompute": "none"})
    if none is None:
        return
    layout = replace(sent_back(none.layout), activation_recompute="full")
    full = answer(replace(question(**drawn), layout=layout))
    assert full.time.step_s >= none.time.step_s * (1 - 1e-9)
    # Less is kept, but what one block brings back to life may outweigh it where little was kept.
    whole, parts = none.memory.per_accelerator_bytes, full.memory.per_accelerator_bytes
    assert parts.total <= whole.total * 1.15


@given(questions, st.floats(min_value=1.1, max_value=4.0))
def test_a_faster_chip_is_never_slower(drawn: dict[str, Any], factor: float) -> None:
    request = question(**drawn)
    chip = request.cluster.accelerator
    faster = replace(
        chip,
        bf16_flops_per_s=chip.bf16_flops_per_s * factor,
        memory_bandwidth_bytes_per_s=chip.memory_bandwidth_bytes_per_s * factor,
        link_bytes_per_s=chip.link_bytes_per_s * factor,
    )
    try:
        slow = answer(request)
        fast = answer(replace(request, cluster=replace(request.cluster, accelerator=faster)))
    except PlanErrors:
        return
    if slow.layout == fast.layout:
        assert fast.time.step_s <= slow.time.step_s * (1 + 1e-9)


def candidate_grid(request: PlanRequest) -> tuple[Evaluation, dict[str, Any], int]:
    axes = axes_of(request)
    candidates = candidates_on(axes, request, degrees_on(axes, request, 32))
    grid = grid_over_layouts(request, candidates.arrays)
    return evaluate(grid, shipped_calibration()), candidates.arrays, len(candidates)


@pytest.mark.parametrize("model", ["llama-2-7b", "mixtral-8x7b", "bert-large-uncased", "t5-small"])
def test_a_grid_of_one_equals_its_row_of_a_grid_of_many(model: str) -> None:
    """To the last digit, whatever the size and place of the grid."""
    request = question(model=model, sequence_length=512)
    many, arrays, plans = candidate_grid(request)
    for row in np.linspace(0, plans - 1, 40).astype(int):
        one_row = {name: values[row : row + 1] for name, values in arrays.items()}
        one = evaluate(grid_over_layouts(request, one_row), shipped_calibration())
        assert np.ravel(one.memory.total)[0] == many.memory.total[row]
        assert np.ravel(one.step.step)[0] == many.step.step[row]


def test_a_grid_of_different_runs_equals_each_on_its_own() -> None:
    requests = [question(model=model, sequence_length=512) for model in MODELS]
    plans = [(request, answer(request).layout) for request in requests]
    together = evaluate(grid_of(plans), shipped_calibration())
    for row, (request, layout) in enumerate(plans):
        alone = evaluate(grid_of([(request, layout)]), shipped_calibration())
        assert together.memory.total[row] == pytest.approx(np.ravel(alone.memory.total)[0], rel=1e-12)
        assert together.step.step[row] == pytest.approx(np.ravel(alone.step.step)[0], rel=1e-12)
