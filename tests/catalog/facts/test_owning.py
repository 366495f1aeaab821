"""The hour of an owned node, by hand, and the trace that says how it is made."""

from __future__ import annotations

import pytest

from planner.catalog.facts.owning import OwnedNode, node_hour, trace

NODE = OwnedNode(
    capital_usd=350_400, years=4, residual_percent=0, interest_percent=5, power_kw=10, usd_per_kwh=0.1,
    pue=1.3, hosting_usd_per_month=730, used_percent=50,
)  # fmt: skip


def test_each_part_by_hand() -> None:
    hour = node_hour(NODE)
    # 350,400 over 35,040 h is 10 an hour, 20 at half use; 175,200 x 5 % over 8,760 h is 1, 2 at half use.
    assert (hour.capital, hour.interest, hour.power, hour.hosting) == pytest.approx((20.0, 2.0, 1.3, 2.0))
    assert hour.total == pytest.approx(25.3)


def test_what_is_left_is_not_lost_but_tied_up() -> None:
    sold = OwnedNode(**NODE.as_dict() | {"residual_percent": 50.0, "used_percent": 100.0})
    hour = node_hour(sold)
    assert hour.capital == pytest.approx(5.0)
    assert hour.interest == pytest.approx(350_400 * 0.75 * 0.05 / 8760)


def test_the_trace_is_the_computation_and_its_parts_add_up() -> None:
    whole, *parts = trace(NODE)
    assert whole.value == pytest.approx(25.3)
    assert sum(part.value for part in parts) == pytest.approx(whole.value)
    assert {part.parent for part in parts} == {"node_hour"}
    assert parts[2].formula == "10 kW x 1.3 PUE x 0.1 USD/kWh"
    assert OwnedNode.of(NODE.as_dict() | {"instance": "p5.48xlarge"}) == NODE
