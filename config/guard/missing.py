"""What is not there: as the contract says for programs, as a page for people."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.defaults import page_not_found

from config.guard.answers import turned_away, wants_json
from planner.engine.question.errors import PlanError

NOT_FOUND = 404


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    if not wants_json(request):
        return page_not_found(request, exception)
    said = exception.args[0] if exception.args and isinstance(exception.args[0], str) else ""
    message = f"Not found: {said}." if said else "There is nothing at this address."
    wrong = PlanError("", request.path[:200], message, "See /api/v1/docs for the addresses there are.")
    return turned_away(request, [wrong], status=NOT_FOUND, title="Not found")
