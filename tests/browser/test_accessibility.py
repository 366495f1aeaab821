"""axe-core finds nothing wrong with the planner's pages, in either theme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")


ADDRESSES = (
    "/", "/?nodes=0&tp=7", "/?model=llama-3.1-70b&nodes=1", "/compare", "/mig",
    "/mig?n=x", "/mig/fit?model=gpt2&task=full_finetuning", "/validation", "/validation?kind=rlhf",
    "/summary", "/glossary", "/login/", "/nowhere",
)  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, live_server: Any, theme: Any) -> None:
    # Only the test's own script is let past the security policy, to run axe inside the page.
    context = browser.new_context(base_url=live_server.url, color_scheme=theme, bypass_csp=True)
    wrong = [fault for address in ADDRESSES for fault in faults(context.new_page(), address)]
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
