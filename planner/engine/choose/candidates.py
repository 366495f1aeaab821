"""Memory of all candidates, time of those that fit, and which of them an expert would take.

Memory is computed first because it is cheap and rules most plans out. There is no loop over plans.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from planner.engine.grid.build import grid_over_layouts
from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.layout.enumeration import Candidates, Mask, is_auto
from planner.engine.memory.peak import total_per_rank, within_host
from planner.engine.question.request import PlanRequest, Task
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
    total = total + NARROW_RELUCTANCE * (priced.memory_total_bytes * priced.margin > priced.usable_bytes)
    for share, held_back in TIGHT_RELUCTANCE:
        total = total + held_back * (priced.memory_total_bytes > share * priced.usable_bytes)
    return total


def price(request: PlanRequest, candidates: Candidates, calibration: Calibration) -> Priced:
    """Memory of all candidates and time of those that fit.

    By the contract recompute ``auto`` is the least recompute that fits; the least that fits with a margin
    (nine times in ten, by the memory interval) is preferred where it costs little. Of plans that differ in
    recompute alone only these two are timed.
    """
    count, task = len(candidates), request.workload.task
    if request.workload.ppo:
        result = evaluate_ppo(request, candidates.arrays, calibration)
        total, usable = np.broadcast_to(result.memory.total, (count,)), float(result.grid.memory_bytes)
        margin = margin_of(request, result.grid, calibration)
        fits = worth_timing(total, usable, margin, candidates.kinds)
        step_s = np.where(fits, result.step.step, np.inf)
        return Priced(candidates, task, total, usable, margin, fits, step_s)
    grid = grid_over_layouts(request, candidates.arrays)
    total = np.broadcast_to(total_per_rank(grid, calibration.memory), (count,))
    usable = float(grid.memory_bytes)
    margin = margin_of(request, grid, calibration)
    fits = worth_timing(total, usable, margin, candidates.kinds) & within_host(grid, calibration.memory)
    step_s = np.full(count, np.inf)
    index = np.flatnonzero(fits)
    if index.size == 1:
        step_s[index] = 0.0
    elif index.size:
        step_s[index] = step_time(grid.rows(index), calibration.timing).step
    return Priced(candidates, task, total, usable, margin, fits, step_s)


def margin_of(request: PlanRequest, grid: PlanGrid, calibration: Calibration) -> float:
    """Ratio of usable to needed bytes from which on a plan fits nine times in ten: the interval's end.

    1 where a layout was asked for: whoever lays a run out knows that it runs, and recompute ``auto`` is then
    the least that fits. (Two measured sources that publish all but the recompute ran without any, at 80 to
    91 % of the memory; with a margin their step times would come out 16 to 20 % too long.)
    """
    if not is_auto(request):
        return 1.0
    far = what_is_far(grid, calibration.intervals, ppo=request.workload.ppo is not None)
    _, high = spread("memory", calibration.intervals, far, request.workload.task)
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


def memory_fits(request: PlanRequest, candidates: Candidates, calibration: Calibration) -> Mask:
    """Flags, shape (plans,): which candidates fit, from memory alone."""
    if request.workload.ppo:
        return evaluate_ppo(request, candidates.arrays, calibration).fits
    grid = grid_over_layouts(request, candidates.arrays)
    fits = total_per_rank(grid, calibration.memory) <= grid.memory_bytes
    fits = fits & within_host(grid, calibration.memory)
    return np.broadcast_to(fits, (len(candidates),))
