"""Signing in: guesses are refused after a few, everything is noted, passwords change and are reset."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import DatabaseError
from django.test import Client, override_settings

from planner.accounts.models import AuditEntry
from planner.accounts.policy import Role
from planner.accounts.services import audit
from tests.accounts.test_matrix import person

pytestmark = pytest.mark.django_db
PHRASE = "a long enough phrase"


def log_in(client: Client, password: str, name: str = "ada", address: str = "192.0.2.1") -> int:
    form = {"username": name, "password": password}
    return client.post("/login/", form, REMOTE_ADDR=address).status_code


@pytest.mark.parametrize("door", ["/login/", "/admin/login/"])
def test_after_ten_wrong_passwords_none_is_looked_at(door: str) -> None:
    person()
    client = Client()
    answers = [client.post(door, {"username": "ada", "password": f"wrong {i}"}) for i in range(12)]
    assert [answer.status_code for answer in answers[:9]] == [200] * 9
    assert {answer.status_code for answer in answers[10:]} == {429}
    assert int(answers[-1]["Retry-After"]) == 900
    assert client.post(door, {"username": "ada", "password": PHRASE}).status_code == 429
    kinds = list(AuditEntry.objects.values_list("kind", flat=True))
    assert kinds.count("login_failed") >= 9 and "locked_out" in kinds
    # Neither another name nor another address is shut out with it.
    User.objects.create_user("bob", password=PHRASE)
    assert client.post(door, {"username": "bob", "password": PHRASE}).status_code == 302
    assert log_in(Client(), PHRASE, address="192.0.2.2") == 302


def test_the_log_names_who_from_where() -> None:
    user = person()
    client = Client()
    log_in(client, "wrong")
    log_in(client, PHRASE)
    client.post("/logout/")
    found = list(AuditEntry.objects.order_by("pk").values_list("kind", "name", "address", "user"))
    assert found == [
        ("login_failed", "ada", "192.0.2.1", None),
        ("login", "ada", "192.0.2.1", user.pk),
        ("logout", "ada", "127.0.0.1", user.pk),
    ]


def test_a_write_in_the_admin_is_noted_with_its_fields(client: Client) -> None:
    user = person(Role.OPERATOR)
    client.force_login(user)
    AuditEntry.objects.all().delete()
    form = {"name": "racks", "probe_interval_s": "60", "probing_enabled": "on"}
    assert client.post("/admin/inventory/hostgroup/add/", form).status_code == 302
    kinds = {entry.kind: entry for entry in AuditEntry.objects.all()}
    assert kinds["write"].what == "POST /admin/inventory/hostgroup/add/" and kinds["write"].user == user
    assert "racks" in kinds["change"].what


def test_passwords_are_never_in_the_log(client: Client) -> None:
    client.force_login(person())
    form = {
        "old_password": PHRASE,
        "new_password1": "quite another phrase",
        "new_password2": "quite another phrase",
    }
    assert client.post("/account/password/", form).status_code == 302
    assert User.objects.get().check_password("quite another phrase")
    assert "phrase" not in str(list(AuditEntry.objects.values()))
    assert AuditEntry.objects.filter(what="POST /account/password/").exists()


def test_a_forgotten_password_is_set_anew_once(client: Client) -> None:
    person(email="ada@example.org")
    assert client.post("/account/password/forgotten/", {"email": "ada@example.org"}).status_code == 302
    link = re.search(r"/account/password/new/\S+", mail.outbox[0].body)
    assert link
    form = client.get(link[0], follow=True)
    new = {"new_password1": "quite another phrase", "new_password2": "quite another phrase"}
    assert client.post(form.redirect_chain[-1][0], new).status_code == 302
    assert User.objects.get().check_password("quite another phrase")
    assert b"has been used" in Client().get(link[0]).content
    # Whoever asks for an address that is nobody's learns nothing.
    assert client.post("/account/password/forgotten/", {"email": "eve@example.org"}).status_code == 302
    assert len(mail.outbox) == 1


def test_a_log_that_cannot_be_written_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DatabaseError

    monkeypatch.setattr(AuditEntry.objects, "create", fail)
    audit.note(AuditEntry.Kind.WRITE, "POST /x")


def test_a_flood_of_strangers_fills_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST_OF_STRANGERS", 3)
    for _ in range(5):
        audit.note(AuditEntry.Kind.FAILED, "session", name="eve")
    assert AuditEntry.objects.count() == 3
    audit.note(AuditEntry.Kind.WRITE, "POST /x", user=person())
    assert AuditEntry.objects.count() == 4


def test_entries_are_kept_for_their_time() -> None:
    from django.utils import timezone

    audit.note(AuditEntry.Kind.FAILED, "session", name="eve")
    assert audit.forget(timezone.now()) == 0
    assert audit.forget(timezone.now() + audit.KEEP * 1.01) == 1


def test_strangers_get_no_further_than_the_door() -> None:
    with override_settings(LOGIN_REQUIRED=True):
        for address in ("/account/password/", "/admin/", "/fleet/"):
            assert Client().get(address).status_code == 302
