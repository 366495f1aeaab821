"""What five kinds of users come for: each is done within so many clicks and without a complaint."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import watched

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

# Clicks are counted over reloads; keys that type are not.
COUNT = """
document.addEventListener("pointerdown", (event) => {
  if (event.isTrusted) sessionStorage.clicks = Number(sessionStorage.clicks ?? 0) + 1;
}, true);
"""
QWEN = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "intermediate_size": 18944,
    "vocab_size": 152064,
    "max_position_embeddings": 32768,
}


def clicks(page: Page) -> int:
    return int(page.evaluate("Number(sessionStorage.clicks ?? 0)"))


@pytest.fixture
def counted(page: Page) -> Page:
    page.add_init_script(COUNT)
    page.goto("/")
    return page


def lora_on_two_cards(page: Page) -> None:
    page.get_by_role("button", name="LoRA", exact=True).click()
    expect(page.locator("h1")).not_to_contain_text("16 ×")
    page.get_by_label("Instance type").click()
    page.keyboard.type("4090")
    expect(page.get_by_role("listbox").get_by_role("option")).to_contain_text(["GeForce RTX 4090"])
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("1 × (1 × GeForce RTX 4090)")
    page.get_by_label("Per node", exact=True).fill("2")
    expect(page.locator("h1")).to_contain_text("1 × (2 × GeForce RTX 4090)")


def test_does_lora_fit_on_my_two_cards(counted: Page) -> None:
    lora_on_two_cards(counted)
    expect(counted.locator("h1")).to_contain_text(re.compile("fits with|tight|does not fit"))
    assert clicks(counted) <= 3


def test_the_layout_of_70b_on_64_gpus_with_megatron(counted: Page) -> None:
    page = counted
    page.get_by_label("Model, by name").click()
    page.keyboard.type("llama 3.1 70b")
    page.keyboard.press("Enter")
    page.get_by_label("Nodes", exact=True).fill("8")
    page.get_by_text("Precision, framework and the rest").click()
    page.get_by_label("Framework", exact=True).select_option("megatron")
    expect(page).to_have_url(re.compile("framework=megatron"))
    expect(page.locator("h1")).to_contain_text("Llama 3.1 70B on 8 × p5.48xlarge: fits")
    page.get_by_text("Launch with Megatron-LM").click()
    settings = page.get_by_role("region", name="Settings of Megatron-LM")
    expect(settings).to_contain_text("--tensor-model-parallel-size")
    assert clicks(page) <= 4


def test_the_bill_of_a_commitment_and_of_a_block(counted: Page) -> None:
    page = counted
    page.get_by_label("Purchase", exact=True).select_option("reserved_3y")
    expect(page.locator(".price")).to_contain_text("You commit")
    page.get_by_label("Purchase", exact=True).select_option("capacity_block")
    expect(page.locator(".price")).to_contain_text("Bought as a block of")
    page.get_by_role("link", name="Why: Cost").click()
    expect(page.get_by_role("complementary", name="Cost")).to_contain_text("nodes x")
    assert clicks(page) <= 3


def test_the_cheapest_machines_for_a_pasted_config(counted: Page) -> None:
    page = counted
    page.get_by_text("Paste a Hugging Face config").click()
    page.get_by_label("Hugging Face config.json").fill(json.dumps(QWEN))
    page.get_by_label("Hugging Face config.json").blur()
    expect(page.locator("h1")).to_contain_text("Qwen2 7.62B on")
    expect(page.locator(".verdict")).to_contain_text("Read as Qwen2")
    page.get_by_text("Budget or days").click()
    expect(page.get_by_role("heading", name="The cheapest on each kind of chip")).to_be_visible()
    assert clicks(page) <= 2


def test_one_page_and_a_link(counted: Page) -> None:
    page = counted
    page.get_by_role("link", name="Summary to sign").click()
    expect(page.locator("article.summary h1")).to_contain_text("Llama 3.1 8B on 16 × p5.48xlarge")
    expect(page.locator(".title-block")).to_contain_text("as_of=")
    assert clicks(page) == 1


@pytest.mark.parametrize(
    "kind",
    [
        lambda browser, url: browser.new_context(base_url=url, viewport={"width": 375, "height": 812}),
        lambda browser, url: browser.new_context(base_url=url, color_scheme="dark"),
        # 200 % zoom of a screen 1440 wide.
        lambda browser, url: browser.new_context(base_url=url, viewport={"width": 720, "height": 450}),
    ],
    ids=["phone", "dark", "zoom"],
)
def test_the_first_task_in_other_surroundings(
    browser: Browser, live_server: Any, complaints: list[str], kind: Callable[[Browser, str], Any]
) -> None:
    context = kind(browser, live_server.url)
    page = watched(context.new_page(), complaints)
    page.goto("/")
    lora_on_two_cards(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()
    assert complaints == []


def test_the_first_task_by_keyboard(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="LoRA", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).not_to_contain_text("16 ×")
    page.locator("#id_instance").focus()
    page.keyboard.type("4090")
    expect(page.get_by_role("listbox").get_by_role("option")).to_contain_text(["GeForce RTX 4090"])
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("(1 × GeForce RTX 4090)")
    expect(page.locator("#id_instance")).to_be_focused()


def test_the_first_task_without_a_script(browser: Browser, live_server: Any) -> None:
    context = browser.new_context(base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_role("button", name="LoRA", exact=True).click()
    page.get_by_label("Instance type").fill("rtx-4090")
    page.get_by_role("button", name="Plan", exact=True).click()
    page.get_by_label("Per node", exact=True).fill("2")
    page.get_by_role("button", name="Plan", exact=True).click()
    expect(page.locator("h1")).to_contain_text("1 × (2 × GeForce RTX 4090)")
    context.close()
