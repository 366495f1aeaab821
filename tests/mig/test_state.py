"""The state of the partitions page: an address read and written back, and the question that it stands for."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.mig.state import DEMANDS, ROWS, Instance, Row, State, Wanted, read_state

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


@pytest.mark.parametrize(
    ("want", "asked"),
    [
        ("18 GB", {"min_memory_bytes": 18e9}),
        ("18 GiB and 2/7", {"min_memory_bytes": 18 * 2**30, "min_compute_slices": 2}),
        ("18GB+2 slices", {"min_memory_bytes": 18e9, "min_compute_slices": 2}),
        ("3 compute slices", {"min_compute_slices": 3}),
        ("2g.10gb", {"profile": "2g.10gb"}),
        ("18", {"profile": "18"}),
    ],
)
def test_the_least_that_serves_can_be_said_in_several_ways(want: str, asked: dict[str, object]) -> None:
    state = read_state({"chip": ["a30"], "want": [want]})
    assert state.request(lambda query: {})["demands"] == [{"count": 1} | asked]
