"""Sign-in elsewhere: who is who, and which groups there are which roles here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import override_settings

from planner.accounts.oidc import Backend, roles_in
from planner.accounts.policy import Role
from planner.accounts.rights import roles_of

ROOT = Path(__file__).resolve().parents[2]
MEANING = {"ml-staff": "planner", "ops": "operator", "root": "wheel"}


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["ml-staff", "ops", "others"], {"planner", "operator"}),
        ("ops", {"operator"}),
        (["root", 7, None], set()),
        (None, set()),
    ],
)
def test_groups_there_are_roles_here(groups: Any, expected: set[str]) -> None:
    assert roles_in({"groups": groups}, claim="groups", meaning=MEANING) == expected


@pytest.mark.django_db
@override_settings(OIDC_GROUPS_CLAIM="groups", OIDC_ROLES=MEANING)
def test_a_user_is_their_subject_and_has_the_roles_of_today() -> None:
    # The library's own settings are read when a flow starts, which these steps do not need.
    backend = Backend.__new__(Backend)
    claims = {"sub": "42", "email": "ada@example.org", "groups": ["ops"]}
    User.objects.create_user("eve", email="ada@example.org")
    assert not backend.filter_users_by_claims(claims).exists()
    ada = backend.create_user(claims)
    assert not ada.has_usable_password() and roles_of(ada) == {Role.OPERATOR}
    backend.update_user(ada, claims | {"groups": ["ml-staff"], "email": "new@example.org"})
    again = User.objects.get(pk=ada.pk)
    assert roles_of(again) == {Role.PLANNER} and again.email == "new@example.org"
    assert list(backend.filter_users_by_claims(claims)) == [again]
    assert not backend.verify_claims({})


def test_the_environment_alone_turns_it_on(tmp_path: Path) -> None:
    endpoints = ("AUTHORIZATION", "TOKEN", "USERINFO", "JWKS")
    environment = {
        "PATH": os.environ["PATH"],
        "HEADROOM_DATA": str(tmp_path / "data"),
        "OIDC_CLIENT_ID": "headroom",
        "OIDC_ROLES": "staff=admin,ml=planner",
        **{f"OIDC_{name}_ENDPOINT": f"https://id.example.org/{name.lower()}" for name in endpoints},
    }
    ask = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE']='config.settings'; import django; django.setup();"
        "from django.urls import reverse; from django.test import Client; from django.conf import settings;"
        "print(reverse('oidc_authentication_init'), settings.OIDC_ROLES['ml'])"
    )
    said = subprocess.run(
        [sys.executable, "-c", ask], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["/account/oidc/authenticate/", "planner"]
