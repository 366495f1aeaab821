"""The fleet for programs, under /api/v1/fleet/: hosts with their GPUs, newest readings, a probe at once.

What hosts say of themselves (names, reasons, serial numbers) is passed on as data, whatever it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone

from inventory.pages import exports
from inventory.store import selectors, services
from inventory.store.tasks import send
from inventory.wire import policy
from inventory.wire.snapshot_json import to_json
from planner.accounts.policy import Action
from planner.accounts.rights import needs
from planner.web.operations import Operation, declare
from planner.web.programs import NOT_FOUND, Scope, answered, for_programs, listed, refused

ACCEPTED, CONFLICT = 202, 409
NO_HOST = "There is no host of this name, or nothing was heard of it yet."


def _holds(row: Mapping[str, Any], wanted: str) -> bool:
    names = (row["name"], *(gpu["name"] for gpu in row["gpus"]))
    return any(wanted.casefold() in name.casefold() for name in names)


FILTERS = {"q": _holds, "status": lambda row, wanted: row["status"] == wanted}


@for_programs("GET", Scope.FLEET)
def summary(request: HttpRequest) -> HttpResponse:
    """Counts of the whole fleet."""
    counts = asdict(selectors.fleet_summary(now=timezone.now()))
    return answered({name: value for name, value in counts.items() if isinstance(value, int)})


@for_programs("GET", Scope.FLEET)
def hosts(request: HttpRequest) -> HttpResponse:
    """The hosts with their GPUs."""
    found = selectors.hosts(selectors.Filters(), now=timezone.now())
    return listed(request, "hosts", exports.hosts_json(found), FILTERS)


@for_programs("GET", Scope.FLEET)
def host(request: HttpRequest, name: str) -> HttpResponse:
    """One host with its GPUs."""
    found = selectors.host_named(name)
    return _no_host(name) if found is None else answered(exports.hosts_json([found])[0])


@for_programs("GET", Scope.FLEET)
def snapshot(request: HttpRequest, name: str) -> HttpResponse:
    """The newest snapshot of a host, in the form of ``manage.py probe --json``."""
    found = selectors.host_named(name)
    newest = None if found is None else selectors.latest_snapshot(found)
    return _no_host(name) if newest is None else answered(to_json(newest))


@needs(Action.PROBE)
@for_programs("POST", Scope.PROBE, writes=True)
def probe(request: HttpRequest, name: str) -> HttpResponse:
    """Ask a host for a probe now; its outcome is in the host's snapshot."""
    found = selectors.host_named(name)
    if found is None:
        return _no_host(name)
    opened = services.probe_now(found, now=timezone.now())
    if opened is None:
        return refused("A probe of this host is going on.", "Read its snapshot soon.", status=CONFLICT)
    until = opened.expires_at.isoformat() if opened.expires_at else None
    send(opened.pk, found.queue, policy.PROBE_DEADLINE_S)
    return answered({"probe": str(opened.id), "expires_at": until}, ACCEPTED)


def _no_host(name: str) -> HttpResponse:
    remedy = "GET /api/v1/fleet/hosts lists them."
    return refused(NO_HOST, remedy, field="name", value=name[:100], status=NOT_FOUND)


HOST = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "status": {"type": "string"},
        "gpus": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["name", "status", "gpus"],
}
HOSTS = {
    "type": "object",
    "properties": {
        "hosts": {"type": "array", "items": HOST},
        "total": {"type": "integer"},
        "next": {"type": ["string", "null"]},
    },
    "required": ["hosts", "total", "next"],
}
COUNTS = {"type": "object", "additionalProperties": {"type": "integer"}}
PROBE = {
    "type": "object",
    "properties": {"probe": {"type": "string"}, "expires_at": {"type": ["string", "null"]}},
    "required": ["probe", "expires_at"],
}
BY = {"q": "Words in the name of the host or of its GPUs.", "status": "Hosts whose last probe ended so."}
declare(
    Operation("fleet", "GET", "fleet/summary", Scope.FLEET, "Counts of the whole fleet.", COUNTS),
    Operation(
        "hosts", "GET", "fleet/hosts", Scope.FLEET, "Hosts with their GPUs.", HOSTS, parameters=BY, lists=True
    ),
    Operation("host", "GET", "fleet/hosts/{name}", Scope.FLEET, "One host.", HOST, missing=NO_HOST),
    Operation(
        "snapshot",
        "GET",
        "fleet/hosts/{name}/snapshot",
        Scope.FLEET,
        "The newest readings of a host.",
        {"type": "object"},
        missing=NO_HOST,
    ),
    Operation(
        "probe",
        "POST",
        "fleet/hosts/{name}/probe",
        Scope.PROBE,
        "Have a host probed now.",
        PROBE,
        writes=True,
        missing=NO_HOST,
        success=ACCEPTED,
    ),
)
app_name = "fleet_for_programs"
urlpatterns: list[URLPattern] = [
    path("summary", summary, name="summary"),
    path("hosts", hosts, name="hosts"),
    path("hosts/<str:name>", host, name="host"),
    path("hosts/<str:name>/snapshot", snapshot, name="snapshot"),
    path("hosts/<str:name>/probe", probe, name="probe"),
]
