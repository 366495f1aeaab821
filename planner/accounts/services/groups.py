"""Groups follow the table: after each migration every role has its group, with the admin's permissions."""

from __future__ import annotations

from typing import Any

from planner.accounts.policy import PERMISSIONS, TABLE


def write_groups(sender: Any = None, **_: Any) -> None:
    """Make the groups of all roles and give them what the table says, and nothing else."""
    from django.contrib.auth.models import Group, Permission

    every = {
        (found.content_type.app_label, found.content_type.model, found.codename.partition("_")[0]): found
        for found in Permission.objects.select_related("content_type")
    }
    for role, actions in TABLE.items():
        group, _made = Group.objects.get_or_create(name=role.value)
        wanted = {name for action in actions for name in PERMISSIONS.get(action, ())}
        group.permissions.set([every[name] for name in wanted if name in every])
