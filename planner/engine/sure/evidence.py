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
LOG_NEAR = np.log(list(NEAR.values()))
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


@lru_cache(maxsize=16)
def where_measured(runs: MeasuredRuns, quantity: Quantity) -> Flags:
    """Flags of the runs of which the quantity was measured, shape (runs,)."""
    return ~np.isnan(runs.errors[quantity])


def evidence_near(
    request: PlanRequest, runs: MeasuredRuns, *, parameters: float, accelerators: float
) -> Evidence:
    """What was measured near a plan. parameters, accelerators: counts.

    Near is a run on the same accelerator, of the same class of task and kind of model, by the same stack
    where one is named, with model, cluster and sequence within the factors of ``NEAR``.
    """
    workload = request.workload
    own = np.log([parameters, accelerators, float(workload.sequence_length)])
    alike = where_said(runs, "tasks", task_class(workload.task))
    alike = alike & where_said(runs, "kinds", kind_of(request.model))
    on_chip = where_said(runs, "accelerators", request.cluster.accelerator.slug)
    by_stack = where_said(runs, "frameworks", workload.framework)
    # The furthest of the three in units of what is near.
    apart = np.abs(runs.sizes - own)
    distance = (apart / LOG_NEAR).max(axis=1, initial=0.0)
    near = alike & on_chip & (apart <= LOG_NEAR).all(axis=1)
    if workload.framework != "generic":
        near = near & by_stack

    def of(quantity: Quantity) -> Measured:
        errors = runs.errors[quantity]
        known = where_measured(runs, quantity)
        found = np.flatnonzero(near & known)
        # Without a run near the plan, the class of task says how far off an unseen run is.
        judged = errors[found] if found.size else errors[alike & known]
        judged = judged[np.isfinite(judged)]
        listed = found if found.size else np.flatnonzero(alike & known)
        # Runs on another chip or by another stack come after.
        far = distance[listed] + 2.0 * ~on_chip[listed] + ~by_stack[listed]
        order = listed[np.argsort(far, kind="stable")][:MOST_NAMED]
        return Measured(
            runs=int(found.size),
            sources=len(set(runs.sources[found].tolist())),
            nearest=tuple(runs.names[index] for index in order),
            error_on_unseen=float(np.mean(judged)) if judged.size else None,
            runs_on_accelerator=int(np.count_nonzero(on_chip & known)),
        )

    return Evidence(time=of("time"), memory=of("memory"))
