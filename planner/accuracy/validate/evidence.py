"""The table of measured runs that the engine reads to say how much is known near a plan: ``make validate``.

Made from the validation report, which holds each run's error with its source left out, and from the runs'
requests. One row a run, as small as it can be.
"""

from __future__ import annotations

import json
from typing import Any

from planner.accuracy.calibration import DATA_DIRECTORY, EVIDENCE_FILE, read
from planner.accuracy.runs import MEASURED, read_rows
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.engine.shape.parameters import count_parameters
from planner.engine.sure.evidence import kind_of, task_class

COLUMNS = (
    "name",
    "source",
    "accelerator",
    "task",
    "kind",
    "framework",
    "parameters",
    "accelerators",
    "sequence_length",
    "time_error",
    "memory_error",
)
#: Published figures that stand for a run's time and memory, the first that there is.
FIGURES = {
    "time_error": ("step time", "total time", "training time"),
    "memory_error": ("nvidia-smi memory", "reserved memory", "allocated memory"),
}


def evidence_table(report: dict[str, Any], runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The content of the file. report: as ``make validate`` writes it.  runs: the rows of the data files."""
    columns = report["columns"]
    figures: dict[tuple[str, str], dict[str, Any]] = {}
    for values in report["rows"]:
        row = dict(zip(columns, values, strict=True))
        figures[row["name"], row["quantity"]] = row
    catalog = load_shipped_catalog()
    rows = []
    for run in runs:
        errors = [error_of(run["row_id"], names, figures) for names in FIGURES.values()]
        if errors == [None, None]:
            continue
        request = parse_plan_request(run["request"], catalog)
        cluster = request.cluster
        rows.append(
            [
                run["row_id"],
                run["source"],
                cluster.accelerator.slug,
                task_class(request.workload.task),
                kind_of(request.model),
                request.workload.framework,
                count_parameters(request.model).total,
                (cluster.nodes or 1) * cluster.accelerators_per_node,
                request.workload.sequence_length,
                *errors,
            ]
        )
    return {"columns": list(COLUMNS), "rows": rows}


def error_of(
    name: str, quantities: tuple[str, ...], figures: dict[tuple[str, str], dict[str, Any]]
) -> float | str | None:
    """Share by which a run's first published figure is missed unseen; ``unknown`` where that is not known."""
    found = next((figures[name, each] for each in quantities if (name, each) in figures), None)
    if found is None:
        return None
    error = found["error_by_source"]
    return "unknown" if error is None else round(abs(error), 4)


def write() -> None:
    """Write the file anew from the report on record."""
    table = evidence_table(read(DATA_DIRECTORY / "validation_report.json"), read_rows(MEASURED))
    rows = ",\n".join("  " + json.dumps(row) for row in table["rows"])
    EVIDENCE_FILE.write_text(
        f'{{\n "columns": {json.dumps(table["columns"])},\n "rows": [\n{rows}\n ]\n}}\n', encoding="utf-8"
    )


if __name__ == "__main__":
    write()
