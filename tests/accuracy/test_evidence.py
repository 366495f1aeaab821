"""The table of measured runs that the engine reads is the one that the report and the runs make."""

from __future__ import annotations

import json

from planner.accuracy.calibration import DATA_DIRECTORY, EVIDENCE_FILE, read
from planner.accuracy.runs import MEASURED, read_rows
from planner.accuracy.validate.evidence import COLUMNS, evidence_table


def test_the_table_is_up_to_date() -> None:
    """``make validate`` writes it; so does ``python -m planner.accuracy.validate.evidence``."""
    made = evidence_table(read(DATA_DIRECTORY / "validation_report.json"), read_rows(MEASURED))
    assert json.loads(json.dumps(made)) == read(EVIDENCE_FILE)


def test_a_run_has_an_error_of_time_or_of_memory() -> None:
    for values in read(EVIDENCE_FILE)["rows"]:
        row = dict(zip(COLUMNS, values, strict=True))
        assert row["time_error"] is not None or row["memory_error"] is not None, row["name"]
