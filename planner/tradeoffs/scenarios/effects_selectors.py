"""What another catalog does to the bills of saved scenarios."""

from __future__ import annotations

from planner.catalog.changes.effects import PlanEffect
from planner.catalog.facts.catalog import Catalog
from planner.plans.price_effects import effects_on
from planner.tradeoffs.models import Scenario

#: Scenarios that a preview prices: some milliseconds each, twice.
MOST = 500


def scenario_effects(before: Catalog, after: Catalog) -> list[PlanEffect]:
    """The bills of the newest saved scenarios; a private one's name is its owner's and is not shown."""
    rows = Scenario.objects.order_by("-pk").values_list("name", "visibility", "question")[:MOST]
    named = [
        (name if visibility == "everyone" else "A private scenario", question)
        for name, visibility, question in rows
    ]
    return effects_on(named, before, after)
