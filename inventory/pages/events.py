"""What changed in the fleet, newest first."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from inventory.pages.address import query_of
from inventory.pages.fleet_presenters import event_row
from inventory.store import selectors
from inventory.store.models import Event
from planner.web.numbers import whole
from planner.web.responses import swaps


@require_safe
@never_cache
def events(request: HttpRequest) -> HttpResponse:
    """What changed, newest first."""
    now = timezone.now()
    kind, name = request.GET.get("kind", ""), request.GET.get("host", "")
    before = request.GET.get("before", "")
    chosen = selectors.host_named(name) if name else None
    found = [] if name and chosen is None else selectors.events(host=chosen, kind=kind, before=whole(before))
    context = {
        "events": [event_row(event, now) for event in found],
        "kinds": Event.Kind.choices,
        "kind": kind,
        "host_name": name,
        "more": len(found) == selectors.EVENTS_A_PAGE,
        "query": query_of(request, drop=("before",)),
        "here": query_of(request),
        "paged": bool(before),
    }
    return render(
        request,
        "inventory/pages/events_live.html" if swaps(request) else "inventory/pages/events.html",
        context,
    )
