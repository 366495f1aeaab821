"""People who sign in elsewhere: found by their name here, with the roles that their provider names."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import Group, User
from django.db.models import QuerySet


def named(username: str) -> QuerySet[User]:
    """The user of this name, if there is one."""
    return User.objects.filter(username=username)


def give_roles(user: User, names: Iterable[str]) -> None:
    """Let the user have these roles, and no others."""
    user.groups.set(Group.objects.filter(name__in=list(names)))
