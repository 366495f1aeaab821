"""Celery's entry points to refreshes. No rules are kept here."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from planner.catalog.refresh import services
from planner.catalog.refresh.alerts import tell
from planner.catalog.refresh.sources import LISTED, all_sources


@shared_task(name="catalog.refresh", time_limit=3600, soft_time_limit=3500)
def refresh(source: str, asked_by: str = "") -> str:
    """Read one source; "running" where it is being read already."""
    sources = all_sources()
    if source not in sources:
        return "unknown"
    run = services.begin(source, asked_by=asked_by, now=timezone.now())
    if run is None:
        return "running"
    with services.heard(run):
        done = services.refresh(sources[source], run)
    tell(done)
    return str(done.state)


@shared_task(name="catalog.refresh_due", expires=3000)
def refresh_due() -> list[str]:
    """Ask for every source of CATALOG_SOURCES that has not been read for long."""
    wanted = [(slug, hours) for slug, _, hours in LISTED if slug in settings.CATALOG_SOURCES]
    found = services.due(wanted, now=timezone.now())
    for slug in found:
        refresh.delay(slug)
    return found
