"""Own and negotiated prices, budgets, and purchases with rules of their own, from JSON to JSON."""

from __future__ import annotations

from typing import Any

import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.catalog.facts.catalog import Catalog
from planner.contract.parse import parse_plan_request
from planner.contract.render import render_cluster, render_result
from planner.engine.answer.estimate import estimate
from planner.engine.sure.calibration import Calibration
from tests.contract.conftest import bent, problems_of


def clustered(**cluster: Any) -> dict[str, Any]:
    return bent({"cluster": {"instance_type": "p5.48xlarge", "region": "us-east-1", "nodes": 16} | cluster})


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return shipped_calibration()


def answered(data: dict[str, Any], catalog: Catalog, calibration: Calibration) -> dict[str, Any]:
    return render_result(estimate(parse_plan_request(data, catalog), calibration))


def test_a_price_of_ones_own_beside_an_instance_type(catalog: Catalog, calibration: Calibration) -> None:
    found = answered(clustered(usd_per_node_hour=40), catalog, calibration)
    cost, hours = found["cost"], found["time"]["total_s"] / 3600
    assert cost["usd"] == pytest.approx(16 * hours * 40)
    assert (cost["own_price"], cost["price_source"], cost["price_as_of"]) == (
        True,
        "given in the request",
        None,
    )
    assert found["cluster"]["usd_per_node_hour"] == 40.0
    assert not any(warning["code"].startswith("price") for warning in found["warnings"])


def test_a_discount_is_off_the_list_price(catalog: Catalog, calibration: Calibration) -> None:
    cost = answered(clustered(discount_percent=20), catalog, calibration)["cost"]
    assert cost["price_usd_per_node_hour"] == pytest.approx(44.032)
    assert (cost["list_usd_per_node_hour"], cost["discount_percent"]) == (55.04, 20.0)


@pytest.mark.parametrize(
    "terms",
    [
        {"usd_per_node_hour": 40.0},
        {"discount_percent": 12.5},
        {"purchase": "spot", "interruptions_per_node_day": 0.5, "restart_minutes": 5.0},
        {"purchase": "spot", "checkpoint_minutes": 20.0},
    ],
)
def test_the_answers_cluster_can_be_sent_back(terms: dict[str, Any], catalog: Catalog) -> None:
    read = parse_plan_request(clustered(**terms), catalog).cluster
    told = render_cluster(read)
    assert terms.items() <= told.items()
    assert parse_plan_request(bent({"cluster": told}), catalog).cluster == read


def test_a_price_and_a_discount_are_one_too_many(catalog: Catalog) -> None:
    data = clustered(usd_per_node_hour=40, discount_percent=10)
    (error,) = problems_of(lambda: parse_plan_request(data, catalog))
    assert error.field == "cluster.discount_percent"


@pytest.mark.parametrize("percent", [0, -5, 100, "20"])
def test_a_discount_is_a_part_of_the_price(percent: Any, catalog: Catalog) -> None:
    (error,) = problems_of(lambda: parse_plan_request(clustered(discount_percent=percent), catalog))
    assert error.field == "cluster.discount_percent"


def test_limits_are_told(catalog: Catalog, calibration: Calibration) -> None:
    found = answered(clustered() | {"budget_usd": 1000, "deadline_days": 9999}, catalog, calibration)
    assert (found["meets_budget"], found["meets_deadline"], found["unavailable"]) == (False, True, None)
    assert "budget_missed" in {warning["code"] for warning in found["warnings"]}
    free = answered(clustered(), catalog, calibration)
    assert (free["meets_budget"], free["meets_deadline"]) == (None, None)


def test_what_cannot_be_bought_is_a_result(catalog: Catalog, calibration: Calibration) -> None:
    """More machines than blocks hold; a block where none is sold; what blocks are sold as."""
    many = answered(clustered(nodes=512, purchase="capacity_block"), catalog, calibration)
    assert "256 instances in all" in many["unavailable"]
    assert many["cost"]["usd"] > 0 and "unavailable" in {each["code"] for each in many["warnings"]}
    away = answered(clustered(purchase="capacity_block", region="eu-central-1"), catalog, calibration)
    assert "not known to be sold as a capacity block in eu-central-1" in away["unavailable"]
    assert away["cost"] is None and "no_price" in {each["code"] for each in away["warnings"]}
    two = answered(clustered(nodes=128, purchase="capacity_block"), catalog, calibration)
    assert two["unavailable"] is None and two["cost"]["blocks"] == 2
    assert "several_blocks" in {each["code"] for each in two["warnings"]}


def test_interruptions_take_time_and_are_explained(catalog: Catalog, calibration: Calibration) -> None:
    calm = answered(clustered(), catalog, calibration)
    rough = answered(clustered(purchase="spot"), catalog, calibration)
    lost = rough["time"]["interruptions"]
    assert calm["time"]["interruptions"] is None
    assert lost["computing_s"] == pytest.approx(calm["time"]["total_s"])
    assert rough["time"]["total_s"] == pytest.approx(lost["computing_s"] + lost["lost_s"])
    terms = {term["name"]: term for term in rough["explanation"]}
    assert terms["computing_s"]["value"] + terms["lost_s"]["value"] == pytest.approx(
        terms["total_s"]["value"]
    )
    assert terms["expected_interruptions"]["value"] == pytest.approx(lost["expected"])
    worse = answered(clustered(purchase="spot", interruptions_per_node_day=2), catalog, calibration)
    assert worse["time"]["total_s"] > rough["time"]["total_s"]
    own = {"interruptions_per_node_day": 0.01}
    assert answered(clustered(**own), catalog, calibration)["time"]["interruptions"]["expected"] > 0


def test_a_commitment_is_explained(catalog: Catalog, calibration: Calibration) -> None:
    found = answered(clustered(purchase="savings_3y"), catalog, calibration)
    cost, terms = found["cost"], {term["name"]: term for term in found["explanation"]}
    assert cost["commitment_usd"] == pytest.approx(16 * 26_280 * 20.695)
    assert (cost["commitment_years"], cost["payment_option"]) == (3.0, "all_upfront")
    assert cost["billed_usd"] == cost["upfront_usd"] == cost["commitment_usd"] > cost["usd"]
    assert terms["commitment_usd"]["value"] == pytest.approx(cost["commitment_usd"])
    assert "owed whether used or not" in terms["commitment_usd"]["formula"]


def test_a_day_before_the_oldest_list_price_takes_that_price_and_says_so(
    catalog: Catalog, calibration: Calibration
) -> None:
    early = {"instance_type": "p4d.24xlarge", "price_as_of": "2023-02-01"}
    found = answered(clustered(**early), catalog, calibration)
    assert found["cost"]["price_usd_per_node_hour"] == pytest.approx(32.7726)
    assert found["cost"]["price_as_of"] == "2023-09-18"
    (warning,) = [each for each in found["warnings"] if each["code"] == "price_from_later"]
    assert "18 September 2023" in warning["message"]
    # Spot prices move too much for that.
    assert answered(clustered(**early, purchase="spot"), catalog, calibration)["cost"] is None
