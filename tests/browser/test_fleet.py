"""The fleet in a real browser: figures renew themselves, filters live in the address, nothing is blocked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from inventory.store import services
from inventory.store.models import Host
from inventory.wire.snapshot import Gpu
from tests.inventory.builders import gpu, mig_instance, snapshot

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
AXE = Path(__file__).with_name("axe") / "axe.min.js"


def heard(name: str, *gpus: Gpu, minutes_ago: float = 0.1, **more: Any) -> None:
    """A host was heard of."""
    host, _ = Host.objects.get_or_create(name=name)
    when = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    services.record_snapshot(
        services.Taken(uuid4(), host.pk, snapshot(*gpus, name=name, when=when, **more), when, "worker"),
        now=when,
    )


@pytest.fixture
def fleet() -> None:
    from inventory.wire.snapshot import Mig

    for minutes in (50, 40, 30, 20, 10):
        heard(
            "alpha", gpu(0, "GPU-a", busy=minutes), gpu(1, "GPU-b", busy=0, used_gib=0), minutes_ago=minutes
        )
    cut = Mig(True, True, (mig_instance(1, "3g.20gb", 4, 4), mig_instance(9, "1g.5gb", 0, 1)))
    heard("beta", gpu(0, "GPU-c", mig=cut))
    heard("gamma", status="driver_mismatch", reason="Reboot it.")


@pytest.mark.usefixtures("fleet")
def test_figures_renew_themselves_without_a_reload(page: Page) -> None:
    page.clock.install()
    page.goto("/fleet/")
    expect(page.locator(".verdict-line")).to_contain_text("3 GPUs in 3 hosts")
    page.evaluate("document.body.dataset.sameDocument = 'yes'")
    page.get_by_role("link", name="alpha", exact=True).focus()
    heard("delta", gpu(0, "GPU-d", busy=77))
    page.clock.fast_forward(16_000)
    expect(page.locator(".verdict-line")).to_contain_text("4 GPUs in 4 hosts")
    expect(page.get_by_role("link", name="delta", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="alpha", exact=True)).to_be_focused()
    assert page.evaluate("document.body.dataset.sameDocument") == "yes"


@pytest.mark.usefixtures("fleet")
def test_filters_go_to_the_address_and_come_back_from_it(page: Page) -> None:
    page.goto("/fleet/")
    page.get_by_label("Show").select_option("attention")
    expect(page.get_by_role("link", name="beta", exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="gamma", exact=True)).to_be_visible()
    assert "show=attention" in page.url
    page.reload()
    expect(page.get_by_label("Show")).to_have_value("attention")
    expect(page.get_by_role("link", name="beta", exact=True)).to_have_count(0)


@pytest.mark.usefixtures("fleet")
def test_from_the_fleet_to_a_gpu_with_the_keyboard(page: Page) -> None:
    page.goto("/fleet/")
    page.keyboard.press("/")
    page.keyboard.type("alpha")
    expect(page.get_by_role("link", name="gamma", exact=True)).to_have_count(0)
    page.get_by_role("link", name="alpha", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("alpha")
    page.get_by_role("link", name="GPU 0", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#chart-utilization-canvas svg").first).to_be_visible()
    expect(page.locator("#chart-utilization")).to_contain_text("Mean 30.0 %, between 10.0 and 50.0.")


@pytest.mark.usefixtures("fleet")
def test_what_could_be_trained_comes_by_itself(page: Page) -> None:
    page.goto("/fleet/hosts/beta")
    expect(page.get_by_text("GPU 0: 3g.20gb, memory slices 4 to 7")).to_be_visible()
    expect(page.get_by_role("rowheader", name="llama-3.1-8b", exact=True)).to_be_visible()


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "path",
    [
        "/fleet/",
        "/fleet/hosts/alpha",
        "/fleet/hosts/beta",
        "/fleet/gpus/GPU-a",
        "/fleet/events",
        "/fleet/then",
        "/fleet/run",
    ],
)
def test_accessible_and_within_a_phones_width(
    browser: Browser, live_server: Any, path: str, scheme: Any
) -> None:
    context = browser.new_context(
        base_url=live_server.url, viewport={"width": 375, "height": 800}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    context.close()
    assert [(v["id"], [n["html"][:160] for n in v["nodes"]]) for v in found["violations"]] == []
