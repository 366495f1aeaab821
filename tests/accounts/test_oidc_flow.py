"""The whole code flow with a provider over real HTTP, and what is not taken from one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import User
from django.test import Client

from planner.accounts import discovery
from planner.accounts.models import AuditEntry
from planner.accounts.policy import Role
from planner.accounts.rights import roles_of
from tests.accounts.provider import CLIENT, SECRET, Provider, serving

pytestmark = pytest.mark.django_db
START = "/account/oidc/authenticate/"


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with serving() as provider:
        yield provider


@pytest.fixture
def provider(running: Provider, settings: Any) -> Provider:
    key = running.key
    running.__init__(running.issuer)  # type: ignore[misc]  # as it was
    running.key = running.published = key
    discovery.forget()
    settings.OIDC = True
    settings.OIDC_ISSUER = running.issuer
    settings.OIDC_RP_CLIENT_ID, settings.OIDC_RP_CLIENT_SECRET = CLIENT, SECRET
    settings.OIDC_RP_SIGN_ALGO, settings.OIDC_RP_SCOPES = "RS256", "openid email profile"
    settings.OIDC_USE_PKCE, settings.OIDC_TIMEOUT = True, 5
    settings.OIDC_AUTHENTICATE_CLASS = "planner.accounts.oidc.Start"
    settings.OIDC_CALLBACK_CLASS = "planner.accounts.oidc.Back"
    settings.OIDC_GROUPS_CLAIM, settings.OIDC_ROLES = "groups", {"ops": "operator"}
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, "planner.accounts.oidc.Backend"]
    settings.ROOT_URLCONF = "tests.accounts.oidc_urls"
    return running


def sign_in(client: Client) -> Any:
    """Go through the flow as a browser does; the last answer."""
    sent = client.get(f"{START}?next=/fleet/")
    assert sent.status_code == 302
    back = httpx.get(sent["Location"], follow_redirects=False).headers["Location"]
    assert urlsplit(back).path == "/account/oidc/callback/"
    return client.get(urlsplit(back)._replace(scheme="", netloc="").geturl())


def test_somebody_signs_in_and_has_the_roles_of_their_groups(
    client: Client, provider: Provider, settings: Any
) -> None:
    settings.LOGIN_REQUIRED = True
    everywhere = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    before = settings.MIDDLEWARE.index("config.guard.rights.Rights")
    settings.MIDDLEWARE = [*settings.MIDDLEWARE[:before], everywhere, *settings.MIDDLEWARE[before:]]
    assert START in client.get("/login/").text
    done = sign_in(client)
    assert (done.status_code, done["Location"]) == (302, "/fleet/")
    ada = User.objects.get(username="oidc:42")
    assert roles_of(ada) == {Role.OPERATOR} and ada.email == "ada@example.org"
    assert int(client.session["_auth_user_id"]) == ada.pk
    assert AuditEntry.objects.filter(kind=AuditEntry.Kind.LOGIN, user=ada).exists()
    provider.person |= {"groups": []}
    sign_in(Client())
    assert roles_of(User.objects.get(pk=ada.pk)) == set()


@pytest.mark.parametrize(
    "token",
    [
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://id.example.com"},
        {"azp": "another", "aud": [CLIENT, "another"]},
        {"nonce": "guessed"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"sub": "43"},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_us_signs_nobody_in(
    client: Client, provider: Provider, token: dict[str, Any]
) -> None:
    provider.token = token
    assert_refused(client, sign_in(client))


def test_a_token_signed_by_somebody_else_signs_nobody_in(client: Client, provider: Provider) -> None:
    provider.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert_refused(client, sign_in(client))


def test_a_code_of_another_browser_or_used_twice_signs_nobody_in(client: Client, provider: Provider) -> None:
    sent = client.get(START)
    back = urlsplit(httpx.get(sent["Location"]).headers["Location"])._replace(scheme="", netloc="").geturl()
    assert_refused(Client(), Client().get(back))
    assert client.get(back).status_code == 302 and "_auth_user_id" in client.session
    assert client.get(back).status_code == 400, "its state is used up"


def test_a_forged_code_signs_nobody_in(client: Client, provider: Provider) -> None:
    state = httpx.URL(client.get(START)["Location"]).params["state"]
    assert_refused(client, client.get("/account/oidc/callback/", {"code": "guessed", "state": state}))
    assert_refused(client, client.get("/account/oidc/callback/", {"error": "access_denied", "state": state}))


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:1", "{issuer}/"])
def test_a_provider_that_is_away_or_another_is_a_sentence(
    client: Client, provider: Provider, settings: Any, issuer: str
) -> None:
    settings.OIDC_ISSUER = issuer.format(issuer=provider.issuer)
    told = client.get(START, follow=True)
    assert "does not answer" in told.text and told.redirect_chain == [("/login/", 302)]


def test_a_password_is_looked_at_while_the_provider_is_away(
    client: Client, provider: Provider, settings: Any
) -> None:
    settings.OIDC_ISSUER = "http://127.0.0.1:1"
    User.objects.create_user("eve", password="long enough 7")
    client.post("/login/", {"username": "eve", "password": "long enough 7"})
    assert "_auth_user_id" in client.session


def assert_refused(client: Client, answer: Any) -> None:
    assert (answer.status_code, answer["Location"]) == (302, "/login/")
    assert "_auth_user_id" not in client.session
    assert not User.objects.filter(username__startswith="oidc:").exists()
