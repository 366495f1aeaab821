"""Reading the tables of programs."""

from __future__ import annotations

from typing import Any

from planner.api.models import ApiToken


def tokens_of(owner: Any) -> list[ApiToken]:
    """Somebody's tokens that are not revoked, the newest first."""
    return list(ApiToken.objects.filter(owner=owner, revoked_at=None))
