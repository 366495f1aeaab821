"""How a request that is turned away is answered: as the contract says for programs, as a page for people."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from planner.engine.question.errors import PlanError, error_answer


def wants_json(request: HttpRequest) -> bool:
    """Whether a program asks: by the address, or by what it accepts."""
    path = request.path
    if "/api/" in path or path.endswith((".json", "/readyz")):
        return True
    accepted = request.headers.get("Accept", "")
    return "application/json" in accepted and "text/html" not in accepted


def turned_away(
    request: HttpRequest,
    problems: Sequence[PlanError],
    *,
    status: int,
    title: str,
    retry_after_s: int | None = None,
) -> HttpResponse:
    """The refusal. title: a page's heading.  retry_after_s: when to try again, None where it is of no use."""
    answer: HttpResponse
    if wants_json(request):
        answer = JsonResponse(error_answer([problem.as_dict() for problem in problems]), status=status)
    else:
        context = {"title": title, "problems": problems, "retry_after_s": retry_after_s}
        answer = render(request, "refused.html", context, status=status)
    if retry_after_s is not None:
        answer["Retry-After"] = str(retry_after_s)
    answer["Cache-Control"] = "no-store"
    return answer
