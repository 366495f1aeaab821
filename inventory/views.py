"""The fleet's pages and exports: doorways that read the address, ask selectors and hand on records."""

from __future__ import annotations

import csv
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from inventory import (
    charts,
    exports,
    machine_presenters,
    metrics,
    need_presenters,
    owned,
    presenters,
    selectors,
)
from inventory.models import Event, Gpu, Host
from inventory.snapshot_json import to_json
from planner import selectors as planner_selectors
from planner.contract.parse import parse_plan_request
from planner.engine.errors import PlanError, PlanErrors
from planner.forms import ScenarioForm

RANGES = {
    "1h": ("the last hour", timedelta(hours=1)),
    "6h": ("the last 6 hours", timedelta(hours=6)),
    "24h": ("the last day", timedelta(days=1)),
    "7d": ("the last 7 days", timedelta(days=7)),
    "30d": ("the last 30 days", timedelta(days=30)),
    "1y": ("the last year", timedelta(days=365)),
}
USUAL_RANGE = "6h"

SHOWN = (
    ("", "All hosts"),
    ("attention", "Needs attention"),
    ("stale", "Stale"),
    ("faulty", "Faulty"),
    ("idle", "With idle GPUs"),
    ("busy", "Fully busy"),
)


def swaps(request: HttpRequest) -> bool:
    """htmx asks for a part of the page."""
    return request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers


# --- fleet ---


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
    pricing = owned.Pricing(planner_selectors.current_catalog())
    context = {
        "summary": summary,
        "verdict": presenters.verdict(summary),
        "figures": presenters.figures(summary, owned.idle_cost(selectors.idle_kinds(now=now), pricing), now),
        "rows": [presenters.host_row(host, now) for host in page.object_list],
        "page": page,
        "filters": filters,
        "shown": SHOWN,
        "query": _query(request, drop=("page",)),
        "here": _query(request),
        "recent": [presenters.event_row(event, now) for event in selectors.events(count=6)],
    }
    if swaps(request):
        return render(request, "inventory/fleet_live.html", context)
    context["gpu_names"] = selectors.gpu_names()
    return render(request, "inventory/fleet.html", context)


def read_filters(request: HttpRequest) -> selectors.Filters:
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
    """Every GPU of the hosts that match, one a line, exact."""
    return csv_response("fleet.csv", exports.gpu_rows(_matching(request)))


@require_safe
def fleet_json(request: HttpRequest) -> JsonResponse:
    """The hosts that match with their GPUs, or with `at` the fleet as it was then."""
    if "at" in request.GET:
        return JsonResponse(exports.fleet_then_json(selectors.fleet_as_of(_moment(request))))
    now = timezone.now()
    hosts = exports.hosts_json(_matching(request))
    return JsonResponse({"at": now.isoformat(), "hosts": hosts})


def _matching(request: HttpRequest) -> Sequence[Host]:
    return list(selectors.hosts(read_filters(request), now=timezone.now()))


@require_safe
def then(request: HttpRequest) -> HttpResponse:
    """The fleet as it was at a moment."""
    moment = _moment(request)
    found = selectors.fleet_as_of(moment)
    return render(
        request,
        "inventory/then.html",
        {
            "then": found,
            "rows": presenters.then_rows(found),
            "value": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M"),
        },
    )


def _moment(request: HttpRequest) -> datetime:
    """The address's `at`; times without a zone are UTC. What is no time at all means now."""
    try:
        found = parse_datetime(request.GET.get("at", ""))
    except ValueError:
        found = None
    if found is None:
        return timezone.now()
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


# --- one host, one GPU ---


