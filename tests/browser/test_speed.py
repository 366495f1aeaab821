"""The planning page answers at once: each chart is drawn once a change, and keys are never kept waiting."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Counts Plotly's draws and htmx's swaps.
COUNTERS = """
window.seen = { draws: 0, settles: 0 };
document.addEventListener("DOMContentLoaded", () => {
  const react = Plotly.react;
  Plotly.react = (...given) => { seen.draws += 1; return react(...given); };
  document.addEventListener("htmx:afterSettle", () => { seen.settles += 1; });
});
"""
# What one change may take of a processor in the page: until the verdict stands, and in the longest task. With
# the share of the server (tests/plans/test_page.py) and the pause after a key it is an answer within 300 ms.
# Counted in processor time: seconds on the clock tell of whatever else runs. An old machine is allowed for.
VERDICT_MS, TASK_MS = 100.0, 100.0
ALLOWANCE = 3.0
MARK = """
new MutationObserver(() => {
  const words = document.querySelector("[data-announce]")?.textContent;
  if (words && words !== window.said) { window.said = words; performance.mark("verdict"); }
}).observe(document, { subtree: true, childList: true });
"""


@dataclass(frozen=True)
class Work:
    """Milliseconds of processor time: until the verdict, and of the longest task, on the main thread."""

    verdict_ms: float
    task_ms: float


def change(page: Page, nodes: int) -> None:
    """Type another number of nodes and see its verdict."""
    field = page.get_by_label("Nodes", exact=True)
    field.select_text()
    field.press_sequentially(str(nodes))
    expect(page.locator("h1")).to_contain_text(f"on {nodes} ×")


def work_of_a_change(browser: Browser, page: Page, nodes: int) -> Work:
    """What it takes to answer another number of nodes, the charts in sight drawn anew."""
    categories = ["disabled-by-default-devtools.timeline", "blink.user_timing"]
    browser.start_tracing(page=page, categories=categories)
    change(page, nodes)
    page.wait_for_timeout(500)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    (mark,) = (event for event in events if event["name"] == "verdict")
    tasks = [
        (event["ts"], event.get("tdur", 0) / 1e3)
        for event in events
        if event["name"] == "RunTask" and (event["pid"], event["tid"]) == (mark["pid"], mark["tid"])
    ]
    until = sum(ms for began, ms in tasks if began <= mark["ts"])
    return Work(until, max(ms for _, ms in tasks))


class TestSpeed:
    def test_a_change_draws_each_chart_at_most_once(self, page: Page) -> None:
        page.add_init_script(COUNTERS)
        page.goto("/")
        expect(page.locator("#chart-time").first).to_be_attached()
        expect(page.locator("#chart-memory .main-svg").first).to_be_visible()
        page.wait_for_timeout(500)
        page.evaluate("seen.draws = 0; seen.settles = 0")
        change(page, 8)
        page.wait_for_timeout(500)
        assert page.evaluate("seen.draws") <= page.locator("figure[data-chart]").count()
        assert page.evaluate("seen.settles") <= 6

    def test_the_verdict_follows_the_key(self, browser: Browser, page: Page) -> None:
        page.add_init_script(MARK)
        page.goto("/")
        expect(page.locator("#chart-memory .main-svg").first).to_be_visible()
        page.wait_for_timeout(500)
        found = [work_of_a_change(browser, page, nodes) for nodes in (8, 4, 6)]
        print(found)  # noqa: T201
        assert min(each.verdict_ms for each in found) < VERDICT_MS * ALLOWANCE
        assert min(each.task_ms for each in found) < TASK_MS * ALLOWANCE

    def test_half_a_number_is_no_mistake(self, page: Page, complaints: list[str]) -> None:
        page.goto("/")
        field = page.get_by_label("Training data")
        field.fill("2e")
        page.wait_for_timeout(600)
        expect(page.locator("#error-tokens")).to_be_empty()
        field.blur()
        expect(page.locator("#error-tokens")).not_to_be_empty()
        complaints[:] = [said for said in complaints if "422" not in said]
