"""The validation report, as the validation page shows it: predicted against measured, error by source.

The report is a data file that a validation run writes; before the first run there is none, as the page says.
Keys: ``generated_on`` (a day), ``summary`` and ``rows``. A summary row has source, rows, median_error,
worst_error and covered (shares); a row has name, source, quantity, unit, measured, predicted, low and high.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner import formats
from planner.catalog.loader import DATA_DIRECTORY
from planner.formats import Quantity

REPORT = DATA_DIRECTORY / "validation_report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSummary:
    """How far off the predictions of one source's runs are. covered: share inside the 80 % ranges."""

    source: str
    rows: int
    median_error: Quantity
    worst_error: Quantity
    covered: Quantity | str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedRun:
    name: str
    source: str
    quantity: str
    measured: Quantity
    predicted: Quantity
    range: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationReport:
    generated_on: str
    sources: tuple[SourceSummary, ...]
    runs: tuple[ValidatedRun, ...]


def read_report(path: Path = REPORT) -> ValidationReport | None:
    """The report, None where none was written yet."""
    if not path.exists():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    return ValidationReport(
        generated_on=str(data.get("generated_on", "")),
        sources=tuple(_source(row) for row in data.get("summary", ())),
        runs=tuple(_run(row) for row in data.get("rows", ())),
    )


def _source(row: dict[str, Any]) -> SourceSummary:
    covered = row.get("covered")
    return SourceSummary(
        source=row["source"],
        rows=int(row["rows"]),
        median_error=formats.percent(row["median_error"]),
        worst_error=formats.percent(row["worst_error"]),
        covered="" if covered is None else formats.percent(covered),
    )


def _run(row: dict[str, Any]) -> ValidatedRun:
    measured, predicted, unit = float(row["measured"]), float(row["predicted"]), str(row.get("unit", ""))
    low, high = row.get("low"), row.get("high")
    between = ""
    if low is not None and high is not None:
        between = f"{formats.in_unit(float(low), unit)} to {formats.in_unit(float(high), unit)}"
    return ValidatedRun(
        name=row["name"],
        source=row["source"],
        quantity=str(row.get("quantity", "")).replace("_", " "),
        measured=formats.in_unit(measured, unit),
        predicted=formats.in_unit(predicted, unit),
        range=between,
        error=f"{(predicted / measured - 1) * 100:+.1f} %",
    )
