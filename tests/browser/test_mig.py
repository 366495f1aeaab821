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
    place.focus()
    page.keyboard.press("ArrowDown")
    expect(place).to_have_value("1g.5gb@6")  # a choice alone asks nothing, so that it is not lost
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"1g\.5gb%406"))
    page.get_by_role("button", name="3g.20gb at 0 is in use").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="3g.20gb at 0 is in use")).to_have_attribute(
        "aria-pressed", "false"
    )
    page.get_by_role("button", name="Remove 1g.5gb at 6").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#place-0")).to_be_focused()
    assert page.evaluate("document.body.dataset.sameDocument") == "yes"
    page.go_back()
    expect(page.get_by_role("button", name="Remove 1g.5gb at 6")).to_be_visible()


def test_a_demand_is_added_filled_in_and_planned(page: Page) -> None:
    page.goto("/mig")
    page.get_by_role("button", name="Add a demand").click()
    expect(page.locator("#want-3")).to_be_focused()
    page.keyboard.type("4g.20gb")
    page.keyboard.press("Tab")
    page.keyboard.type("7")
    page.keyboard.press("Tab")
    page.keyboard.type("typed meanwhile")
    page.keyboard.press("Tab")
    expect(page.locator("#mig-verdict")).to_contain_text("6 of 13 instances")
    expect(page.locator("#label-3")).to_have_value("typed meanwhile")
    page.get_by_role("link", name="Apply: Add").first.click()
    expect(page.locator("#mig-verdict")).to_contain_text("All 13 instances have a place")


def test_what_is_wrong_stands_beside_its_field_after_a_swap(page: Page, complaints: list[str]) -> None:
    page.goto("/mig")
    page.get_by_label("Present instances on each, as text").fill("3g.20gb@1")
    page.keyboard.press("Tab")
    expect(page.locator("#wrong-on-0")).to_contain_text("starts at 0 or 4")
    expect(page.locator("#on-0")).to_have_value("3g.20gb@1")
    page.get_by_role("link", name="GPUs, row 1, Present instances").click()
    expect(page.locator("#on-0")).to_be_focused()
    complaints.clear()  # the browser notes the refused request


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
