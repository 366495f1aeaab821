"""Memory of all candidates, time of those that fit, and which of them an expert would take.

Memory is computed first because it is cheap and rules most plans out. There is no loop over plans.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.engine.grid.build import cluster_numbers
from planner.engine.grid.clock import family
from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.questions import grid_over_questions
from planner.engine.layout.enumeration import Candidates, Mask, is_auto
from planner.engine.memory.needed import Held, held_per_rank, needed_per_rank
from planner.engine.question.request import PlanRequest, Task, Workload
from planner.engine.rl.ppo import evaluate_ppo
from planner.engine.sure.calibration import Calibration
from planner.engine.sure.intervals import spread, what_is_far
from planner.engine.time.step import step_time


@dataclass(frozen=True, slots=True)
class Priced:
    """Candidates with bytes per rank and, for those timed, seconds of a step (inf for the others), (plans,).

    margin: ratio of usable to needed bytes from which on a plan fits nine times in ten.
    """

    candidates: Candidates
    task: Task
    memory_total_bytes: Array
    usable_bytes: float
    margin: float
    fits: Mask
    step_s: Array

    @property
    def roomy(self) -> bool:
        """Whether what fits does so with a margin."""
        return bool(np.any(self.fits & (self.memory_total_bytes * self.margin <= self.usable_bytes)))

    def best(self) -> int:
        """Position of the fastest plan that fits; a plainer one where the difference is small
        (``reluctance``).

        Where nothing fits, the plan that needs least memory.
        """
        if not self.fits.any():
            return int(np.argmin(self.memory_total_bytes))
        return int(np.argmin(self.step_s * (1.0 + reluctance(self))))


#: Rows of one grid of several questions, at most: more would leave a core's cache.
MOST_ROWS = 8192
#: Share of step time that each doubling of a degree must save before it is chosen, because an expert prefers
#: the plainer plan. Our own choice; it stands for the trouble of running it and for what is not modelled.
RELUCTANCE = {
    "tensor_parallel": 0.015,
    "pipeline_parallel": 0.02,
    "context_parallel": 0.02,
    "expert_parallel": 0.005,
    "interleaved_stages": 0.01,
}
SHARDING_RELUCTANCE = np.array([0.0, 0.002, 0.004, 0.01])
#: Fine-tuning stacks shard models rather than split them (PEFT, torchtune, DeepSpeed-Chat).
UNUSUAL_RELUCTANCE = 0.35
#: (share of memory, reluctance): plans fuller than this run slowly, or run out of memory when anything is a
#: little larger than estimated. Our own choice.
TIGHT_RELUCTANCE = ((0.95, 0.03), (0.98, 0.07), (0.995, 0.1))
#: A plan that may run out of memory (less than nine chances in ten) is taken only where none with a margin
#: comes within this share of its step time: full recompute costs a third, a run that dies costs all of it.
NARROW_RELUCTANCE = 0.5
#: On top of that for one that has no margin at all, less in proportion to what it has: of two plans that may
#: run out, the one with the better chance is taken unless it is slower by more than this. Our own choice.
BRIM_RELUCTANCE = 0.25


def reluctance(priced: Priced) -> Array:
    """Share of step time that is added to each candidate before they are compared, shape (plans,).

    Source: our own choice (RELUCTANCE).
    """
    arrays, task = priced.candidates.arrays, priced.task
    total: Array = SHARDING_RELUCTANCE[arrays["sharding"].astype(int)]
    for name, share in RELUCTANCE.items():
        total = total + share * np.log2(arrays[name])
    if task != "pretraining":
        for name in ("tensor_parallel", "pipeline_parallel"):
            total = total + UNUSUAL_RELUCTANCE * (arrays[name] > 1)
    room = priced.usable_bytes / priced.memory_total_bytes
    lacking = np.clip((priced.margin - room) / max(priced.margin - 1.0, 1e-9), 0.0, 1.0)
    total = total + NARROW_RELUCTANCE * (room < priced.margin) + BRIM_RELUCTANCE * lacking
    for share, held_back in TIGHT_RELUCTANCE:
        total = total + held_back * (priced.memory_total_bytes > share * priced.usable_bytes)
    return total


def price_each(asked: Sequence[tuple[PlanRequest, Candidates]], calibration: Calibration) -> list[Priced]:
    """Memory of all candidates of each question and time of those that fit, in as few grids as may be.

    By the contract recompute ``auto`` is the least recompute that fits; the least that fits with a margin
    (nine times in ten, by the memory interval) is preferred where it costs little. Of plans that differ in
    recompute alone only these two are timed.
    """
    found: dict[int, Priced] = {}
    together: list[int] = []
    for index, (request, candidates) in enumerate(asked):
        if request.workload.ppo:
            found[index] = price_ppo(request, candidates, calibration)
        else:
            together.append(index)
    held = held_each({index: asked[index] for index in together}, calibration)
    for known in (True, False):
        members = [index for index in together if (index in held) is known]
        for part in portions([len(asked[index][1]) for index in members]):
            drawn = [asked[index] for index in members[part]]
            counted = Held.joined([held[index] for index in members[part]]) if known else None
            found |= zip(members[part], price_grid(drawn, calibration, counted), strict=True)
    return [found[index] for index in range(len(asked))]


def portions(sizes: Sequence[int]) -> Iterator[slice]:
    """Runs of questions of at most MOST_ROWS rows together, or of one. sizes: rows of each question."""
    first = rows = 0
    for place, size in enumerate(sizes):
        if place > first and rows + size > MOST_ROWS:
            yield slice(first, place)
            first, rows = place, 0
        rows += size
    if first < len(sizes):
        yield slice(first, len(sizes))


def held_each(
    asked: Mapping[int, tuple[PlanRequest, Candidates]], calibration: Calibration
) -> dict[int, Held]:
    """What the candidates of each question hold, counted once for those that share it; without the others.

    Questions share it that differ only in machines of one architecture (``Held``), with the very same
    candidates.
    """
    alike: dict[tuple[object, ...], list[int]] = {}
    for index, (request, candidates) in asked.items():
        architecture = family(request.cluster.accelerator)
        key = (id(candidates), architecture, request.model, request.workload)
        alike.setdefault(key, []).append(index)
    shared = [indices for indices in alike.values() if len(indices) > 1]
    sizes = [len(asked[indices[0]][1]) for indices in shared]
    found: dict[int, Held] = {}
    for part in portions(sizes):
        members = [asked[indices[0]] for indices in shared[part]]
        ends = np.cumsum(sizes[part])
        grid = grid_over_questions([one for one, _ in members], sizes[part], side_by_side(members))
        held = held_per_rank(grid, calibration.memory).over(int(ends[-1]))
        for indices, end, size in zip(shared[part], ends, sizes[part], strict=True):
            found |= dict.fromkeys(indices, held.at(slice(int(end) - size, int(end))))
    return found


def price_ppo(request: PlanRequest, candidates: Candidates, calibration: Calibration) -> Priced:
    """One question of PPO, whose models have grids of their own."""
    result = evaluate_ppo(request, candidates.arrays, calibration)
    total, usable = np.broadcast_to(result.memory.total, (len(candidates),)), float(result.grid.memory_bytes)
    margin = margin_of(request, result.grid, calibration)
    fits = worth_timing(total, usable, margin, candidates.kinds)
    step_s = np.where(fits, result.step.step, np.inf)
    return Priced(candidates, request.workload.task, total, usable, margin, fits, step_s)


def price_grid(
    asked: Sequence[tuple[PlanRequest, Candidates]], calibration: Calibration, held: Held | None = None
) -> list[Priced]:
    """The candidates of all questions in one grid. held: what they hold, where it is known already."""
    sizes = [len(candidates) for _, candidates in asked]
    ends = np.cumsum(sizes)
    parts = [slice(int(end) - size, int(end)) for end, size in zip(ends, sizes, strict=True)]
    grid = grid_over_questions([request for request, _ in asked], sizes, side_by_side(asked))
    total = np.broadcast_to(needed_per_rank(grid, calibration.memory, held), (int(ends[-1]),))
    priced = [
        priced_part(request, candidates, grid, total[part], part.start, calibration)
        for (request, candidates), part in zip(asked, parts, strict=True)
    ]
    timed: list[NDArray[np.int64]] = []
    for each, part in zip(priced, parts, strict=True):
        index = np.flatnonzero(each.fits)
        # A single plan that fits is chosen whatever its time.
        each.step_s[index] = 0.0
        timed.append(index + part.start if index.size > 1 else index[:0])
    rows = np.concatenate(timed)
    if rows.size:
        step_s = step_time(grid.rows(rows), calibration.timing).step
        lengths = np.cumsum([index.size for index in timed])[:-1]
        for each, part, index, values in zip(priced, parts, timed, np.split(step_s, lengths), strict=True):
            each.step_s[index - part.start] = values
    return priced


def priced_part(
    request: PlanRequest,
    candidates: Candidates,
    grid: PlanGrid,
    total: Array,
    row: int,
    calibration: Calibration,
) -> Priced:
    """One question's part of a grid, not timed yet. total: its bytes, shape (plans,).  row: its first row."""
    usable = float(grid.memory_bytes[row] if grid.memory_bytes.ndim else grid.memory_bytes)
    margin = margin_of(request, grid, calibration, row)
    fits = worth_timing(total, usable, margin, candidates.kinds)
    step_s = np.full(len(candidates), np.inf)
    return Priced(candidates, request.workload.task, total, usable, margin, fits, step_s)


