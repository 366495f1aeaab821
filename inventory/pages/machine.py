"""One host and one GPU: their state, their readings, and how these changed."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from inventory.pages import charts, exports, machine_presenters
from inventory.pages.address import RANGES, gpu_of_uuid, named_host, query_of, range_of
from inventory.pages.badges import cell, host_badges
from inventory.pages.fleet_presenters import event_row
from inventory.pages.prices import Pricing, memory_slices, mig_profiles
from inventory.pages.words import ago
from inventory.store import selectors
from inventory.wire.snapshot_json import to_json
from planner.catalog.selectors import current_catalog
from planner.web.responses import csv_response, swaps


@require_safe
@never_cache
def host(request: HttpRequest, name: str) -> HttpResponse:
    """One machine: its state, its GPUs, topology, MIG, processes, probes and events."""
    now = timezone.now()
    found = named_host(name)
    gpus = selectors.gpus_of(found)
    snapshot = selectors.latest_snapshot(found)
    context = {
        "host": found,
        "badges": host_badges(found, gpus, now),
        "heard": ago(found.last_good_probe_at, now),
        "gpus": [machine_presenters.gpu_row(gpu) for gpu in gpus],
        "probes": selectors.recent_probes(found),
        "events": [event_row(event, now) for event in selectors.events(host=found, count=12)],
        "here": query_of(request),
    }
    if snapshot is not None:
        context |= _snapshot_context(snapshot)
    return render(
        request, "inventory/pages/host_live.html" if swaps(request) else "inventory/pages/host.html", context
    )


def _snapshot_context(snapshot: Any) -> dict[str, Any]:
    pricing = Pricing(current_catalog())
    drawings = [
        machine_presenters.mig_drawing(gpu, memory_slices(gpu.name, pricing), mig_profiles(gpu.name, pricing))
        for gpu in snapshot.gpus
    ]
    return {
        "snapshot": snapshot,
        "topology": machine_presenters.topology_rows(snapshot),
        "links": [(gpu.index, machine_presenters.link_summary(gpu.nvlinks)) for gpu in snapshot.gpus],
        "drawings": [drawing for drawing in drawings if drawing is not None],
        "divisible": any(memory_slices(gpu.name, pricing) for gpu in snapshot.gpus),
        "processes": machine_presenters.process_rows(snapshot.gpus),
        "no_processes": machine_presenters.unreadable_processes(snapshot.gpus),
    }


@require_safe
def host_json(request: HttpRequest, name: str) -> JsonResponse:
    """The host's newest snapshot, in the form of `manage.py probe --json`."""
    snapshot = selectors.latest_snapshot(named_host(name))
    if snapshot is None:
        raise Http404("no snapshot of this host yet")
    return JsonResponse(to_json(snapshot))


@require_safe
@never_cache
def gpu(request: HttpRequest, uuid: str) -> HttpResponse:
    """One GPU: its state, its time series, every reading, and where it has been."""
    now = timezone.now()
    found = gpu_of_uuid(uuid)
    chosen = range_of(request)
    samples = selectors.series(found, since=now - RANGES[chosen][1], until=now)
    snapshot = selectors.latest_snapshot(found.host) if found.host else None
    reading = next((r for r in snapshot.gpus if r.index == found.index), None) if snapshot else None
    context = {
        "gpu": found,
        "cell": cell(found),
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
        "divisible": found.host is not None
        and (found.mig_mode or memory_slices(found.name, Pricing(current_catalog())) is not None),
        "events": [event_row(event, now) for event in selectors.events(gpu=found, count=12)],
        "here": query_of(request),
    }
    return render(
        request, "inventory/pages/gpu_live.html" if swaps(request) else "inventory/pages/gpu.html", context
    )


@require_safe
def gpu_csv(request: HttpRequest, uuid: str) -> HttpResponse:
    """The samples of the chosen period, with exact values."""
    found, now = gpu_of_uuid(uuid), timezone.now()
    samples = selectors.series(found, since=now - RANGES[range_of(request)][1], until=now)
    return csv_response(f"{found.uuid}.csv", exports.sample_rows(samples))
