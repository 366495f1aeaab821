"""Layouts that are alike in what matters are computed once: who is alike, and that nothing else matters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.engine.grid import alike as room
from planner.engine.grid.alike import LAID_OUT, LEAST_PLANS, alike, kinds_of_layouts, spread
from planner.engine.grid.build import grid_of, grid_over_layouts
from planner.engine.grid.plan_grid import PlanGrid
from planner.engine.layout.enumeration import axes_of, candidates_on, degrees_on
from planner.engine.memory.activations import activations
from planner.engine.memory.held import HELD_BY, HELD_IF_SEVERAL
from planner.engine.memory.kinds import KEPT_BY, standing
from planner.engine.memory.peak import memory_per_rank
from planner.engine.memory.states import EVERY_STAGE
from planner.engine.memory.traits import traits_of
from planner.engine.question.request import PlanRequest
from planner.engine.time.compute import blocks_compute
from planner.engine.time.step import SPLITTING, TELLING, communication_of_blocks, step_time
from tests.engine.questions import answer, question

CALIBRATION = shipped_calibration()
RUNS: list[dict[str, Any]] = [
    {"model": "llama-2-7b"},
    {"model": "mixtral-8x7b", "framework": "megatron"},
    {"model": "deepseek-v3", "precision": "fp8", "cluster": {"instance_type": "p5.48xlarge", "nodes": 4}},
    {"model": "t5-small", "framework": "deepspeed", "task": "full_finetuning"},
    {"model": "llama-3.1-8b", "task": "qlora", "k_bit_preparation": True, "framework": "trl"},
    {"model": "qwen3-30b-a3b", "task": "lora", "framework": "fsdp", "offload": ["parameters", "activations"]},
]


def grid_of_layouts(request: PlanRequest) -> PlanGrid:
    """Every layout of the question on 32 ranks."""
    axes = axes_of(request)
    return grid_over_layouts(request, candidates_on(axes, request, degrees_on(axes, request, 32)).arrays)


@pytest.mark.parametrize("table", [0, 1 << 18])
def test_rows_are_alike_where_all_columns_are(monkeypatch: pytest.MonkeyPatch, table: int) -> None:
    monkeypatch.setattr(room, "MOST_IN_TABLE", table)
    draw = np.random.default_rng(1)
    columns = [draw.integers(0, 3, 500).astype(float), draw.integers(0, 5, 500).astype(float)]
    first, kind = alike(columns)
    rows = np.column_stack(columns)
    assert np.array_equal(rows[first][kind], rows)
    assert len(first) == len(np.unique(rows, axis=0)) == 15
    assert np.all(first <= [np.flatnonzero(kind == each)[0] for each in range(15)])


def test_few_plans_and_several_questions_are_not_sorted_into_kinds() -> None:
    request = question(model="llama-2-7b")
    layouts = grid_of_layouts(request)
    assert kinds_of_layouts(layouts, SPLITTING) is not None
    assert kinds_of_layouts(layouts.rows(slice(0, LEAST_PLANS - 1)), SPLITTING) is None
    different = [question(model="llama-2-7b"), question(model="llama-2-7b", sequence_length=512)]
    plans = [(each, answer(each).layout) for each in different] * LEAST_PLANS
    assert kinds_of_layouts(grid_of(plans), SPLITTING) is None


def test_what_kinds_share_stays_as_it_is() -> None:
    kind = np.array([0, 1, 1])
    assert spread(np.float64(2.0), kind) == 2.0
    assert spread(np.array([[1.0, 2.0]]), kind).tolist() == [[1.0, 2.0, 2.0]]
    assert spread(np.array([[1.0], [2.0]]), kind).shape == (2, 1)


class Reading:
    """A grid that remembers which of its fields were read."""

    def __init__(self, grid: PlanGrid) -> None:
        self.grid, self.names = grid, set[str]()

    def __getattr__(self, name: str) -> Any:
        found = getattr(PlanGrid, name)
        if isinstance(found, property):
            return found.__get__(self)
        self.names.add(name)
        return getattr(self.grid, name)


def blocks(grid: Any) -> Any:
    return communication_of_blocks(grid, CALIBRATION.timing, blocks_compute(grid, CALIBRATION.timing))


def kept(grid: Any) -> Any:
    return activations(grid, traits_of(grid.grid), CALIBRATION.memory)


def standing_bytes(grid: Any) -> Any:
    return standing(grid, traits_of(grid.grid), EVERY_STAGE)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: str(run["model"]))
@pytest.mark.parametrize(
    ("work", "names"),
    [
        # By these it is told whether experts take in the tensor-parallel ranks, and what they wait beside.
        (blocks, {*SPLITTING, *TELLING}),
        (kept, {*KEPT_BY}),
        (standing_bytes, {*HELD_BY, *HELD_IF_SEVERAL}),
    ],
)
def test_nothing_else_of_a_layout_is_read(
    work: Callable[[Any], Any], names: set[str], run: dict[str, Any]
) -> None:
    reading = Reading(grid_of_layouts(question(**run)))
    work(reading)
    assert reading.names & set(LAID_OUT) <= names


@pytest.mark.parametrize("run", RUNS, ids=lambda run: str(run["model"]))
def test_kinds_change_no_digit(monkeypatch: pytest.MonkeyPatch, run: dict[str, Any]) -> None:
    grid = grid_of_layouts(question(**run))
    memory, step = memory_per_rank(grid, CALIBRATION.memory), step_time(grid, CALIBRATION.timing)
    monkeypatch.setattr(room, "LEAST_PLANS", np.inf)
    assert np.array_equal(memory.total, memory_per_rank(grid, CALIBRATION.memory).total)
    assert np.array_equal(step.step, step_time(grid, CALIBRATION.timing).step)
