"""The planner's pages: doorways that read a form, ask the engine and hand records to a template."""

from __future__ import annotations

import csv
import json
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from planner import (
    charts,
    comparison,
    exports,
    machine_picker,
    presenters,
    questions,
    selectors,
    validation_page,
    validation_report,
)
from planner.contract.parse import parse_plan_request
from planner.contract.render import render_error, render_result
from planner.engine.errors import PlanError, PlanErrors
from planner.engine.request import PlanRequest
from planner.engine.result import PlanResult
from planner.form_choices import PRESET_BUTTONS
from planner.forms import ScenarioForm, sentence, valid_day
from planner.glossary import glossary_html

LAYOUT_FIELDS = ("tp", "pp", "vp", "cp", "ep", "dp", "mbs", "ga", "sp", "group", "sharding", "recompute")
ADVANCED_FIELDS = (
    "precision",
    "optimizer",
    "attention",
    "framework",
    "offload",
    "compile",
    "overlap",
    "master",
    "gradients",
    "states",
    "kernel",
    "loss",
    "target",
    "deadline",
    "price_on",
    "mig",
)
#: Fields whose change shows elsewhere in the form: in the picked machine and its regions, and in all prices.
MACHINE_FIELDS = ("instance", "region", "buy", "chip", "price_on")
PRICE_FIELDS = ("region", "buy", "price_on")
#: What web servers read of an address; a pasted configuration may need more.
LONGEST_ADDRESS = 8000


# A plan changes nothing on the server, so a posted form needs no token; it is posted, not only put in the
# address, because a pasted configuration may be longer than an address can be.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def plan(request: HttpRequest) -> HttpResponse:
    """The planning page; posted by the form, its answer moves to the address that holds the scenario."""
    form = read_form(request)
    try:
        question, result = answer(form)
    except PlanErrors as wrong:
        return _plan_with_problems(request, form, wrong)
    address = f"{reverse('planner:plan')}?{form.query()}"
    too_long = len(address) > LONGEST_ADDRESS
    if request.method == "POST" and not swaps(request) and not too_long:
        return HttpResponseRedirect(address, status=303)
    context = plan_context(form) | answer_context(form, question, result) | {"too_long": too_long}
    response = _render_plan(request, form, context)
    if swaps(request):
        response["HX-Push-Url"] = "false" if too_long else address
    return response


@require_safe
def plan_csv(request: HttpRequest) -> HttpResponse:
    """Every number of the plan page, exact, one a line."""
    form = read_form(request)
    try:
        question, result = answer(form)
    except PlanErrors as wrong:
        return _plain_problems(wrong)
    points = questions.answer_node_counts(question, result)
    rows = exports.csv_rows(question, result) + exports.node_csv_rows(points)
    return csv_response("plan.csv", rows)


@require_safe
def plan_json(request: HttpRequest) -> HttpResponse:
    """The contract's response for the scenario in the address."""
    try:
        _, result = answer(read_form(request))
    except PlanErrors as wrong:
        return JsonResponse(render_error(wrong), status=422)
    return JsonResponse(render_result(result), json_dumps_params={"indent": 2})


@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """The same run on every instance type of the catalog."""
    form = read_form(request)
    context = plan_context(form) | {"problems": [], "table": None}
    try:
        table = comparison_of(request, form)
    except PlanErrors as wrong:
        form.add_plan_errors(wrong.errors)
        return render(request, "planner/compare.html", context | {"problems": problems(wrong)}, status=422)
    context |= {
        "table": table,
        "chart": table.chart,
        "query": form.query(),
        "spreads": comparison.SPREADS,
        "hidden": parse_qsl(form.query(), keep_blank_values=True),
    }
    template = "planner/compare_table.html" if swaps(request) else "planner/compare.html"
    return render(request, template, context)


@require_safe
def compare_csv(request: HttpRequest) -> HttpResponse:
    """The comparison's table, exact."""
    try:
        table = comparison_of(request, read_form(request))
    except PlanErrors as wrong:
        return _plain_problems(wrong)
    return csv_response("compare.csv", table.csv_rows)


@require_safe
def validation(request: HttpRequest) -> HttpResponse:
    """Predicted against measured, or what is missing to say so."""
    report = validation_report.read_report()
    shown = {"report": None} if report is None else validation_page.context(report, request.GET)
    return render(request, "planner/validation.html", shown)


@require_safe
def validation_csv(request: HttpRequest) -> HttpResponse:
    """Every published figure with its prediction."""
    report = validation_report.read_report()
    return csv_response("validation.csv", [] if report is None else list(report.csv_rows))


@require_safe
def glossary(request: HttpRequest) -> HttpResponse:
    """The field's terms, from docs/glossary.md."""
    return render(request, "planner/glossary.html", {"entries": _glossary()})


@lru_cache(maxsize=1)
def _glossary() -> str:
    return glossary_html((Path(settings.BASE_DIR) / "docs" / "glossary.md").read_text(encoding="utf-8"))


# --- what the views share ---


def read_form(request: HttpRequest) -> ScenarioForm:
    """The scenario in the address, or in the posted form."""
    given = request.POST if request.method == "POST" else request.GET
    form = ScenarioForm.of_query(given, selectors.current_catalog())
    if "instance" in changed_fields(request):
        form.forget_foreign_region()
    return form


def changed_fields(request: HttpRequest) -> set[str]:
    """The fields that a person changed since the last answer, as the page's script tells."""
    return set(request.headers.get("X-Changed", "").split(","))


