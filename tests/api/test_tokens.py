"""Tokens of programs: made on a page, hashed at rest, within scopes and time; writes with a key done once."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from inventory.store import services as fleet
from inventory.store.models import Probe
from planner.api import services
from planner.api.models import ApiToken, KeptAnswer
from planner.engine.question.errors import PlanErrors

pytestmark = pytest.mark.django_db
ACCELERATORS = "/api/v1/accelerators"


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("ada", password="long enough for all")


def token(owner: User, *scopes: str, days: int = 7, age: timedelta = timedelta()) -> dict[str, Any]:
    """The header that a program with a new token sends."""
    now = timezone.now() - age
    _, text = services.make_token(owner, name="notebook", scopes=scopes, days=days, now=now)
    return {"headers": {"Authorization": f"Bearer {text}"}}


def test_only_a_hash_is_kept(owner: User) -> None:
    made, text = services.make_token(owner, name="notebook", scopes=["plan"], days=7, now=timezone.now())
    kept = ApiToken.objects.values_list().get(pk=made.pk)
    assert text.startswith("hr_")
    assert len(text) >= 46
    assert text not in str(kept)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes"),
        ({"days": 999}, "days"),
    ],
)
def test_what_is_no_token_is_refused(owner: User, change: dict[str, Any], field: str) -> None:
    asked = {"name": "notebook", "scopes": ["plan"], "days": 7} | change
    with pytest.raises(PlanErrors) as wrong:
        services.make_token(owner, now=timezone.now(), **asked)
    assert [error.field for error in wrong.value.errors] == [field]


def test_a_token_opens_the_api_where_a_login_is_needed(client: Client, owner: User, settings: Any) -> None:
    settings.LOGIN_REQUIRED = True
    refused = client.get(ACCELERATORS)
    assert (refused.status_code, refused["WWW-Authenticate"][:6]) == (401, "Bearer")
    assert client.get(ACCELERATORS, **token(owner, "catalog")).status_code == 200
    assert ApiToken.objects.get().last_used_at is not None


def test_a_token_does_what_its_scopes_say_and_no_more(client: Client, owner: User) -> None:
    answer = client.get(ACCELERATORS, **token(owner, "plan"))
    assert answer.status_code == 403
    assert "catalog" in answer.json()["error"]["message"]
    assert client.get("/api/v1/fleet/hosts", **token(owner, "plan")).status_code == 403


def test_an_expired_revoked_or_unknown_token_is_refused(client: Client, owner: User) -> None:
    assert (
        client.get(ACCELERATORS, **token(owner, "catalog", days=1, age=timedelta(days=2))).status_code == 401
    )
    header = token(owner, "catalog")
    assert not services.revoke_token(
        User.objects.create_user("eve"), ApiToken.objects.first().pk, now=timezone.now()
    )
    assert client.get(ACCELERATORS, **header).status_code == 200
    assert services.revoke_token(owner, ApiToken.objects.first().pk, now=timezone.now())
    assert client.get(ACCELERATORS, **header).status_code == 401
    assert client.get(ACCELERATORS, headers={"Authorization": "Bearer hr_ünknown"}).status_code == 401


def test_a_token_of_somebody_who_left_is_refused(client: Client, owner: User) -> None:
    header = token(owner, "catalog")
    User.objects.update(is_active=False)
    assert client.get(ACCELERATORS, **header).status_code == 401


def test_a_token_opens_no_page(client: Client, owner: User) -> None:
    assert client.get("/tokens", **token(owner, "catalog")).status_code == 302


def test_the_page_shows_a_new_token_once(client: Client, owner: User) -> None:
    owner.groups.add(Group.objects.get(name="planner"))
    client.force_login(owner)
    made = client.post("/tokens", {"name": "notebook", "scopes": ["plan"], "days": "30"})
    text = made.context["text"]
    assert text in made.content.decode()
    assert "no-store" in made["Cache-Control"]
    later = client.get("/tokens").content.decode()
    assert text not in later
    assert "notebook" in later
    assert client.post("/tokens", {"name": "", "days": "x"}).status_code == 422
    assert client.post("/tokens", {"revoke": str(ApiToken.objects.get().pk)}).status_code == 302
    assert ApiToken.objects.get().revoked_at is not None


class TestWrites:
    """Asking for a probe stands for every write."""

    @pytest.fixture(autouse=True)
    def quiet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("inventory.pages.programs.send", lambda *args: None)

    @pytest.fixture
    def operator(self) -> User:
        fleet.join_by_worker("gpu-1", now=timezone.now())
        return User.objects.create_superuser("op", password="long enough for all")

    def test_a_cookie_alone_writes_nothing(self, client: Client, operator: User) -> None:
        client.force_login(operator)
        assert client.post("/api/v1/fleet/hosts/gpu-1/probe").status_code == 403
        assert not Probe.objects.exists()

    def test_the_owner_must_be_allowed_too(self, client: Client, owner: User, operator: User) -> None:
        assert client.post("/api/v1/fleet/hosts/gpu-1/probe", **token(owner, "probe")).status_code == 403

    def test_sent_twice_with_a_key_it_is_done_once(self, client: Client, operator: User) -> None:
        header = token(operator, "probe")
        header["headers"]["Idempotency-Key"] = "3f6c"
        first = client.post("/api/v1/fleet/hosts/gpu-1/probe", **header)
        again = client.post("/api/v1/fleet/hosts/gpu-1/probe", **header)
        assert (first.status_code, again.status_code) == (202, 202)
        assert again.json() == first.json()
        assert again["Idempotent-Replayed"] == "true"
        assert Probe.objects.count() == 1
        other = client.post("/api/v1/fleet/hosts/gpu-2/probe", **header)
        assert (other.status_code, other.json()["error"]["field"]) == (422, "Idempotency-Key")

    def test_a_write_that_is_going_on_is_not_done_again(self, client: Client, operator: User) -> None:
        header = token(operator, "probe")
        header["headers"]["Idempotency-Key"] = "3f6c"
        client.post("/api/v1/fleet/hosts/gpu-1/probe", **header)
        KeptAnswer.objects.update(status=None)
        assert client.post("/api/v1/fleet/hosts/gpu-1/probe", **header).status_code == 409

    def test_what_failed_by_our_fault_may_be_sent_again(
        self, client: Client, operator: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        header = token(operator, "probe")
        header["headers"]["Idempotency-Key"] = "3f6c"
        client.raise_request_exception = False
        monkeypatch.setattr("inventory.pages.programs.send", lambda *args: 1 / 0)
        assert client.post("/api/v1/fleet/hosts/gpu-1/probe", **header).status_code == 500
        assert not KeptAnswer.objects.exists()
