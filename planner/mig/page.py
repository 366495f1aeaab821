"""The partitions page, its answer as JSON, and the right size of one planned run."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django_htmx.http import push_url

from planner.catalog import selectors
from planner.catalog.facts.catalog import Catalog
from planner.engine.question.errors import PlanError, PlanErrors
from planner.mig import presenters, words
from planner.mig.answers import mig_json, read_question
from planner.mig.chips import chip_of, divisible
from planner.mig.editing import adopted, edited
from planner.mig.fit import fit_context
from planner.mig.placement.plan import plan, quick
from planner.mig.placement.question import Gpus, Question
from planner.mig.prices import usd_per_gpu_hour
from planner.mig.request import Planning
from planner.mig.state import State, read_state
from planner.plans.form import ScenarioForm
from planner.web.responses import swaps

LARGE_GROUPS, LARGE_DEMAND = 60, 3000
"""From here on the exact plan may take a second or more, so that a first one is shown meanwhile."""


@require_safe
def mig(request: HttpRequest) -> HttpResponse:
    """GPUs as slices, demands, and the layout that serves them; an edit moves to the new state's address."""
    catalog = selectors.current_catalog()
    state = read_state(dict(request.GET.lists()))
    action = request.GET.get("do", "")
    if action:
        state = _after(action, state, request, catalog)
        if not swaps(request):
            return HttpResponseRedirect(f"{reverse('planner:mig')}?{state.query()}#present")
    context = _context(state, catalog, exact="exact" in request.GET)
    context["left"] = request.GET.get("left", "")[:8]
    status = 422 if context["problems"] else 200
    response = render(request, "mig/live.html" if swaps(request) else "mig/page.html", context, status=status)
    if swaps(request):
        push_url(response, f"{reverse('planner:mig')}?{state.query()}")
    return response


@require_safe
def mig_answer(request: HttpRequest) -> HttpResponse:
    """The contract's response for the state in the address."""
    catalog = selectors.current_catalog()
    state = read_state(dict(request.GET.lists()))
    try:
        value = mig_json(_question_of(state, catalog), catalog)
    except PlanErrors as wrong:
        value = {"error": wrong.errors[0].as_dict()}
    return JsonResponse(value, status=422 if "error" in value else 200, json_dumps_params={"indent": 2})


@require_safe
def fit(request: HttpRequest) -> HttpResponse:
    """The planned run on every profile of a chip; the Plan page asks for its line of it."""
    catalog = selectors.current_catalog()
    context = fit_context(request.GET, catalog)
    part = swaps(request)
    return render(request, "mig/fit_line.html" if part else "mig/fit.html", context)


def _after(action: str, state: State, request: HttpRequest, catalog: Catalog) -> State:
    if action != "adopt":
        return edited(state, action, {name: request.GET.get(name, "") for name in request.GET})
    try:
        asked = read_question(_question_of(state, catalog), catalog)
    except PlanErrors:
        return state
    assert isinstance(asked, Planning)
    return adopted(state, tuple(asked.question.gpus), plan(asked.question))


def _question_of(state: State, catalog: Catalog) -> dict[str, Any]:
    """The contract's question of a state."""
    return state.request(_job_of(catalog), {slug for slug, _ in machines(catalog)})


def machines(catalog: Catalog) -> list[tuple[str, str]]:
    """Instance types whose GPUs MIG divides, with what they hold."""
    able = {chip.slug for chip in divisible(catalog)}
    return [
        (record.slug, f"{record.slug} ({record.spec.accelerators_per_node} × {record.spec.accelerator.name})")
        for record in catalog.instances()
        if record.spec.accelerator.slug in able
    ]


def _job_of(catalog: Catalog) -> Any:
    """From a plan's address to the job that it is of, without its machines."""

    def job(query: str) -> dict[str, Any]:
        try:
            asked = ScenarioForm.of_query(QueryDict(query), catalog).request()
        except PlanError as one:
            raise PlanErrors([one]) from one
        return {name: asked[name] for name in ("model", "workload") if name in asked}

    return job


def _context(state: State, catalog: Catalog, *, exact: bool) -> dict[str, Any]:
    context: dict[str, Any] = {
        "state": state,
        "query": state.query(),
        "chips": [(chip.slug, chip.name) for chip in divisible(catalog)],
        "machines": machines(catalog),
        "objectives": presenters.objective_choices(),
        "profile_choices": list(words.PROFILES.items()),
        "problems": [],
        "result": None,
        "left": 0,
        "profiles": _profile_names(state, catalog),
    }
    groups: tuple[Gpus, ...] | None = None
    try:
        asked = read_question(_question_of(state, catalog), catalog)
    except PlanErrors as wrong:
        context["problems"] = wrong.errors
        groups = _groups_alone(state, catalog)
    else:
        assert isinstance(asked, Planning)
        question = asked.question
        groups = tuple(question.gpus)
        rough = _large(question) and not exact
        answer = quick(question) if rough else plan(question)
        context |= {"result": presenters.result(question, answer), "rough": rough}
        context["prices"] = _prices(groups, catalog, state.profiles)
    context["rows"] = presenters.edit_rows(state.rows, groups, state.profiles)
    return context


def _large(question: Question) -> bool:
    wanted = sum(demand.count for demand in question.demands)
    return len(question.gpus) > LARGE_GROUPS or wanted > LARGE_DEMAND


def _groups_alone(state: State, catalog: Catalog) -> tuple[Gpus, ...] | None:
    """The GPUs where only the demands make no sense; None where the GPUs do not either."""
    request = _question_of(state, catalog) | {"demands": [{"min_compute_slices": 1}]}
    try:
        asked = read_question(request, catalog)
    except PlanErrors:
        return None
    assert isinstance(asked, Planning)
    return tuple(asked.question.gpus)


def _profile_names(state: State, catalog: Catalog) -> list[str]:
    """What can be demanded of the chips on the page, for the field's suggestions."""
    known = {chip.slug: chip for chip in divisible(catalog)}
    of_machines = {slug: catalog.instance(slug).spec.accelerator.slug for slug, _ in machines(catalog)}
    slugs = [of_machines.get(row.chip, row.chip) for row in state.rows]
    names = [name for slug in slugs if slug in known for name in known[slug].by_name]
    return list(dict.fromkeys(names))


def _prices(groups: tuple[Gpus, ...], catalog: Catalog, which: str) -> list[dict[str, Any]]:
    slugs = dict.fromkeys(group.chip.slug for group in groups)
    found = []
    for slug in list(slugs)[:3]:
        chip = chip_of(catalog, slug)
        if chip is not None:
            usd = usd_per_gpu_hour(catalog, slug)
            found.append({"name": chip.name, "rows": presenters.price_rows(chip, usd, which)})
    return found
