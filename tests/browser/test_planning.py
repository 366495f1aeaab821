"""A person plans a run: the verdict is there, changes with the nodes, and can be shared."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import watched

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def drawn(page: Page, slug: str) -> None:
    expect(page.locator(f"#{slug} .main-svg").first).to_be_visible()


class TestPlan:
    def test_plan_a_run_and_change_the_nodes(self, page: Page) -> None:
        page.goto("/")
        verdict = page.get_by_role("heading", level=1)
        expect(verdict).to_contain_text("Llama 3.1 8B on 16 × p5.48xlarge: fits with")
        before = verdict.inner_text()
        page.get_by_label("Nodes", exact=True).fill("8")
        expect(verdict).to_contain_text("on 8 × p5.48xlarge: fits with")
        assert verdict.inner_text() != before
        expect(page).to_have_url(re.compile(r"\?nodes=8$"))
        expect(page.locator("#live")).to_contain_text("on 8 × p5.48xlarge")
        expect(page).to_have_title("Llama 3.1 8B on 8 × p5.48xlarge | Headroom")

    def test_every_chart_is_drawn_and_drawn_anew(self, page: Page) -> None:
        page.goto("/")
        for slug in ("chart-memory", "chart-step", "chart-time", "chart-cost"):
            drawn(page, slug)
        mark = page.locator("#chart-time .textpoint text")
        before = mark.text_content() or ""
        page.get_by_label("Nodes", exact=True).fill("4")
        expect(page.locator("h1")).to_contain_text("on 4 ×")
        expect(mark).not_to_have_text(before)
        assert page.locator("#chart-time .main-svg").count() == page.locator("#chart-cost .main-svg").count()

    def test_a_shared_link_opens_the_same_plan(self, page: Page) -> None:
        page.goto("/?model=mistral-7b&nodes=4&tokens=300B")
        expect(page.locator("h1")).to_contain_text("on 4 × p5.48xlarge")
        expect(page.get_by_label("Training data")).to_have_value("300B")

    def test_back_returns_to_the_last_plan(self, page: Page) -> None:
        page.goto("/")
        page.get_by_label("Nodes", exact=True).fill("8")
        expect(page).to_have_url(re.compile("nodes=8"))
        page.go_back()
        expect(page.locator("h1")).to_contain_text("on 16 ×")
        expect(page.get_by_label("Nodes", exact=True)).to_have_value("16")

    def test_a_preset_fills_the_form(self, page: Page) -> None:
        page.goto("/")
        expect(page.get_by_label("LoRA rank", exact=True)).to_be_hidden()
        page.get_by_role("button", name="LoRA", exact=True).click()
        expect(page.get_by_label("LoRA rank", exact=True)).to_be_visible()
        expect(page.get_by_label("Epochs", exact=True)).to_have_value("3")
        expect(page).to_have_url(re.compile("task=lora"))

    def test_pick_a_machine(self, page: Page) -> None:
        page.goto("/")
        page.get_by_label("Instance type").click()
        page.keyboard.type("a2 a100 80gb")
        expect(page.get_by_role("listbox").get_by_role("option").first).to_contain_text("a2-ultragpu")
        page.get_by_role("listbox").get_by_role("option", name="a2-ultragpu-8g").click()
        expect(page.locator("h1")).to_contain_text("on 16 × a2-ultragpu-8g")
        expect(page.locator("#machine-card")).to_contain_text("us-central1")
        expect(page.get_by_role("listbox")).to_have_count(0)

    def test_why_opens_the_trace_down_to_the_leaves(self, page: Page) -> None:
        page.goto("/")
        page.get_by_role("link", name="Why: Cost").click()
        trace = page.get_by_role("complementary", name="Cost")
        expect(trace).to_be_visible()
        expect(trace).to_contain_text("16 nodes x")
        trace.get_by_text("Time of the run").click()
        expect(trace.get_by_text("Time of a step")).to_be_visible()

    def test_the_nearest_change_that_fits(self, page: Page) -> None:
        page.goto("/?model=llama-3.1-70b&nodes=1")
        expect(page.locator("h1")).to_contain_text("does not fit")
        page.get_by_role("link", name=re.compile("^Apply")).first.click()
        expect(page.locator("h1")).to_contain_text(": fits with")

    def test_the_dark_theme_reaches_the_charts_and_lasts(self, page: Page) -> None:
        page.goto("/")
        drawn(page, "chart-step")
        surface = "getComputedStyle(document.querySelector('.card')).backgroundColor"
        light = page.evaluate(surface)
        label = "document.querySelector('#chart-step .xtick text').style.fill"
        before = page.evaluate(label)
        switch = page.get_by_role("button", name="Dark")
        expect(switch).to_have_attribute("aria-pressed", "false")
        switch.click()
        expect(switch).to_have_attribute("aria-pressed", "true")
        assert page.evaluate(surface) != light
        assert page.evaluate(label) != before
        page.reload()
        expect(switch).to_have_attribute("aria-pressed", "true")


class TestMistakes:
    def test_a_mistake_is_told_beside_its_field_and_the_last_answer_stays(
        self, page: Page, complaints: list[str]
    ) -> None:
        page.goto("/")
        nodes = page.get_by_label("Nodes", exact=True)
        nodes.fill("-2")
        nodes.blur()
        expect(page.locator("#error-nodes")).not_to_be_empty()
        expect(nodes).to_have_value("-2")
        expect(nodes).to_have_attribute("aria-invalid", "true")
        expect(page.locator("h1")).to_contain_text("on 16 ×")
        nodes.fill("2")
        expect(page.locator("#error-nodes")).to_be_empty()
        expect(page.locator("h1")).to_contain_text("on 2 ×")
        _forget_refusals(complaints)

    @pytest.mark.parametrize("failure", ["silent", "broken"])
    def test_a_server_in_trouble_leaves_the_last_plan(
        self, page: Page, complaints: list[str], failure: str
    ) -> None:
        page.goto("/")
        page.route(
            "**/",
            lambda route: route.abort() if failure == "silent" else route.fulfill(status=500, body="broken"),
        )
        page.get_by_label("Nodes", exact=True).fill("8")
        expect(page.locator("#problems")).to_contain_text("those of the last plan")
        expect(page.locator("h1")).to_contain_text("on 16 ×")
        page.unroute("**/")
        page.get_by_label("Nodes", exact=True).fill("4")
        expect(page.locator("h1")).to_contain_text("on 4 ×")
        expect(page.locator("#problems")).to_be_empty()
        complaints.clear()

    def test_a_broken_paste(self, page: Page, complaints: list[str]) -> None:
        page.goto("/")
        page.get_by_text("Paste a Hugging Face config").click()
        paste = page.get_by_label("Hugging Face config.json")
        paste.fill('{"model_type": "llama",')
        paste.blur()
        expect(page.locator("#error-config")).to_contain_text("not JSON")
        paste.fill("x" * 4_300_000)
        paste.blur()
        expect(page.locator("#error-config")).to_contain_text("4 MiB")
        _forget_refusals(complaints)


class TestWithoutMouseOrScript:
    def test_the_slash_key_goes_to_the_model(self, page: Page) -> None:
        page.goto("/")
        page.keyboard.press("/")
        expect(page.locator("#id_model")).to_be_focused()

    def test_the_first_tab_skips_to_the_content(self, page: Page) -> None:
        page.goto("/")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()

    def test_tab_reaches_the_form_in_order(self, page: Page) -> None:
        page.goto("/")
        page.locator("#id_tokens").focus()
        order = []
        for _ in range(4):
            page.keyboard.press("Tab")
            order.append(page.evaluate("document.activeElement.id"))
        assert order == ["id_unit", "id_epochs", "id_seq", "id_batch"]

    def test_a_field_says_what_it_means(self, page: Page) -> None:
        page.goto("/")
        page.locator("#id_batch").focus()
        expect(page.locator("#help-batch")).to_be_hidden()
        page.keyboard.press("F1")
        expect(page.locator("#help-batch")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#help-batch")).to_be_hidden()
        page.locator("#length-field summary").click()
        expect(page.locator("#help-seq")).to_be_visible()
        page.locator("#id_epochs").click()
        expect(page.locator("#help-seq")).to_be_hidden()

    def test_another_model_brings_its_own_length(self, page: Page) -> None:
        page.goto("/")
        expect(page.locator("#id_seq")).to_have_value("8192")
        page.locator("#id_model").fill("gpt2")
        page.locator("#id_model").press("Tab")
        expect(page.locator("#id_seq")).to_have_value("1024")

    def test_it_works_without_javascript(self, browser: Browser, live_server: Any) -> None:
        context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
        page = context.new_page()
        page.goto("/")
        page.get_by_label("Nodes", exact=True).fill("8")
        page.get_by_role("button", name="Plan", exact=True).click()
        expect(page.locator("h1")).to_contain_text("on 8 × p5.48xlarge")
        assert page.url.endswith("/?nodes=8")
        page.get_by_role("button", name="QLoRA").click()
        assert "task=qlora" in page.url
        page.locator("summary", has_text="The numbers as a table").first.click()
        expect(page.get_by_role("rowheader", name="Optimizer states")).to_be_visible()
        context.close()


class TestCompare:
    def test_sort_by_keyboard(self, page: Page) -> None:
        page.goto("/compare")
        drawn(page, "chart-machines")
        page.locator("#sort-time").focus()
        page.keyboard.press("Enter")
        expect(page.locator("th[aria-sort]")).to_have_attribute("aria-sort", "ascending")
        expect(page.locator("th[aria-sort]")).to_contain_text("Time")
        expect(page.locator("#sort-time")).to_be_focused()
        expect(page).to_have_url(re.compile("sort=time"))
        drawn(page, "chart-machines")

    def test_another_model(self, page: Page) -> None:
        page.goto("/compare")
        page.get_by_label("Model").fill("gpt2")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("model=gpt2"))
        expect(page.locator("#comparison")).to_contain_text("GPT-2")


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_a_phone_needs_no_sideways_scrolling(
    browser: Browser, live_server: Any, complaints: list[str], theme: Any
) -> None:
    context = browser.new_context(
        base_url=live_server.url, viewport={"width": 375, "height": 812}, color_scheme=theme
    )
    page = watched(context.new_page(), complaints)
    widths = {}
    for address in ("/", "/compare", "/validation", "/glossary", "/login/", "/?nodes=0", "/nowhere"):
        page.goto(address)
        page.wait_for_load_state("networkidle")
        widths[address] = page.evaluate("document.documentElement.scrollWidth")
    context.close()
    assert set(widths.values()) == {375}, widths
    _forget_refusals(complaints)
    assert complaints == []


def _forget_refusals(complaints: list[str]) -> None:
    """The browser logs every answer of 4xx; those were asked for."""
    kept = [
        words
        for words in complaints
        if not re.search(r"status of 4\d\d|Response Status Error Code 4\d\d", words)
    ]
    complaints[:] = kept
