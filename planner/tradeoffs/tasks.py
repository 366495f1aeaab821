"""Celery's entry points to the searches. No rules are kept here."""

from __future__ import annotations

from celery import shared_task

from planner.tradeoffs.jobs import services


@shared_task(name="planner.search_part")
def search_part(part_id: int) -> str:
    """Search some of the machines of one question."""
    return services.run_part(part_id)
