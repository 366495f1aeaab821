"""The catalog's pages: readers need no login, writers do, and every figure leads to who says so."""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from planner.catalog.changes import services
from planner.catalog.changes.models import Change, ChangeSet, ExchangeRate, RefreshRun, SpotDay
from planner.catalog.changes.observed import Observed
from planner.catalog.models import Accelerator, InstanceType, Price
from planner.catalog.pages.charts import price_chart
from planner.catalog.selectors import current_catalog
from planner.plans.price_effects import preset_questions
from planner.tradeoffs.models import Scenario

pytestmark = [pytest.mark.usefixtures("shipped_catalog"), pytest.mark.django_db]


def p5() -> Price:
    return Price.objects.get(
        instance_type_id="p5.48xlarge",
        region="us-east-1",
        purchase="on_demand",
        valid_to=None,
        withdrawn=False,
        negotiated=False,
    )


def proposed(usd: float) -> ChangeSet:
    observed = Observed(
        table="price", source="list", as_of=timezone.localdate(), confidence=1.0,
        key={"instance_type_id": "p5.48xlarge", "region": "us-east-1", "purchase": "on_demand",
             "payment_option": ""},
        values={"usd_per_hour": usd, "valid_from": timezone.localdate()},
    )  # fmt: skip
    return services.propose([observed], source="aws-prices", title="AWS price list", now=timezone.now())


def test_readers_need_no_login(client: Client) -> None:
    pages = {
        "/catalog/": "How fresh is it?",
        "/catalog/prices?accelerator=h100-sxm": "p5.48xlarge",
        f"/catalog/prices/{p5().pk}": "55.04 USD an hour",
        "/catalog/instances/p5.48xlarge": "3,200 Gbit/s",
        "/catalog/accelerators/h100-sxm": "1g.10gb",
        "/catalog/models/llama-3.1-8b": "8,030,261,248",
        "/catalog/changes": "Nothing has been refreshed",
        "/catalog/owned": "hour of your own node",
    }
    for address, words in pages.items():
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert words in answer.content.decode(), address
    for address in ("prices/999999", "instances/x", "accelerators/x", "models/x", "changes/9"):
        assert client.get(f"/catalog/{address}").status_code == 404


def test_pages_say_what_was_measured(client: Client) -> None:
    machine = client.get("/catalog/instances/p5.48xlarge").content.decode()
    assert "What was trained on such machines" in machine and "in nodes of 8" in machine
    chip = client.get("/catalog/accelerators/h100-sxm").content.decode()
    assert "chart-reached" in chip and "/validation?accelerator=h100-sxm" in chip
    assert "No published run" in client.get("/catalog/accelerators/trainium2").content.decode()
    model = client.get("/catalog/models/llama-3.1-8b").content.decode()
    assert "What it was trained on" in model and "8,030,261,248" in model


def test_prices_as_of_a_day_in_a_currency_and_as_csv(client: Client) -> None:
    ExchangeRate.objects.create(currency="EUR", day=date(2025, 5, 30), per_usd=0.5, source="ECB")
    query = "instance=p5.48xlarge&region=us-east-1&purchase=on_demand&as_of=2025-05-31&currency=EUR"
    page = client.get(f"/catalog/prices?{query}").content.decode()
    assert "49.1600" in page and "2025-05-30" in page
    (line,) = csv.DictReader(io.StringIO(client.get(f"/catalog/prices.csv?{query}").content.decode()))
    assert (line["usd_per_hour"], line["price_per_hour"], line["rate_of"]) == (
        "98.320000",
        "49.16",
        "2025-05-30",
    )
    assert "is no day" in client.get("/catalog/prices?as_of=yesterday").content.decode()
    assert "No rate of QQQ" in client.get("/catalog/prices?currency=QQQ").content.decode()


def test_a_new_price_takes_two_fields(admin_client: Client) -> None:
    old = p5()
    shown = admin_client.get(f"/catalog/prices/{old.pk}/new").content.decode()
    assert timezone.localdate().isoformat() in shown
    answer = admin_client.post(
        f"/catalog/prices/{old.pk}/new",
        {"usd_per_hour": "50", "valid_from": timezone.localdate().isoformat()},
    )
    made = p5()
    assert answer["Location"] == f"/catalog/prices/{made.pk}"
    assert made.usd_per_hour == Decimal("50")
    old.refresh_from_db()
    assert old.valid_to == timezone.localdate()
    assert "admin" in admin_client.get(f"/catalog/prices/{made.pk}").content.decode()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"valid_from": "2036-01-01"}, "in the future"),
        ({"valid_from": "2020-01-01"}, "begins after it"),
        ({"usd_per_hour": "0"}, "greater than or equal"),
        ({"usd_per_hour": "55.04"}, "the price that there is"),
    ],
)
def test_a_new_price_that_makes_no_sense_is_refused(
    admin_client: Client, changes: dict[str, str], words: str
) -> None:
    given = {"usd_per_hour": "50", "valid_from": timezone.localdate().isoformat()} | changes
    answer = admin_client.post(f"/catalog/prices/{p5().pk}/new", given)
    assert words in answer.content.decode()


