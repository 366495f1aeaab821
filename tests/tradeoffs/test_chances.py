"""Chances of pairs of points: what cancels, what is equal, and what is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.catalog.facts.loader import load_shipped_catalog
from planner.engine.sure.pairs import SharedErrors
from planner.tradeoffs.chances import compared, in_percent, pairs, told
from planner.tradeoffs.points import Point
from tests.tradeoffs.test_points import point

CATALOG = load_shipped_catalog()
SHARED = SharedErrors(same_chip=0.1, other_chip=0.3, other_stack=0.2)


def ranged(machine: str, days: float, usd: float, spread: float = 1.2) -> Point:
    bare = point(machine, days, usd)
    ends = (bare.total_s / spread, bare.total_s * spread)
    return replace(bare, total_interval_s=ends, usd_interval=(usd / spread, usd * spread))


H100, H200, A100 = "p5.48xlarge", "p5en.48xlarge", "p4d.24xlarge"


def test_a_plan_is_held_against_the_best_of_each_other_machine_the_nearest_first() -> None:
    best = ranged(H200, 10, 100.0)
    others = [
        ranged(A100, 30, 180.0),
        ranged(H100, 14, 130.0),
        ranged(H100, 12, 140.0),
        ranged(H200, 9, 110.0),
    ]
    found = pairs(best, [best, *others], "cost", catalog=CATALOG, shared=SHARED)
    assert [(each.other.machine, each.other.usd) for each in found] == [(H100, 130.0), (A100, 180.0)]
    assert 0.5 < found[0].chance < found[1].chance
    assert told(found[:1])[0].startswith("1 × p5en.48xlarge beats 1 × p5.48xlarge on cost with ")


def test_what_two_plans_have_in_common_cancels() -> None:
    """Ranges of 20 % either way overlap at a distance of 15 %, and yet the order is nearly sure."""
    best, other = ranged(H200, 10, 100.0), ranged(H100, 11.5, 115.0)
    (apart,) = pairs(best, [other], "time", catalog=CATALOG, shared=SharedErrors())
    (together,) = pairs(best, [other], "time", catalog=CATALOG, shared=SHARED)
    assert apart.chance < together.chance
    assert together.chance > 0.85


def test_plans_that_are_hardly_apart_are_equal() -> None:
    (pair,) = pairs(
        ranged(H200, 10, 100.0), [ranged(H100, 10, 101.0)], "cost", catalog=CATALOG, shared=SHARED
    )
    assert pair.equal
    assert told([pair]) == ["1 × p5en.48xlarge and 1 × p5.48xlarge are equal in cost within what is known."]


def test_the_price_has_what_the_cost_has_beyond_the_time() -> None:
    wide = replace(ranged(H200, 10, 100.0), usd_interval=(50.0, 200.0))
    found = compared(wide, CATALOG)
    narrow = compared(ranged(H200, 10, 100.0), CATALOG)
    assert found is not None
    assert narrow is not None
    assert found.price_spread > 0.4
    assert narrow.price_spread == pytest.approx(0.0, abs=1e-6)


def test_machines_of_ones_own_are_known_by_their_chip() -> None:
    own = replace(ranged("8 × h100-sxm", 10, 100.0), accelerator="h100-sxm")
    found = compared(own, CATALOG)
    assert found is not None
    assert found.cluster.accelerators_per_node == 8
    assert compared(replace(own, accelerator="none such"), CATALOG) is None


def test_nothing_is_claimed_for_sure() -> None:
    assert in_percent(0.999) == "over 99 %"
    assert in_percent(0.714) == "71 %"


def test_pairs_are_told_together() -> None:
    best = ranged(H200, 10, 100.0)
    others = [ranged(H100, 10, 101.0), ranged(A100, 30, 180.0), ranged("g5.48xlarge", 90, 400.0)]
    beats, equals = told(pairs(best, others, "cost", catalog=CATALOG, shared=SHARED))
    assert beats.startswith("1 × p5en.48xlarge beats 1 × p4d.24xlarge on cost with ")
    assert beats.count(" on cost") == 1
    assert equals == "1 × p5en.48xlarge and 1 × p5.48xlarge are equal in cost within what is known."
    assert told([]) == []
