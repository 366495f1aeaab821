"""An editor's five tasks in a real browser, counted in clicks and fields that have to be filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from planner.catalog.changes import services
from planner.catalog.changes.models import ChangeSet
from planner.catalog.changes.observed import Observed
from planner.catalog.facts.loader import load_shipped_catalog
from planner.catalog.models import InstanceType, Price
from planner.catalog.services import load_catalog
from tests.browser.conftest import watched

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")
AXE_RUN = """axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})
    .then(found => found.violations)"""
MACHINE = "/catalog/instances/p5.48xlarge"


class Editor:
    """Somebody who is logged in, with a count of what they do."""

    def __init__(self, page: Page) -> None:
        self.page, self.clicks, self.fields = page, 0, 0

    def click(self, target: Locator) -> None:
        target.click()
        self.clicks += 1

    def fill(self, label: str, value: str) -> None:
        self.page.get_by_label(label, exact=True).fill(value)
        self.fields += 1

    @property
    def effort(self) -> tuple[int, int]:
        return self.clicks, self.fields


@pytest.fixture
def editor(page: Page, live_server: Any, client: Any) -> Editor:
    load_catalog(load_shipped_catalog())
    client.force_login(User.objects.create_superuser("ada"))
    session = client.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    return Editor(page)


def price(**changes: Any) -> Price:
    given = {"region": "us-east-1", "purchase": "on_demand", "valid_to": None, "withdrawn": False}
    return Price.objects.get(instance_type="p5.48xlarge", **given | changes)


def proposed(usd: float) -> None:
    today = timezone.localdate()
    key = {"instance_type_id": "p5.48xlarge", "region": "us-east-1", "purchase": "on_demand",
           "payment_option": ""}  # fmt: skip
    services.propose(
        [Observed(table="price", key=key, values={"usd_per_hour": usd, "valid_from": today}, source="list",
                  as_of=today, confidence=1.0)],
        source="aws-prices", title="AWS price list", now=timezone.now(),
    )  # fmt: skip


def test_a_new_price_from_this_one(editor: Editor) -> None:
    page = editor.page
    page.goto(MACHINE)
    editor.click(page.get_by_role("link", name="55.04", exact=True).first)
    editor.click(page.get_by_role("link", name="New price from this one"))
    editor.fill("USD per hour", "50.5")
    editor.fill("Who says so", "the seller's letter")
    editor.click(page.get_by_role("button", name="Save"))
    expect(page.get_by_role("heading", name="50.50 USD an hour")).to_be_visible()
    assert price().source == "the seller's letter"
    assert editor.effort == (3, 2)


def test_a_negotiated_rate(editor: Editor) -> None:
    page = editor.page
    page.goto(MACHINE)
    editor.click(page.get_by_role("link", name="55.04", exact=True).first)
    editor.click(page.get_by_role("link", name="New price from this one"))
    editor.fill("USD per hour", "40")
    editor.click(page.get_by_label("Negotiated", exact=False))
    editor.click(page.get_by_role("button", name="Save"))
    expect(page.locator("main")).to_contain_text("negotiated")
    assert price(negotiated=True).usd_per_hour == 40
    assert price(negotiated=False).usd_per_hour == price(negotiated=False).usd_per_hour
    assert editor.effort == (4, 1)


def test_a_clone_of_a_machine(editor: Editor) -> None:
    page = editor.page
    page.goto(MACHINE)
    editor.click(page.get_by_role("link", name="Clone"))
    editor.fill("Slug:", "p5.96xlarge")
    editor.click(page.get_by_role("button", name="Save", exact=True).first)
    expect(page.locator(".success")).to_contain_text("p5.96xlarge")
    made = InstanceType.objects.get(slug="p5.96xlarge")
    assert (made.accelerators_per_node, made.source) == (8, "As p5.48xlarge")
    assert editor.effort == (2, 1)


def test_a_change_set_with_its_effect_shown_before(editor: Editor) -> None:
    proposed(50.0)
    page = editor.page
    page.goto("/catalog/")
    editor.click(page.get_by_role("link", name="Changes"))
    editor.click(page.get_by_role("link", name="AWS price list"))
    expect(page.locator("#effect")).to_contain_text("presets' plans change, the largest by −9.2 %")
    editor.click(page.get_by_role("button", name="Accept all 1 that are not flagged"))
    expect(page.locator("main")).to_contain_text("accepted")
    assert price().usd_per_hour == 50
    assert editor.effort == (3, 0)


def test_an_import(editor: Editor, tmp_path: Path) -> None:
    today = timezone.localdate().isoformat()
    file = tmp_path / "prices.csv"
    file.write_text(
        "instance_type,region,purchase,usd_per_hour,valid_from,source,as_of\n"
        f"p5.48xlarge,eu-west-9,on_demand,61.5,{today},a list,{today}\n"
    )
    page = editor.page
    page.goto("/catalog/prices")
    editor.click(page.get_by_role("link", name="Import"))
    page.locator("input[type=file]").set_input_files(file)
    editor.fields += 1
    editor.click(page.locator("input[type=submit]"))
    expect(page.locator("#content")).to_contain_text("eu-west-9")
    assert not Price.objects.filter(region="eu-west-9").exists()  # so far a dry run
    editor.click(page.get_by_role("button", name="Confirm import"))
    expect(page.locator(".success")).to_be_visible()
    assert Price.objects.get(region="eu-west-9").usd_per_hour == 61.5
    assert editor.effort == (3, 1)


PAGES = (
    "/catalog/", "/catalog/prices?accelerator=h100-sxm", "/catalog/prices/{price}",
    "/catalog/prices/{price}/new",
    MACHINE, f"{MACHINE}?as_of=2025-05-31", "/catalog/accelerators/h100-sxm", "/catalog/models/llama-3.1-8b",
    "/catalog/changes", "/catalog/changes/{set}",
    "/catalog/owned?instance=p5.48xlarge&capital_usd=3e5&years=4&residual_percent=0&interest_percent=5&power_kw=10"
    "&usd_per_kwh=0.1&pue=1.3&hosting_usd_per_month=730&used_percent=50",
)  # fmt: skip
OF_ADMIN = (
    "/admin/planner/price/", "/admin/planner/price/{price}/change/", "/admin/planner/price/import/",
    "/admin/planner/price/export/", "/admin/planner/instancetype/add/",
)  # fmt: skip


def test_pages_in_both_themes_on_a_phone_and_for_axe(
    editor: Editor, browser: Any, live_server: Any, complaints: list[str]
) -> None:
    """No page is wider than its window, axe finds nothing on the site's own, the browser has no complaint."""
    proposed(6.0)
    keys = {"price": price().pk, "set": ChangeSet.objects.get().pk}
    cookies = editor.page.context.cookies()
    wrong = []
    for theme, width in (("light", 375), ("dark", 1440)):
        context = browser.new_context(
            base_url=live_server.url,
            color_scheme=theme,
            viewport={"width": width, "height": 800},
            bypass_csp=True,
        )
        context.add_cookies(cookies)
        page = watched(context.new_page(), complaints)
        for address in (each.format(**keys) for each in PAGES + OF_ADMIN):
            page.goto(address)
            page.wait_for_load_state("networkidle")
            if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
                wrong.append(f"{address} is {wide} px wide of {width}")
            if not address.startswith("/admin"):
                page.evaluate(
                    "document.querySelectorAll('main details').forEach(part => { part.open = true; })"
                )
                page.add_script_tag(content=AXE)
                found = page.evaluate(AXE_RUN)
                wrong += [
                    f"{theme} {address} {each['id']}: {each['nodes'][0]['html'][:160]}" for each in found
                ]
        context.close()
    assert wrong == []


def test_a_price_is_entered_by_keyboard_alone(editor: Editor) -> None:
    page = editor.page
    page.goto(f"/catalog/prices/{price().pk}/new")
    page.get_by_label("USD per hour", exact=True).focus()
    page.keyboard.type("51")
    for _ in range(12):  # the day's parts, the source, the tick
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Save":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="51.00 USD an hour")).to_be_visible()
