"""The comparison page: the same run on every instance type of the catalog."""

from __future__ import annotations

from collections import Counter
from urllib.parse import parse_qsl

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from planner.accuracy.calibration import shipped_calibration
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.plans import variations
from planner.plans.choices import GROUPS
from planner.plans.compare.columns import ORDERS
from planner.plans.compare.families import Wanted, families, kept_rows, ordered, read_wanted
from planner.plans.compare.goals import Wish
from planner.plans.compare.table import (
    DEFAULT_SORT,
    SPREADS,
    compare_machines,
    csv_rows_of,
    remedy_in_words,
    spread_named,
)
from planner.plans.form import ScenarioForm
from planner.plans.links import terms_elsewhere
from planner.plans.scenario import (
    answer,
    plain_problems,
    plan_context,
    problems,
    read_form,
    today,
)
from planner.web.costs import large_question
from planner.web.responses import csv_response, swaps


@large_question
@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """The same run on every instance type of the catalog."""
    form = read_form(request)
    context = plan_context(form) | {"problems": [], "table": None}
    asked, sort = wanted(request), request.GET.get("sort", "")
    spread = spread_named(request.GET.get("spread", ""))
    try:
        question, rows, result = answered(request, form)
    except PlanErrors as wrong:
        form.add_plan_errors(wrong.errors)
        return render(request, "plans/compare/page.html", context | {"problems": problems(wrong)}, status=422)
    table = compare_machines(question, result, kept_rows(rows, asked), spread=spread, today=today())
    measured = Counter(shipped_calibration().measured.accelerators.tolist())
    context |= {
        "table": table,
        "folded": families(
            rows,
            result,
            asked,
            sort=sort,
            measured=lambda slug: measured[slug],
            link=lambda row: form.query(**machine_fields(row, form)),
            goal=Wish(deadline_days=question.deadline_days, budget_usd=question.budget_usd),
        ),
        "chart": table.chart,
        "query": form.query(),
        "spreads": SPREADS,
        "hidden": parse_qsl(form.query(), keep_blank_values=True),
    }
    template = "plans/compare/table.html" if swaps(request) else "plans/compare/page.html"
    return render(request, template, context)


@require_safe
def compare_fits(request: HttpRequest) -> HttpResponse:
    """What would make one machine's plan fit, in a sentence."""
    try:
        _, result = answer(read_form(request))
    except PlanErrors as wrong:
        return plain_problems(wrong)
    return HttpResponse(remedy_in_words(result), content_type="text/plain; charset=utf-8")


@large_question
@require_safe
def compare_csv(request: HttpRequest) -> HttpResponse:
    """The comparison's table with exact values."""
    try:
        _, rows, _ = answered(request, read_form(request))
    except PlanErrors as wrong:
        return plain_problems(wrong)
    sort = request.GET.get("sort", "")
    key = sort.removeprefix("-")
    kept = ordered(
        kept_rows(rows, wanted(request)),
        key if key in ORDERS else DEFAULT_SORT,
        descending=sort.startswith("-"),
    )
    return csv_response("compare.csv", csv_rows_of(kept))


def answered(
    request: HttpRequest, form: ScenarioForm
) -> tuple[PlanRequest, list[variations.MachineRow], PlanResult]:
    """The question, its answer on every machine, and the plan itself. Raises PlanErrors."""
    question, result = answer(form)
    spread = spread_named(request.GET.get("spread", ""))
    return question, variations.answer_machines(question, result, form.catalog, spread=spread), result


def wanted(request: HttpRequest) -> Wanted:
    """Filters, columns and ticks of the address."""
    return read_wanted({name: request.GET.get(name, "") for name in request.GET}, request.GET.getlist)


def machine_fields(row: variations.MachineRow, form: ScenarioForm) -> dict[str, str]:
    """Form fields that plan a comparison's row: its machine on its own terms, and a layout chosen anew."""
    found, precision = row.answer, form.values["precision"]
    nodes = found.cluster.nodes if isinstance(found, PlanResult) else row.cluster.nodes
    return {name: "" for name in GROUPS["layout"] if name != "recompute"} | {
        "instance": row.record.slug,
        "region": row.cluster.region or "",
        "nodes": "auto" if nodes is None else str(nodes),
        **dict.fromkeys(("chip", *GROUPS["card"]), ""),
        "precision": (row.precision or precision) if precision else "",
        **terms_elsewhere(form.values, form.catalog, row.record.slug),
    }
