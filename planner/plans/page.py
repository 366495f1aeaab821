"""The planner's views: they read a form, ask the engine and hand records to a template."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import push_url, reswap, retarget

from planner.contract.render import render_cluster, render_error
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.plans import assumptions, exports, inputs, links, presenters, variations
from planner.plans.charts.bar import memory_bar
from planner.plans.charts.plan import host_memory_chart, memory_chart, step_chart
from planner.plans.charts.stacks import stack_chart
from planner.plans.copy_as import as_curl, as_python
from planner.plans.form import ScenarioForm
from planner.plans.goal_presenter import GoalPage, present_goal
from planner.plans.parts import FOLDS, folds, picker_addresses
from planner.plans.scenario import (
    answer,
    changed_fields,
    found_by_goal,
    names_a_goal,
    plain_problems,
    plan_context,
    problems,
    read_form,
    today,
)
from planner.plans.traces import traces
from planner.plans.what_if import what_if as turned_knobs
from planner.web import formats
from planner.web.costs import large_where
from planner.web.responses import csv_response, swaps

#: Fields that change other parts of the form: the picked machine and its regions, all prices, and the
#: sequence length.
MACHINE_FIELDS = ("instance", "region", "buy", "chip", "price_on")
PRICE_FIELDS = ("region", "buy", "price_on")
MODEL_FIELDS = ("model", "config")
#: Runs on more accelerators, or that need more of one, are not asked whether a part of one would do.
MOST_FOR_A_SLICE, MOST_SHARE_FOR_A_SLICE = 8, 0.5
CHIP_FIELDS = ("instance", "chip")
#: Longest address that web servers read; a pasted configuration may need more.
LONGEST_ADDRESS = 8000


# A plan changes nothing on the server, so a posted form needs no CSRF token. It is posted, rather than put in
# the address, because a pasted configuration may be longer than an address can be.
@large_where(names_a_goal)
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def plan(request: HttpRequest) -> HttpResponse:
    """The planning page.

    The form is posted to it; the answer moves to the address that holds the scenario.
    """
    form = read_form(request)
    try:
        question, result = answer(form)
    except PlanErrors as wrong:
        return _plan_with_problems(request, form, wrong)
    address = f"{reverse('planner:plan')}?{form.query()}"
    if (unfold := unfolded(request)) in FOLDS:
        address += f"&unfold={unfold}"
    too_long = len(address) > LONGEST_ADDRESS
    if request.method == "POST" and not swaps(request) and not too_long:
        return HttpResponseRedirect(address, status=303)
    context = plan_context(form) | answer_context(form, question, result) | {"too_long": too_long}
    asked = form.request() | {"cluster": render_cluster(question.cluster)}
    root = request.build_absolute_uri("/").rstrip("/")
    context["copy_as"] = {"curl": as_curl(asked, root), "python": as_python(asked, root)}
    context |= link_context(request, form, question, result)
    context["assumed_line"] = inputs.assumed_line(form.asked(), question, result)
    response = _render_plan(request, form, context)
    if swaps(request):
        push_url(response, False if too_long else address)
    return response


@large_where(names_a_goal)
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def why(request: HttpRequest) -> HttpResponse:
    """How each number of a plan was computed: a page of its own, or for htmx a part of the plan page.

    It is asked for apart, since few readers want it and it is as long as the rest of the answer.
    """
    form = read_form(request)
    try:
        question, result = answer(form)
    except PlanErrors as wrong:
        return plain_problems(wrong)
    context = {
        "traces": traces(result),
        "verdict": presenters.verdict(question, result),
        "query": form.query(),
        "swap": swaps(request),
    }
    return render(request, "plans/traces.html" if swaps(request) else "plans/why.html", context)


@large_where(names_a_goal)
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def assumed(request: HttpRequest) -> HttpResponse:
    """What a plan leaves to defaults, and the same run by each stack: a page of its own, or for htmx a part.

    The plan page fetches it once a reader comes to it; the answer need not wait for it.
    """
    form = read_form(request)
    try:
        question, result = answer(form)
    except PlanErrors as wrong:
        return plain_problems(wrong)
    stacks = assumptions.stacks(form, question, result)
    context = {
        "assumed": assumptions.assumptions(form, question, result),
        "stacks": stacks,
        "own": question.workload.framework,
        "chart": stack_chart(stacks, result, question.workload.framework),
        "verdict": presenters.verdict(question, result),
        "query": form.query(),
    }
    return render(request, "plans/assumed.html" if swaps(request) else "plans/assumed_page.html", context)


@large_where(names_a_goal)
@require_safe
def plan_csv(request: HttpRequest) -> HttpResponse:
    """Every number of the plan page, exact, one per line."""
    form = read_form(request)
    try:
        question, result = answer(form)
    except PlanErrors as wrong:
        return plain_problems(wrong)
    rows = exports.csv_rows(question, result)
    kept = kept_address(request, form, result)
    found = inputs.inputs(form.asked(), question, result)
    rows += exports.input_rows(found, as_of=today().isoformat(), address=kept)
    rows += exports.assumption_rows(assumptions.assumptions(form, question, result))
    if result.cluster.mig_profile is None:
        rows += exports.node_csv_rows(variations.answer_node_counts(question, result))
    return csv_response(f"{exports.file_stem(question, result)}.csv", rows)


@large_where(names_a_goal)
@require_safe
def plan_json(request: HttpRequest) -> HttpResponse:
    """The contract's response for the scenario in the address, with the defaults that matter."""
    form = read_form(request)
    try:
        question, result = answer(form)
    except PlanErrors as wrong:
        return JsonResponse(render_error(wrong), status=422)
    assumed_here = assumptions.assumptions(form, question, result)
    address = kept_address(request, form, result)
    told = exports.json_answer(
        form.request(), result, assumed_here, as_of=today().isoformat(), address=address
    )
    response = JsonResponse(told, json_dumps_params={"indent": 2})
    response["Content-Disposition"] = f'inline; filename="{exports.file_stem(question, result)}.json"'
    return response


