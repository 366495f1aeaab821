"""The validation report as its page shows it: predicted against measured, and the error by source.

``make validate`` writes it; where there is none, the page says so. Rows are lists in ``columns`` order.
Errors are predicted / measured - 1; tables show their mean absolute value. ``by_group`` and ``by_source`` are
errors of constants fitted without the run's group and without its source; ``shipped`` those of the constants
in use, which saw them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from planner.accuracy.calibration import DATA_DIRECTORY
from planner.web import formats
from planner.web.formats import Quantity

REPORT = DATA_DIRECTORY / "validation_report.json"
#: The held-out benchmark: a source that is never fitted, whose runs the page shows first.
HELD_OUT_SOURCE = "korthikanti-2022"
#: Table of the report, its title on the page, and the filter that its lines set in the address, if any.
TABLES = (
    ("step_time_by_source", "Step time by source", "source"),
    ("step_time_by_accelerator", "Step time by accelerator", "accelerator"),
    ("step_time_by_framework", "Step time by framework", ""),
    ("memory_by_kind", "Peak memory by the counter that was published", ""),
    ("memory_by_source", "Peak memory by source", "source"),
    ("ppo", "Reinforcement learning", ""),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLine:
    """Mean errors of one group of figures, as shares; None where no fit left them out."""

    name: str
    figures: int
    shipped: float
    by_group: float | None
    by_source: float | None
    largest: float
    covered: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorTable:
    """Errors by source, accelerator or kind. chooses: the filter that a line sets, empty for none."""

    title: str
    chooses: str
    lines: tuple[ErrorLine, ...]


#: Columns of an error table by the key that sorts them: heading, value.
ERROR_COLUMNS: dict[str, tuple[str, Callable[[ErrorLine], Any]]] = {
    "name": ("Of", lambda line: line.name),
    "figures": ("Figures", lambda line: line.figures),
    "shipped": ("Error, constants in use", lambda line: line.shipped),
    "group": ("Its group left out", lambda line: line.by_group),
    "source": ("Its source left out", lambda line: line.by_source),
    "largest": ("Largest", lambda line: line.largest),
    "covered": ("Inside the 80 % range", lambda line: line.covered),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedRun:
    """One published figure.

    measured, predicted: in ``unit``, predicted by the constants in use.
    unseen: predicted / measured - 1 of constants that had not seen the run's group.
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
    unseen: float | None
    range: str
    covered: bool | None

    @property
    def machines(self) -> str:
        """Count and kind of its accelerators."""
        return f"{self.accelerators:,} × {self.accelerator}"

    @property
    def shown(self) -> tuple[Quantity, Quantity]:
        """(measured, predicted) as shown."""
        return formats.in_unit(self.measured, self.unit), formats.in_unit(self.predicted, self.unit)

    @property
    def error(self) -> str:
        """Signed error of the constants in use, as shown."""
        return signed(self.predicted / self.measured - 1)

    @property
    def unseen_error(self) -> str:
        """Signed error of constants that had not seen its group, as shown; empty where there is none."""
        return "" if self.unseen is None else signed(self.unseen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """One of the figures at the top of the page."""

    label: str
    value: str
    note: str


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
    def mean(self) -> str:
        """Mean absolute error, as shown."""
        return share(sum(map(abs, self.errors.values())) / len(self.errors))


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationReport:
    """Everything that the validation page shows."""

    calibrated_on: str
    sentence: str
    fitted: Mapping[str, int]
    headlines: tuple[Headline, ...]
    tables: tuple[ErrorTable, ...]
    runs: tuple[ValidatedRun, ...]
    misses: tuple[Miss, ...]
    misjudged: tuple[str, ...]
    peer: Peer
    held_out_error: str
    csv_rows: tuple[tuple[Any, ...], ...]

    def values_of(self, field: str) -> list[str]:
        """The sources, accelerators or kinds that the runs name, in alphabetical order."""
        return sorted({getattr(run, field) for run in self.runs})

    def chosen(self, *, source: str, accelerator: str, kind: str = "") -> tuple[ValidatedRun, ...]:
        """The runs of a source, on an accelerator and of a kind; empty means any, an unknown name none."""
        return tuple(
            run
            for run in self.runs
            if source in ("", run.source) and accelerator in ("", run.accelerator) and kind in ("", run.kind)
        )

    def sorted_by(self, sort: str) -> tuple[ErrorTable, ...]:
        """The tables, with lines in the order asked for.

        sort: a column's key, with "-" before it for descending.
        """
        if sort.removeprefix("-") not in ERROR_COLUMNS:
            return self.tables
        value = ERROR_COLUMNS[sort.removeprefix("-")][1]

        def ordered(lines: Sequence[ErrorLine]) -> tuple[ErrorLine, ...]:
            known = [line for line in lines if value(line) is not None]
            unknown = [line for line in lines if value(line) is None]
            return (*sorted(known, key=value, reverse=sort.startswith("-")), *unknown)

        return tuple(replace(table, lines=ordered(table.lines)) for table in self.tables)


def read_report(path: Path = REPORT) -> ValidationReport | None:
    """The report, or None where none was written yet; read again when the file changes."""
    return _read(path, path.stat().st_mtime_ns) if path.exists() else None


@lru_cache(maxsize=2)
def _read(path: Path, changed_ns: int) -> ValidationReport:
    data = json.loads(path.read_text(encoding="utf-8"))
    tables = data["tables"]
    runs = tuple(_run(dict(zip(data["columns"], row, strict=True))) for row in data["rows"])
    named = {(run.name, run.quantity): run for run in runs}
    return ValidationReport(
        calibrated_on=str(data["calibrated_on"]),
        sentence=_sentence(tables),
        fitted=data["fitted"],
        headlines=_headlines(tables, data["fitted"]),
        tables=tuple(
            ErrorTable(title=title, chooses=chooses, lines=tuple(_line(row) for row in tables[key]))
            for key, title, chooses in TABLES
            if tables.get(key)
        ),
        runs=runs,
        misses=tuple(
            Miss(run=named[name, quantity], cause=cause) for name, quantity, cause in data["largest"]
        ),
        misjudged=(*tables["verdicts"]["failed_said_to_fit"], *tables["verdicts"]["ran_said_to_fail"]),
        peer=_peer(data["peer"], named),
        held_out_error=share(tables["golden"]["shipped"]),
        csv_rows=(tuple(data["columns"]), *(tuple(row) for row in data["rows"])),
    )


def _sentence(tables: Mapping[str, Any]) -> str:
    step, golden, memory = tables["step_time"], tables["golden"], tables["memory"]
    return (
        f"On runs it had not seen, Headroom's step times are {share(step['by_group'])} off on average, "
        f"{share(step['by_source'])} on sources it had not seen, and {share(golden['shipped'])} on the "
        f"{golden['figures']} runs of Korthikanti et al. 2022, which are never fitted. Peak memory is "
        f"{share(memory['by_group'])} off."
    )


def _headlines(tables: Mapping[str, Any], fitted: Mapping[str, int]) -> tuple[Headline, ...]:
    step, memory, verdicts = tables["step_time"], tables["memory"], tables["verdicts"]
    return (
        Headline(
            label="Step time, mean error",
            value=share(step["by_group"]),
            note=f"{step['figures']} runs of {fitted['sources']} sources, each with its group left out",
        ),
        Headline(
            label="Inside the 80 % range",
            value=share(step["covered_by_group"]),
            note=f"of step times; {share(step['covered_by_source'])} on unseen sources",
        ),
        Headline(
            label="Peak memory, mean error",
            value=share(memory["by_group"]),
            note=f"{memory['figures']} figures, {share(memory['covered_by_group'])} inside the range",
        ),
        Headline(
            label="Fits or not, judged correctly",
            value=share(verdicts["right"]),
            note=f"of {verdicts['runs']} runs, {verdicts['failed_runs']} of which ran out of memory",
        ),
    )


def _line(row: Mapping[str, Any]) -> ErrorLine:
    return ErrorLine(
        name=str(row["name"]),
        figures=int(row["figures"]),
        shipped=row["shipped"],
        by_group=row["by_group"],
        by_source=row["by_source"],
        largest=row["largest"],
        covered=row["covered_by_group"],
    )


def _run(row: Mapping[str, Any]) -> ValidatedRun:
    unit, low, high = str(row["unit"]), row["low"], row["high"]
    between = ""
    if low is not None and high is not None:
        between = f"{formats.in_unit(low, unit)} to {formats.in_unit(high, unit)}"
    return ValidatedRun(
        name=str(row["name"]),
        model=str(row["model"]),
        source=str(row["source"]),
        kind=str(row["kind"]),
        framework=str(row["framework"]),
        accelerator=str(row["accelerator"]),
        accelerators=int(row["accelerators"]),
        quantity=str(row["quantity"]),
        unit=unit,
        measured=float(row["measured"]),
        predicted=float(row["predicted"]),
        unseen=row["error_by_group"],
        range=between,
        covered=None if row["covered"] is None else bool(row["covered"]),
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


def share(value: float | None) -> str:
    """A share as a percentage with one decimal; empty for None."""
    return "" if value is None else f"{value * 100:.1f} %"


def signed(value: float) -> str:
    """A share as a signed percentage with one decimal."""
    return f"{value * 100:+.1f} %".replace("-", "−")
