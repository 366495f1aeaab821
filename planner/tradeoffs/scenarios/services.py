"""Saving, deleting, restoring and sharing scenarios: all that writes, and who may."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q, QuerySet
from django.utils import timezone

from planner.accounts.policy import Action
from planner.accounts.rights import may
from planner.tradeoffs.models import Scenario, Visibility

#: Days in which a deletion can be undone.
UNDO_DAYS = 30
User = AbstractBaseUser | AnonymousUser


def may_write(user: User) -> bool:
    """Whether one may save: by one's role, or as the only user of a local installation."""
    alone = settings.LOCAL and not settings.LOGIN_REQUIRED and not user.is_authenticated
    return bool(alone) or may(user, Action.SAVE)


def may_change(user: User, scenario: Scenario) -> bool:
    """Whether a scenario may be deleted or shared: by its owner, by an admin, or where it has no owner."""
    if not may_write(user):
        return False
    return scenario.owner_id is None or scenario.owner_id == user.pk or may(user, Action.MANAGE_USERS)


def visible(user: User) -> QuerySet[Scenario]:
    """What a reader may see: everyone's, and one's own."""
    seen = Q(visibility=Visibility.EVERYONE) | Q(owner__isnull=True)
    if user.is_authenticated:
        seen |= Q(owner_id=user.pk)
    return Scenario.objects.filter(seen, deleted_at__isnull=True).select_related("owner")


def by_key(user: User, key: str) -> Scenario | None:
    """One that a reader may see."""
    return visible(user).filter(key=key).first()


def by_token(token: str) -> Scenario | None:
    """One that is shared by this token."""
    return Scenario.objects.filter(share_token=token, deleted_at__isnull=True).first()


def deleted(user: User) -> list[Scenario]:
    """What can still be brought back by this reader, the last one deleted first."""
    since = timezone.now() - timedelta(days=UNDO_DAYS)
    found = Scenario.objects.filter(deleted_at__gte=since).order_by("-deleted_at")
    return [scenario for scenario in found if may_change(user, scenario)]


def save(
    user: User, *, name: str, note: str, labels: str, visibility: str, query: str, kept: dict[str, Any]
) -> Scenario:
    """A new scenario. kept: as ``snapshot`` made it."""
    forget_deleted()
    owner = user if user.is_authenticated else None
    words = dict.fromkeys(word.strip() for word in labels.split(",") if word.strip())
    return Scenario.objects.create(
        name=name.strip()[:120],
        note=note.strip()[:4000],
        labels=", ".join(words)[:200],
        visibility=visibility if visibility in Visibility.values else Visibility.EVERYONE,
        owner=owner,  # type: ignore[misc]  # whatever the user model is
        query=query,
        **kept,
    )


def delete(scenario: Scenario) -> None:
    """Out of sight, and its link dead; it can be brought back for UNDO_DAYS."""
    scenario.deleted_at, scenario.share_token = timezone.now(), None
    scenario.save(update_fields=["deleted_at", "share_token"])


def restore(scenario: Scenario) -> None:
    """Back again."""
    scenario.deleted_at = None
    scenario.save(update_fields=["deleted_at"])


def share(scenario: Scenario) -> None:
    """A read-only link for whoever has it; a new one each time it is shared anew."""
    if scenario.share_token is None:
        scenario.share_token = secrets.token_urlsafe(24)
        scenario.save(update_fields=["share_token"])


def revoke(scenario: Scenario) -> None:
    """The link leads nowhere from now on."""
    scenario.share_token = None
    scenario.save(update_fields=["share_token"])


def forget_deleted() -> None:
    """What can no longer be brought back is gone."""
    Scenario.objects.filter(deleted_at__lt=timezone.now() - timedelta(days=UNDO_DAYS)).delete()
