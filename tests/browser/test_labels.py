"""Texts of charts and forms never lie on one another, on a desktop and on a phone."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: What people compare most: pretraining small and large, tuning whole and by adapters, a small model, PPO.
COMPARISONS = (
    "/compare",
    "/compare?model=llama-3.1-70b&nodes=64",
    "/compare?task=full_finetuning&tokens=100M&nodes=1&batch=64",
    "/compare?task=lora&tokens=100M&nodes=1&batch=64&spread=nodes",
    "/compare?model=gpt2&nodes=1&tokens=10B&spread=fewest",
    "/compare?task=ppo&tokens=100M&seq=1024&batch=128&nodes=2",
)
PLANS = (
    "/",
    "/?nodes=1",
    "/?nodes=64",
    "/?model=llama-3.1-70b&nodes=1",
    "/?task=lora&tokens=100M&nodes=1&batch=64&instance=g6e.xlarge",
    "/?model=llama-3.2-1b&task=lora&tokens=10M&batch=8&nodes=1&mig=3g.40gb",
)
TEXTS = """
[...document.querySelectorAll(%r)]
  .filter((text) => text.textContent.trim() && getComputedStyle(text).visibility !== "hidden")
  .map((text) => { const box = text.getBoundingClientRect();
    return { words: text.textContent, left: box.left, right: box.right, top: box.top, bottom: box.bottom }; })
  .filter((box) => box.right > box.left)
"""
PLACED = "[...document.querySelectorAll('[data-chart-canvas]')].every((canvas) => 'placed' in canvas.dataset)"
#: Boxes of text have room above and below their letters.
LEEWAY = 3.0


def overlapping(page: Page, selector: str) -> list[tuple[str, str]]:
    boxes = page.evaluate(TEXTS % selector)
    return [
        (one["words"], other["words"])
        for one, other in combinations(boxes, 2)
        if min(one["right"], other["right"]) - max(one["left"], other["left"]) > LEEWAY
        and min(one["bottom"], other["bottom"]) - max(one["top"], other["top"]) > LEEWAY
    ]


#: Each address on both screens; of those that look alike `make test` draws one screen each.
CASES = [
    pytest.param(address, width, marks=[pytest.mark.slow] * ((index + (width == 375)) % 2))
    for index, address in enumerate([*COMPARISONS, *PLANS])
    for width in (1440, 375)
]


@pytest.mark.parametrize(("address", "width"), CASES)
def test_no_label_lies_on_another(browser: Browser, live_server: Any, address: str, width: int) -> None:
    context = browser.new_context(base_url=live_server.url, viewport={"width": width, "height": 6000})
    page = context.new_page()
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.locator(".main-svg .xtick text").first.wait_for(state="attached")
    page.wait_for_function(PLACED)
    wrong = [
        (chart.get_attribute("id"), *pair)
        for chart in page.locator("figure.chart").all()
        for pair in overlapping(page, f"#{chart.get_attribute('id')} .main-svg text")
    ]
    context.close()
    assert wrong == []


@pytest.mark.parametrize(("width", "scale"), [(1440, 1), (1280, 1), (720, 2), (375, 1)])
def test_no_label_of_the_form_wraps_or_lies_on_another(
    browser: Browser, live_server: Any, width: int, scale: int
) -> None:
    context = browser.new_context(
        base_url=live_server.url, viewport={"width": width, "height": 900}, device_scale_factor=scale
    )
    page = context.new_page()
    page.goto("/?task=lora&tokens=100M&nodes=1&batch=64&instance=g6e.xlarge")
    page.evaluate("document.querySelectorAll('#scenario .fold').forEach((part) => { part.open = true; })")
    assert overlapping(page, "#scenario .field-head label, #scenario .field-head summary") == []
    heights = page.evaluate(
        "[...document.querySelectorAll('#scenario .field-head')].map((head) => "
        "[head.textContent.trim().slice(0, 20), head.getBoundingClientRect().height])"
    )
    context.close()
    assert [head for head in heights if head[1] > 32] == []
