"""The partitions page, its answer as JSON, CSV and files, and the right size of one planned run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django_htmx.http import push_url

from planner.catalog import selectors
from planner.catalog.facts.catalog import Catalog
from planner.engine.question.errors import PlanError, PlanErrors
from planner.mig import editor, files, fragments, presenters, words
from planner.mig.answers import mig_json, read_question
from planner.mig.chips import chip_of, divisible
from planner.mig.editing import adopted, edited
from planner.mig.exports.layouts import present
from planner.mig.fit import fit_context
from planner.mig.placement.openness import fragmentation
from planner.mig.placement.plan import plan
from planner.mig.placement.question import Gpus, Question
from planner.mig.problems import by_control, problems
from planner.mig.request import Planning
from planner.mig.state import State, read_state, words_of_job
from planner.plans.form import ScenarioForm
from planner.web.numbers import whole
from planner.web.responses import csv_response, swaps

FIRST_LOOK_S = 1.5
"""Seconds that the first search may take; what it found is shown with its bound while a longer one runs."""

LONG = 8
"""Demands from which on the answer is out of sight below them, so that a link leads there."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a state asks. question: None where something is wrong with it or nothing is demanded.

    groups: the GPUs of the planned rows, None where they make no sense.
    """

    errors: list[PlanError]
    question: Question | None
    groups: tuple[Gpus, ...] | None


@require_safe
def mig(request: HttpRequest) -> HttpResponse:
    """GPUs as slices, demands, and the layout that serves them; an edit moves to the new state's address."""
    catalog = selectors.current_catalog()
    state = read_state(dict(request.GET.lists()))
    action = request.GET.get("do", "")
    touched = _touched(action or request.GET.get("open", ""))
    if action:
        state = _after(action, state, request, catalog)
        if not swaps(request):
            opened = "" if touched is None else f"&open=row:{touched}"
            return HttpResponseRedirect(f"{reverse('planner:mig')}?{state.query()}{opened}#mig-form")
    context = _context(state, catalog, exact="exact" in request.GET or state.longer, touched=touched)
    context["no_fleet"] = request.GET.get("fleet") == "none"
    context["focus"] = _focus(action, state)
    status = 422 if context["problems"] else 200
    response = render(request, "mig/live.html" if swaps(request) else "mig/page.html", context, status=status)
    if swaps(request) and "exact" not in request.GET:
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
def mig_csv(request: HttpRequest) -> HttpResponse:
    """Every instance of the answer, a row each."""
    question = _sound_question(request)
    return csv_response("mig-placements.csv", files.csv_rows(question, plan(question)))


@require_safe
def mig_file(request: HttpRequest, name: str) -> HttpResponse:
    """The steps as a script, or the layout as another project reads it, to be saved."""
    question = _sound_question(request)
    text = files.file_text(name, question, plan(question))
    if text is None:
        raise Http404("no such file of this answer")
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_safe
def fit(request: HttpRequest) -> HttpResponse:
    """The planned run on every profile of a chip; the Plan page asks for its line of it."""
    catalog = selectors.current_catalog()
    context = fit_context(request.GET, catalog)
    part = swaps(request)
    return render(request, "mig/fit_line.html" if part else "mig/fit.html", context)


def _touched(action: str) -> int | None:
    """The row of GPUs that an action is about, so that it stays open."""
    name, _, rest = action.partition(":")
    return whole(rest.partition(":")[0]) if name in ("row", "add", "del", "use", "split") else None


def _focus(action: str, state: State) -> str:
    """The control to go on from where the one that was pressed is gone or a new one is to be filled in."""
    name, _, rest = action.partition(":")
    row = rest.partition(":")[0]
    return {
        "adddemand": f"want-{len(state.demands) - 1}",
        "deldemand": "add-demand",
        "addgpu": f"chip-{len(state.rows) - 1}",
        "delgpu": "add-gpus",
        "del": f"place-{row}",
        "split": f"on-{row}",
        "row": f"chip-{row}",
        "adopt": "add-demand",
    }.get(name, "")