@large_where(names_a_goal)
@require_safe
def summary(request: HttpRequest) -> HttpResponse:
    """One page for who signs: the answer, the bill, and what was asked and assumed."""
    form = read_form(request)
    try:
        question, result = answer(form)
    except PlanErrors as wrong:
        context = {"form": form, "problems": problems(wrong), "query": ""}
        return render(request, "plans/summary.html", context, status=422)
    context = {
        "page": presenters.present_plan(question, result, today=today()),
        "bar": memory_bar(result),
        "query": form.query(),
        "inputs": inputs.inputs(form.asked(), question, result),
        "assumed": assumptions.assumptions(form, question, result),
        **link_context(request, form, question, result),
    }
    return render(request, "plans/summary.html", context)


def kept_address(request: HttpRequest, form: ScenarioForm, result: PlanResult) -> str:
    """The whole address that keeps the plan's prices and constants."""
    query = links.kept_query(form, result, as_of=today())
    return request.build_absolute_uri(f"{reverse('planner:plan')}?{query}")


def link_context(
    request: HttpRequest, form: ScenarioForm, question: PlanRequest, result: PlanResult
) -> dict[str, Any]:
    """What a template says of the plan's links: the kept one, and what has changed since an old one."""
    kept = links.kept_in(request.GET)
    fitted = links.constants_day()
    return {
        "kept": kept_address(request, form, result),
        "as_of": formats.day(today()),
        "constants": links.constants_version(),
        "constants_day": "" if fitted is None else formats.day(fitted),
        "since": kept and links.since(form, question, result, kept, today=today()),
    }


def answer_context(form: ScenarioForm, question: PlanRequest, result: PlanResult) -> dict[str, Any]:
    """What the template of an answer needs."""
    page = presenters.present_plan(question, result, today=today())
    named = form.machines_named(result.cluster)
    return {
        "page": page,
        "bar": memory_bar(result),
        "charts": [
            memory_chart(result),
            *filter(None, [host_memory_chart(result)]),
            step_chart(result),
        ],
        "query": form.query(),
        "read_as": result.model_read_as if form.own_model else "",
        "may_take_a_slice": may_take_a_slice(result),
        "remedies": [(found.text, form.query(**(named | found.changes))) for found in page.remedies],
        "goal": goal_page(form),
    }


