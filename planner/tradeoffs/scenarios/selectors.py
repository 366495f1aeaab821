"""Reading saved scenarios page by page."""

from __future__ import annotations

from django.db.models import Q

from planner.tradeoffs.models import Scenario
from planner.tradeoffs.scenarios.services import User, visible


def page_of(
    user: User, *, words: str = "", label: str = "", offset: int, limit: int
) -> tuple[list[Scenario], int]:
    """Some of what a reader may see, the newest first, and how many match."""
    found = visible(user)
    if words:
        found = found.filter(Q(name__icontains=words) | Q(note__icontains=words))
    if label:
        found = found.filter(
            Q(labels=label)
            | Q(labels__startswith=f"{label}, ")
            | Q(labels__endswith=f", {label}")
            | Q(labels__contains=f", {label}, ")
        )
    return list(found[offset : offset + limit]), found.count()
