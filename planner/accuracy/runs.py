"""Measured runs as plans: every row of the data file, read as the contract reads a request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from planner.accuracy.calibration import DATA_DIRECTORY
from planner.accuracy.facts import request_with_facts
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.engine.choose.plan import Choice, choose
from planner.engine.grid.build import grid_of
from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.question.request import PlanRequest
from planner.engine.sure.calibration import Calibration

MEASURED = DATA_DIRECTORY / "runs" / "measured.jsonl"
#: Runs of other stacks and machines, collected later (November 2026). They are read where asked for.
FURTHER = DATA_DIRECTORY / "runs" / "further.jsonl"
GOLDEN = DATA_DIRECTORY / "runs" / "korthikanti_2022.jsonl"
#: A row with assumed inputs counts less ("fair": one or two inputs are assumed; see the data's notes).
QUALITY_WEIGHT = {"good": 1.0, "fair": 0.5}


#: What sources call their counter of memory, where it is none of the three that the engine predicts.
#: nanotron logs torch's allocated peak, and torchao's script reads it; axolotl and the trainers that leave it
#: open print what the device has reserved; a page that says nothing read nvidia-smi.
COUNTERS = {
    "unknown": "allocated",
    "not published (script: allocated)": "allocated",
    "not published (device reserved likely)": "reserved",
    "not published (reserved or nvidia-smi)": "reserved",
    "reserved at step end": "reserved",
    "not published": "nvidia-smi",
}
#: torchtitan logs torch's reserved bytes, though not every table says so (torchtitan/components/metrics.py).
COUNTER_OF_SOURCE = {"torchtitan": "reserved"}


def memory_counter(source: str, measured: Mapping[str, Any]) -> str:
    """Which of ``allocated``, ``reserved`` and ``nvidia-smi`` a run's peak memory is."""
    said = measured.get("memory_kind") or COUNTER_OF_SOURCE.get(source, "nvidia-smi")
    return COUNTERS.get(said, said)


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run. measured: published values, by name with the unit in it."""

    row_id: str
    source: str
    group: str
    kind: str
    quality: str
    measured: dict[str, Any]
    request: PlanRequest
    choice: Choice

    @property
    def step_s(self) -> float | None:
        """Published seconds of a step, None where it is not published."""
        value = self.measured.get("step_s")
        return None if value is None else float(value)


def read_rows(path: Path = MEASURED) -> list[dict[str, Any]]:
    """The rows of a data file, each request completed with what the row's facts say."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return [row | {"request": request_with_facts(row), "measured": of_fullest_stage(row)} for row in rows]


def of_fullest_stage(row: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured. A peak of the last pipeline stage alone is not that of the fullest, as predicted."""
    measured = dict(row["measured"])
    if row.get("worst_stage") is False:
        measured["last_stage_memory_bytes"] = measured.pop("peak_memory_bytes")
    return measured


def read_runs(calibration: Calibration, path: Path = MEASURED) -> list[Run]:
    """All rows of ``path`` whose machines the catalog has. Layout fields that a source does not publish are
    chosen as ``estimate`` would.

    Raises PlanErrors where such a row is no valid request.
    """
    catalog = load_shipped_catalog()
    known = {record.slug for record in catalog.accelerators()}
    runs = []
    for row in read_rows(path):
        chip = row["request"]["cluster"].get("accelerator")
        if isinstance(chip, str) and chip not in known:
            continue
        request = parse_plan_request(row["request"], catalog)
        runs.append(
            Run(
                row_id=row["row_id"],
                source=row["source"],
                group=f"{row['source']}/{row['group']}",
                kind=row.get("kind", "pretraining"),
                quality=row["quality"],
                measured=row["measured"],
                request=request,
                choice=choose(request, calibration),
            )
        )
    return runs


def timed(runs: list[Run]) -> list[Run]:
    """Runs with a step time that the timing model itself predicts (PPO is composed of phases)."""
    return [run for run in runs if run.step_s is not None and run.request.workload.ppo is None]


def grid_of_runs(runs: list[Run]) -> PlanGrid:
    """The runs as a grid, one plan per run."""
    return grid_of([(run.choice.request, run.choice.layout) for run in runs])


def measured_step_s(runs: list[Run]) -> Array:
    """Published seconds of a step, shape (runs,)."""
    return np.array([run.step_s for run in runs], dtype=float)


def weights(runs: list[Run]) -> Array:
    """How much each row counts, shape (runs,).

    A source counts as twice the root of its number of groups, however many rows it has; within it each group
    the root of its rows, and a row with assumed inputs half. So neither near-duplicates nor one large source
    outvote the rest. Source: our own choice; the errors on sources left out change by half a per cent between
    half and twice of it.
    """
    rows: dict[str, int] = {}
    groups: dict[str, set[str]] = {}
    for run in runs:
        rows[run.group] = rows.get(run.group, 0) + 1
        groups.setdefault(run.source, set()).add(run.group)
    raw = np.array([QUALITY_WEIGHT[run.quality] * rows[run.group] ** -0.5 for run in runs])
    sources = np.array([run.source for run in runs])
    weight = np.empty(len(runs))
    for source, own_groups in groups.items():
        own = sources == source
        quality = np.mean([QUALITY_WEIGHT[run.quality] for run in runs if run.source == source])
        weight[own] = raw[own] / raw[own].sum() * 2.0 * np.sqrt(len(own_groups)) * quality
    return weight


def every_run(calibration: Calibration) -> list[Run]:
    """All measured runs, of both collections; never those of the held-out benchmark."""
    return [*read_runs(calibration), *read_runs(calibration, FURTHER)]