def today() -> date:
    return timezone.localdate()


def answer(form: ScenarioForm) -> tuple[PlanRequest, PlanResult]:
    """The form's question and its answer.  Raises PlanErrors where it makes no sense."""
    try:
        question = parse_plan_request(form.request(), form.catalog, today=today())
        return question, questions.answer_plan(question, form.catalog)
    except PlanError as one:
        raise PlanErrors([one]) from one


def swaps(request: HttpRequest) -> bool:
    """htmx asks for a part of the page."""
    return request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers


def plan_context(form: ScenarioForm) -> dict[str, Any]:
    """What the form shows, whatever the answer."""
    values, catalog = form.values, form.catalog
    sale = machine_picker.Sale(
        region=values["region"], purchase=values["buy"], as_of=valid_day(values["price_on"])
    )
    changed = form.changed_fields()
    form.fields["region"].widget.choices = machine_picker.region_choices(
        catalog, values["instance"], purchase=values["buy"], chosen=values["region"]
    )
    form.fields["chip"].widget.choices = machine_picker.chip_choices(catalog)
    return {
        "form": form,
        "models": machine_picker.model_options(catalog),
        "presets": PRESET_BUTTONS,
        "machine": machine_picker.chosen_machine(catalog, values["instance"], sale),
        "machine_groups": machine_picker.machine_groups(catalog, sale),
        "own": bool(values["chip"]),
        "open": {
            "own": bool(values["chip"]),
            "layout": not changed.isdisjoint(LAYOUT_FIELDS),
            "advanced": not changed.isdisjoint(ADVANCED_FIELDS),
        },
    }


def answer_context(form: ScenarioForm, question: PlanRequest, result: PlanResult) -> dict[str, Any]:
    page = presenters.present_plan(question, result, today=today())
    points = questions.answer_node_counts(question, result)
    return {
        "page": page,
        "charts": [
            charts.memory_chart(result),
            charts.step_chart(result),
            *charts.node_charts(points, result),
        ],
        "query": form.query(),
        "remedy_query": "" if page.remedy is None else form.query(**page.remedy.changes),
    }


def problems(wrong: PlanErrors) -> list[dict[str, str]]:
    """Each problem with the label and anchor of the form field that it is about."""
    found = []
    for error in wrong.errors:
        name = ScenarioForm.field_of(error.field, error.value)
        value = "" if error.value in (None, "") or isinstance(error.value, dict) else str(error.value)[:80]
        found.append(
            {
                "anchor": f"id_{name}" if name != "instance" else "instance-filter",
                "label": str(ScenarioForm.base_fields[name].label or name),
                "value": value,
                "message": sentence(error.message),
                "remedy": sentence(error.remedy),
            }
        )
    return found


def comparison_of(request: HttpRequest, form: ScenarioForm) -> comparison.Comparison:
    question, result = answer(form)
    spread = comparison.spread_named(request.GET.get("spread", ""))
    rows = questions.answer_machines(question, result, form.catalog, spread=spread)
    return comparison.compare_machines(
        question,
        result,
        rows,
        sort=request.GET.get("sort", ""),
        spread=spread,
        today=today(),
        link=lambda row: form.query(**machine_fields(row)),
    )


def machine_fields(row: questions.MachineRow) -> dict[str, str]:
    """Form fields that plan a comparison's row: its machine, and a layout chosen anew."""
    found = row.answer
    nodes = found.cluster.nodes if isinstance(found, PlanResult) else row.cluster.nodes
    return {name: "" for name in LAYOUT_FIELDS if name != "recompute"} | {
        "instance": row.record.slug,
        "region": row.cluster.region or "",
        "nodes": "auto" if nodes is None else str(nodes),
        "chip": "",
        **({} if row.precision is None else {"precision": row.precision}),
    }


def csv_response(name: str, rows: list[tuple[str, ...]]) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    csv.writer(response).writerows(rows)
    return response


def _plan_with_problems(request: HttpRequest, form: ScenarioForm, wrong: PlanErrors) -> HttpResponse:
    form.add_plan_errors(wrong.errors)
    context = plan_context(form) | {"problems": problems(wrong), "page": None, "query": ""}
    response = _render_plan(request, form, context, status=422)
    if swaps(request) and "preset" not in request.POST:
        # The last answer stays beneath what is wrong with the new question.
        response["HX-Retarget"] = "#problems"
        response["HX-Reswap"] = "innerHTML"
    return response


def _render_plan(
    request: HttpRequest, form: ScenarioForm, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    if not swaps(request):
        return render(request, "planner/plan.html", context, status=status)
    if "preset" in request.POST or "preset" in request.GET:
        response = render(request, "planner/planner.html", context, status=status)
        response["HX-Retarget"] = "#planner"
        response["HX-Reswap"] = "outerHTML"
        return response
    changed = changed_fields(request)
    context |= {
        "swap": True,
        "refresh": {
            "machines": not changed.isdisjoint(MACHINE_FIELDS),
            "prices": not changed.isdisjoint(PRICE_FIELDS),
        },
    }
    template = "planner/results.html" if status == 200 else "planner/problems_swap.html"
    return render(request, template, context, status=status)


def _plain_problems(wrong: PlanErrors) -> HttpResponse:
    return HttpResponse(
        json.dumps(render_error(wrong), indent=2), content_type="application/json", status=422
    )
