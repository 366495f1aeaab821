"""The validation report, as its page shows it: predicted against measured, and the error by source.

``make validate`` writes it; where there is none, the page says so. Rows are lists in ``columns`` order.
Errors are shares: |predicted / measured - 1|. ``by_group`` and ``by_source`` are of constants fitted without
the run's group and without its whole source; ``shipped`` of those in use, which saw the fitted runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from planner import formats
from planner.catalog.loader import DATA_DIRECTORY
from planner.formats import Quantity

REPORT = DATA_DIRECTORY / "validation_report.json"
#: Never fitted: the yardstick that the page opens with.
YARDSTICK = "korthikanti-2022"
TABLES = (
    ("step_time_by_source", "Step time by source", True),
    ("step_time_by_accelerator", "Step time by accelerator", False),
    ("step_time_by_framework", "Step time by framework", False),
    ("memory_by_kind", "Peak memory by the counter that was published", False),
    ("memory_by_source", "Peak memory by source", True),
    ("ppo", "PPO, composed of the same constants and never fitted", False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLine:
    """Mean errors of one group of figures. name: as published; source: whether it names one."""

    name: str
    figures: int
    shipped: str
    by_group: str
    by_source: str
    largest: str
    covered: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorTable:
    title: str
    of_sources: bool
    lines: tuple[ErrorLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedRun:
    """One published figure. measured, predicted: in its unit.  error: of the constants in use."""

    name: str
    model: str
    source: str
    accelerators: str
    quantity: str
    unit: str
    measured: float
    predicted: float
    range: str

    @property
    def shown(self) -> tuple[Quantity, Quantity]:
        return formats.in_unit(self.measured, self.unit), formats.in_unit(self.predicted, self.unit)

    @property
    def error(self) -> str:
        return f"{(self.predicted / self.measured - 1) * 100:+.1f} %".replace("-", "−")


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationReport:
    calibrated_on: str
    sentence: str
    headlines: tuple[Headline, ...]
    tables: tuple[ErrorTable, ...]
    runs: tuple[ValidatedRun, ...]
    misjudged: tuple[str, ...]

    def of_source(self, source: str) -> tuple[ValidatedRun, ...]:
        """The runs of one source; of the yardstick where there is none of that name."""
        found = tuple(run for run in self.runs if run.source == source)
        return found or tuple(run for run in self.runs if run.source == YARDSTICK)


def read_report(path: Path = REPORT) -> ValidationReport | None:
    """The report, None where none was written yet; read anew when the file changes."""
    return _read(path, path.stat().st_mtime_ns) if path.exists() else None


@lru_cache(maxsize=2)
def _read(path: Path, changed_ns: int) -> ValidationReport:
    data = json.loads(path.read_text(encoding="utf-8"))
    tables = data["tables"]
    return ValidationReport(
        calibrated_on=str(data["calibrated_on"]),
        sentence=_sentence(tables),
        headlines=_headlines(tables, data["fitted"]),
        tables=tuple(
            ErrorTable(title=title, of_sources=of_sources, lines=tuple(_line(row) for row in tables[key]))
            for key, title, of_sources in TABLES
            if tables.get(key)
        ),
        runs=tuple(_run(dict(zip(data["columns"], row, strict=True))) for row in data["rows"]),
        misjudged=(*tables["verdicts"]["failed_said_to_fit"], *tables["verdicts"]["ran_said_to_fail"]),
    )


def _sentence(tables: Mapping[str, Any]) -> str:
    step, golden, memory = tables["step_time"], tables["golden"], tables["memory"]
    return (
        f"On runs it had not seen, Headroom's step times are {_share(step['by_group'])} off on average, and "
        f"{_share(step['by_source'])} on sources it had not seen at all; {_share(golden['shipped'])} on the "
        f"{golden['figures']} runs of Korthikanti et al. 2022, which are never fitted. Peak memory is "
        f"{_share(memory['by_group'])} off."
    )


def _headlines(tables: Mapping[str, Any], fitted: Mapping[str, int]) -> tuple[Headline, ...]:
    step, memory, verdicts = tables["step_time"], tables["memory"], tables["verdicts"]
    return (
        Headline(
            label="Step time, mean error",
            value=_share(step["by_group"]),
            note=f"{step['figures']} runs of {fitted['sources']} sources, each asked with its like left out",
        ),
        Headline(
            label="Inside the 80 % range",
            value=_share(step["covered_by_group"]),
            note=f"of step times; {_share(step['covered_by_source'])} on unseen sources",
        ),
        Headline(
            label="Peak memory, mean error",
            value=_share(memory["by_group"]),
            note=f"{memory['figures']} figures, {_share(memory['covered_by_group'])} inside the range",
        ),
        Headline(
            label="Fits or not, judged rightly",
            value=_share(verdicts["right"]),
            note=f"of {verdicts['runs']} runs, {verdicts['failed_runs']} of which ran out of memory",
        ),
    )


def _line(row: Mapping[str, Any]) -> ErrorLine:
    return ErrorLine(
        name=str(row["name"]),
        figures=int(row["figures"]),
        shipped=_share(row["shipped"]),
        by_group=_share(row["by_group"]),
        by_source=_share(row["by_source"]),
        largest=_share(row["largest"]),
        covered=_share(row["covered_by_group"]),
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
        accelerators=f"{row['accelerators']:,} × {row['accelerator']}",
        quantity=str(row["quantity"]),
        unit=unit,
        measured=float(row["measured"]),
        predicted=float(row["predicted"]),
        range=between,
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value * 100:.1f} %"


def csv_rows(runs: Sequence[ValidatedRun]) -> list[tuple[str, ...]]:
    """Every figure, exact."""
    rows: list[tuple[str, ...]] = [
        ("name", "model", "source", "accelerators", "quantity", "unit", "measured", "predicted")
    ]
    for run in runs:
        described = (run.name, run.model, run.source, run.accelerators, run.quantity, run.unit)
        rows.append((*described, repr(run.measured), repr(run.predicted)))
    return rows