def side_by_side(asked: Sequence[tuple[PlanRequest, Candidates]]) -> dict[str, Array]:
    """The layout arrays of all questions, one after the other."""
    if len(asked) == 1:
        return asked[0][1].arrays
    return {
        name: np.concatenate([candidates.arrays[name] for _, candidates in asked])
        for name in asked[0][1].arrays
    }


def margin_of(request: PlanRequest, grid: PlanGrid, calibration: Calibration, row: int = 0) -> float:
    """Ratio of usable to needed bytes from which on plan ``row`` fits nine times in ten: the interval's end.

    1 where a layout was asked for: whoever lays a run out knows that it runs, and recompute ``auto`` is then
    the least that fits. (Two measured sources that publish all but the recompute ran without any, at 80 to
    91 % of the memory; with a margin their step times would come out 16 to 20 % too long.)
    """
    if not is_auto(request):
        return 1.0
    return surely_within(request, grid, calibration, row)


def surely_within(request: PlanRequest, grid: PlanGrid, calibration: Calibration, row: int = 0) -> float:
    """Ratio, one or more, of memory to the estimated peak of plan ``row`` that holds it nine times in ten."""
    far = what_is_far(grid, calibration.intervals, row)
    _, high = spread("memory", calibration.intervals, far, "allocated")
    return math.exp(high)


