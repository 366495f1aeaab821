"""The one table of who may do what.  Pure: views, the interface for programs and the admin all read it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from types import MappingProxyType


class Action(StrEnum):
    """What one can do here.  The value stands in messages: you may not ..."""

    READ = "read plans, catalog and fleet"
    ASK = "ask for estimates and searches"
    SAVE = "save scenarios and reports"
    OWN_TOKENS = "make tokens for your own programs"
    EDIT_CATALOG = "edit the catalog"
    EDIT_HOSTS = "edit hosts and groups"
    PROBE = "ask hosts for probes"
    HOST_TOKENS = "make and revoke tokens of hosts"
    READ_AUDIT = "read the audit log"
    MANAGE_USERS = "manage people and their roles"


class Role(StrEnum):
    """What somebody is here.  The value is the name of the group that stands for it."""

    VIEWER = "viewer"
    PLANNER = "planner"
    CATALOG_EDITOR = "catalog editor"
    OPERATOR = "operator"
    ADMIN = "admin"


_VIEWER = frozenset({Action.READ, Action.ASK})
_PLANNER = _VIEWER | {Action.SAVE, Action.OWN_TOKENS}

TABLE = MappingProxyType(
    {
        Role.VIEWER: _VIEWER,
        Role.PLANNER: _PLANNER,
        Role.CATALOG_EDITOR: _PLANNER | {Action.EDIT_CATALOG},
        Role.OPERATOR: _PLANNER | {Action.EDIT_HOSTS, Action.PROBE, Action.HOST_TOKENS},
        Role.ADMIN: frozenset(Action),
    }
)
"""What each role may do.  Nothing else gives a right, but for the superuser, who is an admin."""

ANYBODY = _VIEWER
"""What somebody without a role may do, and a stranger where pages ask for no login."""

ENTERS_ADMIN = frozenset({Action.EDIT_CATALOG, Action.EDIT_HOSTS, Action.READ_AUDIT, Action.MANAGE_USERS})
"""Whoever may do one of these is let into the admin."""

CATALOG = ("accelerator", "instancetype", "price", "availability", "migprofile", "transformermodel")

#: Permissions of Django's admin that come with an action: app, model, what.
PERMISSIONS: MappingProxyType[Action, tuple[tuple[str, str, str], ...]] = MappingProxyType(
    {
        Action.EDIT_CATALOG: tuple(
            ("planner", model, what)
            for model in (
                "accelerator",
                "instancetype",
                "price",
                "availability",
                "migprofile",
                "transformermodel",
            )
            for what in ("view", "add", "change", "delete")
        ),
        Action.EDIT_HOSTS: (
            *(("inventory", "host", what) for what in ("view", "add", "change", "delete")),
            *(("inventory", "hostgroup", what) for what in ("view", "add", "change", "delete")),
            *(
                ("inventory", model, "view")
                for model in ("gpu", "gpuplacement", "miginstance", "probe", "event", "refusal", "hosttoken")
            ),
            *(
                ("django_celery_beat", model, what)
                for model in ("periodictask", "intervalschedule")
                for what in ("view", "change")
            ),
        ),
        Action.READ_AUDIT: (("accounts", "auditentry", "view"),),
        Action.MANAGE_USERS: (
            *(("auth", "user", what) for what in ("view", "add", "change", "delete")),
            ("auth", "group", "view"),
        ),
    }
)


def allowed(roles: Iterable[Role]) -> frozenset[Action]:
    """What somebody with these roles may do."""
    return ANYBODY.union(*(TABLE[role] for role in roles))
