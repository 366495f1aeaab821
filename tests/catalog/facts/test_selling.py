"""The rules of selling, and the figures that are drawn from the catalog's own prices."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import pairwise

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.catalog.facts.records import PROVIDER_NAMES, PriceRecord
from planner.catalog.facts.selling import USUAL_ZONES, per_day, sale_of, shipped_selling
from planner.engine.question.sale import Sale
from planner.engine.question.words import PURCHASES

CATALOG, SELLING = load_shipped_catalog(), shipped_selling()


def sold(slug: str, region: str, purchase: str) -> Sale:
    price = CATALOG.price(slug, region, purchase)
    spec = CATALOG.instance(slug).spec
    return sale_of(spec, CATALOG, region=region, purchase=purchase, price=price, as_of=None)


def series() -> dict[str, list[list[PriceRecord]]]:
    """The prices of one thing in order of time, by purchase."""
    by_thing: dict[tuple[str, str, str], list[PriceRecord]] = defaultdict(list)
    for price in CATALOG.prices():
        by_thing[price.instance_slug, price.region, price.purchase].append(price)
    found: dict[str, list[list[PriceRecord]]] = defaultdict(list)
    for (_, _, purchase), prices in by_thing.items():
        found[purchase].append(sorted(prices, key=lambda price: price.valid_from))
    return found


@pytest.mark.parametrize("purchase", ["on_demand", "spot", "reserved_1y", "reserved_3y", "capacity_block"])
def test_volatility_is_that_of_the_prices(purchase: str) -> None:
    squares = years = 0.0
    for prices in series()[purchase]:
        squares += sum(math.log(b.usd_per_hour / a.usd_per_hour) ** 2 for a, b in pairwise(prices))
        years += (max(price.provenance.as_of for price in prices) - prices[0].valid_from).days / 365.25
    recorded = SELLING.volatility[purchase].log_change_a_year
    assert recorded == pytest.approx(math.sqrt(squares / years), rel=0.02, abs=5e-4)


def test_usual_zones_are_those_of_the_prices() -> None:
    zoned = [price for price in CATALOG.prices() if price.usd_per_hour_low and price.usd_per_hour_high]
    lows = [math.log((price.usd_per_hour_low or 0.0) / price.usd_per_hour) for price in zoned]
    highs = [math.log((price.usd_per_hour_high or 0.0) / price.usd_per_hour) for price in zoned]
    assert sum(lows) / len(lows) == pytest.approx(USUAL_ZONES[0], abs=0.005)
    assert sum(highs) / len(highs) == pytest.approx(USUAL_ZONES[1], abs=0.005)
    assert all(low <= 0.0 <= high for low, high in zip(lows, highs, strict=True))


def test_every_rule_is_of_a_known_provider_and_every_priced_purchase_has_one() -> None:
    assert {provider for provider, _ in SELLING.rules} == set(PROVIDER_NAMES)
    priced = {
        (CATALOG.instance(price.instance_slug).spec.provider, price.purchase) for price in CATALOG.prices()
    }
    assert priced <= set(SELLING.rules)
    assert set(SELLING.volatility) == set(PURCHASES)


@pytest.mark.parametrize("record", SELLING.interruptions.values(), ids=lambda each: each.instance_slug)
def test_a_rate_is_of_a_known_machine_and_a_share(record: object) -> None:
    assert CATALOG.instance(record.instance_slug).spec.provider == "aws"  # type: ignore[attr-defined]
    assert 0.0 < record.percent_a_month <= 40.0  # type: ignore[attr-defined]


def test_commitments_say_how_they_are_paid() -> None:
    assert sold("p5.48xlarge", "us-east-1", "savings_3y").payment_option == "all_upfront"
    assert sold("p5.48xlarge", "us-east-1", "savings_3y").commitment_years == 3
    assert sold("a2-highgpu-1g", "us-central1", "reserved_1y").payment_option == "no_upfront"


def test_capacity_blocks_have_their_rules_and_say_where_they_are_not_sold() -> None:
    blocks = sold("p5.48xlarge", "us-east-1", "capacity_block").blocks
    assert blocks is not None
    assert (blocks.block_days, blocks.longest_days) == (14, 182)
    assert (blocks.nodes_a_block, blocks.nodes_in_all, blocks.days_ahead) == (64, 256, 56)
    elsewhere = sold("p5.48xlarge", "eu-central-1", "capacity_block").not_sold
    assert "not known to be sold as a capacity block in eu-central-1" in elsewhere and "us-east" in elsewhere
    assert (
        "is not sold as a capacity block" in sold("a3-highgpu-8g", "us-central1", "capacity_block").not_sold
    )
    assert "savings plan" in sold("a3-highgpu-8g", "us-central1", "savings_3y").not_sold


def test_spot_has_the_zones_prices_and_the_observed_interruptions() -> None:
    """p5 in us-east-1: 17.6289 to 55.04 over a median of 23.45325; over 20 % a month are taken back."""
    sale = sold("p5.48xlarge", "us-east-1", "spot")
    assert sale.spread.zones == pytest.approx((math.log(17.6289 / 23.45325), math.log(55.04 / 23.45325)))
    assert sale.interruptions is not None
    assert sale.interruptions.per_node_day == pytest.approx(-math.log(0.6) / 30.4)
    assert per_day(5.0) == pytest.approx(0.0016873, rel=1e-4)
    unknown = sold("p6-b200.48xlarge", "us-east-1", "spot").interruptions
    assert unknown is not None and unknown.per_node_day == 0.0168
