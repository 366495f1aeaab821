"""What is not there: as the contract says for programs, as a page for people; a last slash is taken off."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.urls import is_valid_path
from django.utils.http import escape_leading_slashes
from django.views.defaults import page_not_found

from config.guard.answers import turned_away, wants_json
from planner.engine.question.errors import PlanError

NOT_FOUND = 404


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404, or the way to the same address without the slash at its end.

    A slash that lacks is added by Django's CommonMiddleware (APPEND_SLASH); this is the other half. Only
    what is asked for safely is sent on: a browser would drop the body of anything else.
    """
    bare = request.path_info.rstrip("/")
    if bare != request.path_info and request.method in ("GET", "HEAD") and is_valid_path(bare):
        query = request.META.get("QUERY_STRING", "")
        address = escape_leading_slashes(request.path.rstrip("/"))
        return HttpResponsePermanentRedirect(f"{address}?{query}" if query else address)
    if not wants_json(request):
        return page_not_found(request, exception)
    said = exception.args[0] if exception.args and isinstance(exception.args[0], str) else ""
    message = f"Not found: {said}." if said else "There is nothing at this address."
    wrong = PlanError("", request.path[:200], message, "See /api/v1/docs for the addresses there are.")
    return turned_away(request, [wrong], status=NOT_FOUND, title="Not found")
