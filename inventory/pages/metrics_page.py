"""`/metrics`: the fleet, the age of the catalog and the program's own work, and who may read it."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from inventory.pages import metrics
from planner.catalog.refresh import metrics as catalog_metrics
from planner.web import telemetry


@login_not_required
@require_safe
@never_cache
def prometheus(request: HttpRequest) -> HttpResponse:
    """`/metrics`. Where pages need a login, this needs METRICS_TOKEN as a bearer token."""
    if not _may_scrape(request):
        return HttpResponse(
            "a bearer token is needed: see METRICS_TOKEN\n", status=401, content_type="text/plain"
        )
    now = timezone.now()
    fleet = metrics.exposition(now=now, day_ago=now - timedelta(days=1))
    body = fleet + "".join(f"{line}\n" for line in catalog_metrics.lines()) + telemetry.exposition()
    return HttpResponse(body, content_type="text/plain; version=0.0.4; charset=utf-8")


def _may_scrape(request: HttpRequest) -> bool:
    if not settings.LOGIN_REQUIRED or request.user.is_authenticated:
        return True
    token = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return bool(token) and secrets.compare_digest(given.encode(), token.encode())
