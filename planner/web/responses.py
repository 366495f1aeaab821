"""Responses that all pages share: parts of a page for htmx, and files of exact values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django_htmx.middleware import HtmxDetails

from planner.web.csv import write_rows


def swaps(request: HttpRequest) -> bool:
    """True where htmx asks for a part of the page.

    A page that htmx restores from the browser's history is asked for whole.
    """
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]  # set by django_htmx's middleware
    return bool(htmx) and not htmx.history_restore_request


def csv_response(name: str, rows: Iterable[Sequence[Any]]) -> HttpResponse:
    """Rows as a CSV file to save.

    name: of the file; characters that a header cannot hold become underscores.  Cells are escaped.
    """
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    safe = "".join(letter if letter.isalnum() or letter in ".-_" else "_" for letter in name)
    response["Content-Disposition"] = f'attachment; filename="{safe}"'
    write_rows(response, rows)
    return response