def test_strangers_cannot_write(client: Client) -> None:
    made = proposed(30.0)
    for address in (f"prices/{p5().pk}/new", f"changes/{made.pk}/decide", "refresh"):
        answer = client.post(f"/catalog/{address}", {"decision": "accept", "all": "1"})
        assert answer.status_code == 302 and "/login/" in answer["Location"]
    assert Change.objects.get().state == "proposed"


def test_a_change_set_is_previewed_accepted_and_undone(admin_client: Client) -> None:
    made = proposed(27.52)  # half
    change = made.changes.get()
    address = f"/catalog/changes/{made.pk}/decide"
    page = admin_client.post(address, {"change": change.pk, "decision": "preview"}).content.decode()
    assert "change, the largest by −50.0 %" in page
    assert p5().usd_per_hour == Decimal("55.04")
    admin_client.post(address, {"change": change.pk, "decision": "accept", "why": "announced"})
    assert p5().usd_per_hour == Decimal("27.52")
    shown = admin_client.get(f"/catalog/changes/{made.pk}").content.decode()
    assert "announced" in shown and "−50.0 %" in shown
    admin_client.post(address, {"all": "1", "decision": "undo"})
    assert p5().usd_per_hour == Decimal("55.04")
    assert "No change is chosen" in admin_client.post(address, {}, follow=True).content.decode()


def test_a_running_refresh_shows_how_far_it_is(admin_client: Client) -> None:
    now = timezone.now()
    RefreshRun.objects.create(
        source="aws-prices",
        started_at=now,
        heard_at=now,
        done=3,
        expected=4,
        message="p5.48xlarge",
        rows_read=7,
    )
    page = admin_client.get("/catalog/").content.decode()
    assert 'value="75"' in page and "every 2s" in page and "7 rows" in page and "vendor/htmx" in page


