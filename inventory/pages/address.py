"""What an address of the fleet asks for: a host, a GPU, a moment, a period."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.http import Http404, HttpRequest
from django.utils import timezone

from inventory.store import selectors
from inventory.store.models import Gpu, Host
from inventory.wire.moments import read_moment


def named_host(name: str) -> Host:
    """The host of this name. Raises Http404."""
    found = selectors.host_named(name)
    if found is None:
        raise Http404("no host of this name")
    return found


def gpu_of_uuid(uuid: str) -> Gpu:
    """The GPU of this UUID. Raises Http404."""
    found = selectors.gpu_with_uuid(uuid)
    if found is None:
        raise Http404("no GPU of this UUID")
    return found


def query_of(request: HttpRequest, drop: Iterable[str] = ()) -> str:
    """The request's query string without the fields in ``drop``."""
    query = request.GET.copy()
    for name in drop:
        query.pop(name, None)
    return query.urlencode()


def moment_of(request: HttpRequest) -> datetime:
    """The address's `at`; times without a zone are UTC. What is no time, or of no year of ours, means now."""
    text = request.GET.get("at", "")
    # A plus sign in an address that nobody encoded is a blank by now.
    for written in (text, f"{text}Z", text.replace(" ", "+")):
        with contextlib.suppress(ValueError):
            return read_moment(written)
    return timezone.now()


RANGES = {
    "1h": ("the last hour", timedelta(hours=1)),
    "6h": ("the last 6 hours", timedelta(hours=6)),
    "24h": ("the last day", timedelta(days=1)),
    "7d": ("the last 7 days", timedelta(days=7)),
    "30d": ("the last 30 days", timedelta(days=30)),
    "1y": ("the last year", timedelta(days=365)),
}


USUAL_RANGE = "6h"


def range_of(request: HttpRequest) -> str:
    """The address's period, or the default one."""
    asked = request.GET.get("range", "")
    return asked if asked in RANGES else USUAL_RANGE
