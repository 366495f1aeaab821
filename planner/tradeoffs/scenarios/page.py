"""Pages of saved scenarios: the list, one of them, saving, sharing, deleting and bringing back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from planner.accounts.policy import Action
from planner.catalog.selectors import current_catalog
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PlanRequest
from planner.plans.form import ScenarioForm, valid_day
from planner.plans.scenario import answer, plain_problems, question_of, today
from planner.tradeoffs.charts.saved import saved_chart
from planner.tradeoffs.models import NO_ADDRESS, Scenario, Visibility
from planner.tradeoffs.scenarios import presenters, services
from planner.tradeoffs.scenarios.changes import Changes, changes
from planner.tradeoffs.scenarios.snapshot import snapshot

MOST_SIDE_BY_SIDE = 6


@require_safe
def scenarios(request: HttpRequest) -> HttpResponse:
    """The list, by label and words; two to six that are ticked stand side by side."""
    label, words = request.GET.get("label", ""), request.GET.get("q", "").strip()
    found = list(services.visible(request.user))
    labels = sorted({word for each in found for word in _labels(each)})
    shown = [
        each
        for each in found
        if (not label or label in _labels(each))
        and (not words or words.lower() in f"{each.name} {each.note} {each.labels}".lower())
    ]
    ticked = request.GET.getlist("beside")[:MOST_SIDE_BY_SIDE]
    beside = [each for key in ticked for each in found if each.key == key]
    context = {
        "rows": [_row(each) | {"ticked": each.key in ticked} for each in shown],
        "labels": labels,
        "label": label,
        "words": words,
        "beside": beside if len(beside) > 1 else [],
        "side_rows": presenters.side_by_side(beside) if len(beside) > 1 else [],
        "chart": saved_chart(beside),
        "deleted": services.deleted(request.user),
        "one_ticked": len(beside) == 1,
    }
    return render(request, "tradeoffs/scenarios/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The plan of an address, to be saved with a name."""
    if not services.may_write(request.user):
        return refused(request, request.get_full_path())
    query = request.POST.get("query", "") if request.method == "POST" else request.GET.urlencode()
    form = ScenarioForm.of_query(QueryDict(query), current_catalog())
    try:
        question, result = answer(form)
    except PlanErrors as wrong:
        return plain_problems(wrong)
    name = request.POST.get("name", "").strip()
    if request.method == "POST" and name:
        saved = services.save(
            request.user,
            name=name,
            note=request.POST.get("note", ""),
            labels=request.POST.get("labels", ""),
            visibility=request.POST.get("visibility", ""),
            query=form.query(),
            kept=snapshot(form.request(), question, result, form.catalog),
        )
        return HttpResponseRedirect(reverse("planner:scenario", args=[saved.key]), status=303)
    context = {
        "query": form.query(),
        "suggested": f"{question.model.name} on {result.cluster.nodes or 1} × "
        f"{result.cluster.instance_type or result.cluster.accelerator.name}",
        "visibilities": Visibility.choices,
        "given": request.POST,
        "nameless": request.method == "POST",
    }
    return render(
        request, "tradeoffs/scenarios/new.html", context, status=422 if context["nameless"] else 200
    )


@require_safe
def scenario(request: HttpRequest, key: str) -> HttpResponse:
    """One scenario as it was saved, and what changed since."""
    found = _visible(request, key)
    return render(request, "tradeoffs/scenarios/one.html", _context(request, found, shared=False))


@require_safe
def as_of(request: HttpRequest, key: str) -> HttpResponse:
    """To the plan with the prices of a day."""
    found = _visible(request, key)
    form = ScenarioForm.of_query(QueryDict(found.query), current_catalog())
    day = valid_day(request.GET.get("day", ""))
    query = form.query(price_on="" if day is None else day.isoformat())
    return HttpResponseRedirect(f"{reverse('planner:plan')}?{query}")


@login_not_required
@require_safe
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """One scenario for whoever has its link: as it was saved, and nothing to change."""
    found = services.by_token(token)
    if found is None:
        raise Http404("this link was revoked, or never was")
    return render(request, "tradeoffs/scenarios/one.html", _context(request, found, shared=True))


