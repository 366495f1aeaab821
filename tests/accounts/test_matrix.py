"""Every role times every action, tried at the addresses themselves: the table, and nothing past it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.utils import timezone

from config.guard.rights import Rights
from inventory.store.models import Host, HostToken, Probe
from planner.accounts.models import AuditEntry
from planner.accounts.policy import ANYBODY, TABLE, Action, Role
from planner.accounts.rights import needs
from planner.accounts.services.groups import write_groups
from planner.api import services
from planner.tradeoffs.models import Scenario

pytestmark = pytest.mark.django_db

QUESTION = {
    "model": "gpt2",
    "workload": {
        "task": "pretraining",
        "tokens": 1e9,
        "sequence_length": 1024,
        "global_batch_size": 64,
        "precision": "bf16",
    },
    "cluster": {"instance_type": "p5.48xlarge", "nodes": 1},
}


def person(*roles: Role, **more: Any) -> User:
    user = User.objects.create_user("ada", password="a long enough phrase", **more)
    user.groups.set(Group.objects.filter(name__in=[role.value for role in roles]))
    return user


def page(address: str) -> Callable[[Client], bool]:
    return lambda client: client.get(address).status_code == 200


def asked(client: Client) -> bool:
    body = json.dumps(QUESTION)
    return client.post("/api/v1/estimate", body, content_type="application/json").status_code == 200


def act(client: Client, action: str) -> None:
    host = Host.objects.get_or_create(name="node-1")[0]
    client.post("/admin/inventory/host/", {"action": action, "_selected_action": [host.pk]})


def probed(client: Client) -> bool:
    with patch("inventory.store.tasks.send"):
        act(client, "probe_now")
    return Probe.objects.exists()


def tokened(client: Client) -> bool:
    act(client, "make_token")
    made = HostToken.objects.exists()
    if made:
        act(client, "revoke_tokens")
        assert not HostToken.objects.filter(revoked_at__isnull=True).exists()
    return made


def saved(client: Client) -> bool:
    """On the page, and by a program with the scope: both or neither."""
    settings.LOCAL, local, before = False, settings.LOCAL, Scenario.objects.count()
    client.post("/scenarios/new", {"name": "one", "query": "tokens=1B&nodes=1"})
    settings.LOCAL = local
    on_page = Scenario.objects.count() > before
    user = User.objects.get()
    _, token = services.make_token(user, name="t", scopes=["save"], days=1, now=timezone.now())
    heads, body = {"Authorization": f"Bearer {token}"}, json.dumps({"name": "two", "question": QUESTION})
    program = Client(headers=heads)
    status = program.post("/api/v1/scenarios", body, content_type="application/json").status_code
    assert status in ((201,) if on_page else (401, 403))
    return on_page


TRIES: dict[Action, Callable[[Client], bool]] = {
    Action.READ: page("/fleet/"),
    Action.ASK: asked,
    Action.SAVE: saved,
    Action.OWN_TOKENS: page("/tokens"),
    Action.EDIT_CATALOG: page("/admin/planner/accelerator/add/"),
    Action.EDIT_HOSTS: page("/admin/inventory/host/add/"),
    Action.PROBE: probed,
    Action.HOST_TOKENS: tokened,
    Action.READ_AUDIT: page("/admin/accounts/auditentry/"),
    Action.MANAGE_USERS: page("/admin/auth/user/add/"),
}


def test_every_action_is_tried() -> None:
    assert set(TRIES) == set(Action)


@pytest.mark.parametrize("action", Action, ids=lambda action: action.name)
@pytest.mark.parametrize("role", [*Role, None], ids=str)
def test_matrix(client: Client, role: Role | None, action: Action) -> None:
    client.force_login(person(*([role] if role else [])))
    expected = action in (TABLE[role] if role else ANYBODY)
    assert TRIES[action](client) is expected


@pytest.mark.parametrize("action", Action, ids=lambda action: action.name)
def test_a_superuser_may_all_and_a_leaver_nothing(client: Client, action: Action) -> None:
    user = person(is_superuser=True, is_staff=True)
    client.force_login(user)
    assert TRIES[action](client)
    Probe.objects.all().delete()
    HostToken.objects.all().delete()
    User.objects.update(is_active=False)
    with override_settings(LOGIN_REQUIRED=True):
        assert not TRIES[action](client)


def test_staff_that_may_view_hosts_neither_probes_nor_makes_tokens(client: Client) -> None:
    user = person(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_host", "change_host"]))
    client.force_login(user)
    assert client.get("/admin/inventory/host/").status_code == 200
    assert not probed(client) and not tokened(client)


def test_who_manages_people_makes_no_superuser_and_changes_none(client: Client) -> None:
    client.force_login(person(Role.ADMIN))
    root = User.objects.create_superuser("root", password="another long phrase")
    other = User.objects.create_user("eve")
    assert client.post(f"/admin/auth/user/{root.pk}/password/", {}).status_code == 403
    assert client.post(f"/admin/auth/user/{root.pk}/delete/", {"post": "yes"}).status_code == 403
    form = {"username": "eve", "is_active": "on", "is_superuser": "on", "is_staff": "on"}
    client.post(f"/admin/auth/user/{other.pk}/change/", form)
    other.refresh_from_db()
    root.refresh_from_db()
    assert not other.is_superuser and root.is_superuser and root.check_password("another long phrase")


def test_groups_are_what_the_table_says_after_each_migration() -> None:
    group = Group.objects.get(name=Role.VIEWER.value)
    group.permissions.add(Permission.objects.get(codename="change_host"))
    write_groups()
    assert not group.permissions.exists()
    assert Group.objects.get(name=Role.OPERATOR.value).permissions.filter(codename="change_host").exists()


def test_a_refusal_says_what_is_lacking_and_is_noted(client: Client) -> None:
    @needs(Action.SAVE)
    def view(request: HttpRequest) -> HttpResponse:
        raise AssertionError

    request = RequestFactory().post("/api/x")
    request.user = person(Role.VIEWER)
    rights = Rights(lambda request: rights.process_view(request, view, (), {}) or view(request))
    answer = rights(request)
    assert answer.status_code == 403 and "save scenarios" in json.loads(answer.content)["error"]["message"]
    assert AuditEntry.objects.get().kind == "denied"


def test_strangers_read_and_ask_on_the_own_machine_alone(client: Client) -> None:
    assert page("/fleet/")(client) and asked(client)
    with override_settings(LOGIN_REQUIRED=True):
        assert client.get("/fleet/")["Location"].startswith("/login/")
        assert not asked(client)
        assert client.get("/fleet/fleet.json").status_code == 401
