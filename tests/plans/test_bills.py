"""What the plan page says of money."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from planner.engine.question.result import Cost, InterruptedTime, PlanResult
from planner.plans.bills import PriceNote, limits, price_note
from planner.plans.presenters import verdict
from tests.plans.plans import DAY, a_request, a_result

SOON, LATE = date(2025, 6, 20), date(2026, 11, 29)


def billed(cluster: dict[str, Any] | None = None, **cost: Any) -> PlanResult:
    result = a_result(request=a_request(**(cluster or {})))
    assert isinstance(result.cost, Cost)
    return replace(result, cost=replace(result.cost, **cost))


def said(result: PlanResult, day: date = SOON) -> PriceNote:
    note = price_note(result, today=day)
    assert note is not None
    return note


@pytest.mark.parametrize("day", [SOON, LATE])
def test_age_alone_is_no_alarm(day: date) -> None:
    note = said(a_result(), day)
    assert not note.amber
    assert note.age == f"price of 5 June 2025, {(day - date(2025, 6, 5)).days} days old"
    assert (note.source, note.bill) == ("a price list", ())
    assert note.text == "$55.04/h per node, on demand in us-east-1."


def test_a_price_that_moved_is_amber_and_says_to_what() -> None:
    """Before the cut of 1 June 2025 it was 98.32."""
    note = said(billed({"price_as_of": "2025-05-01"}))
    assert note.amber
    assert note.text.endswith("Since 1 June 2025 it is $55.04/h.")
    assert not said(billed({"price_as_of": "2025-07-01"})).amber


def test_spot_is_amber_and_tells_its_zones_and_losses() -> None:
    result = billed({"purchase": "spot"}, purchase="spot", price_interval_usd_per_node_hour=(11.2, 69.9))
    lost = InterruptedTime(expected=3.2, computing_s=29 * DAY, lost_s=DAY * 1.5, checkpoint_interval_s=6000.0)
    note = said(replace(result, time=replace(result.time, interruptions=lost)))
    assert note.amber
    assert "About 3.2 interruptions are expected" in note.bill[0] and "36.0 hours" in note.bill[0]
    assert "between $11.20/h and $69.90/h" in note.bill[1]


def test_a_commitment_stands_beside_the_runs_share() -> None:
    note = said(
        billed(
            {"purchase": "savings_3y"},
            usd=100_991.6,
            commitment_usd=8_701_833.6,
            commitment_years=3.0,
            payment_option="all_upfront",
        )
    )
    (words,) = note.bill
    assert words == (
        "You commit $8.70M over 3 years; this run uses $101k of it. Payment: all of it paid up front."
    )


def test_a_block_says_what_it_leaves_over_and_how_far_ahead_it_is_sold() -> None:
    note = said(
        billed(
            {"purchase": "capacity_block"},
            usd=79_733.76,
            idle_usd=5_581.36,
            blocks=1,
            block_days=10.0,
            payment_option="all_upfront",
        )
    )
    assert "a block of 10 days, all of it paid up front: $79,700, of which $5,580" in note.bill[0]
    assert "up to 8 weeks ahead" in note.bill[0]


def test_no_price_asks_for_one() -> None:
    result = replace(a_result(request=a_request(purchase="capacity_block")), cost=None)
    note = said(result)
    assert note.amber and note.text.startswith("No capacity block price of p5.48xlarge is known in us-east-1")


def test_what_was_asked_for_is_part_of_the_verdict() -> None:
    request = replace(a_request(), deadline_days=20.0, budget_usd=1e6)
    result = replace(a_result(), meets_deadline=False, meets_budget=True)
    told = verdict(request, result)
    assert "but misses the deadline of 20 days by 10.0 days" in told.sentence
    assert told.sentence.endswith("; within the budget of $1M")
    assert told.kind == "tight"
    assert told.gist.startswith("Too late: 30.0 days")
    assert result.verdict == "fits"


def test_limits_kept_are_no_alarm() -> None:
    request = replace(a_request(), deadline_days=60.0)
    assert limits(request, replace(a_result(), meets_deadline=True)).kept == "within the deadline of 60 days"
    assert limits(a_request(), a_result()).missed == ()


def test_what_cannot_be_bought_is_no_green_tick() -> None:
    told = verdict(a_request(), replace(a_result(), unavailable="Capacity blocks hold 256 instances in all."))
    assert "but cannot be bought so" in told.sentence
    assert told.kind == "tight" and told.detail == "Capacity blocks hold 256 instances in all."
    assert told.gist.startswith("Not for sale")