def test_refresh_on_demand_asks_a_worker(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("planner.catalog.refresh.tasks.refresh.delay", lambda *a, **k: asked.append((a, k)))
    admin_client.post("/catalog/refresh", {"source": "aws-spot"})
    assert asked == [(("aws-spot",), {"asked_by": "admin"})]
    assert admin_client.post("/catalog/refresh", {"source": "x"}).status_code == 404


def test_the_chart_breaks_where_a_price_ended_and_draws_the_spot_band() -> None:
    prices = list(
        Price.objects.filter(instance_type_id="p5.48xlarge", region="us-east-1").order_by("valid_from")
    )
    day = SpotDay(
        day=date(2026, 11, 1), zones=2, usd_low=20, usd_q25=21, usd_median=22, usd_q75=23, usd_high=24
    )
    chart = price_chart("p5.48xlarge", "us-east-1", prices, [day], date(2026, 11, 29))
    assert chart is not None
    listed = next(trace for trace in chart.figure["data"] if trace["name"] == "On demand")
    assert listed["y"] == [98.32, 98.32, None, 55.04, 55.04, None]
    assert "−44 %" in chart.finding or "-44 %" in chart.finding
    assert [trace["name"] for trace in chart.figure["data"]][:3] == [
        "Spot, dearest zone", "Spot, all zones", "Spot, median of zones"
    ]  # fmt: skip
    assert price_chart("x", "y", [], [], date(2026, 11, 29)) is None


OWNED = {
    "instance": "p5.48xlarge", "capital_usd": "350400", "years": "4", "residual_percent": "0",
    "interest_percent": "5", "power_kw": "10", "usd_per_kwh": "0.1", "pue": "1.3",
    "hosting_usd_per_month": "730", "used_percent": "50",
}  # fmt: skip


def test_an_owned_node_is_computed_with_its_trace(client: Client) -> None:
    page = client.get("/catalog/owned", OWNED).content.decode()
    assert "25.3000 USD per node-hour" in page
    assert "(350,400.00 USD bought - 0.00 USD left) / (4 years x 8,760 h x 0.5 in use)" in page
    assert "?instance=p5.48xlarge&amp;usd=25.300000" in page
    assert "alone may draw 5.6 kW" in page
    assert "Save as" not in page
    assert "less than or equal" in client.get("/catalog/owned", OWNED | {"years": "900"}).content.decode()
    answer = client.post("/catalog/owned/keep", OWNED)
    assert answer.status_code == 302 and "/login/" in answer["Location"]


def test_an_owned_nodes_cost_is_kept_as_the_price_of_its_machine(admin_client: Client) -> None:
    assert "Save as the price of p5.48xlarge" in admin_client.get("/catalog/owned", OWNED).content.decode()
    for capital, usd in (("350400", 25.3), ("175200", 14.3)):  # computed anew on the same day
        answer = admin_client.post("/catalog/owned/keep", OWNED | {"capital_usd": capital})
        found = current_catalog().price("p5.48xlarge", "us-east-1", "on_demand")
        assert found is not None and found.usd_per_hour == pytest.approx(usd)
    shown = admin_client.get(answer["Location"]).content.decode()
    assert "How it is made" in shown and "175,200.00 USD bought" in shown and "entered by admin" in shown
    plan = admin_client.get("/plan.json?model=llama-3.1-8b&instance=p5.48xlarge&nodes=1&tokens=1e9").json()
    assert plan["cost"]["price_usd_per_node_hour"] == pytest.approx(14.3)
    assert p5().usd_per_hour == Decimal("55.04")
    wrong = admin_client.post("/catalog/owned/keep", OWNED | {"instance": ""}).content.decode()
    assert "Choose the machine" in wrong


def test_a_clone_fills_the_form_of_a_new_machine(admin_client: Client) -> None:
    page = admin_client.get("/catalog/instances/p5.48xlarge").content.decode()
    address = page.split('href="/admin/planner/instancetype/add/?')[1].split('"')[0].replace("&amp;", "&")
    form = admin_client.get(f"/admin/planner/instancetype/add/?{address}").content.decode()
    assert 'value="3200.0"' in form and 'value="p5"' in form
    assert '<option value="h100-sxm" selected>' in form


def test_the_admin_is_in_the_sites_look_and_regions_are_a_select(admin_client: Client) -> None:
    form = admin_client.get("/admin/planner/price/add/").content.decode()
    assert "catalog/site" in form and "web/tokens" in form
    assert '<option value="us-east-1">us-east-1</option>' in form


def test_metrics_have_the_ages_of_sources_and_prices(client: Client) -> None:
    now = timezone.now()
    RefreshRun.objects.create(source="aws-spot", state="done", started_at=now, heard_at=now, ended_at=now)
    RefreshRun.objects.create(source="gcp-billing", state="failed", started_at=now, heard_at=now)
    text = client.get("/metrics").content.decode()
    assert f'refresh_timestamp_seconds{{source="aws-spot"}} {now.timestamp()}' in text
    assert 'headroom_catalog_source_failures{source="gcp-billing"} 1' in text
    assert 'newest_price_timestamp_seconds{provider="aws"}' in text


def test_a_preview_prices_saved_scenarios_without_naming_private_ones(admin_client: Client) -> None:
    question = next(asked for name, asked in preset_questions(current_catalog()) if "p5.48xlarge" in name)
    for name, visibility in (("Ours", "everyone"), ("Secret", "private")):
        Scenario.objects.create(
            name=name, visibility=visibility, question=question, answer={}, facts={}, constants={}
        )
    made = proposed(27.52)
    page = admin_client.post(
        f"/catalog/changes/{made.pk}/decide", {"change": made.changes.get().pk, "decision": "preview"}
    ).content.decode()
    assert "2 of 2 saved scenarios change, the largest by −50.0 %" in page
    assert "Ours" in page and "Secret" not in page and "A private scenario" in page


def test_facts_and_prices_of_a_page_are_those_of_the_day(client: Client) -> None:
    row = InstanceType.objects.get(slug="p5.48xlarge")
    row.vcpus = 200
    row.save()
    now = client.get("/catalog/instances/p5.48xlarge").content.decode()
    assert "<dt>vCPUs</dt><dd>200</dd>" in now and "98.32" not in now.split("Prices in force")[1]
    then = client.get("/catalog/instances/p5.48xlarge?as_of=2025-05-31").content.decode()
    assert "<dt>vCPUs</dt><dd>192</dd>" in then and "98.32" in then.split("Prices in force")[1]
    assert "as they stood on 2025-05-31" in then
    assert "is no day" in client.get("/catalog/models/llama-3.1-8b?as_of=x").content.decode()
    assert client.get("/catalog/accelerators/h100-sxm?as_of=2025-05-31").status_code == 200
    made = Accelerator.objects.get(slug="h100-sxm")
    made.pk, made.slug = None, "h100-own"
    made._state.adding = True
    made.save()
    page = client.get("/catalog/accelerators/h100-own?as_of=2025-05-31").content.decode()
    assert "the catalog did not have it" in page and "Dense peak rates" not in page
