"""A reader who doubts: looks at the points, chooses a source, sorts, and takes the figures along."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_points_choices_order_and_figures(page: Page) -> None:
    page.goto("/validation")
    expect(page.locator("#chart-bills .scatterlayer .point").nth(5)).to_be_attached()
    page.locator("#chart-memories").scroll_into_view_if_needed()
    expect(page.locator("#chart-times .scatterlayer .point").nth(400)).to_be_attached()
    expect(page.locator("#chart-memories .scatterlayer .point").nth(200)).to_be_attached()

    page.get_by_label("Source", exact=True).select_option("dgxc-benchmarking")
    page.get_by_label("A line for each").select_option("run")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("source=dgxc-benchmarking"))
    expect(page.get_by_role("heading", name="published figures chosen, one by one")).to_be_visible()
    expect(page.locator("#chart-memories")).to_have_count(0)

    page.locator("#runs").get_by_role("link", name="Error, source left out").press("Enter")
    expect(page.locator("#runs th[aria-sort=descending]")).to_have_text("Error, source left out")
    expect(page).to_have_url(re.compile("source=dgxc-benchmarking"))

    with page.expect_download() as taken:
        page.get_by_role("link", name="CSV").click()
    assert taken.value.suggested_filename == "validation.csv"
