"""The validation page: predicted against measured, or a note that there is no report yet."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from planner.accuracy.presenters import context
from planner.accuracy.report import read_report
from planner.web.responses import csv_response


@require_safe
def validation(request: HttpRequest) -> HttpResponse:
    """Predicted against measured, or a note that there is no report yet."""
    report = read_report()
    shown = {"report": None} if report is None else context(report, request.GET)
    return render(request, "accuracy/page.html", shown)


@require_safe
def validation_csv(request: HttpRequest) -> HttpResponse:
    """Every published figure with its prediction."""
    report = read_report()
    return csv_response("validation.csv", [] if report is None else list(report.csv_rows))
