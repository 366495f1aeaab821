"""Twelve bills worked by hand: nodes x hours billed x price, what is owed beside it, and what is due at once.

The prices are those of 29 November 2026 in the catalog; the arithmetic stands beside each bill.
"""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.cluster import at_own_price, discounted, priced_cluster
from planner.engine.answer.records import cost_of
from planner.engine.question.request import Cluster
from planner.engine.question.result import Cost

CATALOG = load_shipped_catalog()
HOUR, DAY = 3600.0, 86_400.0
TODAY = date(2026, 11, 29)
WORKLOAD = SimpleNamespace(sequences=None, sequence_length=1000)


class Bill(NamedTuple):
    """The purchase, the run's hours, and what is due: dollars of the run, committed, and on the first day."""

    instance: str
    region: str
    purchase: str
    nodes: int
    hours: float
    usd: float
    commitment_usd: float | None = None
    upfront_usd: float = 0.0
    idle_usd: float = 0.0


BILLS = (
    # 16 x 744 x 55.04
    Bill("p5.48xlarge", "us-east-1", "on_demand", 16, 744, 655_196.16),
    # 4 x 100 x 23.45325
    Bill("p5.48xlarge", "us-east-1", "spot", 4, 100, 9_381.30),
    # 16 x 305 x 20.695 of 16 x 26,280 x 20.695, all of it up front
    Bill("p5.48xlarge", "us-east-1", "savings_3y", 16, 305, 100_991.60, 8_701_833.60, 8_701_833.60),
    # 8 x 240 x 32.36 of 8 x 8,760 x 32.36
    Bill("p5.48xlarge", "us-east-1", "savings_1y", 8, 240, 62_131.20, 2_267_788.80, 2_267_788.80),
    # 9.3 days are a block of 10: 8 x 240 x 41.528, of which 16.8 h are idle
    Bill("p5.48xlarge", "us-east-1", "capacity_block", 8, 223.2, 79_733.76, None, 79_733.76, 5_581.3632),
    # 20 days are a block of three weeks: 32 x 504 x 11.8, of which 24 h are idle
    Bill("p4d.24xlarge", "us-east-1", "capacity_block", 32, 480, 190_310.40, None, 190_310.40, 9_062.40),
    # 32 x 504 x 13.921094 of 32 x 8,760 x 13.921094, by the month
    Bill("p4d.24xlarge", "us-east-1", "reserved_1y", 32, 504, 224_519.404, 3_902_361.07, 0.0),
    # 13 months are two terms: 4 x 9,490 x 13.22895 of 4 x 17,520 x 13.22895
    Bill("trn1.32xlarge", "us-east-1", "reserved_1y", 4, 9_490, 502_170.942, 927_084.816, 0.0),
    # Ten seconds are billed as sixty: 2 x 60 / 3,600 x 21.50
    Bill("trn1.32xlarge", "us-east-1", "on_demand", 2, 10 / 3600, 0.716_667, None, 0.0, 0.597_222),
    # 100 x 336 x 54.92: a block of 14 days, in two parts
    Bill("p5en.48xlarge", "us-west-2", "capacity_block", 100, 335.5, 1_845_312.0, None, 1_845_312.0, 2_746.0),
    # 2 x 12.5 x 29.38708
    Bill("a2-highgpu-8g", "us-central1", "on_demand", 2, 12.5, 734.677),
    # 4 x 720 x 19.5092 of 4 x 26,280 x 19.5092, by the month
    Bill("a2-megagpu-16g", "us-central1", "reserved_3y", 4, 720, 56_186.496, 2_050_807.104, 0.0),
)


def bought(bill: Bill) -> Cluster:
    return priced_cluster(
        CATALOG.instance(bill.instance).spec,
        CATALOG,
        region=bill.region,
        purchase=bill.purchase,
        nodes=bill.nodes,
        as_of=None,
    )


