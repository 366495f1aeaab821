"""Responses that all pages share: parts of a page for htmx, and files of exact values."""

from __future__ import annotations

import csv
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


#: What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def cell(value: Any) -> Any:
    """A value as a spreadsheet may have it: text that would run as a formula begins with an apostrophe.

    Numbers stay what they are, also as text.
    """
    if not isinstance(value, str) or not value.startswith(FORMULA_STARTS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def csv_response(name: str, rows: Iterable[Sequence[Any]]) -> HttpResponse:
    """Rows as a CSV file to save.

    name: of the file; characters that a header cannot hold become underscores.
    """
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    safe = "".join(letter if letter.isalnum() or letter in ".-_" else "_" for letter in name)
    response["Content-Disposition"] = f'attachment; filename="{safe}"'
    csv.writer(response).writerows([cell(value) for value in row] for row in rows)
    return response
