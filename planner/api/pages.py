"""Pages about programs: what the API offers, and one's tokens."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from planner.accounts.policy import Action
from planner.accounts.rights import needs
from planner.api import selectors, services
from planner.api.middleware import ROOT
from planner.api.openapi import openapi_document
from planner.engine.question.errors import PlanErrors
from planner.web.numbers import whole
from planner.web.operations import DECLARED
from planner.web.programs import SCOPES

LASTS = {7: "a week", 30: "30 days", 90: "90 days", 365: "a year"}
UNPROCESSABLE = 422


@require_safe
def documentation(request: HttpRequest) -> HttpResponse:
    """What the API offers; where scripts run, also as a page to try it on."""
    document = openapi_document()
    context = {
        "operations": [(f"{ROOT}{each.path}", each) for each in DECLARED.values()],
        "scopes": [(scope.value, words) for scope, words in SCOPES.items()],
        "version": document["info"]["version"],
    }
    return render(request, "api/docs.html", context)


@needs(Action.OWN_TOKENS)
@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """One's tokens; a new one is shown once, in the answer that makes it."""
    context: dict[str, object] = {}
    now, status = timezone.now(), 200
    if "revoke" in request.POST:
        services.revoke_token(request.user, whole(request.POST["revoke"]) or 0, now=now)
        return redirect("planner:tokens")
    if request.method == "POST":
        given = request.POST
        try:
            made, text = services.make_token(
                request.user,
                name=given.get("name", ""),
                scopes=given.getlist("scopes"),
                days=whole(given.get("days", "")) or 0,
                now=now,
            )
            context |= {"made": made, "text": text}
        except PlanErrors as wrong:
            context |= {"problems": wrong.errors, "given": given}
            status = UNPROCESSABLE
    context |= {
        "tokens": selectors.tokens_of(request.user),
        "scopes": [(scope.value, words) for scope, words in SCOPES.items()],
        "lasts": LASTS.items(),
        "now": now,
    }
    return render(request, "api/tokens.html", context, status=status)