def _after(action: str, state: State, request: HttpRequest, catalog: Catalog) -> State:
    if action != "adopt":
        return edited(state, action, {name: request.GET.get(name, "") for name in request.GET})
    asked = _ask(state, catalog)
    if asked.question is None or asked.groups is None:
        return state
    return adopted(state, asked.groups, plan(asked.question))


def _question_of(state: State, catalog: Catalog) -> dict[str, Any]:
    """The contract's question of a state."""
    return state.request(_job_of(catalog), {slug for slug, _ in machines(catalog)})


def _sound_question(request: HttpRequest) -> Question:
    catalog = selectors.current_catalog()
    question = _ask(read_state(dict(request.GET.lists())), catalog).question
    if question is None:
        raise Http404("this address has no answer")
    return question


def _ask(state: State, catalog: Catalog) -> Asked:
    """The question of a state, or what is wrong with it."""
    if not state.planned:
        return Asked([], None, ())
    errors: list[PlanError] = []
    if state.asked:
        try:
            asked = read_question(_question_of(state, catalog), catalog)
        except PlanErrors as wrong:
            errors = wrong.errors
        else:
            assert isinstance(asked, Planning)
            return Asked([], asked.question, tuple(asked.question.gpus))
    # The GPUs alone, so that they are drawn though nothing is demanded of them, or nothing that makes sense.
    alone = replace(state, demands=(), objective="fewest_gpus")
    try:
        asked = read_question(
            _question_of(alone, catalog) | {"demands": [{"min_compute_slices": 1}]}, catalog
        )
    except PlanErrors as wrong:
        return Asked(errors or wrong.errors, None, None)
    assert isinstance(asked, Planning)
    return Asked(errors, None, tuple(asked.question.gpus))


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


def _job_words(state: State, catalog: Catalog) -> dict[int, str]:
    """Runs among the demands, in words."""
    job_of, found = _job_of(catalog), {}
    for index, demand in enumerate(state.demands):
        if demand.plan_query:
            try:
                found[index] = words_of_job(job_of(demand.plan_query))
            except PlanErrors:
                continue
    return found


def _context(state: State, catalog: Catalog, *, exact: bool, touched: int | None) -> dict[str, Any]:
    asked = _ask(state, catalog)
    found = problems(asked.errors, state)
    wrong = by_control(found)
    rows = editor.edit_rows(state, asked.groups, state.profiles, wrong, touched)
    context: dict[str, Any] = {
        "state": state,
        "query": state.query(),
        "chips": [(chip.slug, chip.name) for chip in divisible(catalog)],
        "machines": machines(catalog),
        "objectives": presenters.objective_choices(),
        "profile_choices": list(words.PROFILES.items()),
        "problems": found,
        "wrong": wrong,
        "result": None,
        "searching": False,
        "profiles": _profile_names(state, catalog),
        "rows": rows,
        "alike": editor.alike(rows),
        "long": len(rows) > editor.OPEN or len(state.demands) > LONG,
        "demands": editor.demand_entries(state, _job_words(state, catalog), wrong),
        "longer_query": replace(state, longer=True).query(),
        "for_query": urlencode({"for": state.query()}),
    }
    if asked.groups:
        before = fragmentation(present(asked.groups))
        context |= {
            "prices": _prices(asked.groups, catalog, state.profiles),
            "further": fragments.further(before),
            "fragmented": round(100 * before.share),
            "splits": fragments.worst(asked.groups),
        }
    if asked.question is not None:
        question = asked.question
        if not exact:
            question = replace(question, time_limit_s=FIRST_LOOK_S)
        answer = plan(question)
        context["result"] = presenters.result(
            asked.question, answer, state, {chip.slug: chip for chip in divisible(catalog)}
        )
        context["searching"] = not answer.optimal and not exact
    return context


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
            usd = next(group.usd_per_gpu_hour for group in groups if group.chip.slug == slug)
            found.append({"name": chip.name, "rows": presenters.price_rows(chip, usd, which)})
    return found