def due(cluster: Cluster, hours: float) -> Cost:
    """The bill of a run of so many hours, whatever it computes; its length is known for certain."""
    seconds = hours * HOUR
    plan: Any = SimpleNamespace(grid=SimpleNamespace(global_batch_size=1000, sequence_length=1000))
    time: Any = SimpleNamespace(steps=1000, total_s=seconds, total_interval_s=(seconds, seconds))
    request: Any = SimpleNamespace(cluster=cluster, workload=WORKLOAD, today=TODAY)
    cost = cost_of(plan, request, time)
    assert cost is not None
    return cost


@pytest.mark.parametrize("bill", BILLS, ids=lambda bill: f"{bill.instance} {bill.purchase}")
def test_the_bill_is_as_worked_by_hand(bill: Bill) -> None:
    cost = due(bought(bill), bill.hours)
    assert cost.usd == pytest.approx(bill.usd, rel=1e-6)
    assert cost.usd_per_million_tokens == pytest.approx(bill.usd / 1000, rel=1e-6)
    assert cost.upfront_usd == pytest.approx(bill.upfront_usd, rel=1e-6)
    assert cost.idle_usd == pytest.approx(bill.idle_usd, rel=1e-5, abs=1e-9)
    assert cost.billed_usd == pytest.approx(bill.commitment_usd or bill.usd, rel=1e-6)
    if bill.commitment_usd is None:
        assert cost.commitment_usd is None and cost.commitment_years is None
    else:
        assert cost.commitment_usd == pytest.approx(bill.commitment_usd, rel=1e-6)


def test_the_price_alone_makes_a_range() -> None:
    """Seen 132 days ago: 1.2816 x 0.083 x root of (132 + 31 / 3 days in years) = 6.64 %, either way."""
    cost = due(bought(BILLS[0]), 744)
    assert cost.usd_interval[1] / cost.usd == pytest.approx(1.0687, rel=2e-3)
    assert cost.usd_interval[0] / cost.usd == pytest.approx(1 / 1.0687, rel=2e-3)
    assert cost.price_interval_usd_per_node_hour[1] == pytest.approx(55.04 * 1.0687, rel=2e-3)


def test_spot_ranges_over_its_zones() -> None:
    low, high = due(bought(BILLS[1]), 100).price_interval_usd_per_node_hour
    assert low < 17.6289 and high > 55.04


def test_a_price_of_ones_own_is_sure_and_a_discount_is_off_the_list() -> None:
    own = due(at_own_price(bought(BILLS[0]), 40.0), 10)
    assert own.usd == 6400.0 and own.usd_interval == (6400.0, 6400.0)
    assert own.own_price and own.price_as_of is None and own.price_source == "given in the request"
    less = due(discounted(bought(BILLS[0]), 20.0), 10)
    assert less.usd == pytest.approx(16 * 10 * 55.04 * 0.8)
    assert (less.list_usd_per_node_hour, less.discount_percent) == (55.04, 20.0)


def test_own_terms_keep_the_rules_of_the_purchase() -> None:
    """A negotiated block is a block all the same: 8 x 240 x 30."""
    cost = due(at_own_price(bought(BILLS[4]), 30.0), 223.2)
    assert cost.usd == pytest.approx(57_600.0) and cost.block_days == 10


def test_idle_machines_are_part_of_the_bill() -> None:
    seconds = 10 * HOUR
    plan: Any = SimpleNamespace(grid=SimpleNamespace(global_batch_size=1000, sequence_length=1000))
    time: Any = SimpleNamespace(steps=1000, total_s=seconds, total_interval_s=(seconds, seconds))
    request: Any = SimpleNamespace(cluster=bought(BILLS[0]), workload=WORKLOAD, today=TODAY)
    cost = cost_of(plan, request, time, idle_share=0.25)
    assert cost is not None
    assert cost.idle_usd == pytest.approx(0.25 * cost.usd)
