"""What comes over the network is believed only when signed, fresh, well-formed and the host's own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from inventory.store import services
from inventory.store.models import Event, Gpu, Host, HostToken, Refusal, Sample
from inventory.wire import policy, signing
from inventory.wire.snapshot_json import to_json
from tests.inventory.builders import gpu, snapshot

pytestmark = pytest.mark.django_db
PATH = "/fleet/api/v1/snapshots"


def now() -> datetime:
    return datetime.now(UTC)


class Sender:
    """An agent of one host, as far as the server can tell."""

    def __init__(self, client: Client, name: str = "node-1") -> None:
        self.client = client
        self.host, self.token = services.add_host(name, now=now())

    def entry(self, *, seconds_ago: float = 5, name: str | None = None, **more: Any) -> dict[str, Any]:
        taken = snapshot(gpu(0), name=name or self.host.name, when=now() - timedelta(seconds=seconds_ago))
        return {"id": str(uuid4()), "snapshot": to_json(taken) | more}

    def header(self, body: bytes, /, **changes: Any) -> str:
        values = {"method": "POST", "path": PATH, "body": body, "time_s": now().timestamp(), "offset_s": 0.0}
        return signing.header(self.token, **(values | changes))

    def post(self, *entries: Any, body: bytes | None = None, authorization: str | None = None) -> Any:
        body = json.dumps({"snapshots": entries}).encode() if body is None else body
        return self.client.post(
            PATH,
            body,
            content_type="application/json",
            headers={"Authorization": self.header(body) if authorization is None else authorization},
        )

    def outcomes(self, *entries: Any) -> list[str]:
        answer = self.post(*entries)
        assert answer.status_code == 200, answer.content
        return [result["outcome"] for result in answer.json()["results"]]


@pytest.fixture
def sender(client: Client) -> Sender:
    return Sender(client)


def refusals() -> list[tuple[str | None, str]]:
    return list(Refusal.objects.order_by("id").values_list("host__name", "kind"))


class TestAccepted:
    def test_recorded(self, sender: Sender) -> None:
        assert sender.outcomes(sender.entry(seconds_ago=60), sender.entry(seconds_ago=5)) == ["recorded"] * 2
        assert Gpu.objects.get().host == sender.host
        assert Sample.objects.count() == 2
        assert HostToken.objects.get().last_used_at is not None
        assert refusals() == []

    def test_sent_again_after_a_lost_answer(self, sender: Sender) -> None:
        entry = sender.entry()
        assert sender.outcomes(entry) == ["recorded"]
        assert sender.outcomes(entry, entry) == ["duplicate", "duplicate"]
        assert Sample.objects.count() == 1

    def test_reordered(self, sender: Sender) -> None:
        old, new = sender.entry(seconds_ago=120), sender.entry(seconds_ago=10)
        assert sender.outcomes(new) == ["recorded"]
        assert sender.outcomes(old) == ["recorded"]
        assert Sample.objects.count() == 2

    def test_time_by_age_holds_whatever_the_senders_clock_says(self, sender: Sender) -> None:
        entry = sender.entry(seconds_ago=-10 * 86400) | {"age_s": 90}
        assert sender.outcomes(entry) == ["recorded"]
        sender.host.refresh_from_db()
        assert abs((now() - sender.host.last_taken_at).total_seconds() - 90) < 5

    def test_time_by_offset_for_senders_that_know_no_age(self, sender: Sender) -> None:
        entry = sender.entry(seconds_ago=3600 + 5)
        body = json.dumps({"snapshots": [entry]}).encode()
        assert sender.post(body=body, authorization=sender.header(body, offset_s=3600.0)).status_code == 200
        sender.host.refresh_from_db()
        assert abs((now() - sender.host.last_taken_at).total_seconds() - 5) < 5

    def test_no_login_is_asked_for(self, sender: Sender, settings: Any) -> None:
        settings.MIDDLEWARE = [
            *settings.MIDDLEWARE,
            "django.contrib.auth.middleware.LoginRequiredMiddleware",
        ]
        assert sender.outcomes(sender.entry()) == ["recorded"]


class TestRefusedWhole:
    @pytest.mark.parametrize(
        "header", ["", "Bearer abc", f"{signing.SCHEME} key=1", f"{signing.SCHEME} time=x"]
    )
    def test_without_a_proper_header(self, sender: Sender, header: str) -> None:
        assert sender.post(sender.entry(), authorization=header).status_code == 401
        assert refusals() == [(None, "signature")]

    def test_signed_with_another_key(self, sender: Sender) -> None:
        sender.token = sender.token.partition(".")[0] + ".wrong"
        assert sender.post(sender.entry()).status_code == 401
        assert refusals() == [("node-1", "signature")]

    @pytest.mark.parametrize("change", [{"path": "/elsewhere"}, {"method": "PUT"}, {"body": b"{}"}])
    def test_signed_for_something_else(self, sender: Sender, change: dict[str, Any]) -> None:
        body = json.dumps({"snapshots": []}).encode()
        assert sender.post(body=body, authorization=sender.header(body, **change)).status_code == 401

    def test_unknown_and_revoked_tokens(self, sender: Sender) -> None:
        services.revoke_tokens(sender.host, now=now())
        assert sender.post(sender.entry()).status_code == 401
        HostToken.objects.all().delete()
        assert sender.post(sender.entry()).status_code == 401
        assert refusals() == [("node-1", "token"), (None, "token")]

    def test_replayed(self, sender: Sender) -> None:
        body = json.dumps({"snapshots": [sender.entry()]}).encode()
        header = sender.header(body)
        assert sender.post(body=body, authorization=header).status_code == 200
        again = sender.post(body=body, authorization=header)
        assert (again.status_code, again.json()["error"]["kind"]) == (409, "replayed")
        assert Sample.objects.count() == 1

    @pytest.mark.parametrize("off_s", [-policy.CLOCK_TOLERANCE_S - 60, policy.CLOCK_TOLERANCE_S + 60])
    def test_signed_at_another_time_says_what_time_it_is(self, sender: Sender, off_s: int) -> None:
        body = json.dumps({"snapshots": []}).encode()
        answer = sender.post(body=body, authorization=sender.header(body, time_s=now().timestamp() + off_s))
        assert (answer.status_code, answer.json()["error"]["kind"]) == (409, "clock")
        assert abs(answer.json()["server_time_s"] - now().timestamp()) < 5

    @pytest.mark.parametrize("time_s", [float("nan"), float("inf"), -1.0])
    def test_impossible_times(self, sender: Sender, time_s: float) -> None:
        body = b"{}"
        assert sender.post(body=body, authorization=sender.header(body, time_s=time_s)).status_code == 401

    @pytest.mark.parametrize(
        "body", [b"", b"not json", b"[]", b"{}", b'{"snapshots": 3}', b"[" * 100_000, b"\xff\xfe"]
    )
    def test_malformed(self, sender: Sender, body: bytes) -> None:
        answer = sender.post(body=body)
        assert (answer.status_code, answer.json()["error"]["kind"]) == (400, "malformed")
        assert refusals() == [("node-1", "malformed")]

    def test_only_posts_are_taken(self, client: Client) -> None:
        answer = client.get("/fleet/api/v1/snapshots")
        assert (answer.status_code, answer["Allow"]) == (405, "POST")
        assert answer.json()["error"]["remedy"] == "Send POST."

    def test_too_large(self, sender: Sender) -> None:
        answer = sender.post(body=b" " * (policy.MAX_BODY_BYTES + 1))
        assert (answer.status_code, answer.json()["error"]["kind"]) == (413, "too_large")
        assert Refusal.objects.get().kind == "too_large"

    def test_too_many(self, sender: Sender) -> None:
        assert sender.post(*[{}] * (policy.MAX_SNAPSHOTS_A_REQUEST + 1)).status_code == 413


def test_a_flood_of_refusals_does_not_fill_the_database(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(policy, "MOST_REFUSALS_AN_HOUR", 5)
    for _ in range(12):
        assert sender.post(sender.entry(), authorization="nonsense").status_code == 401
    assert Refusal.objects.count() == 5
    assert len([record for record in caplog.records if "refused a delivery" in record.message]) == 12


class TestRefusedSingly:
    """One bad snapshot does not keep the good ones out."""

    @pytest.mark.parametrize(
        ("make", "kind"),
        [
            (lambda s: s.entry(name="node-2"), "other_host"),
            (lambda s: s.entry(seconds_ago=-600), "future"),
            (lambda s: s.entry(seconds_ago=policy.OLDEST_SNAPSHOT_S + 60), "too_old"),
            (lambda s: s.entry(schema=9), "malformed"),
            (lambda s: s.entry(gpus=[{"index": -1}]), "malformed"),
            (lambda s: s.entry() | {"id": "not a uuid"}, "malformed"),
            (lambda s: s.entry() | {"age_s": -1}, "malformed"),
            (lambda s: s.entry() | {"age_s": float("nan")}, "malformed"),
            (lambda s: s.entry() | {"age_s": "old"}, "malformed"),
            (lambda s: s.entry(host={"hostname": "node-1", "taken_at": "yesterday"}), "malformed"),
            (lambda s: s.entry(host={"hostname": "node-1", "taken_at": "2026-11-01T12:00:00"}), "malformed"),
            (lambda s: s.entry(host={"hostname": "node-1", "taken_at": "2026-99-01T12:00:00Z"}), "malformed"),
            (lambda s: {}, "malformed"),
            (lambda s: 7, "malformed"),
        ],
    )
    def test_with_a_reason_kept_for_administrators(self, sender: Sender, make: Any, kind: str) -> None:
        assert sender.outcomes(sender.entry(), make(sender), sender.entry(seconds_ago=1)) == [
            "recorded",
            "refused",
            "recorded",
        ]
        assert refusals() == [("node-1", kind)]
        assert not Host.objects.filter(name="node-2").exists()


class TestTokens:
    def test_a_token_names_its_host(self, sender: Sender) -> None:
        assert services.host_of_token(sender.token) == sender.host

    @pytest.mark.parametrize("token", ["", "nothing", "a.b", "."])
    def test_others_name_none(self, sender: Sender, token: str) -> None:
        with pytest.raises(services.DeliveryError):
            services.host_of_token(token)

    def test_the_secret_is_not_kept(self, sender: Sender) -> None:
        secret = sender.token.partition(".")[2]
        assert secret not in json.dumps(list(HostToken.objects.values("identifier", "key")))

    @pytest.mark.parametrize("name", ["", "a b", "../etc", "x" * 254, "-a", "a\n"])
    def test_names_that_no_host_has(self, name: str) -> None:
        with pytest.raises(ValidationError):
            services.add_host(name, now=now())

    def test_adding_a_host_is_told_once(self, sender: Sender) -> None:
        services.add_host("node-1", now=now())
        assert Event.objects.filter(kind="host_added").count() == 1
        assert sender.host.tokens.count() == 2


class TestDatesAtTheEndsOfTime:
    @pytest.mark.parametrize(
        "taken_at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2025-06-05", "1" * 5000]
    )
    @pytest.mark.parametrize("age_s", [None, 1e8, 3.0])
    def test_are_refused_and_the_others_of_the_delivery_recorded(
        self, sender: Sender, taken_at: str, age_s: float | None
    ) -> None:
        bad = sender.entry() | {"age_s": age_s}
        bad["snapshot"]["host"]["taken_at"] = taken_at
        assert sender.outcomes(bad, sender.entry()) == ["refused", "recorded"]

    def test_a_clock_at_its_start_is_put_right_by_the_age(self, sender: Sender) -> None:
        entry = sender.entry() | {"age_s": 3.0}
        entry["snapshot"]["host"]["taken_at"] = "1970-01-01T00:00:10Z"
        assert sender.outcomes(entry) == ["recorded"]
