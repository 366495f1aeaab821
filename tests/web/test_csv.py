"""CSV files: exact values, and nothing that a spreadsheet runs."""

import csv
import io
import re
from pathlib import Path

import pytest

from planner.web.csv import as_text, cell
from planner.web.responses import csv_response

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"],
)
def test_text_that_looks_like_a_formula_is_marked_as_text(text: str) -> None:
    assert cell(text).startswith("'")
    rows = list(csv.reader(io.StringIO(csv_response("a.csv", [[text]]).content.decode(), newline="")))
    assert rows == [["'" + text]]


@pytest.mark.parametrize("value", ["-1.5", "+3", "1e-9", "-2e6", -1, 2.5, "", "p5.48xlarge", "a=b", "5%"])
def test_numbers_and_plain_text_stay_as_they_are(value: object) -> None:
    assert cell(value) == value


def test_every_csv_file_is_made_here() -> None:
    """A writer of its own would be a way around ``cell``."""
    rooms = [ROOT / "planner", ROOT / "inventory", ROOT / "config"]
    files = [path for room in rooms for path in room.rglob("*.py")]
    own = {
        str(path.relative_to(ROOT))
        for path in files
        if re.search(r"csv\.(writer|DictWriter)|to_csv\(", path.read_text(encoding="utf-8"))
    }
    assert own <= ALLOWED | {"planner/web/csv.py"}


#: Files of the project's own data, written by `make validate` and the like; nobody downloads them.
ALLOWED: set[str] = set()


def test_rows_as_text_are_escaped_as_files_are() -> None:
    assert as_text([("model", "usd"), ("=HYPERLINK(1)", None)]) == "model,usd\r\n'=HYPERLINK(1),\r\n"