def may_take_a_slice(result: PlanResult) -> bool:
    """Whether a part of a chip could do: a slice below the whole chip has half of its memory at most."""
    share = result.memory.per_accelerator_bytes.total / result.memory.usable_bytes
    few = result.cluster.mig_profile is None and result.accelerators <= MOST_FOR_A_SLICE
    return few and share <= MOST_SHARE_FOR_A_SLICE


def goal_page(form: ScenarioForm) -> GoalPage | None:
    """The machines that meet the form's goal, None where the form names its machines."""
    found = found_by_goal(form)
    if found is None:
        return None
    return present_goal(found, lambda cluster: form.query(**form.machines_named(cluster), deadline=""))


@large_where(names_a_goal)
@require_safe
def what_if(request: HttpRequest) -> HttpResponse:
    """One knob at a time: a part of the plan page that is asked for once the answer stands."""
    form = read_form(request)
    template = "plans/what_if.html" if swaps(request) else "plans/what_if_page.html"
    try:
        question, result = answer(form)
    except PlanErrors as wrong:
        context = {"form": form, "problems": problems(wrong), "query": ""}
        return render(request, template, context, status=422)
    knobs = turned_knobs(form, question, result, today=today())
    page = presenters.present_plan(question, result, today=today())
    return render(request, template, {"knobs": knobs, "query": form.query(), "verdict": page.verdict})


def _plan_with_problems(request: HttpRequest, form: ScenarioForm, wrong: PlanErrors) -> HttpResponse:
    form.add_plan_errors(wrong.errors)
    context = plan_context(form) | {"problems": problems(wrong), "page": None, "query": ""}
    response = _render_plan(request, form, context, status=422)
    if swaps(request):
        # The last answer stays visible below the problems of the new question.
        reswap(retarget(response, "#problems"), "innerHTML")
    return response


def _render_plan(
    request: HttpRequest, form: ScenarioForm, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    context |= {"pickers": picker_addresses(form)}
    if not swaps(request):
        return render(request, "plans/plan.html", context | whole_form(request, form, status), status=status)
    changed = changed_fields(request)
    preset = "preset" in request.POST or "preset" in request.GET
    if status == 200 and (preset or ("instance" in changed and own_machines_shown(request, form))):
        context |= whole_form(request, form, status)
        response = render(request, "plans/planner.html", context, status=status)
        return reswap(retarget(response, "#planner"), "outerHTML")
    if preset:
        context |= whole_form(request, form, status)
    if status != 200:
        context["field_errors"] = {name: " ".join(map(str, said)) for name, said in form.errors.items()}
    context |= {
        "swap": True,
        "preset": preset,
        "refresh": {
            "machines": not changed.isdisjoint(MACHINE_FIELDS),
            "chip": not changed.isdisjoint(CHIP_FIELDS),
            "prices": not changed.isdisjoint(PRICE_FIELDS),
            "length": not changed.isdisjoint(MODEL_FIELDS),
        },
    }
    template = "plans/results.html" if status == 200 else "plans/problems_swap.html"
    return render(request, template, context, status=status)


def own_machines_shown(request: HttpRequest, form: ScenarioForm) -> bool:
    """Whether a machine that was picked changes which fields say how many cards one has."""
    return bool(form.state.chip) or bool(request.POST.get("chip"))


def whole_form(request: HttpRequest, form: ScenarioForm, status: int) -> dict[str, Any]:
    """What a template needs for the form, beside its fields."""
    return {"folds": folds(form, wrong=status != 200, unfold=unfolded(request))}


def unfolded(request: HttpRequest) -> str:
    """The fold that a reader without a script asked to see."""
    return request.POST.get("unfold", "") or request.GET.get("unfold", "")
