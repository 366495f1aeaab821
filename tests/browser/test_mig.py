"""The partitions page in a real browser: edited by select and keyboard, swapped, whole on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_edits_by_keyboard_swap_the_page_and_move_the_address(page: Page) -> None:
    page.goto("/mig")
    page.evaluate("document.body.dataset.sameDocument = 'yes'")
    place = page.get_by_label("Place of the instance to make").first
    place.select_option("1g.5gb@4")
    page.get_by_role("button", name="Put it there").first.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"1g\.5gb%404"))
    expect(page.get_by_role("button", name="Remove 1g.5gb at 4")).to_be_visible()
    page.get_by_role("button", name="3g.20gb at 0 is in use").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="3g.20gb at 0 is in use")).to_have_attribute(
        "aria-pressed", "false"
    )
    assert page.evaluate("document.body.dataset.sameDocument") == "yes"
    page.go_back()
    expect(page.get_by_role("button", name="3g.20gb at 0 is in use")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_a_changed_demand_is_planned_at_once(page: Page) -> None:
    page.goto("/mig")
    expect(page.locator("#mig-verdict")).to_contain_text("All 6 instances")
    page.get_by_label("Number").last.fill("4")
    page.keyboard.press("Tab")
    expect(page.locator("#mig-verdict")).to_contain_text("7 instances")


def test_slices_are_as_wide_as_they_are_many(page: Page) -> None:
    page.goto("/mig")
    widths = page.evaluate(
        """() => {
          const of = (css) => document.querySelector(css).getBoundingClientRect().width;
          return [of('#present .slice.span-4'), of('#present .slice.span-1'), of('#present .slices')];
        }"""
    )
    assert widths[0] == pytest.approx(4 * widths[1], rel=0.06)
    assert widths[2] == pytest.approx(8 * widths[1], rel=0.12)


@pytest.mark.parametrize("width", [375, 1440])
def test_nothing_sticks_out(browser: Browser, live_server: object, width: int) -> None:
    context = browser.new_context(
        base_url=live_server.url,
        viewport={"width": width, "height": 800},  # type: ignore[attr-defined]
    )
    for path in ("/mig", "/mig/fit?model=gpt2&task=full_finetuning"):
        page = context.new_page()
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_it_works_without_scripts(browser: Browser, live_server: object) -> None:
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)  # type: ignore[attr-defined]
    page = context.new_page()
    page.goto("/mig")
    page.get_by_role("button", name="Remove 1g.5gb at 5").first.click()
    expect(page.get_by_role("button", name="Remove 1g.5gb at 5")).to_have_count(0)
    page.get_by_role("button", name="Plan", exact=True).click()
    expect(page.locator("#mig-verdict")).to_contain_text("instances have a place")
    context.close()