def worth_timing(total: Array, usable: float, margin: float, kinds: int) -> Mask:
    """Flags, shape (plans,): of plans that differ in recompute alone, the first that fits, and the first
    that fits with the margin. total, usable: bytes.
    """
    return least_recompute(total <= usable, kinds) | least_recompute(total * margin <= usable, kinds)


def least_recompute(fits: Mask, kinds: int) -> Mask:
    """In each run of ``kinds`` plans that differ in recompute alone, the first that fits."""
    if kinds == 1:
        return fits
    side_by_side = fits.reshape(-1, kinds)
    first: Mask = side_by_side & (np.cumsum(side_by_side, axis=1) == 1)
    return first.reshape(-1)


def shares_filled(
    asked: Sequence[tuple[PlanRequest, Candidates]], calibration: Calibration
) -> list[tuple[Array, float]]:
    """Of each question: the share of a rank's memory that each candidate fills, shape (plans,), and the
    factor on it that holds nine times in ten. From memory alone, in as few grids as may be.
    """
    found: dict[int, tuple[Array, float]] = {}
    for group in alike([request for request, _ in asked]):
        members = [asked[index] for index in group]
        sizes = [len(candidates) for _, candidates in members]
        ends = np.cumsum(sizes)
        requests = [request for request, _ in members]
        grid, total = memory_of_questions(requests, sizes, side_by_side(members), calibration)
        filled = np.broadcast_to(total / grid.memory_bytes, (int(ends[-1]),))
        for index, end, size in zip(group, ends, sizes, strict=True):
            start = int(end) - size
            margin = surely_within(asked[index][0], grid, calibration, start)
            found[index] = filled[start : int(end)], margin
    return [found[index] for index in range(len(asked))]


def alike(requests: Sequence[PlanRequest]) -> list[list[int]]:
    """Positions of the questions whose memory can be computed in one grid: all, but for PPO of one workload,
    since its models have grids of their own.
    """
    groups: dict[Workload | None, list[int]] = {}
    for index, request in enumerate(requests):
        groups.setdefault(request.workload if request.workload.ppo else None, []).append(index)
    return list(groups.values())


def memory_of_questions(
    requests: Sequence[PlanRequest],
    sizes: Sequence[int],
    layouts: Mapping[str, Array],
    calibration: Calibration,
) -> tuple[PlanGrid, Array]:
    """The grid of questions that are ``alike``, and the bytes of each plan's fullest rank, shape (plans,)."""
    first = requests[0]
    if not first.workload.ppo:
        grid = grid_over_questions(requests, sizes, layouts)
        return grid, needed_per_rank(grid, calibration.memory)
    numbers = [cluster_numbers(request.cluster, first.workload.precision) for request in requests]
    machines = {
        name: np.repeat(np.array([float(row[name]) for row in numbers]), sizes) for name in numbers[0]
    }
    result = evaluate_ppo(first, {**machines, **layouts}, calibration)
    return result.grid, result.memory.total
