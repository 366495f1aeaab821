"""A person fills in the form: searching pickers, starting from a goal, turning one knob at a time."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class TestCombobox:
    def test_a_model_is_found_by_parts_of_its_name(self, page: Page) -> None:
        page.goto("/")
        model = page.get_by_role("combobox", name="Model, by name")
        model.click()
        expect(model).to_have_attribute("aria-expanded", "true")
        page.keyboard.type("llama 70b")
        for name in ("Llama 3.1 70B", "Llama 3.3 70B"):
            expect(page.get_by_role("option", name=name)).to_be_in_viewport()
        page.get_by_role("option", name="Llama 3.3 70B").click()
        expect(model).to_have_value("llama-3.3-70b")
        expect(model).to_have_attribute("aria-expanded", "false")
        expect(page.locator("h1")).to_contain_text("Llama 3.3 70B")
        expect(page.locator("#model-card")).to_contain_text("80")

    @pytest.mark.parametrize("typed", ["mistrl 7b", "Mistral7B", "7b mistral"])
    def test_a_slip_of_the_finger_is_forgiven(self, page: Page, typed: str) -> None:
        page.goto("/")
        page.locator("#id_model").click()
        page.keyboard.type(typed)
        expect(page.get_by_role("option", name="Mistral 7B").first).to_be_visible()

    @pytest.mark.parametrize("typed", ["8 x", "8 ×", "8x"])
    def test_eight_times_finds_machines_of_eight(self, page: Page, typed: str) -> None:
        page.goto("/")
        page.get_by_label("Instance type").click()
        page.keyboard.type(typed)
        options = page.locator(".listbox").get_by_role("option")
        expect(options.filter(has_text="p5.48xlarge")).to_have_count(1)
        notes = options.locator(".muted").all_inner_texts()
        assert len(notes) > 10
        assert all(note.startswith("8 × ") for note in notes)
        expect(page.get_by_role("listbox").get_by_role("group", name="Google Cloud")).to_have_count(1)

    def test_keys_choose_and_escape_takes_back(self, page: Page) -> None:
        page.goto("/")
        machine = page.get_by_label("Instance type")
        machine.focus()
        page.keyboard.press("ArrowDown")
        active = page.locator(f"#{machine.get_attribute('aria-activedescendant')}")
        expect(active).to_contain_text("p5.48xlarge")
        page.keyboard.type("p4d")
        expect(page.locator(".listbox").get_by_role("option").first).to_contain_text("p4d.24xlarge")
        page.keyboard.press("Escape")
        expect(page.get_by_role("listbox")).to_have_count(0)
        expect(machine).to_have_value("p5.48xlarge")
        page.keyboard.type("p4d")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text("on 16 × p4d.24xlarge")
        expect(machine).to_be_focused()

    def test_the_list_is_seen_where_it_opens(self, browser: Browser, live_server: Any) -> None:
        for width, height in ((1440, 900), (1280, 620), (375, 812)):
            context = browser.new_context(
                base_url=live_server.url, viewport={"width": width, "height": height}
            )
            page = context.new_page()
            page.goto("/")
            for field in ("#id_model", "#id_instance"):
                page.locator(field).click()
                page.keyboard.type("a")
                box = page.get_by_role("listbox").bounding_box()
                assert box is not None
                assert box["x"] >= 0 and box["x"] + box["width"] <= width
                assert box["y"] >= 0 and box["y"] + box["height"] <= height and box["height"] > 100
                page.keyboard.press("Escape")
            context.close()

    def test_typing_asks_nothing_and_a_wrong_name_leaves_the_answer(
        self, page: Page, complaints: list[str]
    ) -> None:
        page.goto("/")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.method))
        page.locator("#id_model").click()
        page.keyboard.type("no such model")
        expect(page.get_by_role("listbox")).to_contain_text("Nothing is called so")
        page.wait_for_timeout(500)
        assert "POST" not in asked
        expect(page.locator("#error-model")).to_be_empty()
        page.keyboard.press("Tab")
        expect(page.locator("#error-model")).not_to_be_empty()
        expect(page.locator("h1")).to_contain_text("Llama 3.1 8B on 16")
        page.get_by_role("button", name="LoRA", exact=True).click()
        expect(page.locator("#id_epochs")).to_have_value("3")
        expect(page.locator("h1")).to_contain_text("Llama 3.1 8B on 16")
        expect(page.locator("#id_model")).to_have_value("no such model")
        page.locator("#id_model").fill("gpt2")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text("GPT-2")
        expect(page.locator("#error-model")).to_be_empty()
        complaints[:] = [said for said in complaints if "422" not in said]

    def test_without_javascript_it_is_an_input_with_a_list(self, browser: Browser, live_server: Any) -> None:
        context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
        page = context.new_page()
        page.goto("/")
        for field, name in (("#id_model", "models"), ("#id_instance", "machines")):
            expect(page.locator(field)).to_have_attribute("list", name)
            assert page.locator(f"datalist#{name} option").count() > 100
        page.locator("#id_instance").fill("p4d.24xlarge")
        page.get_by_text("Budget or days").click()
        page.get_by_role("button", name="Plan", exact=True).click()
        expect(page.get_by_role("heading", name="The cheapest on each kind of chip")).to_be_visible()
        context.close()


class TestGoal:
    def test_a_budget_and_days_find_machines_and_one_takes_them(self, page: Page) -> None:
        page.goto("/")
        page.get_by_text("Budget or days").click()
        expect(page.get_by_label("Instance type")).to_be_hidden()
        page.get_by_label("Budget", exact=True).fill("300k")
        page.get_by_label("Deadline").fill("30")
        expect(page).to_have_url(re.compile("by=goal.*budget=300k.*deadline=30|deadline=30.*by=goal"))
        rows = page.locator(".goal tbody tr")
        expect(rows.first).to_contain_text("shown here")
        chosen = rows.nth(1).locator("th").inner_text().split("\n")[0]
        rows.nth(1).get_by_role("link").click()
        expect(page.locator("h1")).to_contain_text(f"on {chosen}")
        expect(page.get_by_label("Instance type")).to_be_visible()

    def test_keys_turn_the_switch(self, page: Page) -> None:
        page.goto("/")
        page.get_by_role("radio", name="These machines").focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_label("Instance type")).to_be_hidden()


class TestWhatIf:
    def test_it_comes_when_it_is_near_and_is_applied_with_a_click(self, page: Page) -> None:
        page.goto("/")
        page.locator("#what-if").scroll_into_view_if_needed()
        apply = page.get_by_role("link", name="Apply: Nodes 17")
        expect(apply).to_be_visible()
        apply.click()
        expect(page.locator("h1")).to_contain_text("on 17 ×")


class TestPanel:
    def test_why_opens_where_one_stands_and_escape_closes_it(self, page: Page) -> None:
        page.goto("/")
        link = page.get_by_role("link", name="Why: Time")
        link.focus()
        page.keyboard.press("Enter")
        panel = page.get_by_role("complementary", name="Time")
        expect(panel).to_contain_text("Time of the run")
        expect(panel.get_by_role("heading", name="Time")).to_be_focused()
        assert page.evaluate("scrollY") == 0
        page.keyboard.press("Escape")
        expect(panel).to_be_hidden()
        expect(link).to_be_focused()

    def test_it_says_why_of_the_answer_that_stands(self, page: Page) -> None:
        page.goto("/")
        page.get_by_role("link", name="Why: Cost").click()
        panel = page.get_by_role("complementary", name="Cost")
        expect(panel).to_contain_text("16 nodes x")
        page.get_by_label("Nodes", exact=True).fill("8")
        expect(panel).to_contain_text("8 nodes x")

    def test_without_javascript_it_is_a_link_down_the_page(self, browser: Browser, live_server: Any) -> None:
        context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
        page = context.new_page()
        page.goto("/")
        page.get_by_role("link", name="Why: Cost").click()
        assert page.url.endswith("/why?#why-cost")
        expect(page.locator("#why-cost")).to_contain_text("16 nodes x")
        context.close()


class TestLayout:
    def test_the_form_stays_and_a_slim_verdict_follows(self, page: Page) -> None:
        page.goto("/")
        slim = page.locator(".slim")
        expect(slim).to_be_hidden()
        # The parts that come later have to stand, or the page ends above where one scrolls to.
        page.wait_for_load_state("networkidle")
        expect(page.locator("#chart-time .main-svg").first).to_be_attached()
        page.evaluate("scrollTo(0, 700)")
        expect(slim).to_be_in_viewport()
        expect(slim).to_contain_text("Fits: ")
        form = page.locator("#scenario").bounding_box()
        assert form is not None and form["y"] >= 0 and form["y"] + form["height"] <= 900
        assert page.evaluate("getComputedStyle(document.getElementById('scenario')).overflowY") == "auto"
        page.evaluate("scrollTo(0, 0)")
        expect(slim).to_be_hidden()

    def test_the_memory_bar_is_above_the_fold(self, page: Page) -> None:
        page.set_viewport_size({"width": 1280, "height": 620})
        page.goto("/")
        expect(page.locator("svg.bar")).to_be_in_viewport(ratio=1)
        expect(page.get_by_role("img", name=re.compile("usable; 80 % range"))).to_be_visible()

    def test_a_hint_is_seen_whole(self, page: Page) -> None:
        page.goto("/")
        for name in ("epochs", "batch", "nodes", "deadline"):
            page.locator(f"#id_{name}").focus()
            page.keyboard.press("F1")
            box = page.locator(f"#help-{name}").bounding_box()
            assert box is not None, name
            assert box["x"] >= 0 and box["x"] + box["width"] <= 1440, name
            assert box["y"] >= 0 and box["y"] + box["height"] <= 900, name
            page.keyboard.press("Escape")
