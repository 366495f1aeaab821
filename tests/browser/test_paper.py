"""What is printed, and what is copied: charts drawn for the sheet, a link that keeps the day."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SHEET_PX = 700
WIDTHS = "charts => charts.map(chart => chart.getBoundingClientRect().width)"


def test_charts_are_drawn_for_the_sheet_and_again_for_the_screen(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto("/")
    expect(page.locator("#chart-memory .main-svg").first).to_be_attached()
    on_screen = page.locator("#chart-memory .main-svg").first.evaluate("svg => svg.clientWidth")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    charts = page.locator("figure[data-chart] .main-svg:first-child")
    expect(charts).to_have_count(4)
    for width in page.locator("figure[data-chart]").evaluate_all(WIDTHS):
        assert 0 < width <= SHEET_PX
    for width in charts.evaluate_all(WIDTHS):
        assert 500 < width <= SHEET_PX
    # Ink is dark on paper, also where the screen is dark.
    ink = page.locator(".xtick text").first.evaluate("text => getComputedStyle(text).fill")
    assert ink == "rgb(82, 96, 103)"
    expect(page.locator(".title-block")).to_be_visible()
    expect(page.locator(".title-block .address")).to_contain_text("as_of=")
    expect(page.locator("#scenario")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    page.emulate_media(media="screen", color_scheme="dark")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    expect(page.locator(".title-block")).to_be_hidden()
    again = page.locator("#chart-memory .main-svg").first.evaluate("svg => svg.clientWidth")
    assert again == on_screen


def test_the_link_that_is_copied_keeps_the_day_and_the_other_does_not(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/?model=llama-2-7b&nodes=4")
    page.get_by_role("link", name="Copy link").click()
    kept = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"\?model=llama-2-7b&nodes=4&price_on=.*&as_of=.*&constants=.*&was=", kept)
    page.get_by_role("link", name="copy a live link").click()
    live = page.evaluate("navigator.clipboard.readText()")
    assert live.endswith("/?model=llama-2-7b&nodes=4")

    page.goto(kept)
    expect(page.get_by_text("The constants are the same as then")).to_be_visible()
    page.get_by_role("link", name="The live plan").click()
    expect(page).to_have_url(live)


def test_the_summary_is_one_sheet(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Summary to sign").click()
    expect(page.get_by_text("Signature")).to_be_visible()
    sheets = page.pdf(format="A4", prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", sheets)) == 1
