"""What every answer of the web process carries, and whom it lets in."""

from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

PAGES = ["/login/", "/admin/login/", "/healthz"]


def test_healthz_needs_no_database(client: Client) -> None:
    answer = client.get("/healthz")  # pytest-django forbids the database here
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}


@pytest.mark.django_db
def test_readyz_names_what_is_missing(client: Client) -> None:
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "database": "ok", "broker": "ok"})
    with patch("config.views.app.connection_for_read", side_effect=OSError("no route")):
        unready = client.get("/readyz")
    assert unready.status_code == 503
    assert unready.json()["broker"] == "unavailable: OSError"
    assert unready.json()["database"] == "ok"


@pytest.mark.django_db
@pytest.mark.parametrize("address", PAGES)
def test_content_security_policy_allows_nothing_inline_or_foreign(client: Client, address: str) -> None:
    policy = client.get(address).headers["Content-Security-Policy"]
    directives = {name: values for name, *values in (part.split() for part in policy.split(";"))}
    assert directives["default-src"] == directives["script-src"] == directives["style-src"] == ["'self'"]
    assert directives["object-src"] == directives["base-uri"] == directives["frame-ancestors"] == ["'none'"]
    assert "unsafe" not in policy
    assert "http" not in policy and "*" not in policy


@pytest.mark.django_db
@pytest.mark.parametrize("address", PAGES)
def test_protective_headers(client: Client, address: str) -> None:
    headers = client.get(address).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_a_foreign_host_name_is_refused(client: Client) -> None:
    with override_settings(ALLOWED_HOSTS=["localhost"]):
        assert client.get("/healthz", headers={"host": "evil.example.org"}).status_code == 400


@pytest.mark.django_db
def test_log_in_and_out(client: Client) -> None:
    User.objects.create_user("ada", password="a long enough phrase")
    refused = client.post("/login/", {"username": "ada", "password": "wrong"})
    assert refused.status_code == 200 and "_auth_user_id" not in client.session
    assert client.post("/login/", {"username": "ada", "password": "a long enough phrase"}).status_code == 302
    assert client.session["_auth_user_id"]
    assert client.post("/logout/").status_code == 302
    assert "_auth_user_id" not in client.session


@pytest.mark.django_db
def test_no_open_redirect_after_login(client: Client) -> None:
    User.objects.create_user("ada", password="a long enough phrase")
    sent = {"username": "ada", "password": "a long enough phrase", "next": "https://evil.example.org/"}
    assert client.post("/login/", sent).headers["Location"] == "/"


@pytest.mark.django_db
def test_admin_asks_for_a_login(client: Client) -> None:
    assert client.get("/admin/").headers["Location"].startswith("/admin/login/")
