"""``cluster.accelerator`` as an object: a card that the catalog lacks."""

from __future__ import annotations

import math
from typing import Any

import pytest

from planner.catalog.facts.catalog import Catalog
from planner.contract.own_accelerator import FP32_SHARE, PCIE4_BYTES_PER_S, TF32_SHARE
from planner.contract.parse import parse_plan_request
from planner.contract.render import render_cluster
from planner.engine.question.errors import PlanErrors
from planner.engine.question.specs import AcceleratorSpec
from planner.engine.sure.intervals import OWN_CARD_SPREAD, UNKNOWN_CHIP_SPREAD
from tests.contract.conftest import BASE
from tests.engine.questions import answer, question

FIGURES = {"memory_bytes": 96e9, "bf16_flops_per_s": 8e14, "memory_bandwidth_bytes_per_s": 4e12}


def machines(card: dict[str, Any]) -> dict[str, Any]:
    return {"accelerator": card, "accelerators_per_node": 8, "nodes": 2, "internode_gbps_per_node": 3200}


def card_of(card: dict[str, Any], catalog: Catalog) -> AcceleratorSpec:
    asked = {**BASE, "layout": "auto", "cluster": machines(card)}
    return parse_plan_request(asked, catalog).cluster.accelerator


def fields_wrong(card: dict[str, Any], catalog: Catalog) -> list[str]:
    with pytest.raises(PlanErrors) as wrong:
        card_of(card, catalog)
    assert all(error.remedy for error in wrong.value.errors)
    return [error.field.removeprefix("cluster.accelerator.") for error in wrong.value.errors]


def test_what_a_card_leaves_out_is_that_of_its_like(catalog: Catalog) -> None:
    like = catalog.accelerator("h100-sxm").spec
    card = card_of({"name": "H900", "like": "h100-sxm", "bf16_flops_per_s": 8e14}, catalog)
    assert (card.name, card.memory_bytes, card.link) == ("H900", like.memory_bytes, like.link)
    assert card.fp8_flops_per_s / card.bf16_flops_per_s == pytest.approx(
        like.fp8_flops_per_s / like.bf16_flops_per_s
    )
    assert card.architecture == "hopper"


def test_a_card_like_none_is_of_no_kind_and_has_plain_defaults(catalog: Catalog) -> None:
    card = card_of(FIGURES, catalog)
    assert card.architecture == "own"
    assert (card.tf32_flops_per_s, card.fp32_flops_per_s) == (TF32_SHARE * 8e14, FP32_SHARE * 8e14)
    assert (card.fp8_flops_per_s, card.link_bytes_per_s, card.link) == (0.0, PCIE4_BYTES_PER_S, "pcie")


@pytest.mark.parametrize(
    ("card", "wrong"),
    [
        ({}, ["memory_bytes", "bf16_flops_per_s", "memory_bandwidth_bytes_per_s"]),
        ({**FIGURES, "memory_bytes": -1}, ["memory_bytes"]),
        ({**FIGURES, "cores": 3}, ["cores"]),
        ({"like": "h2000"}, ["like"]),
        ({**FIGURES, "memory_bandwidth_bytes_per_s": None}, ["memory_bandwidth_bytes_per_s"]),
    ],
)
def test_what_is_wrong_is_named_by_its_field(
    card: dict[str, Any], wrong: list[str], catalog: Catalog
) -> None:
    assert fields_wrong(card, catalog) == wrong


@pytest.mark.parametrize(
    "card", [FIGURES, {"like": "h100-sxm"}, {**FIGURES, "like": "trainium1", "name": "T"}]
)
def test_an_answers_card_asks_for_the_same_again(card: dict[str, Any], catalog: Catalog) -> None:
    asked = {**BASE, "layout": "auto", "cluster": machines(card)}
    first = parse_plan_request(asked, catalog)
    again = parse_plan_request({**asked, "cluster": render_cluster(first.cluster)}, catalog)
    assert again.cluster == first.cluster


def test_its_range_shows_that_nobody_measured_it() -> None:
    def spread(card: dict[str, Any]) -> tuple[float, float]:
        found = answer(question(cluster=machines(card)))
        low, high = found.time.total_interval_s
        return math.log(found.time.total_s / low), math.log(high / found.time.total_s)

    assert min(spread({"like": "h100-sxm"})) >= OWN_CARD_SPREAD * 0.999
    assert min(spread(FIGURES)) >= UNKNOWN_CHIP_SPREAD * 0.999


def test_an_unknown_machine_is_shown_the_way_to_ones_own(catalog: Catalog) -> None:
    with pytest.raises(PlanErrors) as wrong:
        parse_plan_request({**BASE, "cluster": {"instance_type": "p9.48xlarge", "nodes": 1}}, catalog)
    assert "cluster.accelerator" in wrong.value.errors[0].remedy
    assert "usd_per_node_hour" in wrong.value.errors[0].remedy
