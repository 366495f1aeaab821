"""Fit the few memory constants to measured runs, check them on runs left out, and write the data file.

    python -m planner.accuracy.fit.memory          fit, leave-one-out checks, write
    python -m planner.accuracy.fit.memory --check  report on the constants as shipped, write nothing

Least squares on log(predicted / measured), softened beyond a few per cent, held by priors from physics. Each
run is compared by the kind of figure it publishes: torch's allocated or reserved bytes, or nvidia-smi's.
Errors are reported by fits that saw no run of the same group, and none of the same source.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from planner.accuracy.calibration import MEMORY_FILE, shipped_calibration
from planner.accuracy.fit import held_out_memory, memory_document, memory_ranges
from planner.accuracy.runs import FURTHER, MEASURED, QUALITY_WEIGHT, memory_counter, read_rows
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.engine.choose.plan import choose
from planner.engine.grid.build import grid_of
from planner.engine.grid.plan_grid import ARCHITECTURES, Array, PlanGrid
from planner.engine.memory.peak import MemoryConstants, memory_per_rank
from planner.engine.question.errors import PlanErrors
from planner.engine.sure.intervals import chance_within

#: Residual (in log) up to which a run counts quadratically.
NOISE = 0.03
#: The allocator's three views of one peak, in the order of the predictions.
KINDS = ("allocated", "reserved", "nvidia-smi")
#: A second figure of a run counts half beside its first.
SECOND_FIGURE_WEIGHT = 0.5
GPU_ARCHITECTURES = tuple(name for name in ARCHITECTURES if name != "trainium")
PER_ARCHITECTURE = ("context_bytes", "communicator_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is known of a constant before the fit.

    value: from physics or documentation.  spread: how uncertain it is (in the logarithm).  low, high: bounds.
    """

    value: float
    spread: float
    low: float
    high: float
    source: str


PRIORS: dict[str, Prior] = {
    "context_bytes": Prior(
        value=0.6e9,
        spread=0.4,
        low=0.2e9,
        high=2.5e9,
        source="CUDA context of an idle PyTorch process, 0.3 to 0.6 GB on A100, more with libraries loaded",
    ),
    "communicator_bytes": Prior(
        value=0.5e9,
        spread=0.7,
        low=0.05e9,
        high=2e9,
        source="NCCL: NCCL_BUFFSIZE of 4 MiB per channel, peer and protocol",
    ),
    "reserve_share": Prior(
        value=0.08, spread=0.7, low=0.005, high=0.4, source="fragmentation of the caching allocator"
    ),
    "state_reserve_share": Prior(
        value=0.005,
        spread=0.3,
        low=0.001,
        high=0.05,
        source="blocks of tensors are rounded up to 2 MiB: on average by 1 MiB in about 200",
    ),
    "idle_reserve_share": Prior(
        value=0.5, spread=0.7, low=0.05, high=1.0, source="freed blocks of other sizes stay in the cache"
    ),
    "backward_reserve_share": Prior(
        value=0.2,
        spread=0.7,
        low=0.01,
        high=1.0,
        source="the backward pass reuses part of the logits' blocks",
    ),
    "gather_reserve_share": Prior(
        value=0.5, spread=0.7, low=0.01, high=2.0, source="a second set of blocks on FSDP's all-gather stream"
    ),
    "crossing_reserve_share": Prior(
        value=0.1,
        spread=0.7,
        low=0.005,
        high=0.4,
        source="holes between activations that are allocated while others are freed",
    ),
    "whole_logit_bytes": Prior(
        value=12.0,
        spread=0.2,
        low=6.0,
        high=16.0,
        source="16-bit logits freed, fp32 copy, log-probabilities and gradient: 3 x 4 bytes",
    ),
    "compiled_chunk_logit_bytes": Prior(
        value=2.5, spread=0.3, low=1.5, high=6.0, source="16-bit logits, fp32 for one chunk of eight"
    ),
    "fused_hidden_bytes": Prior(
        value=5.0,
        spread=0.5,
        low=1.0,
        high=30.0,
        source="Liger fused linear cross-entropy: 2 bytes of gradient, 2 to 4 of a chunk's logits",
    ),
    "working_share": Prior(
        value=1.0, spread=0.1, low=0.5, high=2.0, source="tensors counted one by one, as autograd saves them"
    ),
    "adapter_working_share": Prior(
        value=1.0, spread=0.1, low=0.5, high=2.0, source="tensors counted one by one, as autograd saves them"
    ),
    "quantized_input_bytes": Prior(
        value=4.0, spread=0.3, low=2.0, high=6.0, source="inputs of quantised layers widened to fp32"
    ),
    "learned_expert_load": Prior(
        value=1.3,
        spread=0.2,
        low=1.0,
        high=3.0,
        source="auxiliary losses keep the fullest rank within tens of per cent of an even share; a router"
        " that meets other data does not",
    ),
}
NAMES = tuple(PRIORS)
START = np.log([prior.value for prior in PRIORS.values()])
LOW = np.log([prior.low for prior in PRIORS.values()])
HIGH = np.log([prior.high for prior in PRIORS.values()])
SPREAD = np.array([prior.spread for prior in PRIORS.values()])


