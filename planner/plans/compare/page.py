"""The comparison page: the same run on every instance type of the catalog."""

from __future__ import annotations

from urllib.parse import parse_qsl

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from planner.engine.question.errors import PlanErrors
from planner.engine.question.result import PlanResult
from planner.plans import variations
from planner.plans.choices import GROUPS
from planner.plans.compare.table import SPREADS, Comparison, compare_machines, spread_named
from planner.plans.form import ScenarioForm
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
    try:
        table = comparison_of(request, form)
    except PlanErrors as wrong:
        form.add_plan_errors(wrong.errors)
        return render(request, "plans/compare/page.html", context | {"problems": problems(wrong)}, status=422)
    context |= {
        "table": table,
        "chart": table.chart,
        "query": form.query(),
        "spreads": SPREADS,
        "hidden": parse_qsl(form.query(), keep_blank_values=True),
    }
    template = "plans/compare/table.html" if swaps(request) else "plans/compare/page.html"
    return render(request, template, context)


@large_question
@require_safe
def compare_csv(request: HttpRequest) -> HttpResponse:
    """The comparison's table with exact values."""
    try:
        table = comparison_of(request, read_form(request))
    except PlanErrors as wrong:
        return plain_problems(wrong)
    return csv_response("compare.csv", table.csv_rows)


def comparison_of(request: HttpRequest, form: ScenarioForm) -> Comparison:
    """The comparison that the address asks for. Raises PlanErrors."""
    question, result = answer(form)
    spread = spread_named(request.GET.get("spread", ""))
    rows = variations.answer_machines(question, result, form.catalog, spread=spread)
    return compare_machines(
        question,
        result,
        rows,
        sort=request.GET.get("sort", ""),
        spread=spread,
        today=today(),
        link=lambda row: form.query(**machine_fields(row, form.values["precision"])),
    )


def machine_fields(row: variations.MachineRow, precision: str) -> dict[str, str]:
    """Form fields that plan a comparison's row: its machine, and a layout chosen anew.

    precision: the one that was asked for, "" where it is left to the machine.
    """
    found = row.answer
    nodes = found.cluster.nodes if isinstance(found, PlanResult) else row.cluster.nodes
    return {name: "" for name in GROUPS["layout"] if name != "recompute"} | {
        "instance": row.record.slug,
        "region": row.cluster.region or "",
        "nodes": "auto" if nodes is None else str(nodes),
        **dict.fromkeys(("chip", *GROUPS["card"]), ""),
        "precision": (row.precision or precision) if precision else "",
    }
