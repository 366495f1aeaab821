"""A page in Chromium that notes every complaint of the browser: console errors, faults, blocked content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

QUIET = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

# A loaded machine is slow, not wrong.
PATIENCE_MS = 20_000
ABANDONED = ("htmx:afterRequest", "htmx:sendAbort")
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The project's Chromium, without anything that talks to the network."""
    return browser_type_launch_args | {"args": [*browser_type_launch_args["args"], *QUIET]}


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of; a test's own unsound requests may add to it."""
    return []


def watched(page: Page, complaints: list[str]) -> Page:
    page.set_default_timeout(PATIENCE_MS)

    def note(message: ConsoleMessage) -> None:
        # A request that a newer one replaced is no fault; htmx says so where the server is slow.
        if message.type in ("error", "warning") and not message.text.startswith(ABANDONED):
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda fault: complaints.append(str(fault)))
    return page


@pytest.fixture
def page(browser: Browser, live_server: Any, complaints: list[str]) -> Iterator[Page]:
    """A desktop page of the running server; a complaint of the browser fails the test that made it."""
    context = browser.new_context(base_url=live_server.url, viewport={"width": 1440, "height": 900})
    yield watched(context.new_page(), complaints)
    context.close()
    assert complaints == []
