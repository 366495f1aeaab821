"""The validation report as its page shows it: predicted against measured, figure by figure.

``make validate`` writes it; where there is none, the page says so. Rows are lists in ``columns`` order.
Errors are predicted / measured - 1. ``by_group`` and ``by_source`` are errors of constants fitted without the
run's group and without its source; those of reinforcement learning stand with its constants. Everything else
that the page says is computed from these rows.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import expm1
from pathlib import Path
from statistics import fmean
from typing import Any

from planner.accuracy.calibration import DATA_DIRECTORY, ROLLOUT_FILE
from planner.web import formats
from planner.web.formats import Quantity

REPORT = DATA_DIRECTORY / "validation_report.json"
#: Means that other estimators publish of runs that are in the report, and what was true earlier.
PEER_MEANS = DATA_DIRECTORY / "runs" / "peer_means.csv"
HISTORY = DATA_DIRECTORY / "history.json"
#: The held-out benchmark: a source that is never fitted.
HELD_OUT_SOURCE = "korthikanti-2022"
#: Kinds of runs, in the order shown, with their names on the page.
CLASSES = {
    "pretraining": "pretraining",
    "encoder": "encoders",
    "finetuning": "fine-tuning",
    "rlhf": "reinforcement learning",
}
#: What a figure is, by the beginning of its quantity; whatever is none of these is a part of a run.
STEP, PEAK, RESIDENT, PARTS = "step time", "peak memory", "memory between steps", "phases and totals"
FIGURES = (STEP, PEAK, PARTS, RESIDENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedRun:
    """One published figure.

    measured, predicted, low, high: in ``unit``, predicted by the constants in use; low and high are the 80 %
    range, None where there is none.  by_group, by_source: signed errors of constants that had not seen the
    run's group, its source; None where no such fit is on record.  covered_by_source: whether a range made
    without its source holds it.
    """

    name: str
    model: str
    source: str
    kind: str
    framework: str
    accelerator: str
    accelerators: int
    quantity: str
    unit: str
    measured: float
    predicted: float
    low: float | None
    high: float | None
    covered: bool | None
    by_group: float | None
    by_source: float | None
    covered_by_source: bool | None

    @property
    def figure(self) -> str:
        """What it is: one of ``FIGURES``."""
        if self.quantity == "step time":
            return STEP
        if self.quantity.endswith("memory"):
            return RESIDENT if self.quantity.startswith("resident") else PEAK
        return PARTS

    @property
    def machines(self) -> str:
        """Count and kind of its accelerators."""
        return f"{self.accelerators:,} × {self.accelerator}"

    @property
    def shown(self) -> tuple[Quantity, Quantity]:
        """(measured, predicted) as shown."""
        return formats.in_unit(self.measured, self.unit), formats.in_unit(self.predicted, self.unit)

    @property
    def range(self) -> str:
        """The 80 % range as shown, empty where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"{formats.in_unit(self.low, self.unit)} to {formats.in_unit(self.high, self.unit)}"

    @property
    def error(self) -> float:
        """Signed error of the constants in use, as a share."""
        return self.predicted / self.measured - 1

    @property
    def unseen(self) -> float:
        """Signed error of constants that had not seen its source, or of those in use where none is known."""
        return self.error if self.by_source is None else self.by_source

    @property
    def width(self) -> float | None:
        """Upper end of its range over the lower one; None where there is none."""
        return None if not self.low or self.high is None else self.high / self.low


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """One of the largest errors, and its cause as far as the sources tell."""

    run: ValidatedRun
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another estimator's predictions of the held-out benchmark. errors: by name of the run, as shares."""

    name: str
    source: str
    errors: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Mean absolute error, as a share."""
        return fmean(map(abs, self.errors.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerMean:
    """A mean error that another estimator publishes.

    our_source: the source of the same runs in the report.
    """

    peer: str
    benchmark: str
    our_source: str
    figures: int
    mean_error: float
    how: str
    source: str
    as_of: str


@dataclass(frozen=True, kw_only=True)
class ValidationReport:
    """Everything that the validation page shows.

    rl_held: share of steps inside ranges made without their source, by source of reinforcement learning.
    before_looking, after_looking: mean error on the held-out benchmark before and after its errors had been
    looked at, as recorded then.
    """

    calibrated_on: str
    fitted: Mapping[str, int]
    runs: tuple[ValidatedRun, ...]
    verdicts: Mapping[str, Any]
    misses: tuple[Miss, ...]
    peer: Peer
    peer_means: tuple[PeerMean, ...]
    rl_held: Mapping[str, float]
    before_looking: float
    after_looking: float
    csv_rows: tuple[tuple[Any, ...], ...]

    @property
    def misjudged(self) -> tuple[str, ...]:
        """Names of the runs that are wrongly said to fit or not to fit."""
        return (*self.verdicts["failed_said_to_fit"], *self.verdicts["ran_said_to_fail"])

    def values_of(self, field: str) -> list[str]:
        """The values of a field among the runs: classes and figures in their order, others by name."""
        found = {getattr(run, field) for run in self.runs}
        order = {"kind": list(CLASSES), "figure": list(FIGURES)}.get(field, [])
        return sorted(found, key=lambda value: (order.index(value) if value in order else len(order), value))

    def chosen(self, *, text: str = "", **wanted: str) -> tuple[ValidatedRun, ...]:
        """The runs whose fields have the values wanted and whose names hold every word of ``text``.

        Empty means any, an unknown value none.
        """
        words = text.lower().split()
        fields = {name: value for name, value in wanted.items() if value}
        return tuple(
            run
            for run in self.runs
            if all(getattr(run, name) == value for name, value in fields.items())
            and all(word in _searched(run) for word in words)
        )

    @cached_property
    def unfitted(self) -> tuple[ValidatedRun, ...]:
        """The runs of the held-out benchmark."""
        return self.chosen(source=HELD_OUT_SOURCE)


def _searched(run: ValidatedRun) -> str:
    of = (run.name, run.model, run.source, run.framework, run.accelerator, run.quantity)
    return " ".join(of).lower()


def read_report(path: Path = REPORT) -> ValidationReport | None:
    """The report, or None where none was written yet; read again when the file changes."""
    return _read(path, path.stat().st_mtime_ns) if path.exists() else None


@lru_cache(maxsize=2)
def _read(path: Path, changed_ns: int) -> ValidationReport:
    data = json.loads(path.read_text(encoding="utf-8"))
    rounds = json.loads(ROLLOUT_FILE.read_text(encoding="utf-8"))
    left_out = rounds["left_out"]
    runs = tuple(_run(dict(zip(data["columns"], row, strict=True)), left_out) for row in data["rows"])
    named = {(run.name, run.quantity): run for run in runs}
    history = json.loads(HISTORY.read_text(encoding="utf-8"))["korthikanti_2022"]
    return ValidationReport(
        calibrated_on=str(data["calibrated_on"]),
        fitted=data["fitted"],
        runs=runs,
        verdicts=data["tables"]["verdicts"],
        misses=tuple(
            Miss(run=named[name, quantity], cause=cause) for name, quantity, cause in data["largest"]
        ),
        peer=_peer(data["peer"], named),
        peer_means=tuple(_peer_means()),
        rl_held={
            source: share
            for source, share in rounds["provenance"]["nested_coverage"].items()
            if source != "mean"
        },
        before_looking=history["before"],
        after_looking=history["after"],
        csv_rows=(tuple(data["columns"]), *(tuple(row) for row in data["rows"])),
    )


def _run(row: Mapping[str, Any], left_out: Mapping[str, float]) -> ValidatedRun:
    by_group, by_source, covered = row["error_by_group"], row["error_by_source"], row["covered_by_source"]
    if row["kind"] == "rlhf" and not row["fitted"]:
        # Constants of a round were fitted to these runs, so that an error by those in use is not unseen.
        figure = f"{row['name']}/{row['quantity'].removesuffix(' time')}"
        by_group, by_source = None, expm1(left_out[figure]) if figure in left_out else None
    return ValidatedRun(
        name=str(row["name"]),
        model=str(row["model"]),
        source=str(row["source"]),
        kind=str(row["kind"]),
        framework=str(row["framework"]),
        accelerator=str(row["accelerator"]),
        accelerators=int(row["accelerators"]),
        quantity=str(row["quantity"]),
        unit=str(row["unit"]),
        measured=float(row["measured"]),
        predicted=float(row["predicted"]),
        low=row["low"],
        high=row["high"],
        covered=None if row["covered"] is None else bool(row["covered"]),
        by_group=by_group,
        by_source=by_source,
        covered_by_source=None if covered is None else bool(covered),
    )


def _peer(data: Mapping[str, Any], named: Mapping[tuple[str, str], ValidatedRun]) -> Peer:
    return Peer(
        name=str(data["name"]),
        source=str(data["source"]),
        errors={
            name: predicted / named[name, "step time"].measured - 1
            for name, predicted in data["predicted_s"].items()
        },
    )


def _peer_means() -> Sequence[PeerMean]:
    with PEER_MEANS.open(encoding="utf-8", newline="") as file:
        return [
            PeerMean(
                peer=row["peer"],
                benchmark=row["benchmark"],
                our_source=row["our_source"],
                figures=int(row["figures"]),
                mean_error=float(row["mean_error"]),
                how=row["how"],
                source=row["source"],
                as_of=row["as_of"],
            )
            for row in csv.DictReader(file)
        ]


def share(value: float | None) -> str:
    """A share as a percentage with one decimal; empty for None."""
    return "" if value is None else f"{value * 100:.1f} %"


def signed(value: float | None) -> str:
    """A share as a signed percentage with one decimal; empty for None."""
    return "" if value is None else f"{value * 100:+.1f} %".replace("-", "−")
