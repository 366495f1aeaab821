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
from planner.plans.compare.families import Families, Wanted, families, kept_rows, ordered, read_wanted
from planner.plans.compare.table import (
    DEFAULT_SORT,
    SPREADS,
    Comparison,
    compare_machines,
    csv_rows_of,
    spread_named,
)
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
    asked = wanted(request)
    folded = folded_of(request, form, asked)
    context |= {
        "table": table,
        "folded": folded,
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


def comparison_of(request: HttpRequest, form: ScenarioForm) -> Comparison:
    """The comparison that the address asks for. Raises PlanErrors."""
    question, rows, result = answered(request, form)
    spread = spread_named(request.GET.get("spread", ""))
    return compare_machines(
        question,
        result,
        kept_rows(rows, wanted(request)),
        sort=request.GET.get("sort", ""),
        spread=spread,
        today=today(),
        link=lambda row: form.query(**machine_fields(row, form.values["precision"])),
    )


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


def folded_of(request: HttpRequest, form: ScenarioForm, asked: Wanted) -> Families:
    """The table by families. Raises PlanErrors."""
    _, rows, result = answered(request, form)
    measured = Counter(shipped_calibration().measured.accelerators.tolist())
    return families(
        rows,
        result,
        asked,
        sort=request.GET.get("sort", ""),
        measured=lambda slug: measured[slug],
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
