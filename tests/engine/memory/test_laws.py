"""What must hold of the memory of any plan, whatever its layout: laws of sums, sharding and recompute."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.accuracy.calibration import shipped_calibration
from planner.engine.memory.activations import activations
from planner.engine.memory.peak import PARTS, MemoryTerms, memory_per_rank
from planner.engine.memory.traits import traits_of
from planner.engine.question.request import Layout, PlanRequest
from tests.engine.memory.plans import GPT, LLAMA_8B, MIXTRAL, plan_grid, plan_layout, plan_request

CONSTANTS = shipped_calibration().memory
PART_NAMES = tuple(PARTS)


def one(values: Any) -> float:
    return float(np.asarray(values).reshape(-1)[0])


MODELS = (LLAMA_8B, GPT, MIXTRAL)
plans = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "framework": st.sampled_from(["generic", "megatron", "fsdp", "deepspeed", "torchtitan", "neuron"]),
        "task": st.sampled_from(["pretraining", "full_finetuning", "lora", "qlora"]),
        "attention": st.sampled_from(["flash", "standard"]),
        "precision": st.sampled_from(["bf16", "fp16", "fp32"]),
        "compile": st.booleans(),
        "sequence_length": st.sampled_from([512, 4096, 8192]),
        "tensor_parallel": st.sampled_from([1, 2, 8]),
        "sequence_parallel": st.booleans(),
        "pipeline_parallel": st.sampled_from([1, 2, 4]),
        "data_parallel": st.sampled_from([1, 2, 8]),
        "sharding": st.sampled_from(["none", "zero1", "zero2", "zero3"]),
        "micro_batch_size": st.integers(1, 8),
        "gradient_accumulation": st.sampled_from([1, 4, 16]),
        "activation_recompute": st.sampled_from(["none", "selective", "full"]),
    }
)
WORKLOAD = ("framework", "task", "attention", "precision", "compile", "sequence_length")


def drawn(plan: dict[str, Any], **changes: Any) -> tuple[PlanRequest, Layout]:
    plan = {**plan, **changes}
    request = plan_request(plan["model"], nodes=8, **{name: plan[name] for name in WORKLOAD})
    layout = {
        name: value for name, value in plan.items() if name not in (*WORKLOAD, "model", "sharding_group")
    }
    layout["sequence_parallel"] = plan["sequence_parallel"] and plan["tensor_parallel"] > 1
    return request, plan_layout(**layout)


def drawn_memory(plan: dict[str, Any], **changes: Any) -> MemoryTerms:
    request, layout = drawn(plan, **changes)
    return memory_per_rank(plan_grid(request, layout), CONSTANTS)


@settings(max_examples=150, deadline=None)
@given(plan=plans)
def test_children_add_up_to_their_parents(plan: dict[str, Any]) -> None:
    memory = drawn_memory(plan)
    assert sum(one(getattr(memory, part)) for part in PART_NAMES) == pytest.approx(
        one(memory.total), rel=1e-9
    )
    for part, names in PARTS.items():
        children = sum(one(memory.terms[name]) for name in names)
        assert children == pytest.approx(one(getattr(memory, part)), rel=1e-9, abs=1.0)
    assert all(one(value) >= 0.0 for value in memory.terms.values())


@settings(max_examples=150, deadline=None)
@given(plan=plans)
def test_allocated_reserved_and_total_are_nested(plan: dict[str, Any]) -> None:
    memory = drawn_memory(plan)
    assert one(memory.allocated) <= one(memory.reserved) <= one(memory.total)
    assert 0.0 < one(memory.resident) <= one(memory.allocated) * (1 + 1e-9)


@settings(max_examples=150, deadline=None)
@given(plan=plans, more=st.floats(1.0, 4.0))
def test_more_memory_never_makes_a_plan_stop_fitting(plan: dict[str, Any], more: float) -> None:
    grid = plan_grid(*drawn(plan))
    wider = grid.with_fields(memory_bytes=grid.memory_bytes * more)
    fits, still_fits = (
        one(memory_per_rank(each, CONSTANTS).total) <= one(each.memory_bytes) for each in (grid, wider)
    )
    assert still_fits or not fits


@settings(max_examples=150, deadline=None)
@given(plan=plans)
def test_larger_micro_batch_never_lowers_memory(plan: dict[str, Any]) -> None:
    request, layout = drawn(plan)
    larger = dataclasses.replace(layout, micro_batch_size=layout.micro_batch_size + 1)
    grid = plan_grid(request, layout, larger).with_fields(memory_bytes=np.array([1e15, 1e15]))
    acts = activations(grid, traits_of(grid), CONSTANTS).kept
    assert acts[0] < acts[1]
    memory = memory_per_rank(grid, CONSTANTS)
    assert memory.allocated[0] <= memory.allocated[1] * (1 + 1e-9)
    assert memory.total[0] <= memory.total[1] * (1 + 1e-9)


@settings(max_examples=150, deadline=None)
@given(plan=plans)
def test_more_recompute_never_keeps_more(plan: dict[str, Any]) -> None:
    request, layout = drawn(plan)
    kinds = [dataclasses.replace(layout, activation_recompute=kind) for kind in ("full", "selective", "none")]
    grid = plan_grid(request, *kinds)
    full, selective, none = activations(grid, traits_of(grid), CONSTANTS).kept
    assert full <= selective <= none


@settings(max_examples=150, deadline=None)
@given(plan=plans)
def test_more_sharding_ranks_never_raise_states(plan: dict[str, Any]) -> None:
    few, many = (
        drawn_memory(plan, sharding="zero3", framework="generic", data_parallel=ranks) for ranks in (2, 8)
    )
    assert one(many.resident) <= one(few.resident)


@settings(max_examples=150, deadline=None)
@given(plan=plans)
def test_deeper_sharding_never_raises_what_stays_between_steps(plan: dict[str, Any]) -> None:
    residents = [
        one(drawn_memory(plan, sharding=sharding).resident)
        for sharding in ("none", "zero1", "zero2", "zero3")
    ]
    assert residents == sorted(residents, reverse=True)


@settings(max_examples=30, deadline=None)
@given(many=st.lists(plans, min_size=2, max_size=6))
def test_grid_of_one_equals_the_row_of_a_grid(many: list[dict[str, Any]]) -> None:
    from planner.engine.grid.build import grid_of

    pairs = [drawn(plan) for plan in many]
    together = memory_per_rank(grid_of(pairs), CONSTANTS)
    for index, pair in enumerate(pairs):
        alone = memory_per_rank(grid_of([pair]), CONSTANTS)
        assert one(alone.total) == together.total[index]
        assert all(one(value) == together.terms[name][index] for name, value in alone.terms.items())
