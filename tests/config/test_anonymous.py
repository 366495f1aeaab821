"""Who is not logged in may read, and writes nowhere, whatever the address and the method."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

# A visitor's session, the notes that a delivery was refused and that somebody tried what needs a right.
LEFT_BY_STRANGERS = {"sessions.Session", "inventory.Refusal", "accounts.AuditEntry"}
ANSWERS_TO_STRANGERS = {200, 204, 302, 303, 400, 401, 403, 404, 405, 422, 503}
FILLERS = {
    "int": "1",
    "slug": "p5.48xlarge",
    "str": "x",
    "path": "x",
    "uuid": "0" * 8 + "-0000-4000-8000-" + "0" * 12,
}


def addresses(resolver: Any = None, before: str = "/") -> Iterator[str]:
    """Every address there is, with something plausible in its places."""
    for entry in (resolver or get_resolver()).url_patterns:
        route = before + str(entry.pattern).lstrip("^").replace("\\Z", "").rstrip("$")
        for name, converter in entry.pattern.converters.items():
            kind = type(converter).__name__.removesuffix("Converter").lower().replace("string", "str")
            for written in (f"<{kind}:{name}>", f"<{name}>"):
                route = route.replace(written, FILLERS.get(kind, "x"))
        if isinstance(entry, URLResolver):
            yield from addresses(entry, route)
        elif isinstance(entry, URLPattern):
            yield route.replace("(?P<url>.*)", "x")


def rows() -> dict[str, int]:
    """How many rows every table has, what any visitor leaves aside."""
    return {
        model._meta.label: model._default_manager.count()
        for model in apps.get_models()
        if model._meta.label not in LEFT_BY_STRANGERS
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "role"),
    [
        *((method, None) for method in ("post", "put", "patch", "delete")),
        *(pytest.param("post", role, marks=pytest.mark.slow) for role in ("", "viewer")),
    ],
)
def test_strangers_and_viewers_write_nowhere(
    method: str, role: str | None, client: Client, settings: Any
) -> None:
    # On a machine of one's own, on loopback alone, one saves scenarios without a password; see below.
    settings.LOCAL = False
    if role is not None:  # somebody who has logged in, with this role or none; their session may end
        user = User.objects.create_user("vic")
        user.groups.set(Group.objects.filter(name=role))
        client.force_login(user)
    every = sorted(set(addresses()) - {"/logout/", "/admin/logout/"})
    assert len(every) > 60
    before = rows()
    values = {"name": "x", "hostname": "x", "action": "withdraw", "address": "x"}
    for address in every:
        answer = getattr(client, method)(address, values, content_type="application/json")
        assert answer.status_code in ANSWERS_TO_STRANGERS, (address, answer.status_code)
        form = client.post(address, values) if method == "post" else answer
        assert form.status_code in ANSWERS_TO_STRANGERS, (address, form.status_code)
    assert rows() == before


@pytest.mark.django_db
def test_who_is_alone_on_a_machine_saves_scenarios_and_nothing_else(client: Client) -> None:
    before = rows()
    for address in sorted(set(addresses())):
        client.post(address, {"name": "x", "hostname": "x", "action": "withdraw", "address": "x"})
    changed = {name for name, count in rows().items() if count != before[name]}
    assert changed <= {"planner.Scenario"}


@pytest.mark.django_db
def test_pages_that_change_ask_for_a_login(client: Client) -> None:
    for address in ("/admin/", "/admin/planner/price/add/", "/admin/planner/accelerator/"):
        answer = client.get(address)
        assert answer.status_code == 302
        assert "/login/" in answer["Location"]
