"""Goal first: what is found meets the budget and the deadline, and what cannot be met is said."""

from __future__ import annotations

from datetime import date

import pytest

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.engine.question import effort
from planner.engine.question.errors import PlanErrors
from planner.engine.run.length import SECONDS_PER_DAY
from planner.plans.goal import Found, find_machines
from planner.plans.goal_presenter import present_goal
from planner.plans.state import form_state

TODAY = date(2026, 11, 29)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_shipped_catalog()


def found(catalog: Catalog, **fields: str) -> Found:
    return find_machines(form_state({"by": "goal", **fields}, catalog), catalog, today=TODAY)


def test_each_offer_meets_budget_and_deadline(catalog: Catalog) -> None:
    goal = found(catalog, budget="$300k", deadline="30")
    assert not goal.missed
    assert 2 <= len(goal.offers) <= 6
    for offer in goal.offers:
        assert offer.meets and offer.result.fits and offer.result.cost is not None
        assert offer.result.cost.usd <= 300_000
        assert offer.result.time.total_s <= 30 * SECONDS_PER_DAY
    assert len({offer.result.cluster.accelerator.slug for offer in goal.offers}) == len(goal.offers)


def test_with_a_deadline_the_cheapest_comes_first(catalog: Catalog) -> None:
    costs = [
        offer.result.cost.usd
        for offer in found(catalog, deadline="60").offers
        if offer.result.cost is not None and offer.result.verdict == "fits"
    ]
    assert costs == sorted(costs)


def test_with_a_budget_alone_the_fastest_comes_first(catalog: Catalog) -> None:
    times = [
        offer.result.time.total_s
        for offer in found(catalog, budget="400k").offers
        if offer.result.verdict == "fits"
    ]
    assert times == sorted(times)


def test_without_a_goal_the_cheapest_comes_first(catalog: Catalog) -> None:
    everything = found(catalog)
    costs = [offer.result.cost.usd for offer in everything.offers if offer.result.cost is not None]
    sure = [
        cost for cost, offer in zip(costs, everything.offers, strict=True) if offer.result.verdict == "fits"
    ]
    assert sure == sorted(sure) and not everything.limited
    assert present_goal(everything, lambda cluster: "").title == "The cheapest on each kind of chip"


def test_what_cannot_be_met_says_what_can_be_had(catalog: Catalog) -> None:
    goal = found(catalog, budget="1k", deadline="3")
    assert goal.missed.startswith("Nothing in the catalog meets this goal: the best in time takes")
    assert goal.offers


def test_a_provider_is_kept_to(catalog: Catalog) -> None:
    goal = found(catalog, budget="600k", deadline="40", provider="gcp")
    assert {offer.result.cluster.provider for offer in goal.offers} == {"gcp"}


@pytest.mark.parametrize(("name", "value"), [("budget", "much"), ("deadline", "-3"), ("batch", "0")])
def test_a_goal_that_makes_no_sense_is_told(name: str, value: str, catalog: Catalog) -> None:
    with pytest.raises(PlanErrors):
        found(catalog, **{name: value})


def test_the_rows_name_their_machines_and_lead_to_them(catalog: Catalog) -> None:
    goal = found(catalog, budget="300k", deadline="30")
    page = present_goal(goal, lambda cluster: f"instance={cluster.instance_type}&nodes={cluster.nodes}")
    assert [row.chosen for row in page.rows] == [True] + [False] * (len(page.rows) - 1)
    cluster = goal.offers[0].result.cluster
    assert page.rows[0].query == f"instance={cluster.instance_type}&nodes={cluster.nodes}"
    assert cluster.instance_type in page.rows[0].machines


def test_a_model_of_many_experts_is_searched_within_the_budget_of_a_question(catalog: Catalog) -> None:
    """Its layouts are millions; what bounds leave of them is a quarter of what one question may cost."""
    fields = {"model": "deepseek-v3", "batch": "15360", "tokens": "14.8T"}
    with effort.at_most(1_500_000) as budget:
        goal = found(catalog, budget="$40M", **fields)
        first = budget.used
        assert goal.offers
        again = found(catalog, deadline="200", **fields)
    assert again.offers
    # Another goal for the same run is found among what was searched for the first.
    assert budget.used - first < 0.2 * first