@dataclass(frozen=True, slots=True)
class Figures:
    """Published figures.

    plan, kind: indices into the predictions.  weight: how much each counts.  log_bytes: logarithm of the
    bytes.
    first: whether it is the run's first figure (errors are reported on these).
    """

    grid: PlanGrid
    rows: list[dict[str, Any]]
    plan: Array
    kind: Array
    log_bytes: Array
    weight: Array
    first: Array

    def labels(self, key: str) -> np.ndarray[Any, Any]:
        """A field of each figure's run, or its group."""
        rows = [self.rows[int(index)] for index in self.plan]
        if key == "group":
            return np.array([f"{row['source']}/{row['group']}" for row in rows])
        return np.array([row[key] for row in rows])

    def names(self) -> list[str]:
        """The name of each figure in the data file of errors left out."""
        return [
            held_out_memory.figure_name(self.rows[int(plan)]["row_id"], KINDS[int(kind)])
            for plan, kind in zip(self.plan, self.kind, strict=True)
        ]

    def tasks(self) -> np.ndarray[Any, Any]:
        """The task of each figure's run."""
        return np.array([self.rows[int(index)]["request"]["workload"]["task"] for index in self.plan])


def every_row() -> list[dict[str, Any]]:
    """All measured runs."""
    return [*read_rows(MEASURED), *read_rows(FURTHER)]


def plans_of(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], PlanGrid]:
    """The rows that are valid questions, and their plans. Invalid ones (too many chunks per stage) are left
    out.
    """
    catalog, calibration = load_shipped_catalog(), shipped_calibration()
    valid, plans = [], []
    for row in rows:
        try:
            choice = choose(parse_plan_request(row["request"], catalog), calibration)
        except PlanErrors as refused:
            print(f"left out: {row['row_id']}: {str(refused)[:80]}")
            continue
        valid.append(row)
        plans.append((choice.request, choice.layout))
    return valid, grid_of(plans)


def published_figures() -> Figures:
    """Every run that publishes memory, except PPO (which is composed of several models)."""
    rows, grid = plans_of(
        [
            row
            for row in every_row()
            if row["measured"].get("peak_memory_bytes") and row["request"]["workload"]["task"] != "ppo"
        ]
    )
    groups: dict[str, int] = defaultdict(int)
    sources: dict[str, int] = defaultdict(int)
    for row in rows:
        groups[f"{row['source']}/{row['group']}"] += 1
        sources[row["source"]] += 1
    table: list[tuple[int, int, float, float, bool]] = []
    for index, row in enumerate(rows):
        measured = row["measured"]
        weight = QUALITY_WEIGHT[row["quality"]] * groups[f"{row['source']}/{row['group']}"] ** -0.25
        weight *= (sources[row["source"]] / 20.0) ** -0.25
        kind = memory_counter(row["source"], measured)
        table.append((index, KINDS.index(kind), measured["peak_memory_bytes"], weight, True))
        for name, of in (("nvidia_smi_bytes", "nvidia-smi"), ("reserved_memory_bytes", "reserved")):
            if second := measured.get(name):
                table.append((index, KINDS.index(of), second, weight * SECOND_FIGURE_WEIGHT, False))
    columns = [np.array(column) for column in zip(*table, strict=True)]
    plan, kind_index, measured_bytes, weights, first = columns
    return Figures(grid, rows, plan, kind_index, np.log(measured_bytes), weights, first)


def as_mapping(logarithms: Array) -> dict[str, Any]:
    """Constants by name, as the data file holds them; no CUDA context or NCCL on a NeuronCore."""
    values: dict[str, Any] = {
        name: float(f"{value:.12g}") for name, value in zip(NAMES, np.exp(logarithms), strict=True)
    }
    for name in PER_ARCHITECTURE:
        values[name] = [values[name] if each in GPU_ARCHITECTURES else 0.0 for each in ARCHITECTURES]
    return values


