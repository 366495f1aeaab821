"""The partitions page: the state is the address, edits work without scripts, and what is wrong is said."""

from __future__ import annotations

import html
import re
import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.test import Client

from planner.mig import page
from planner.mig.placement.question import Answer, Question
from planner.mig.state import read_state
from tests.mig.visiting import ROW, address, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy with other tests proves no less."""
    monkeypatch.setattr(page, "FIRST_LOOK_S", 20.0)


def test_an_empty_address_is_an_example_that_is_answered(client: Client) -> None:
    text = text_of(client, "/mig")
    assert "All 6 instances have a place" in text
    assert "no layout needs fewer (proven)" in text
    assert "nvidia-smi mig -i" in text


def test_slices_are_drawn_to_scale_with_words(client: Client) -> None:
    text = text_of(client, address())
    assert '<ol class="slices of-8" aria-label="Memory slices">' in text
    assert 'class="slice in_use at-1 span-4" title="3g.20gb, memory slices 0 to 3: in use, stays"' in text
    assert '<ol class="slices compute of-7" aria-label="Compute slices">' in text
    assert 'class="slice in_use at-1 span-3" title="3g.20gb: 3 compute slices"' in text
    assert "to be made" in text


def test_prices_fragmentation_and_files_are_there(client: Client) -> None:
    text = text_of(client, address())
    for words in (
        "Price of a slice",
        "Room for more",
        "mig-configs",
        "ResourceClaimTemplate",
        "AutoDetect=nvml",
    ):
        assert words in text


def test_an_edit_moves_to_the_address_of_the_new_state(client: Client) -> None:
    answer = client.get(address(do="add:0", place0="1g.5gb@4"))
    assert answer.status_code == 302
    state = read_state(parse_qs(urlsplit(answer["Location"]).query, keep_blank_values=True))
    assert state.rows[0].layout == "3g.20gb@0!,1g.5gb@4,1g.5gb@5"
    assert "do=" not in answer["Location"]


@pytest.mark.parametrize(
    ("action", "layouts"),
    [
        ("del:0:5", ["3g.20gb@0!"]),
        ("use:0:0", ["3g.20gb@0,1g.5gb@5"]),
        ("split:0", ["3g.20gb@0!,1g.5gb@5", "3g.20gb@0!,1g.5gb@5"]),
        ("addgpu", ["3g.20gb@0!,1g.5gb@5", ""]),
        ("adddemand", ["3g.20gb@0!,1g.5gb@5"]),
        ("adopt", ["3g.20gb@0!,1g.5gb@5!,1g.5gb@6!", "3g.20gb@0!,1g.5gb@5"]),
        ("deldemand:0", ["3g.20gb@0!,1g.5gb@5"]),
        ("add:0", ["3g.20gb@0!,1g.5gb@5"]),
        ("del:9:9", ["3g.20gb@0!,1g.5gb@5"]),
        ("explode", ["3g.20gb@0!,1g.5gb@5"]),
    ],
)
def test_edits(client: Client, action: str, layouts: list[str]) -> None:
    answer = client.get(address(do=action))
    state = read_state(parse_qs(urlsplit(answer["Location"]).query, keep_blank_values=True))
    assert [row.layout for row in state.rows] == layouts


def test_a_part_of_the_page_is_swapped_with_its_address(client: Client) -> None:
    answer = client.get(address(do="use:0:0"), headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert "3g.20gb%400%2C1g.5gb" in answer["HX-Push-Url"]
    assert b"<html" not in answer.content


def test_next_places_are_offered_and_the_others_explained(client: Client) -> None:
    text = text_of(client, address())
    assert '<option value="1g.5gb@4">1g.5gb at 4</option>' in text
    assert '<option value="1g.5gb@6">1g.5gb at 6 (leaves most room)</option>' in text
    assert '<option value="4g.20gb@0">' not in text
    assert "<b>4g.20gb at 0</b>:" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"on": "3g.20gb@1"}, "starts at 0 or 4"),
        ({"on": "nonsense"}, "no profile of this name"),
        ({"n": "-3"}, "whole number"),
        ({"chip": "t4"}, "cannot be divided"),
        ({"want": "9g.9gb"}, "None of these GPUs"),
        ({"objective": "fun"}, "not one of the choices"),
        ({"at": "node/5-2"}, "index of each GPU"),
    ],
)
def test_what_is_wrong_is_said_on_the_page(client: Client, change: dict[str, str], said: str) -> None:
    assert said in text_of(client, address(**change), 422)


def test_what_finds_no_place_has_a_reason_and_a_remedy(client: Client) -> None:
    text = text_of(client, address(want="7g.40gb", n="1"))
    assert "0 of 2 instances have a place" in text
    assert "no layout serves more (proven)" in text


def fixes_of(text: str) -> list[tuple[str, str]]:
    """The offered changes: what each says, and where it leads."""
    found = re.findall(r'href="(/mig\?[^"]*)" aria-label="Apply: ([^"]*)"', text)
    return [(said, html.unescape(to)) for to, said in found]


def test_the_nearest_change_is_one_click(client: Client) -> None:
    text = text_of(client, address(want="3g.20gb", count="3", n="1"))
    (said, to), *others = fixes_of(text)
    assert said.startswith("Add 1 × A100 SXM4 40GB")
    assert "All 3 instances have a place" in text_of(client, to)
    assert not others


def test_moving_running_jobs_is_one_click_where_it_helps(client: Client) -> None:
    text = text_of(client, address(on="1g.5gb@2!", want="4g.20gb", count="1", n="1"))
    changes = dict(fixes_of(text))
    (to,) = (to for said, to in changes.items() if said.startswith("Move 1 job that runs"))
    moved = text_of(client, to)
    assert "All 2 instances have a place" in moved
    assert "runs now" in moved


def test_what_no_profile_gives_leads_to_what_comes_closest(client: Client) -> None:
    text = text_of(client, address(want="60 GB", count="1", n="1", on=""))
    (other, to_other), (less, to_less) = fixes_of(text)
    assert re.match(r"Add 1 × .*, whose \S+ is enough for 60 GB", other)
    assert less.startswith("Take 7g.40gb for 60 GB")
    for to in (to_other, to_less):
        assert "The one instance has a place" in text_of(client, to)


def test_double_memory_is_one_click_where_it_helps(client: Client) -> None:
    text = text_of(client, address(want="9 GB, 1 slices", count="4", n="1", on=""))
    (to,) = (to for said, to in fixes_of(text) if said.startswith("Let double-memory profiles serve too"))
    assert "All 4 instances have a place" in text_of(client, to)


def unproven(question: Question, *, served: int = 2) -> Answer:
    return Answer(
        placements=(), staying=(), unplaced=(), gpus_used=2, value=2, bound=1, optimal=False, elapsed_s=0.1,
        created=2, served=served,
    )  # fmt: skip


def test_what_is_not_proven_is_shown_with_its_bound_while_the_search_goes_on(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float | None] = []

    def found(question: Question) -> Answer:
        given.append(question.time_limit_s)
        return unproven(question)

    monkeypatch.setattr(page, "plan", found)
    first = text_of(client, address())
    assert "not proven the best; no layout needs fewer than 1" in first
    assert 'hx-trigger="load" hx-target="#mig-answer"' in first
    last = text_of(client, address() + "&exact=1")
    assert 'hx-trigger="load"' not in last
    (longer,) = re.findall(r'href="([^"]*)#mig-answer">Search for up to 30 seconds', last)
    assert "Search for up to" not in text_of(client, html.unescape(longer))
    assert given == [page.FIRST_LOOK_S, None, 30.0]


def test_a_search_that_went_on_moves_no_address(client: Client) -> None:
    answer = client.get(address() + "&exact=1", headers={"HX-Request": "true"})
    assert "HX-Push-Url" not in answer


def test_a_large_question_is_proven_at_once(client: Client) -> None:
    assert "(proven)" in text_of(client, address(n="900", on="", count="4000"))


def test_machines_to_rent_are_planned_whole(client: Client) -> None:
    text = text_of(client, address(chip="p4d.24xlarge", n="1", on="", objective="least_cost"))
    assert "8 × A100 SXM4 40GB" in text
    assert "no layout costs less (proven)" in text


def test_unknown_instances_are_drawn_and_kept(client: Client) -> None:
    text = text_of(client, address(on="2g.12gb/2@4"))
    assert "2g.12gb, memory slices 4 to 5: unknown to the catalog, stays" in text


def test_a_mode_that_is_off_is_switched_on_first(client: Client) -> None:
    assert "nvidia-smi -i 0 -mig 1" in text_of(client, address(on="off"))


def test_without_a_demand_the_page_says_what_to_do(client: Client) -> None:
    for nothing in ("/mig?" + urlencode(ROW), address(want="", count="3")):
        text = text_of(client, nothing)
        assert "Nothing is demanded yet" in text
        assert "Price of a slice" in text


def test_the_example_says_that_it_is_one(client: Client) -> None:
    assert "A worked example" in text_of(client, "/mig")
    assert "A worked example" not in text_of(client, address())


@pytest.mark.parametrize(
    ("change", "control", "said"),
    [
        ({"on": "3g.20gb@1"}, "on-0", "starts at 0 or 4"),
        ({"n": "-3"}, "n-0", "not a whole number"),
        ({"at": "node/5-2"}, "at-0", "index of each GPU"),
        ({"usd": "dear"}, "usd-0", "not a price"),
        ({"want": "9g.9gb"}, "want-0", "18 GB, 2 slices"),
        ({"count": "many"}, "count-0", "not a whole number"),
        ({"chip": "t4"}, "chip-0", "cannot be divided"),
        ({"objective": "fun"}, "mig-objective", "none of the aims"),
        ({"profiles": "fun"}, "mig-profiles", "no choice of profiles"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_kept(
    client: Client, change: dict[str, str], control: str, said: str
) -> None:
    text = text_of(client, address(**change), 422)
    assert f'aria-describedby="wrong-{control}"' in text
    (beside,) = re.findall(f'id="wrong-{control}">([^<]*)<', text)
    assert said in html.unescape(beside)
    assert f'href="#{control}"' in text
    (typed,) = change.values()
    if control[:3] != "mig":
        assert f'value="{typed}"' in text


def test_a_price_of_ones_own_is_taken(client: Client) -> None:
    text = text_of(client, address(chip="a30", on="", want="1g.6gb", objective="least_cost", usd="1.00"))
    assert "no layout costs less (proven)" in text
    assert "$1.00/h" in text


def test_a_chip_that_the_catalog_lacks_is_kept_and_not_planned(client: Client) -> None:
    rows = [("chip", "?Z900"), ("n", "2"), ("on", "3g.90gb/4@0!"), ("at", "node-9/0,1")]
    rows += [("chip", "a30"), ("n", "1"), ("on", ""), ("at", ""), ("want", "1g.6gb"), ("count", "1")]
    path = "/mig?" + urlencode(rows)
    text = text_of(client, path)
    assert "<h3>2 × Z900</h3>" in text
    assert "2 on node-9/0,1" in text
    assert "The one instance has a place, on 1 of 1 GPUs" in text
    moved = client.get(path + "&do=adopt")["Location"]
    assert "%3FZ900" in moved
    assert "3g.90gb%2F4%400%21" in moved
    alone = text_of(client, "/mig?" + urlencode(rows[:4]))
    assert "2 × Z900" in alone


def test_steps_that_are_done_leave_no_demand_behind(client: Client) -> None:
    text = text_of(client, client.get(address(do="adopt"))["Location"])
    assert "Nothing is demanded yet" in text
    off = client.get(address(on="off", n="2", count="1", do="adopt"))["Location"]
    state = read_state(parse_qs(urlsplit(off).query, keep_blank_values=True))
    assert sorted(row.layout for row in state.rows) == ["1g.5gb@6!", "off"]


def test_fragmentation_is_drawn(client: Client) -> None:
    text = text_of(client, address(on="1g.5gb@2"))
    assert "Its own instances where they leave most room" in text
    assert '<rect class="now"' in text
    assert "Every GPU leaves as much room" not in text
    assert "every GPU leaves as much room as it can" in text_of(client, address(on=""))


def test_what_is_left_unused_has_a_price(client: Client) -> None:
    text = text_of(client, address())
    (row,) = re.findall(r'<th scope="row">4g.20gb</th>(.*?)</tr>', text.split("Price of a slice")[1])
    assert "3 compute, 4 memory" in row
    assert row.count("/h</span>") + row.count("/h<") >= 2


def test_400_gpus_are_grouped_and_quick(client: Client, django_assert_max_num_queries: Any) -> None:
    rows = []
    for host in range(50):
        layout = ("3g.20gb@0!", "1g.5gb@0,1g.5gb@6!", "", "2g.10gb@2!")[host % 4]
        rows += [("chip", "a100-sxm-40gb"), ("n", "8"), ("on", layout), ("at", f"node-{host}/0-7")]
    rows += [("want", "1g.5gb"), ("count", "500"), ("want", "3g.20gb"), ("count", "200")]
    path = "/mig?" + urlencode(rows)
    client.get(path)
    with django_assert_max_num_queries(6):
        began = time.process_time()
        answer = client.get(path)
        spent_s = time.process_time() - began
    text = answer.content.decode()
    assert "All 700 instances have a place" in text
    assert text.count('<div class="gpu">') <= 24 + 2 * 24 + 6
    assert len(answer.content) < 700_000
    assert spent_s < 3


def test_the_json_is_the_contracts(client: Client) -> None:
    value = client.get(address().replace("/mig?", "/mig.json?")).json()
    assert value["served"] == 2
    assert client.get("/mig.json?" + urlencode(ROW | {"want": "x"})).status_code == 422


def test_programs_ask_over_http(client: Client) -> None:
    question = {"enumerate": "a30"}
    answer = client.post("/api/v1/mig", question, content_type="application/json")
    assert answer.json()["valid_configurations"] == 25
    refused = client.post("/api/v1/mig", {"enumerate": "t4"}, content_type="application/json")
    assert refused.status_code == 422
