"""Responses that all pages share: parts of a page for htmx, and files of exact values."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django_htmx.middleware import HtmxDetails


def swaps(request: HttpRequest) -> bool:
    """True where htmx asks for a part of the page.

    A page that htmx restores from the browser's history is asked for whole.
    """
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]  # set by django_htmx's middleware
    return bool(htmx) and not htmx.history_restore_request


#: Spreadsheet programs take cells that begin like this for formulas, after blanks and quotes too; names come
#: from askers, hosts and drivers.
_FORMULA = re.compile(r"[\s'\"\ufeff]*[=+\-@\t\r\n|%\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d[\d,_]*\.?\d*|\.\d+)([eE][+-]?\d+)?%?")


def safe_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: text that looks like one begins with an apostrophe."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return "'" + value
    return value


def csv_response(name: str, rows: Iterable[Sequence[Any]]) -> HttpResponse:
    """Rows as a CSV file to save.

    name: of the file; characters that a header cannot hold become underscores. Text that a spreadsheet
    would take for a formula is marked as text (``safe_cell``).
    """
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    safe = "".join(letter if letter.isalnum() or letter in ".-_" else "_" for letter in name)
    response["Content-Disposition"] = f'attachment; filename="{safe}"'
    csv.writer(response).writerows([safe_cell(cell) for cell in row] for row in rows)
    return response
