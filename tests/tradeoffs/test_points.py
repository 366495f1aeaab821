"""Points, their front, and what a goal leads to, by hand."""

from __future__ import annotations

import random
from dataclasses import replace

from planner.catalog.facts.loader import load_shipped_catalog
from planner.tradeoffs.market import Market
from planner.tradeoffs.points import Goal, Point, choose, goal_of, with_front

CATALOG = load_shipped_catalog()
DAY_S = 86_400.0


def point(name: str, days: float, usd: float | None) -> Point:
    return Point(
        machine=name,
        provider="aws",
        region="us-east-1",
        purchase="on_demand",
        nodes=1,
        accelerators=8,
        accelerator="H100",
        stack="",
        precision="",
        total_s=days * DAY_S,
        usd=usd,
        memory_share=0.5,
        model_flops_utilization=0.4,
        layout={},
    )


def test_the_front_is_that_of_every_pair_compared() -> None:
    draw = random.Random(7)
    points = [
        point(str(n), draw.choice([1, 2, 3, 5]), draw.choice([None, 10.0, 20.0, 30.0, 40.0]))
        for n in range(60)
    ]
    for found in with_front(points):
        beaten = found.usd is None or any(
            other.usd is not None
            and other.total_s <= found.total_s
            and other.usd <= found.usd
            and (other.total_s < found.total_s or other.usd < found.usd)
            for other in points
        )
        if found.front:
            assert not beaten
        elif not beaten:  # one of several that are equal stands for all
            assert any(
                each.front and (each.total_s, each.usd) == (found.total_s, found.usd)
                for each in with_front(points)
            )


def test_without_prices_the_quickest_stands_alone() -> None:
    found = with_front([point("slow", 9, None), point("quick", 3, None)])
    assert [each.machine for each in found if each.front] == ["quick"]


def test_a_goal_leads_to_the_cheapest_and_the_quickest_within_it() -> None:
    points = with_front([point("quick", 1, 900.0), point("middle", 5, 400.0), point("cheap", 20, 100.0)])
    chosen = choose(points, Goal(deadline_s=10 * DAY_S))
    assert chosen.cheapest is not None
    assert chosen.quickest is not None
    assert (chosen.cheapest.machine, chosen.quickest.machine) == ("middle", "quick")


def test_a_margin_is_kept_from_both() -> None:
    points = with_front([point("close", 9.5, 100.0), point("far", 5, 400.0)])
    goal = goal_of(10.0, None, Market(margin_percent=10.0))
    chosen = choose(points, goal)
    assert chosen.cheapest is not None
    assert chosen.cheapest.machine == "far"


def test_where_nothing_meets_the_goal_the_nearest_are_named() -> None:
    points = with_front([point("quick", 1, 900.0), point("cheap", 20, 100.0)])
    chosen = choose(points, Goal(deadline_s=2 * DAY_S, budget_usd=200.0))
    assert chosen.cheapest is None
    assert chosen.nearest_time is not None
    assert chosen.nearest_cost is not None
    assert (chosen.nearest_time.machine, chosen.nearest_cost.machine) == ("cheap", "quick")


def test_what_has_no_price_is_within_no_budget() -> None:
    assert not Goal(budget_usd=1e9).met_by(point("unpriced", 1, None))
    assert Goal(deadline_s=2 * DAY_S).met_by(point("unpriced", 1, None))


def test_beside_spot_stands_what_is_not_taken_back_and_what_is_balanced() -> None:
    spot = replace(point("spot", 10, 100.0), purchase="spot")
    steady, quick, middle = point("steady", 20, 200.0), point("quick", 1, 5000.0), point("middle", 4, 230.0)
    chosen = choose([spot, steady, quick, middle], Goal())
    assert (chosen.cheapest, chosen.steady, chosen.balanced, chosen.quickest) == (spot, steady, middle, quick)
    assert choose([steady, quick], Goal()).steady is None
    late = choose([spot, quick], Goal(deadline_s=2 * DAY_S))
    assert (late.cheapest, late.steady) == (quick, None)
