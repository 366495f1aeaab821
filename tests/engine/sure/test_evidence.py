"""What counts as near a plan, and what is said where nothing is."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import Evidence
from planner.engine.sure.evidence import MeasuredRuns, evidence_near
from tests.engine.questions import answer, question

COLUMNS = (
    "name", "source", "accelerator", "task", "kind", "framework", "parameters", "accelerators",
    "sequence_length", "time_error", "memory_error",
)  # fmt: skip


def runs(*rows: dict[str, Any]) -> MeasuredRuns:
    usual = {
        "source": "a paper", "accelerator": "a100-sxm-40gb", "task": "pretraining", "kind": "decoder",
        "framework": "fsdp", "parameters": 7e9, "accelerators": 32, "sequence_length": 2048,
        "time_error": 0.04, "memory_error": None,
    }  # fmt: skip
    filled = [usual | {"name": f"run-{index}"} | row for index, row in enumerate(rows)]
    return MeasuredRuns.from_mapping(
        {"columns": COLUMNS, "rows": [[row[n] for n in COLUMNS] for row in filled]}
    )


def near(request: PlanRequest, measured: MeasuredRuns) -> Evidence:
    return evidence_near(request, measured, parameters=7e9, accelerators=32)


def test_runs_like_the_plan_are_counted_with_their_error_unseen() -> None:
    found = near(question(), runs({}, {"source": "another", "time_error": 0.08}, {"time_error": 0.06})).time
    assert (found.runs, found.sources, found.runs_on_accelerator) == (3, 2, 3)
    assert found.error_on_unseen == pytest.approx(0.06)


@pytest.mark.parametrize(
    "unlike",
    [
        {"accelerator": "h100-sxm"},
        {"task": "full_finetuning"},
        {"kind": "mixture_of_experts"},
        {"parameters": 7e9 * 11},
        {"accelerators": 2},
        {"sequence_length": 2048 * 9},
        {"time_error": None, "memory_error": 0.1},
    ],
)
def test_what_is_unlike_does_not_count(unlike: dict[str, Any]) -> None:
    assert near(question(), runs(unlike)).time.runs == 0


def test_a_named_stack_is_held_to_its_own_runs() -> None:
    measured = runs({}, {"framework": "megatron", "time_error": 0.1})
    assert near(question(), measured).time.runs == 2
    found = near(question(framework="megatron"), measured).time
    assert (found.runs, found.nearest, found.error_on_unseen) == (1, ("run-1",), pytest.approx(0.1))


def test_the_nearest_come_first() -> None:
    measured = runs({"accelerators": 256}, {"parameters": 8e9}, {"parameters": 3e10}, {})
    assert near(question(), measured).time.nearest == ("run-3", "run-1", "run-2", "run-0")


def test_adapters_tell_of_one_another() -> None:
    measured = runs({"task": "adapters"})
    for task in ("lora", "qlora"):
        assert near(question(task=task), measured).time.runs == 1


def test_without_a_run_the_class_of_task_says_how_far_off() -> None:
    found = near(question(), runs({"accelerator": "h100-sxm", "time_error": 0.2})).time
    assert (found.runs, found.runs_on_accelerator, found.nearest) == (0, 0, ("run-0",))
    assert found.error_on_unseen == pytest.approx(0.2)
    nothing = near(question(), MeasuredRuns()).time
    assert (nothing.runs, nothing.nearest, nothing.error_on_unseen) == (0, (), None)


def test_an_error_that_nobody_knows_counts_as_a_run_alone() -> None:
    found = near(question(), runs({"time_error": "unknown"})).time
    assert (found.runs, found.error_on_unseen) == (1, None)


def test_the_shipped_runs_say_what_is_known() -> None:
    measured = shipped_calibration().measured
    assert len(set(measured.names)) == len(measured.names) > 500
    assert all(math.isfinite(value) for value in measured.sizes.ravel())
    large = answer(
        question(
            model="llama-3.1-8b", sequence_length=8192, cluster={"instance_type": "p5.48xlarge", "nodes": 16}
        )
    ).evidence
    assert large is not None
    assert large.time.runs > 30 and large.time.sources > 2
    assert set(large.time.nearest) <= set(measured.names)
    assert large.time.error_on_unseen is not None and large.time.error_on_unseen < 0.2
    unknown = replace(question(), cluster=question(cluster={"instance_type": "g6e.48xlarge"}).cluster)
    found = answer(unknown).evidence
    assert found is not None and found.time.runs_on_accelerator == 0
