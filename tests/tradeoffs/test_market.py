"""What an address allows, and the searches it means."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.engine.question.errors import PlanErrors
from planner.tradeoffs.market import Market, Owned, questions, read_market, sizes

CATALOG = load_shipped_catalog()
RUN = {"model": "llama-3.1-8b", "workload": {"task": "pretraining", "tokens": 1e9}, "cluster": {}}


def test_an_address_says_what_was_read_from_it() -> None:
    query = "providers=aws&families=p5&purchases=spot&own=p5.48xlarge%3A4"
    query += "&least_nodes=2&most_nodes=16&margin=10&had=on"
    market = read_market(parse_qs(query), CATALOG)
    assert market.query() == query
    assert market.narrowed
    assert market.own == (Owned("p5.48xlarge", 4),)
    assert market.margin == pytest.approx(0.9)


def test_an_empty_address_allows_what_is_usual() -> None:
    assert read_market({}, CATALOG) == Market()
    assert Market().query() == ""
    assert not Market().narrowed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("providers", "oracle"),
        ("families", "p99"),
        ("regions", "moon-1"),
        ("purchases", "barter"),
        ("own", "p5.48xlarge"),
        ("own", "p5.48xlarge:0"),
        ("own", "nothing:4"),
        ("own", "p5*8:4"),
        ("least_nodes", "many"),
        ("most_nodes", "0"),
        ("most_nodes", "1000000000000"),
        ("margin", "-5"),
        ("margin", "95"),
        ("margin", "nan"),
    ],
)
def test_what_is_not_known_is_named(field: str, value: str) -> None:
    with pytest.raises(PlanErrors) as wrong:
        read_market({field: [value]}, CATALOG)
    assert wrong.value.errors[0].field == field
    assert wrong.value.errors[0].remedy


def test_the_least_is_not_above_the_most() -> None:
    with pytest.raises(PlanErrors, match="fewer"):
        read_market({"least_nodes": ["8"], "most_nodes": ["4"]}, CATALOG)


def test_the_readers_own_size_is_tried_where_it_is_allowed() -> None:
    assert 20 in sizes(Market(), mine=20)
    assert 20 not in sizes(Market(most_nodes=16), mine=20)
    assert sizes(Market(least_nodes=5, most_nodes=7)) == [5, 6, 7]


def test_a_question_for_each_stack_in_each_precision() -> None:
    market = Market(stacks=("fsdp", "megatron"), precisions=("bf16", "fp8"))
    asked = questions(market, RUN, CATALOG)
    pairs = {(each["workload"]["framework"], each["workload"]["precision"]) for each in asked}
    assert len(asked) == len(pairs) == 4


def test_too_many_pairs_are_refused() -> None:
    market = Market(stacks=("fsdp", "megatron", "trl"), precisions=("bf16", "fp16", "fp8"))
    with pytest.raises(PlanErrors, match="pairs of stack"):
        questions(market, RUN, CATALOG)


def test_every_region_means_the_regions_of_the_providers_allowed() -> None:
    (one,) = questions(Market(regions=("all",), providers=("aws",)), RUN, CATALOG)
    regions = one["cluster"]["any"]["regions"]
    assert "eu-west-1" in regions
    assert "us-central1" not in regions


def test_owned_machines_alone_in_as_many_as_one_has() -> None:
    market = Market(own=(Owned("p5.48xlarge", 5), Owned("a100-80gb-sxm", 2, 4)))
    (one,) = questions(market, RUN, CATALOG)
    assert {each.get("instance_type") for each in one["cluster"]} == {"p5.48xlarge", None}
    assert max(each["nodes"] for each in one["cluster"]) == 5
    with pytest.raises(PlanErrors, match="own"):
        questions(Market(own=market.own, least_nodes=8), RUN, CATALOG)


def test_the_scenarios_own_terms_hold_for_the_market() -> None:
    asked = RUN | {"cluster": {"instance_type": "p5.48xlarge", "nodes": 2, "discount_percent": 12.0}}
    (question,) = questions(Market(had=True), asked, CATALOG)
    said = question["cluster"]["any"]
    assert (said["available_only"], said["discounts"]) == (True, {"aws": 12.0})
    own = RUN | {"cluster": {"instance_type": "p5.48xlarge", "nodes": 2, "usd_per_node_hour": 40.0}}
    (question,) = questions(Market(), own, CATALOG)
    assert question["cluster"]["any"]["own_prices"] == {"p5.48xlarge": 40.0}
    assert "available_only" not in question["cluster"]["any"]
