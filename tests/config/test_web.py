"""What every answer of the web process carries, and whom it lets in."""

import errno
import json
from pathlib import Path
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, ProgrammingError
from django.test import Client, override_settings

PAGES = ["/login/", "/admin/login/", "/healthz"]


def test_healthz_needs_no_database(client: Client) -> None:
    answer = client.get("/healthz")  # pytest-django forbids the database here
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}


@pytest.mark.django_db
def test_readyz_names_what_is_missing(client: Client) -> None:
    ready = client.get("/readyz")
    parts = {"database": "ok", "broker": "ok", "disk": "ok"}
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", **parts})
    with patch("config.views.app.connection_for_read", side_effect=OSError("no route")):
        unready = client.get("/readyz")
    assert unready.status_code == 503
    assert unready.json()["broker"] == "unavailable: OSError"
    assert unready.json()["database"] == "ok"


@pytest.mark.django_db
def test_readyz_tells_of_a_full_disk(client: Client) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with patch("config.views.tempfile.TemporaryFile", side_effect=full):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["disk"] == "unavailable: No space left on device"
    with patch("config.views.LEAST_FREE_BYTES", 2**70):
        assert "MiB are free" in client.get("/readyz").json()["disk"]


@pytest.mark.django_db
def test_readyz_tells_of_processes_that_are_started_again(client: Client, tmp_path: Path) -> None:
    state = tmp_path / "processes.json"
    worker = {"state": "restarting", "restarts": 1, "last_end": "signal 9", "since_s": 0}
    beat = {"state": "running", "restarts": 0, "last_end": "", "since_s": 0}
    first = {"state": "restarting", "restarts": 0, "last_end": "", "since_s": 0}
    told = {"worker": worker, "beat": beat, "searcher": first}
    state.write_text(json.dumps(told), encoding="utf-8")
    with override_settings(PROCESSES_FILE=state):
        answer = client.get("/readyz")
        page = client.get("/glossary").content.decode()
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded" and "signal 9" in answer.json()["worker"]
    assert "beat" not in answer.json()
    assert "searcher" not in answer.json(), "it starts for the first time"
    assert "worker: restarting after signal 9" in page
    assert "restarting" not in client.get("/glossary").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/fleet/", "/fleet/fleet.json"])
@pytest.mark.parametrize("said", ["database is locked", "database disk image is malformed", "disk is full"])
def test_a_database_that_cannot_be_used_is_503_with_a_sentence(address: str, said: str) -> None:
    client = Client(raise_request_exception=False)
    with patch("inventory.store.selectors.hosts", side_effect=OperationalError(said)):
        answer = client.get(address)
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    text = answer.content.decode()
    assert ("locked" in said and "is busy" in text) or "damaged" in text or "full" in text
    assert "sqlite3" not in text, "where files lie is nobody's business"


@pytest.mark.django_db
def test_a_fault_of_ours_stays_a_500_and_is_json_for_programs() -> None:
    client = Client(raise_request_exception=False)
    with patch("inventory.store.selectors.hosts", side_effect=ProgrammingError("column")):
        assert client.get("/fleet/").status_code == 500
        answer = client.get("/fleet/fleet.json")
    assert answer.status_code == 500 and answer.json()["error"]["message"]


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
