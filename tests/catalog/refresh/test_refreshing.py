"""A refresh from beginning to end: one at a time, heard of as it goes, kept as far as it got."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from django.utils import timezone

from planner.catalog.changes.models import ExchangeRate, RefreshRun, SpotDay
from planner.catalog.changes.observed import (
    Asked,
    Fault,
    Item,
    NotSetUpError,
    Observed,
    ObservedRate,
    ObservedSpotDay,
    UnknownField,
)
from planner.catalog.refresh import alerts, services, tasks
from planner.catalog.refresh.sources import LISTED, all_sources

pytestmark = [pytest.mark.usefixtures("shipped_catalog"), pytest.mark.django_db]


class Told:
    """A source that says what it is told to say."""

    slug, title, provider, every_hours = "told", "Told", "aws", 24
    actions: tuple[str, ...] = ()

    def __init__(self, *items: Item | Exception) -> None:
        self.items = items

    def read(self, asked: Asked) -> Iterator[Item]:
        for number, item in enumerate(self.items):
            asked.progress(number, len(self.items), f"part {number}")
            if isinstance(item, Exception):
                raise item
            yield item


def price(usd: float, **key: Any) -> Observed:
    whole = {
        "instance_type_id": "p5.48xlarge",
        "region": "us-east-1",
        "purchase": "on_demand",
        "payment_option": "",
    }
    return Observed(
        table="price", key=whole | key, values={"usd_per_hour": usd, "valid_from": timezone.localdate()},
        source="list", as_of=timezone.localdate(), confidence=1.0,
    )  # fmt: skip


def run(*items: Item | Exception) -> RefreshRun:
    begun = services.begin("told", asked_by="ada", now=timezone.now())
    assert begun is not None
    return services.refresh(Told(*items), begun)


def test_what_was_read_before_a_failure_is_kept_and_the_failure_named() -> None:
    done = run(
        price(54.0),
        Fault(part="page 3", message="pricing:GetProducts: AccessDenied", remedy="Allow the action."),
        UnknownField(path="a.b", example="1"),
        ObservedRate(currency="EUR", day=date(2026, 11, 27), per_usd=0.8, source="ECB"),
        ObservedSpotDay(instance="p5.48xlarge", region="us-east-1", day=date(2026, 11, 27), zones=2,
        usd_low=1.0,
                        usd_q25=1.0, usd_median=2.0, usd_q75=3.0, usd_high=3.0),
        RuntimeError("the connection broke"),
    )  # fmt: skip
    assert done.state == "partial"
    assert done.rows_read == 3
    assert done.change_set.changes.get().state == "accepted"  # within 20 %
    assert [fault["part"] for fault in done.faults] == ["page 3", "part 5"]
    assert done.unknown_fields == [{"path": "a.b", "example": "1"}]
    assert "Allow the action." in done.message
    assert (ExchangeRate.objects.count(), SpotDay.objects.count()) == (1, 1)


def test_one_runs_and_one_that_fell_silent_makes_way() -> None:
    now = timezone.now()
    first = services.begin("aws-spot", asked_by="", now=now)
    assert first is not None
    assert services.begin("aws-spot", asked_by="", now=now) is None
    assert services.begin("aws-prices", asked_by="", now=now) is not None
    later = services.begin("aws-spot", asked_by="", now=now + timedelta(hours=1))
    assert later is not None
    first.refresh_from_db()
    assert first.state == "lost"
    assert "without a word" in first.message


def test_nothing_set_up_is_no_failure() -> None:
    done = run(NotSetUpError("No AWS credentials"))
    assert (done.state, done.faults) == ("not_set_up", [])
    assert alerts.message_of(done, 10.0) is None


def test_due_sources_are_asked_for_once_a_period() -> None:
    now = timezone.now()
    assert services.due([("told", 24)], now=now) == ["told"]
    run()
    assert services.due([("told", 24)], now=timezone.now()) == []
    assert services.due([("told", 24)], now=now + timedelta(hours=25)) == ["told"]


def test_a_task_of_a_running_source_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "all_sources", lambda: {"told": Told()})
    assert tasks.refresh("nobody") == "unknown"
    assert services.begin("told", asked_by="", now=timezone.now())
    assert tasks.refresh("told") == "running"


def test_the_list_for_pages_is_that_of_the_sources() -> None:
    sources = all_sources()
    assert [(slug, title, hours) for slug, title, hours in LISTED] == [
        (source.slug, source.title, source.every_hours) for source in sources.values()
    ]


def test_alerts_name_the_largest_moves_and_what_failed(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    done = run(price(30.0), Fault(part="x", message="broken"))
    title, text = alerts.message_of(done, 10.0) or ("", "")
    assert "1 price moved" in title
    assert "55.04 → 30 USD an hour (-45.5 %" in text
    assert "broken" in text
    sent: list[dict[str, str]] = []
    monkeypatch.setattr("apprise.Apprise.notify", lambda self, **message: sent.append(message) or True)
    settings.CATALOG_ALERT_URLS = ["json://127.0.0.1:9"]
    assert alerts.tell(done)
    assert sent[0]["title"] == title
    settings.CATALOG_ALERT_URLS = []
    assert not alerts.tell(done)


def test_a_source_whose_worker_was_killed_is_due_again() -> None:
    now = timezone.now()
    silent = services.begin("told", asked_by="", now=now - timedelta(minutes=2))
    assert silent is not None and silent.is_lost(now)
    assert services.due([("told", 24)], now=now) == ["told"]
    silent.refresh_from_db()
    assert (silent.state, silent.is_lost(now)) == ("lost", False)


def test_an_alert_reaches_a_webhook(settings: Any) -> None:
    """A real request to a server of one's own, with the title and the text."""
    got: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        Thread(target=server.handle_request, daemon=True).start()
        settings.CATALOG_ALERT_URLS = [f"json://127.0.0.1:{server.server_port}/hook"]
        assert alerts.tell(run(price(30.0)))
    told = json.loads(got[0])
    assert "1 price moved" in told["title"] and "55.04 → 30 USD an hour" in told["message"]
