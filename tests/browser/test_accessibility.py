"""axe-core finds nothing wrong with the planner's pages, in either theme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")


ALWAYS = ("/?model=llama-3.1-70b&nodes=1", "/compare", "/mig", "/login/")
WHEN_THOROUGH = (
    "/", "/?nodes=0&tp=7", "/mig?n=x", "/mig/fit?model=gpt2&task=full_finetuning", "/validation",
    "/validation?kind=rlhf", "/summary", "/glossary", "/nowhere",
)  # fmt: skip
CASES = [
    pytest.param(address, theme, marks=[pytest.mark.slow] * (theme == "dark" or address in WHEN_THOROUGH))
    for address in ALWAYS + WHEN_THOROUGH
    for theme in ("light", "dark")
]


@pytest.mark.parametrize(("address", "theme"), CASES)
def test_axe_finds_nothing(browser: Browser, live_server: Any, address: str, theme: Any) -> None:
    # Only the test's own script is let past the security policy, to run axe inside the page.
    context = browser.new_context(base_url=live_server.url, color_scheme=theme, bypass_csp=True)
    wrong = faults(context.new_page(), address)
    context.close()
    assert wrong == []


def faults(page: Page, address: str) -> list[str]:
    """What axe has against one page with all its folds open."""
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.evaluate("document.querySelectorAll('main details').forEach(part => { part.open = true; })")
    page.add_script_tag(content=AXE)
    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})")
    page.close()
    return [
        f"{address} {rule['id']}: {node['html'][:160]}"
        for rule in found["violations"]
        for node in rule["nodes"][:3]
    ]