def log_residuals(constants: MemoryConstants, figures: Figures) -> Array:
    """log(predicted / measured) of each figure."""
    terms = memory_per_rank(figures.grid, constants)
    predicted = np.stack([terms.allocated, terms.reserved, terms.total])
    return np.asarray(np.log(predicted[figures.kind, figures.plan]) - figures.log_bytes)


def constants_of(logarithms: Array) -> MemoryConstants:
    """The constants from their logarithms, shape (constants,)."""
    return MemoryConstants.from_mapping({"constants": as_mapping(logarithms)})


def fit(figures: Figures, seen: Array, start: Array = START) -> Array:
    """Logarithms of the constants that explain the figures where ``seen`` holds."""

    def cost(logarithms: Array) -> Array:
        scaled = log_residuals(constants_of(logarithms), figures)[seen] / NOISE
        softened = np.sign(scaled) * np.sqrt(2.0 * (np.sqrt(1.0 + scaled**2) - 1.0))
        return np.concatenate([softened * np.sqrt(figures.weight[seen]), (logarithms - START) / SPREAD])

    first = np.clip(start, LOW + 1e-6, HIGH - 1e-6)
    return np.asarray(least_squares(cost, first, bounds=(LOW, HIGH), max_nfev=40).x)


def held_out_residuals(figures: Figures, key: str) -> Array:
    """log(predicted / measured) of each figure by a fit that saw none with the same label.

    Each fit starts from the priors: one that started from the fit to everything might stay there.
    """
    labels = figures.labels(key)
    residuals = np.full(len(labels), np.nan)
    for label in dict.fromkeys(labels):
        out = labels == label
        residuals[out] = log_residuals(constants_of(fit(figures, ~out)), figures)[out]
    return residuals


def mean_error(residuals: Array) -> float:
    """Mean absolute error as a share. residuals: log(predicted / measured)."""
    return float(np.mean(np.abs(np.expm1(residuals))))


def error_by_source(figures: Figures, residuals: Array) -> float:
    """Mean over sources of their mean absolute errors, as a share, of each run's first figure."""
    first, sources = figures.first.astype(bool), figures.labels("source")
    of_each = [mean_error(residuals[first & (sources == source)]) for source in dict.fromkeys(sources)]
    return float(np.mean(of_each))


def by_label(residuals: Array, labels: Iterable[str]) -> dict[str, dict[str, float]]:
    """Count, median bias, mean and largest error (shares) of the figures of each label."""
    table: dict[str, list[float]] = defaultdict(list)
    for label, residual in zip(labels, residuals, strict=True):
        table[str(label)].append(float(residual))
    return {
        label: {
            "figures": len(values),
            "bias": round(float(np.expm1(np.median(values))), 4),
            "mean_error": round(mean_error(np.array(values)), 4),
            "largest_error": round(float(np.max(np.abs(np.expm1(values)))), 4),
        }
        for label, values in sorted(table.items())
    }


#: Ends of the classes of chances by which plans that ran and that failed are told apart.
CHANCE_CLASSES = (0.0, 0.1, 0.5, 0.9, 1.01)


def verdicts(constants: MemoryConstants, ends: tuple[float, float]) -> dict[str, Any]:
    """Fit or not, for every run whose recompute is published, and by the chance that it was given.

    Runs that failed for memory must not fit, the others must. ends: of the range of allocated bytes, factors.
    """
    rows, grid = plans_of(
        [
            row
            for row in every_row()
            if row["request"]["workload"]["task"] != "ppo"
            and (
                row["request"]["workload"].get("activation_recompute")
                or row["request"]["layout"].get("activation_recompute")
            )
        ]
    )
    terms = memory_per_rank(grid, constants)
    fits: Any
    fits, needed, usable = (
        np.broadcast_to(values, (len(rows),))
        for values in (terms.total <= grid.memory_bytes, terms.needed, grid.memory_bytes)
    )
    ran = np.array([row["measured"].get("fits") is not False for row in rows])
    logarithms = (float(np.log(ends[0])), float(np.log(ends[1])))
    chances = np.array(
        [
            chance_within(float(point), float(limit), logarithms)
            for point, limit in zip(needed, usable, strict=True)
        ]
    )
    classes = list(pairwise(CHANCE_CLASSES))
    within = [(chances >= low) & (chances < high) for low, high in classes]
    return {
        "runs": len(rows),
        "failed_runs": int(np.sum(~ran)),
        "failed_said_to_fit": [row["row_id"] for row, bad in zip(rows, fits & ~ran, strict=True) if bad],
        "ran_said_to_fail": [row["row_id"] for row, bad in zip(rows, ~fits & ran, strict=True) if bad],
        "right": round(float(np.mean(fits == ran)), 4),
        "by_chance": [
            {
                "from": low,
                "to": min(high, 1.0),
                "ran": int(np.sum(own & ran)),
                "failed": int(np.sum(own & ~ran)),
            }
            for (low, high), own in zip(classes, within, strict=True)
        ],
    }


