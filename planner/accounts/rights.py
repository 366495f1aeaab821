"""Asking the table: what the person behind a request may do, and what a view needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest

from planner.accounts.policy import ANYBODY, ENTERS_ADMIN, Action, Role, allowed
from planner.web.programs import view_of

View = TypeVar("View", bound=Callable[..., Any])
SAFE = ("GET", "HEAD", "OPTIONS")


def roles_of(user: Any) -> frozenset[Role]:
    """The roles of a user: of those groups whose names are in the table."""
    if not user.is_authenticated or not user.is_active:
        return frozenset()
    if user.is_superuser:
        return frozenset({Role.ADMIN})
    found = getattr(user, "_headroom_roles", None)
    if found is None:
        names = set(user.groups.values_list("name", flat=True))
        found = user._headroom_roles = frozenset(role for role in Role if role.value in names)
    return found


def actions_of(user: Any) -> frozenset[Action]:
    """All that a user may do. A stranger may do what anybody may, where pages ask for no login."""
    if user.is_authenticated:
        return allowed(roles_of(user)) if user.is_active else frozenset()
    return frozenset() if settings.LOGIN_REQUIRED else ANYBODY


def may(user: Any, action: Action) -> bool:
    """Whether a user may do this."""
    return action in actions_of(user)


def may_enter_admin(user: Any) -> bool:
    """Whether the admin lets a user in: staff, for what they were given, and whoever edits something."""
    if not (user.is_authenticated and user.is_active):
        return False
    return bool(user.is_staff or actions_of(user) & ENTERS_ADMIN)


def needs(action: Action) -> Callable[[View], View]:
    """Say what a view needs; whoever serves requests asks the table before the view is called."""

    def mark(view: View) -> View:
        view.needs = action  # type: ignore[attr-defined]
        return view

    return mark


def own_log(view: View) -> View:
    """Mark a view that notes by itself what it lets in and refuses."""
    view.own_log = True  # type: ignore[attr-defined]
    return view


def needed(view: Any, request: HttpRequest) -> Action | None:
    """What a view needs: what it says, else the right to read.

    None: the view looks after itself (it is open to all, or is the admin's, which asks the table itself).
    """
    view = view_of(view, request)
    said: Action | None = getattr(view, "needs", None)
    if said is not None:
        return said
    within = request.resolver_match.app_names if request.resolver_match else []
    of_django = getattr(view, "__module__", "").startswith(("django.", "mozilla_django_oidc."))
    if not getattr(view, "login_required", True) or of_django or "admin" in within:
        return None
    return Action.READ if request.method in SAFE else Action.ASK
