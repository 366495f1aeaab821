"""The partitions page: the state is the address, edits work without scripts, and what is wrong is said."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.mig.state import DEMANDS, ROWS, Instance, Row, State, Wanted, read_state

pytestmark = pytest.mark.django_db
ROW = {"chip": "a100-sxm-40gb", "n": "2", "on": "3g.20gb@0!,1g.5gb@5", "at": ""}


def address(**more: str) -> str:
    return "/mig?" + urlencode(ROW | {"want": "1g.5gb", "count": "2"} | more)


def text_of(client: Client, path: str, status: int = 200, **headers: str) -> str:
    answer = client.get(path, headers=headers or None)
    assert answer.status_code == status, answer.content[:800]
    return re.sub(r"\s+", " ", answer.content.decode())


def test_an_empty_address_is_an_example_that_is_answered(client: Client) -> None:
    text = text_of(client, "/mig")
    assert "All 6 instances have a place" in text
    assert "no layout needs fewer (proven)" in text
    assert "nvidia-smi mig -i" in text


def test_slices_are_drawn_to_scale_with_words(client: Client) -> None:
    text = text_of(client, address())
    assert '<ol class="slices of-8">' in text
    assert 'class="slice in_use at-1 span-4" title="3g.20gb, memory slices 0 to 3: in use, stays"' in text
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
    assert "more a100-sxm-40gb would serve all of it" in text


def test_a_large_question_shows_a_first_layout_meanwhile(client: Client) -> None:
    large = address(n="900", on="", count="4000")
    first = text_of(client, large)
    assert "A first layout is shown" in first
    assert "not proven the best" in first
    exact = text_of(client, large + "&exact=1", 200, **{"HX-Request": "true"})
    assert "(proven)" in exact


def test_machines_to_rent_are_planned_whole(client: Client) -> None:
    text = text_of(client, address(chip="p4d.24xlarge", n="1", on="", objective="least_cost"))
    assert "8 × A100 SXM4 40GB" in text
    assert "no layout costs less (proven)" in text


def test_unknown_instances_are_drawn_and_kept(client: Client) -> None:
    text = text_of(client, address(on="2g.12gb/2@4"))
    assert "2g.12gb, memory slices 4 to 5: unknown to the catalog, stays" in text


def test_a_mode_that_is_off_is_switched_on_first(client: Client) -> None:
    assert "nvidia-smi -i 0 -mig 1" in text_of(client, address(on="off"))


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


RUN = "model=gpt2&task=full_finetuning&seq=512&batch=8"


def test_a_run_is_sized_with_its_chance_and_its_price(client: Client) -> None:
    text = text_of(client, f"/mig/fit?{RUN}&fit_chip=a100-sxm-80gb")
    assert re.search(r"It fits a \S+ of A100 SXM4 80GB: \$[\d.]+/h rather than \$[\d.]+/h", text)
    assert "Time-slicing" in text
    assert "Memory and faults are not kept apart" in text
    assert "MPS" in text
    line = text_of(client, f"/mig/fit?{RUN}&fit_chip=a100-sxm-80gb", 200, **{"HX-Request": "true"})
    assert "<html" not in line
    assert "rather than" in line


def test_a_run_that_makes_no_sense_is_said_to(client: Client) -> None:
    assert "notice error" in text_of(client, "/mig/fit?model=nonsense")


def test_the_plan_page_leads_to_its_slice(client: Client) -> None:
    text = text_of(client, f"/?{RUN}&nodes=1")
    assert "/mig/fit?" in text
    assert 'hx-trigger="load delay:600ms"' in text
    assert 'hx-trigger="load delay:600ms"' not in text_of(client, "/")


def test_a_planned_run_is_a_demand(client: Client) -> None:
    text = text_of(client, address(want=f"plan?{RUN}", on=""))
    assert "the planned run" in text
    assert "All 2 instances have a place" in text


TEXT = st.text("abc123@!/#,.-+ ", max_size=12)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*ROWS, *DEMANDS, "objective", "profiles", "jobs", "destroy"]),
        st.lists(TEXT, max_size=3),
    )
)
def test_any_address_is_read_and_written_back(given_values: dict[str, list[str]]) -> None:
    state = read_state(given_values)
    again = read_state(parse_qs(state.query(), keep_blank_values=True))
    assert again == read_state(parse_qs(again.query(), keep_blank_values=True))
    state.request(lambda query: {"model": query})


def test_a_state_is_its_address() -> None:
    rows = (
        Row("a30", "2", (Instance("1g.6gb", 0, True), Instance("odd", 2, False, 2, 5)), "n-1/0-1"),
        Row("h100-sxm", "1", (), ""),
    )
    state = State(
        rows=rows, demands=(Wanted("18 GB, 2 slices", "3"),), objective="most_demand", destroys=True
    )
    assert read_state(parse_qs(state.query(), keep_blank_values=True)) == state
    asked = state.request(lambda query: {})
    assert asked["gpus"][0]["indices"] == [0, 1]
    assert asked["gpus"][0]["existing"][1] == {
        "profile": "odd", "start": 2, "in_use": False, "size": 2, "gpu_instance_id": 5,
    }  # fmt: skip
    assert asked["demands"] == [{"count": 3, "min_memory_bytes": 18e9, "min_compute_slices": 2}]