@require_safe
@never_cache
def host(request: HttpRequest, name: str) -> HttpResponse:
    """One machine: how it is, its GPUs, topology, MIG, processes, probes and events."""
    now = timezone.now()
    found = _host(name)
    gpus = selectors.gpus_of(found)
    snapshot = selectors.latest_snapshot(found)
    context = {
        "host": found,
        "badges": presenters.host_badges(found, gpus, now),
        "heard": presenters.ago(found.last_good_probe_at, now),
        "gpus": [machine_presenters.gpu_row(gpu) for gpu in gpus],
        "probes": selectors.recent_probes(found),
        "events": [presenters.event_row(event, now) for event in selectors.events(host=found, count=12)],
        "here": _query(request),
    }
    if snapshot is not None:
        context |= _snapshot_context(snapshot)
    return render(request, "inventory/host_live.html" if swaps(request) else "inventory/host.html", context)


def _snapshot_context(snapshot: Any) -> dict[str, Any]:
    pricing = owned.Pricing(planner_selectors.current_catalog())
    drawings = [
        machine_presenters.mig_drawing(gpu, owned.memory_slices(gpu.name, pricing)) for gpu in snapshot.gpus
    ]
    return {
        "snapshot": snapshot,
        "topology": machine_presenters.topology_rows(snapshot),
        "links": [(gpu.index, machine_presenters.link_summary(gpu.nvlinks)) for gpu in snapshot.gpus],
        "drawings": [drawing for drawing in drawings if drawing is not None],
        "processes": machine_presenters.process_rows(snapshot.gpus),
        "no_processes": machine_presenters.unreadable_processes(snapshot.gpus),
    }


@require_safe
def host_json(request: HttpRequest, name: str) -> JsonResponse:
    """The host's newest snapshot, in the form of `manage.py probe --json`."""
    snapshot = selectors.latest_snapshot(_host(name))
    if snapshot is None:
        raise Http404("no snapshot of this host yet")
    return JsonResponse(to_json(snapshot))


@require_safe
def host_trainable(request: HttpRequest, name: str) -> HttpResponse:
    """What could be trained on this host; a part of its page, since it takes the engine a moment."""
    found = _host(name)
    catalog = planner_selectors.current_catalog()
    pools = owned.pools([found], owned.Pricing(catalog), now=timezone.now())
    rows = need_presenters.trainable_rows(owned.trainable(pools[0], catalog)) if pools else []
    return render(
        request, "inventory/trainable.html", {"host": found, "rows": rows, "tasks": owned.TASKS_TO_TRY}
    )


@require_safe
@never_cache
def gpu(request: HttpRequest, uuid: str) -> HttpResponse:
    """One GPU: its state, its time series, every reading, and where it has been."""
    now = timezone.now()
    found = _gpu(uuid)
    chosen = _range(request)
    samples = selectors.series(found, since=now - RANGES[chosen][1], until=now)
    snapshot = selectors.latest_snapshot(found.host) if found.host else None
    reading = next((r for r in snapshot.gpus if r.index == found.index), None) if snapshot else None
    context = {
        "gpu": found,
        "cell": presenters.cell(found),
        "state": machine_presenters.gpu_state(found, now),
        "charts": charts.series_charts(samples, found.memory_total_bytes),
        "samples": len(samples),
        "range": chosen,
        "range_words": RANGES[chosen][0],
        "ranges": RANGES,
        "groups": machine_presenters.reading_groups(reading) if reading else [],
        "links": machine_presenters.link_summary(reading.nvlinks) if reading else "",
        "placements": selectors.placements(found),
        "mig": selectors.mig_history(found),
        "events": [presenters.event_row(event, now) for event in selectors.events(gpu=found, count=12)],
        "here": _query(request),
    }
    return render(request, "inventory/gpu_live.html" if swaps(request) else "inventory/gpu.html", context)


@require_safe
def gpu_csv(request: HttpRequest, uuid: str) -> HttpResponse:
    """The samples of the chosen period, exact."""
    found, now = _gpu(uuid), timezone.now()
    samples = selectors.series(found, since=now - RANGES[_range(request)][1], until=now)
    return csv_response(f"{found.uuid}.csv", exports.sample_rows(samples))


