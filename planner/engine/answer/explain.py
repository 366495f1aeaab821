"""The explanation of an answer: the records it is made of, poured into the templates of each room.

The templates name the record and the field of every number they show, so nothing of one record can stand for
what another calls the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

from planner.engine.answer.billing import billed, interrupted_record
from planner.engine.answer.records import Figures
from planner.engine.evaluate import Evaluation
from planner.engine.memory.explain import MEMORY_TEMPLATES
from planner.engine.question.request import Workload
from planner.engine.question.result import Term, Time
from planner.engine.rl.explain import PPO_TEMPLATES
from planner.engine.run.explain import RUN_TEMPLATES
from planner.engine.run.money import SECONDS_PER_HOUR
from planner.engine.time.explain import STEP_TEMPLATES
from planner.engine.time.step import bubble_each_s
from planner.engine.trace import terms

TEMPLATES = (*MEMORY_TEMPLATES, *PPO_TEMPLATES, *STEP_TEMPLATES, *RUN_TEMPLATES)
#: What the templates show of the grid. Python writes its own floats twice as quickly as numpy's.
GRID_FIELDS = sorted(
    {name for each in TEMPLATES for name in re.findall(r"\bgrid\.(\w+)", f"{each.value} {each.formula}")}
)
#: Of a round of reinforcement learning, beside training.
PHASES = (
    " + {generation:.4g} generation + {waiting:.4g} waiting + {scoring:.4g} scoring"
    " + {weight_synchronization:.4g} weight synchronization"
)
grid_fields = attrgetter(*GRID_FIELDS)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the templates show in units of their own, and words that depend on the task.

    phases: of a PPO step beside training.  also: whose training the numbers behind a part are.
    """

    hours: float
    peak_tflops: float
    matmul_rate_tflops: float
    bandwidth_gbyte_s: float
    bubble_each_s: float
    phases: str
    also: str


def shown(plan: Evaluation, time: Time) -> Shown:
    """Numbers in the units that a reader expects (TFLOP/s, GB/s, hours), for the templates alone."""
    grid, numbers = plan.grid, plan.step.terms
    ppo = "generation" in numbers
    return Shown(
        hours=time.total_s / SECONDS_PER_HOUR,
        peak_tflops=float(grid.peak_flops_per_s) / 1e12,
        matmul_rate_tflops=float(numbers["matmul_rate_flops_per_s"]) / 1e12,
        bandwidth_gbyte_s=float(grid.memory_bandwidth_bytes_per_s) / 1e9,
        bubble_each_s=float(bubble_each_s(grid, plan.step)),
        phases=PHASES.format_map(numbers) if ppo else "",
        also=" for the actor; the critic and further epochs come on top" if ppo else "",
    )


def records_of(found: Figures, workload: Workload) -> Mapping[str, Any]:
    """The records by the names that templates call them."""
    plan = found.plan
    return {
        "workload": workload,
        "grid": SimpleNamespace(**dict(zip(GRID_FIELDS, map(float, grid_fields(plan.grid)), strict=True))),
        "memory": plan.memory,
        "step": plan.step,
        "work": found.work,
        "parameters": found.parameters,
        "usage": found.memory,
        "time": found.time,
        "cost": found.cost,
        "shown": shown(plan, found.time),
        "bill": billed(found.cost, found.sale, found.time.total_s),
        "interrupted": interrupted_record(found.time, found.sale),
    }


def explanation(records: Mapping[str, Any], in_words: tuple[Term, ...]) -> tuple[Term, ...]:
    """in_words: what is kept per parameter and what runs, which are told in words of their own."""
    return (*terms(TEMPLATES, records), *in_words)