def report(figures: Figures, residuals: Array, title: str) -> None:
    """Print mean errors, overall and by source."""
    first = figures.first.astype(bool)
    median = np.median(np.abs(residuals[first]))
    print(f"{title}: mean error {mean_error(residuals[first]):.2%}, median {median:.2%}")
    labels = [f"{s} ({KINDS[int(k)]})" for s, k in zip(figures.labels("source"), figures.kind, strict=True)]
    for label, row in by_label(residuals, labels).items():
        print(
            f"  {label:38s} n {row['figures']:4.0f}  bias {row['bias']:+7.1%}  mean {row['mean_error']:6.1%}"
            f"  largest {row['largest_error']:6.1%}"
        )


def calibrate() -> dict[str, Any]:
    """Fit, check on runs left out and write these errors; return the content of the data file."""
    figures = published_figures()
    first = figures.first.astype(bool)
    everything = np.ones(len(figures.plan), dtype=bool)
    # Four digits are more than the data support, and keep the file readable.
    fitted = np.log([float(f"{value:.4g}") for value in np.exp(fit(figures, everything))])
    constants = constants_of(fitted)
    residuals = log_residuals(constants, figures)
    report(figures, residuals, "fitted")
    by_group = held_out_residuals(figures, "group")
    report(figures, by_group, "leave one group out")
    by_source = held_out_residuals(figures, "source")
    report(figures, by_source, "leave one source out")
    held_out_memory.write(figures.names(), by_group, by_source)
    ranges = memory_ranges.ranges(figures, by_source)
    low, high = ranges.by_counter["allocated"]
    checked = verdicts(constants, (low, high))
    print("verdicts:", json.dumps(checked, indent=1))

    return {
        "provenance": {
            "command": "python -m planner.accuracy.fit.memory",
            "fitted_on": date.today().isoformat(),
            "data": "planner/accuracy/data/runs/measured.jsonl, rows that publish memory",
            "figures": len(figures.plan),
            "runs": len(figures.rows),
            "priors": {
                name: {"value": prior.value, "spread": prior.spread, "source": prior.source}
                for name, prior in PRIORS.items()
            },
        },
        "constants": as_mapping(fitted),
        "interval": ranges.by_counter,
        "interval_far": {kind: memory_ranges.wider(pair) for kind, pair in ranges.by_counter.items()},
        "interval_of_all": ranges.overall,
        "coverage": memory_ranges.coverage(figures, by_source),
        "reliability": memory_ranges.reliability(figures, by_source),
        "errors": {
            "fitted": round(mean_error(residuals[first]), 4),
            "fitted_median": round(float(np.median(np.abs(residuals[first]))), 4),
            "leave_one_group_out": round(mean_error(by_group[first]), 4),
            "leave_one_source_out": round(mean_error(by_source[first]), 4),
            "leave_one_source_out_by_source": round(error_by_source(figures, by_source), 4),
            "by_task_left_out": by_label(by_source[first], figures.tasks()[first]),
            "by_source": by_label(residuals[first], figures.labels("source")[first]),
            "by_source_left_out": by_label(by_source[first], figures.labels("source")[first]),
        },
        "verdicts": checked,
    }


def main() -> None:
    """Fit and write, or with ``--check`` report on the constants as shipped."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--check", action="store_true", help="report on the shipped constants, write nothing")
    if parser.parse_args().check:
        figures = published_figures()
        constants = shipped_calibration().memory
        report(figures, log_residuals(constants, figures), "as shipped")
        print("verdicts:", json.dumps(verdicts(constants, constants.interval["allocated"]), indent=1))
        return
    calibrated = calibrate()
    MEMORY_FILE.write_text(json.dumps(calibrated, indent=1) + "\n", encoding="utf-8")
    memory_document.write(calibrated)
    print(f"wrote {MEMORY_FILE.name} and {memory_document.PAGE.name}")


if __name__ == "__main__":
    main()
