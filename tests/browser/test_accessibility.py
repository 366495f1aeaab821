"""axe-core finds nothing wrong with the planner's pages, in either theme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("address", ["/", "/?nodes=0&tp=7", "/?model=llama-3.1-70b&nodes=1", "/compare", "/validation", "/glossary", "/login/"])
def test_axe_finds_nothing(browser: Browser, live_server: Any, address: str, theme: Any) -> None:
    # Only the test's own script is let past the security policy, to run axe inside the page.
    context = browser.new_context(base_url=live_server.url, color_scheme=theme, bypass_csp=True)
    page = context.new_page()
    page.goto(address)
    page.wait_for_load_state("networkidle")
    for summary in page.locator("main details > summary").all():
        summary.evaluate("node => { node.parentElement.open = true; }")
    page.add_script_tag(content=AXE)
    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})")
    context.close()
    wrong = [f"{rule['id']}: {node['html'][:160]}" for rule in found["violations"] for node in rule["nodes"][:3]]
    assert wrong == []
