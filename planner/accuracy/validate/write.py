"""Predict every measured run, report how well, and refuse what got worse: ``make validate``.

Writes ``validation_report.json`` (which the validation page shows) and ``docs/validation.md``. Exits with 1
and writes neither where a recorded figure got worse by more than 5 % of itself; ``--accept`` records the new
figures anyway, for a change that is worth it.
"""

from __future__ import annotations

import argparse
import json
import sys
from math import expm1
from typing import Any

from planner.accuracy import whole_runs
from planner.accuracy.calibration import DATA_DIRECTORY, TIMING_FILE, shipped_calibration
from planner.accuracy.fit import memory
from planner.accuracy.fit.least_squares import UNKNOWNS
from planner.accuracy.validate import achieved, evidence, shared_errors
from planner.accuracy.validate.coverage import memory_coverage, time_coverage
from planner.accuracy.validate.document import document, unseen_error, worst_of_groups
from planner.accuracy.validate.known_causes import cause
from planner.accuracy.validate.peers import read_peers
from planner.accuracy.validate.predictions import MEMORY_QUANTITIES, predictions
from planner.accuracy.validate.summary import Judged, guarded, judged, summary, worsened

REPORT_FILE = DATA_DIRECTORY / "validation_report.json"
DOCUMENT_FILE = DATA_DIRECTORY.parents[2] / "docs" / "validation.md"
#: Number of largest errors of each kind on the page; the document shows more.
LARGEST_ON_PAGE = 6
COLUMNS = (
    "name", "model", "source", "kind", "accelerator", "accelerators", "framework", "quantity", "unit",
    "measured", "predicted", "low", "high", "covered", "error_by_group", "error_by_source",
    "covered_by_group", "covered_by_source", "fitted",
)  # fmt: skip


def rounded(value: float | None, digits: int = 5) -> float | None:
    """To significant digits, so that the file is small and does not depend on a machine's last bits."""
    return None if value is None else float(f"{value:.{digits}g}")


def flag(value: bool | None) -> int | None:
    """1, 0 or None."""
    return None if value is None else int(value)


def error(residual: float | None) -> float | None:
    """Signed error as a share. residual: log(predicted / measured)."""
    return None if residual is None else round(expm1(residual), 4)


def report_row(row: Judged) -> list[Any]:
    """One published figure, in the order of ``COLUMNS``; errors are predicted / measured - 1."""
    each = row.prediction
    unseen = (each.by_group, each.by_source) if each.fitted else (each.residual, each.residual)
    return [
        each.row_id, each.model, each.source, each.kind, each.accelerator, each.accelerators, each.framework,
        each.quantity, each.unit, rounded(each.measured), rounded(each.predicted), rounded(each.low),
        rounded(each.high), flag(each.covered), error(unseen[0]), error(unseen[1]),
        flag(row.covered_by_group), flag(row.covered_by_source), flag(each.fitted),
    ]  # fmt: skip


def make_report(rows: list[Judged], tables: dict[str, Any]) -> dict[str, Any]:
    """The content of the report file."""
    provenance = {name: dict(each) for name, each in shipped_calibration().provenance.items()}
    timing = provenance["timing"]
    return {
        "command": "make validate",
        "calibrated_on": max(each.get("fitted_on", "") for each in provenance.values()),
        "fitted": {
            "timing_constants": len(UNKNOWNS),
            "memory_constants": len(memory.PRIORS),
            "runs": timing["runs"],
            "groups": timing["groups"],
            "sources": timing["sources"],
        },
        "peer": peer_figures(),
        "largest": largest(rows),
        "tables": tables,
        "guarded": guarded(tables),
        "columns": list(COLUMNS),
        "rows": [report_row(row) for row in rows],
    }


def peer_figures() -> dict[str, Any]:
    """A peer's predictions of the held-out benchmark, by our name of the run."""
    figures = read_peers()
    first = next(iter(figures.values()))
    return {
        "name": first.peer,
        "source": f"{first.source}, {first.as_of}",
        "predicted_s": {name: each.predicted_s for name, each in figures.items()},
    }


def largest(rows: list[Judged]) -> list[list[str]]:
    """Name, quantity and cause of the largest errors, one per group: of step time, then of memory."""
    fitted = [row.prediction for row in rows if row.prediction.fitted]
    steps = [each for each in fitted if each.quantity == "step time"]
    peaks = [each for each in fitted if each.quantity in MEMORY_QUANTITIES]
    return [
        [each.row_id, each.quantity, cause(each.row_id, each.quantity)]
        for found in (steps, peaks)
        for each in worst_of_groups(found, lambda each: abs(unseen_error(each)))[:LARGEST_ON_PAGE]
    ]


def as_text(report: dict[str, Any]) -> str:
    """JSON with one table row per line, so that a change of one figure changes one line."""
    lines = []
    for key, value in report.items():
        if key in ("rows", "tables", "guarded", "largest"):
            inner = value.items() if isinstance(value, dict) else [(None, row) for row in value]
            held = ",\n".join(
                "  " + (f"{json.dumps(name)}: " if name is not None else "") + json.dumps(item)
                for name, item in inner
            )
            brackets = "{}" if isinstance(value, dict) else "[]"
            lines.append(f" {json.dumps(key)}: {brackets[0]}\n{held}\n {brackets[1]}")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def recorded_figures() -> dict[str, float]:
    """The figures on record, empty where there is no report."""
    if not REPORT_FILE.exists():
        return {}
    figures: dict[str, float] = json.loads(REPORT_FILE.read_text(encoding="utf-8"))["guarded"]
    return figures


def computed_report() -> tuple[dict[str, Any], list[Judged]]:
    """The report of the constants as shipped, and the judged predictions that it was made of."""
    calibration = shipped_calibration()
    rows = judged(predictions(calibration), time_coverage(calibration), memory_coverage())
    verdicts = memory.verdicts(calibration.memory, calibration.memory.interval["allocated"])
    report = make_report(rows, summary(rows, verdicts))
    return report, rows


def main() -> None:
    """Predict, compare with what is on record, and write."""
    parser = argparse.ArgumentParser(description="Compare predictions with every measured run.")
    parser.add_argument("--accept", action="store_true", help="record even what is worse")
    accept = parser.parse_args().accept
    report, rows = computed_report()
    worse = worsened(recorded_figures(), report["guarded"])
    for line in worse:
        print(f"worse: {line}", file=sys.stderr)
    if worse and not accept:
        print(
            f"{len(worse)} recorded figures worsened by more than 5 % of themselves; nothing was written.\n"
            "If the change is worth it, record them with: make validate ACCEPT=1",
            file=sys.stderr,
        )
        sys.exit(1)
    REPORT_FILE.write_text(as_text(report), encoding="utf-8")
    DOCUMENT_FILE.write_text(document(report, rows), encoding="utf-8")
    evidence.write()
    achieved.write()
    shared_errors.write(report)
    whole_runs.write()
    step, golden, memory = (report["tables"][name] for name in ("step_time", "golden", "memory"))
    print(
        f"step time: {step['shipped']:.1%} fitted, {step['by_group']:.1%} leaving one group out, "
        f"{step['by_source']:.1%} leaving one source out, mean of {step['figures']} runs\n"
        f"Korthikanti et al. 2022, never fitted: {golden['shipped']:.1%}, largest {golden['largest']:.1%}\n"
        f"peak memory: {memory['by_group']:.1%} leaving one group out, mean of {memory['figures']} figures\n"
        f"wrote {REPORT_FILE.name} and {DOCUMENT_FILE.name}; fitted on {TIMING_FILE.name}"
    )


if __name__ == "__main__":
    main()
