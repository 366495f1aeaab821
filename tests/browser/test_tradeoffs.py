"""The trade-offs page in a browser: sliders that answer at once, marks that lead to plans, narrow screens."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import watched

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SMALL = "/tradeoffs?families=p5&families=p4d&least_nodes=4&most_nodes=16&tokens=10B&nodes=4"
MOVE = """() => {
  const slider = document.getElementById("slide-time"), began = performance.now();
  slider.value = 200;
  slider.dispatchEvent(new Event("input", {bubbles: true}));
  slider.dispatchEvent(new Event("change", {bubbles: true}));
  return performance.now() - began;
}"""


def test_a_slider_answers_at_once_and_the_address_keeps_it(page: Page) -> None:
    page.goto(SMALL)
    page.locator("#chart-front .main-svg").first.wait_for()
    # Beside other tests any one move may be late, but not all of them.
    assert min(page.evaluate(MOVE) for _ in range(4)) < 100
    expect(page.locator("#goal-sentence")).to_contain_text("within")
    expect(page).to_have_url(re.compile("deadline="))
    # The order's chances are asked for anew; the mark shows that they came.
    page.evaluate("document.getElementById('sure').dataset.old = 'yes'")
    page.evaluate(MOVE)
    expect(page.locator("#sure:not([data-old])")).to_contain_text("How sure is the order?")


def test_a_mark_leads_to_its_plan(page: Page) -> None:
    page.goto(SMALL)
    page.locator("#chart-front .main-svg").first.wait_for()
    page.locator("#chart-front-canvas").hover()
    page.evaluate("""() => {
      const canvas = document.getElementById("chart-front-canvas");
      const trace = canvas.data.find((each) => each.name === "on the front");
      const hit = {customdata: trace.customdata[0], hovertext: trace.hovertext[0]};
      canvas.emit("plotly_click", {points: [hit]});
    }""")
    expect(page.locator("#picked a")).to_have_attribute("href", re.compile(r"^/\?"))


@pytest.mark.parametrize("address", [SMALL, "/scenarios", "/report?" + SMALL.partition("?")[2]])
def test_a_phone_needs_no_sideways_scrolling(
    browser: Browser, live_server: Any, complaints: list[str], address: str
) -> None:
    context = browser.new_context(
        base_url=live_server.url, viewport={"width": 375, "height": 812}, color_scheme="dark"
    )
    page = watched(context.new_page(), complaints)
    page.goto(address)
    page.wait_for_load_state("networkidle")
    width = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert width == 375
    assert complaints == []


def test_the_page_works_without_javascript(browser: Browser, live_server: Any) -> None:
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto(SMALL)
    page.get_by_label("Deadline, days").fill("100")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#goal-sentence")).to_contain_text("within 100 days")
    expect(page.locator("[data-sliders]")).to_be_hidden()
    context.close()
