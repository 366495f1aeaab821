"""A plan on owned hosts, and what one host could train, as pages."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from inventory.need.match import have_against_need
from inventory.need.pools import pools
from inventory.need.presenters import match_row, match_verdict, subject, trainable_rows
from inventory.need.trainable import TASKS_TO_TRY, trainable
from inventory.pages.address import named_host
from inventory.pages.prices import Pricing
from inventory.store import selectors
from planner.catalog.selectors import current_catalog
from planner.engine.question.errors import PlanErrors
from planner.plans.scenario import question_of, read_form


@require_safe
def need(request: HttpRequest) -> HttpResponse:
    """A plan matched against owned hosts: which fit, what is free now, what is missing."""
    now = timezone.now()
    form = read_form(request)
    catalog = form.catalog
    context: dict[str, Any] = {"query": form.query()}
    try:
        question = question_of(form)
    except PlanErrors as wrong:
        return render(request, "inventory/need/need.html", context | {"errors": wrong.errors}, status=422)
    hosts = list(selectors.hosts(selectors.Filters(), now=now))
    owned = pools(hosts, Pricing(catalog), now=now)
    matches = have_against_need(question, owned, catalog)
    context |= {
        "subject": subject(question),
        "verdict": match_verdict(matches, len(hosts)),
        "rows": [match_row(match) for match in matches],
        "left_out": len(hosts) - sum(len(pool.hosts) for pool in owned),
    }
    return render(request, "inventory/need/need.html", context)


@require_safe
def host_trainable(request: HttpRequest, name: str) -> HttpResponse:
    """What could be trained on this host; loaded separately, since it takes the engine a moment."""
    found = named_host(name)
    catalog = current_catalog()
    owned = pools([found], Pricing(catalog), now=timezone.now())
    rows = trainable_rows(trainable(owned[0], catalog)) if owned else []
    return render(
        request, "inventory/need/trainable.html", {"host": found, "rows": rows, "tasks": TASKS_TO_TRY}
    )