@require_safe
def scenario_json(request: HttpRequest, key: str) -> HttpResponse:
    """The saved question and answer, in the contract's words."""
    found = _visible(request, key)
    kept = {"name": found.name, "saved_at": found.saved_at.isoformat(), "constants": found.constants}
    return JsonResponse(
        kept | {"question": found.question, "answer": found.answer}, json_dumps_params={"indent": 2}
    )


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, key: str) -> HttpResponse:
    """Asks first; what is deleted can be brought back."""
    found = _visible(request, key)
    if not services.may_change(request.user, found):
        return refused(request, request.get_full_path())
    if request.method != "POST":
        context = {"scenario": found, "days": services.UNDO_DAYS}
        return render(request, "tradeoffs/scenarios/delete.html", context)
    services.delete(found)
    return HttpResponseRedirect(f"{reverse('planner:scenarios')}#deleted", status=303)


def _change(act: Callable[[Scenario], None], among: Callable[[HttpRequest, str], Scenario]) -> Any:
    """A view that does one thing to a scenario and goes back to it."""

    @require_POST
    def view(request: HttpRequest, key: str) -> HttpResponse:
        found = among(request, key)
        if not services.may_change(request.user, found):
            return refused(request, reverse("planner:scenario", args=[key]))
        act(found)
        return HttpResponseRedirect(reverse("planner:scenario", args=[key]), status=303)

    return view


def refused(request: HttpRequest, back: str) -> HttpResponse:
    """To the login for a stranger; whoever has logged in may not. Raises PermissionDenied."""
    if request.user.is_authenticated:
        raise PermissionDenied(f"you may not {Action.SAVE}, or it is another's")
    return redirect_to_login(back)


def _visible(request: HttpRequest, key: str) -> Scenario:
    found = services.by_key(request.user, key)
    if found is None:
        raise Http404("no scenario of this name that you may see")
    return found


def _deleted(request: HttpRequest, key: str) -> Scenario:
    for each in services.deleted(request.user):
        if each.key == key:
            return each
    raise Http404("nothing of this name can be brought back")


restore = _change(services.restore, _deleted)
share = _change(services.share, _visible)
revoke = _change(services.revoke, _visible)


def _question_at(address: str) -> PlanRequest | None:
    """The question of another plan's address; None for none, or for one that makes no sense."""
    if not address:
        return None
    try:
        return question_of(ScenarioForm.of_query(QueryDict(urlsplit(address).query), current_catalog()))
    except PlanErrors:
        return None


def _labels(scenario: Scenario) -> list[str]:
    return [word.strip() for word in scenario.labels.split(",") if word.strip()]


def _row(scenario: Scenario) -> dict[str, Any]:
    return {
        "scenario": scenario,
        "labels": _labels(scenario),
        "headline": presenters.headline(scenario.answer),
        "machines": presenters.machines_told(scenario),
        "model": presenters.model_told(scenario),
    }


def _context(request: HttpRequest, scenario: Scenario, *, shared: bool) -> dict[str, Any]:
    kept = {"question": scenario.question, "answer": scenario.answer, "facts": scenario.facts}
    against = "" if shared else request.GET.get("against", "").strip()
    since: Changes = changes(kept, current_catalog(), today=today(), inputs=_question_at(against))
    link = ""
    if not shared and scenario.share_token:
        link = request.build_absolute_uri(reverse("planner:scenario_shared", args=[scenario.share_token]))
    return {
        "scenario": scenario,
        "labels": _labels(scenario),
        "headline": presenters.headline(scenario.answer),
        "subject": f"{presenters.model_told(scenario)} on {presenters.machines_told(scenario)}",
        "facts": presenters.fact_rows(scenario),
        "warnings": [each["message"] for each in scenario.answer["warnings"]],
        "changes": since,
        "change_rows": presenters.change_rows(since),
        "same": since.now is not None and not any(step.changed for step in since.steps),
        "fitted": [
            (part, said.get("fitted_on", "an unknown day")) for part, said in scenario.constants.items()
        ],
        "shared": shared,
        "against": against,
        "link": link,
        "plannable": scenario.query != NO_ADDRESS,
        "may_change": not shared and services.may_change(request.user, scenario),
    }
