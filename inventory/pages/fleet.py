"""The fleet's page and exports: counts, what needs attention, and the fleet as it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from inventory.pages import exports
from inventory.pages.address import moment_of, query_of
from inventory.pages.fleet_presenters import event_row, figures, host_row, then_rows, verdict
from inventory.pages.prices import Pricing, idle_cost
from inventory.store import selectors
from inventory.store.models import Host
from planner.catalog.selectors import current_catalog
from planner.web.responses import csv_response, swaps

SHOWN = (
    ("", "All hosts"),
    ("attention", "Needs attention"),
    ("stale", "Stale"),
    ("faulty", "Faulty"),
    ("idle", "With idle GPUs"),
    ("busy", "Fully busy"),
)


@require_safe
@never_cache
def fleet(request: HttpRequest) -> HttpResponse:
    """Counts, what needs attention, and the heat map; the address holds the filters."""
    now = timezone.now()
    filters = read_filters(request)
    summary = selectors.fleet_summary(now=now)
    page = Paginator(selectors.hosts(filters, now=now), selectors.HOSTS_A_PAGE).get_page(
        request.GET.get("page")
    )
    pricing = Pricing(current_catalog())
    context = {
        "summary": summary,
        "verdict": verdict(summary),
        "figures": figures(summary, idle_cost(selectors.idle_kinds(now=now), pricing), now),
        "rows": [host_row(host, now) for host in page.object_list],
        "page": page,
        "filters": filters,
        "shown": SHOWN,
        "query": query_of(request, drop=("page",)),
        "here": query_of(request),
        "recent": [event_row(event, now) for event in selectors.events(count=6)],
    }
    if swaps(request):
        return render(request, "inventory/pages/fleet_live.html", context)
    context["gpu_names"] = selectors.gpu_names()
    return render(request, "inventory/pages/fleet.html", context)


def read_filters(request: HttpRequest) -> selectors.Filters:
    """The filters that the address asks for; unknown values are ignored."""
    given = request.GET
    show = given.get("show", "")
    return selectors.Filters(
        text=given.get("q", "").strip()[:100],
        show=show if show in dict(SHOWN) else "",
        gpu_name=given.get("gpu", "")[:200],
        group=given.get("group", "")[:100],
    )


@require_safe
def fleet_csv(request: HttpRequest) -> HttpResponse:
    """Every GPU of the hosts that match, one per line, exact."""
    return csv_response("fleet.csv", exports.gpu_rows(_matching(request)))


@require_safe
def fleet_json(request: HttpRequest) -> JsonResponse:
    """The hosts that match, with their GPUs; with `at`, the fleet as it was then."""
    if "at" in request.GET:
        return JsonResponse(exports.fleet_then_json(selectors.fleet_as_of(moment_of(request))))
    now = timezone.now()
    hosts = exports.hosts_json(_matching(request))
    return JsonResponse({"at": now.isoformat(), "hosts": hosts})


def _matching(request: HttpRequest) -> Sequence[Host]:
    return list(selectors.hosts(read_filters(request), now=timezone.now()))


@require_safe
def then(request: HttpRequest) -> HttpResponse:
    """The fleet as it was at a moment."""
    moment = moment_of(request)
    found = selectors.fleet_as_of(moment)
    return render(
        request,
        "inventory/pages/then.html",
        {
            "then": found,
            "rows": then_rows(found),
            "value": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M"),
        },
    )