def _range(request: HttpRequest) -> str:
    asked = request.GET.get("range", "")
    return asked if asked in RANGES else USUAL_RANGE


# --- events ---


@require_safe
@never_cache
def events(request: HttpRequest) -> HttpResponse:
    """What changed, newest first."""
    now = timezone.now()
    kind, name = request.GET.get("kind", ""), request.GET.get("host", "")
    before = request.GET.get("before", "")
    chosen = selectors.host_named(name) if name else None
    found = (
        []
        if name and chosen is None
        else selectors.events(host=chosen, kind=kind, before=int(before) if before.isdecimal() else None)
    )
    context = {
        "events": [presenters.event_row(event, now) for event in found],
        "kinds": Event.Kind.choices,
        "kind": kind,
        "host_name": name,
        "more": len(found) == selectors.EVENTS_A_PAGE,
        "query": _query(request, drop=("before",)),
        "here": _query(request),
        "paged": bool(before),
    }
    return render(
        request, "inventory/events_live.html" if swaps(request) else "inventory/events.html", context
    )


# --- have against need ---


@require_safe
def run(request: HttpRequest) -> HttpResponse:
    """A plan, held against the hosts one has: which fit, what is free now, what is missing."""
    now = timezone.now()
    catalog = planner_selectors.current_catalog()
    form = ScenarioForm.of_query(request.GET, catalog)
    context: dict[str, Any] = {"query": form.query()}
    try:
        question = parse_plan_request(form.request(), catalog, today=timezone.localdate())
    except (PlanErrors, PlanError) as wrong:
        errors = wrong.errors if isinstance(wrong, PlanErrors) else [wrong]
        return render(request, "inventory/run.html", context | {"errors": errors}, status=422)
    hosts = list(selectors.hosts(selectors.Filters(), now=now))
    pools = owned.pools(hosts, owned.Pricing(catalog), now=now)
    matches = owned.have_against_need(question, pools, catalog)
    context |= {
        "subject": need_presenters.subject(question),
        "verdict": need_presenters.match_verdict(matches, len(hosts)),
        "rows": [need_presenters.match_row(match) for match in matches],
        "left_out": len(hosts) - sum(len(pool.hosts) for pool in pools),
    }
    return render(request, "inventory/run.html", context)


# --- programs ---


@login_not_required
@require_safe
@never_cache
def prometheus(request: HttpRequest) -> HttpResponse:
    """`/metrics`. Where pages ask for a login, this asks for METRICS_TOKEN as a bearer token."""
    if not _may_scrape(request):
        return HttpResponse(
            "a bearer token is needed: see METRICS_TOKEN\n", status=401, content_type="text/plain"
        )
    now = timezone.now()
    body = metrics.exposition(now=now, day_ago=now - timedelta(days=1))
    return HttpResponse(body, content_type="text/plain; version=0.0.4; charset=utf-8")


def _may_scrape(request: HttpRequest) -> bool:
    if not settings.LOGIN_REQUIRED or request.user.is_authenticated:
        return True
    token = settings.METRICS_TOKEN
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return bool(token) and secrets.compare_digest(given.encode(), token.encode())


# --- shared ---


def _host(name: str) -> Host:
    found = selectors.host_named(name)
    if found is None:
        raise Http404("no host of this name")
    return found


def _gpu(uuid: str) -> Gpu:
    found = selectors.gpu_with_uuid(uuid)
    if found is None:
        raise Http404("no GPU of this UUID")
    return found


def _query(request: HttpRequest, drop: Iterable[str] = ()) -> str:
    query = request.GET.copy()
    for name in drop:
        query.pop(name, None)
    return query.urlencode()


def csv_response(name: str, rows: Iterable[Sequence[Any]]) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    safe = "".join(letter if letter.isalnum() or letter in ".-_" else "_" for letter in name)
    response["Content-Disposition"] = f'attachment; filename="{safe}"'
    csv.writer(response).writerows(rows)
    return response
