"""What was measured near a plan: how many runs, of how many sources, and how far off such runs were unseen.

The runs themselves are given (``Calibration.measured``); this room knows what near means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from planner.engine.question.request import PlanRequest
from planner.engine.question.result import Evidence, Measured
from planner.engine.question.specs import ModelSpec

Quantity = Literal["time", "memory"]
Flags = NDArray[np.bool_]
#: Factors within which a run is near a plan in size. Our own choice: errors grow little within a decade of
#: model and cluster, and a sequence eight times as long has another share of attention.
NEAR = {"parameters": 10.0, "accelerators": 10.0, "sequence_length": 8.0}
LOG_NEAR = np.log(list(NEAR.values()))[:, np.newaxis]
#: Runs that are named.
MOST_NAMED = 5
#: Tasks whose runs tell of one another: adapters on a frozen base behave alike, whatever its precision.
TASK_CLASSES = {"lora": "adapters", "qlora": "adapters"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredRuns:
    """The measured runs, one at each position. names: row ids. Equal to itself alone.

    accelerators, tasks (as ``task_class``), kinds (as ``kind_of``), frameworks: of each run, in words.
    sizes: log of parameters, accelerators and sequence length, shape (runs, 3).
    errors: by quantity, |predicted / measured - 1| with the run's source left out of the fit, shape (runs,);
    nan where the quantity was not measured, and inf where it was but its error unseen is not known.
    """

    names: Sequence[str] = ()
    sources: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, dtype=str))
    accelerators: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, dtype=str))
    tasks: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, dtype=str))
    kinds: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, dtype=str))
    frameworks: NDArray[np.str_] = field(default_factory=lambda: np.zeros(0, dtype=str))
    sizes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))
    errors: Mapping[Quantity, NDArray[np.float64]] = field(
        default_factory=lambda: {"time": np.zeros(0), "memory": np.zeros(0)}
    )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> MeasuredRuns:
        """From ``{"columns": [...], "rows": [...]}`` as the file of evidence holds it."""
        columns: dict[str, Any] = dict(zip(values["columns"], zip(*values["rows"], strict=True), strict=True))
        sizes = np.array([columns[name] for name in NEAR], dtype=float).T

        def errors(name: str) -> NDArray[np.float64]:
            known = {None: np.nan, "unknown": np.inf}
            return np.array([known.get(value, value) for value in columns[name]], dtype=float)

        return cls(
            names=columns["name"],
            sources=np.array(columns["source"]),
            accelerators=np.array(columns["accelerator"]),
            tasks=np.array(columns["task"]),
            kinds=np.array(columns["kind"]),
            frameworks=np.array(columns["framework"]),
            sizes=np.log(sizes),
            errors={"time": errors("time_error"), "memory": errors("memory_error")},
        )


def task_class(task: str) -> str:
    """The class of tasks whose runs tell of one another."""
    return TASK_CLASSES.get(task, task)


def kind_of(model: ModelSpec) -> str:
    """Kind of the model, as measured runs are grouped: its architecture, or a mixture of experts."""
    return "mixture_of_experts" if model.experts else model.architecture


@lru_cache(maxsize=1024)
def where_said(runs: MeasuredRuns, column: str, word: str) -> Flags:
    """Flags of the runs whose ``column`` says ``word``, shape (runs,)."""
    flags: Flags = getattr(runs, column) == word
    return flags


@dataclass(frozen=True, slots=True)
class Alike:
    """Runs of one class of task and kind of model of which a quantity was measured.

    rows: their places, shape (found,).  sizes: as in MeasuredRuns, shape (3, found), so that numpy goes along
    the runs.  error_on_unseen: the mean of their errors unseen, None where none is known.
    """

    rows: NDArray[np.intp]
    sizes: NDArray[np.float64]
    error_on_unseen: float | None


@lru_cache(maxsize=1024)
def runs_alike(
    runs: MeasuredRuns, quantity: Quantity, tasks: str, kind: str, accelerator: str | None
) -> Alike:
    """The measured runs of one class of task and kind of model, on one accelerator or, without, on any."""
    alike = where_said(runs, "tasks", tasks) & where_said(runs, "kinds", kind)
    if accelerator is not None:
        alike = alike & where_said(runs, "accelerators", accelerator)
    rows = np.flatnonzero(alike & ~np.isnan(runs.errors[quantity]))
    return Alike(rows, np.ascontiguousarray(runs.sizes[rows].T), _mean_known(runs.errors[quantity][rows]))


@lru_cache(maxsize=1024)
def runs_on(runs: MeasuredRuns, quantity: Quantity, accelerator: str) -> int:
    """The count of runs on an accelerator of which the quantity was measured."""
    on_chip = where_said(runs, "accelerators", accelerator)
    return int(np.count_nonzero(on_chip & ~np.isnan(runs.errors[quantity])))


@lru_cache(maxsize=16)
def source_numbers(runs: MeasuredRuns) -> NDArray[np.intp]:
    """A number for each run that it shares with the runs of its source alone, shape (runs,)."""
    return np.unique(runs.sources, return_inverse=True)[1]


def evidence_near(
    request: PlanRequest, runs: MeasuredRuns, *, parameters: float, accelerators: float
) -> Evidence:
    """What was measured near a plan. parameters, accelerators: counts.

    Near is a run on the same accelerator, of the same class of task and kind of model, by the same stack
    where one is named, with model, cluster and sequence within the factors of ``NEAR``.
    """
    workload, accelerator = request.workload, request.cluster.accelerator.slug
    own = np.log([[parameters], [accelerators], [float(workload.sequence_length)]])
    on_chip = where_said(runs, "accelerators", accelerator)
    by_stack = where_said(runs, "frameworks", workload.framework)
    tasks, kind = task_class(workload.task), kind_of(request.model)
    numbers = source_numbers(runs)

    def apart(alike: Alike) -> NDArray[np.float64]:
        # The furthest of the three in units of what is near.
        furthest: NDArray[np.float64] = (np.abs(alike.sizes - own) / LOG_NEAR).max(axis=0, initial=0.0)
        return furthest

    def of(quantity: Quantity) -> Measured:
        alike = runs_alike(runs, quantity, tasks, kind, accelerator)
        distance = apart(alike)
        near = distance <= 1.0
        if workload.framework != "generic":
            near &= by_stack[alike.rows]
        found = listed = alike.rows[near]
        if found.size:
            error = _mean_known(runs.errors[quantity][found])
            # Runs by another stack come after.
            far = distance[near] + ~by_stack[found]
        else:
            # Without a run near the plan, the class of task says how far off an unseen run is.
            alike = runs_alike(runs, quantity, tasks, kind, None)
            listed, error = alike.rows, alike.error_on_unseen
            far = apart(alike) + 2.0 * ~on_chip[listed] + ~by_stack[listed]
        order = listed[np.argsort(far, kind="stable")[:MOST_NAMED]]
        return Measured(
            runs=int(found.size),
            sources=int(np.count_nonzero(np.bincount(numbers[found]))),
            nearest=tuple(runs.names[index] for index in order.tolist()),
            error_on_unseen=error,
            runs_on_accelerator=runs_on(runs, quantity, accelerator),
        )

    return Evidence(time=of("time"), memory=of("memory"))


def _mean_known(errors: NDArray[np.float64]) -> float | None:
    known = errors[np.isfinite(errors)]
    return float(known.sum()) / known.size if known.size else None
