"""The report's views: a page to print, and the same as files."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from planner.accuracy.calibration import shipped_calibration
from planner.engine.question.errors import PlanErrors
from planner.plans import assumptions, presenters, variations
from planner.plans.scenario import answer, plain_problems, today
from planner.tradeoffs import chances
from planner.tradeoffs.jobs import JobStatus
from planner.tradeoffs.market import read_market
from planner.tradeoffs.page import answers_of, done_pairs, scene_form
from planner.tradeoffs.points import Point, points_of
from planner.tradeoffs.report import tables
from planner.tradeoffs.report.content import Report, report
from planner.tradeoffs.report.markdown import markdown
from planner.tradeoffs.report.pdf import pdf

TYPES = {
    "pdf": "application/pdf",
    "md": "text/markdown; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The report as a page that prints on one sheet and its annex."""
    try:
        found, _ = made(request)
    except PlanErrors as wrong:
        return plain_problems(wrong)
    return render(request, "tradeoffs/report/page.html", {"report": found, "query": request.GET.urlencode()})


@require_safe
def file(request: HttpRequest, kind: str) -> HttpResponse:
    """The report as PDF or Markdown, or the plans behind it as CSV or Parquet."""
    if kind not in TYPES:
        raise Http404("a report is pdf, md, csv or parquet")
    try:
        found, points = made(request)
    except PlanErrors as wrong:
        return plain_problems(wrong)
    content: bytes
    if kind == "pdf":
        content = pdf(found, made_at=timezone.localtime())
    elif kind == "md":
        content = markdown(found).encode()
    else:
        content = tables.as_csv(points) if kind == "csv" else tables.as_parquet(points)
    response = HttpResponse(content, content_type=TYPES[kind])
    response["Content-Disposition"] = f'attachment; filename="headroom-report.{kind}"'
    return response


def made(request: HttpRequest) -> tuple[Report, list[Point]]:
    """The report of the address, and the plans behind it. Raises PlanErrors."""
    form, given = scene_form(request)
    allowed = read_market(given, form.catalog)
    question, result = answer(form)
    searched = answers_of(request, form, allowed, result)
    points: list[Point] = []
    if not any(isinstance(each, JobStatus) for each in searched):
        done = [each for each in searched if not isinstance(each, JobStatus)]
        points = points_of(done_pairs(form, allowed, result, done), allowed, form.catalog)
    rows = variations.answer_machines(question, result, form.catalog, spread="accelerators")
    found = report(
        question,
        result,
        presenters.present_plan(question, result, today=today()),
        points=points,
        assumed=assumptions.assumptions(form, question, result),
        rows=rows,
        constants=shipped_calibration().provenance,
        today=today(),
        sure=lambda point: chances.beside_proposal(
            question, result, point, catalog=form.catalog, shared=shipped_calibration().shared
        ),
        fix=lambda row: variations.remedy_of(question, row),
    )
    return found, points
