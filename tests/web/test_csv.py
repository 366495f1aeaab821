"""CSV cells: nothing that a spreadsheet would run, wherever the text came from; numbers stay numbers."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from planner.web.csv import as_text, cell
from planner.web.responses import csv_response

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"]
)
def test_formulas_are_text(text: str) -> None:
    assert cell(text) == "'" + text


@pytest.mark.parametrize("value", ["-1.5", "+3", "-1e-9", -2.5, "p5.48xlarge", "", 0, True, "a=b"])
def test_numbers_and_names_stay(value: Any) -> None:
    assert cell(value) == value


def test_a_pasted_configs_name_reaches_no_cell_as_a_formula() -> None:
    answer = csv_response("plan.csv", [("model", "usd"), ("=HYPERLINK(1)", None)]).content.decode()
    assert answer == "model,usd\r\n'=HYPERLINK(1),\r\n"
    assert as_text([("=1",)]) == "'=1\r\n"


def test_every_csv_is_written_by_the_one_function() -> None:
    found = [
        str(file.relative_to(ROOT))
        for folder in ("planner", "inventory", "config")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("writer", "DictWriter")
        and isinstance(node.value, ast.Name) and node.value.id == "csv"
    ]  # fmt: skip
    assert set(found) <= {"planner/web/csv.py"}
