"""CSV as every export writes it: exact values, empty where unknown, and no cell that a spreadsheet runs.

Names come from pasted configs, drivers, hosts and price lists. Spreadsheet programs take a cell that begins
with ``=``, ``+``, ``-``, ``@``, a tab or a line break for a formula; such text is written behind an
apostrophe, which they show as text (OWASP, "CSV Injection", read 2026-11-29). Numbers are left alone,
negative ones too.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

#: Signs that begin a formula; the last four are their full-width forms, which some programs take as well.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def cell(value: Any) -> Any:
    """One value as a cell: dates as ISO 8601, None empty, text that looks like a formula escaped."""
    if value is None:
        return ""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(FORMULA) and not _is_number(value):
        return "'" + value
    return value


def write_rows(
    target: Any, rows: Iterable[Sequence[Any]], *, delimiter: str = ",", line_end: str = "\r\n"
) -> None:
    """Write rows to a file or response, each cell escaped."""
    csv.writer(target, delimiter=delimiter, lineterminator=line_end).writerows(
        [cell(value) for value in row] for row in rows
    )


def as_text(rows: Iterable[Sequence[Any]], *, delimiter: str = ",", line_end: str = "\r\n") -> str:
    """Rows as the text of a CSV file."""
    target = io.StringIO()
    write_rows(target, rows, delimiter=delimiter, line_end=line_end)
    return target.getvalue()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text == text.strip()
