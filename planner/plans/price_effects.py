"""What another catalog does to plans' bills: for those who accept changes of prices.

A plan is a name and a question of the JSON contract. Until plans are saved, those of the presets are
looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from planner.catalog.changes.effects import PlanEffect
from planner.catalog.facts.catalog import Catalog
from planner.contract.parse import parse_plan_request
from planner.engine.question.errors import PlanErrors
from planner.plans.answers import answer_each
from planner.plans.presets import MACHINES, PRESET_BUTTONS, PRESETS
from planner.plans.state import contract_request, form_state

Question = tuple[str, dict[str, Any]]


def effects_on(questions: Iterable[Question], before: Catalog, after: Catalog) -> list[PlanEffect]:
    """The bill of each question by both catalogs, in the order given."""
    named = list(questions)
    old, new = (_bills(named, catalog) for catalog in (before, after))
    return [
        PlanEffect(name=name, usd_before=old[index], usd_after=new[index])
        for index, (name, _) in enumerate(named)
    ]


def preset_effects(before: Catalog, after: Catalog) -> list[PlanEffect]:
    """The bills of the presets on their machines."""
    return effects_on(preset_questions(before), before, after)


def preset_questions(catalog: Catalog) -> list[Question]:
    """Each preset on each machine that it is begun on, with a count of nodes that is given."""
    found = []
    for preset in PRESET_BUTTONS:
        for instance, nodes in MACHINES.get(preset.name, ()):
            if nodes == "auto":
                continue
            state = form_state(PRESETS[preset.name] | {"instance": instance, "nodes": nodes}, catalog)
            found.append((f"{preset.label} on {nodes} × {instance}", contract_request(state)))
    return found


def _bills(questions: list[Question], catalog: Catalog) -> list[float | None]:
    today = timezone.localdate()
    bills: list[float | None] = [None] * len(questions)
    asked = []
    for index, (_, question) in enumerate(questions):
        try:
            asked.append((index, parse_plan_request(question, catalog, today=today)))
        except PlanErrors:
            continue  # a machine that the catalog no longer has, or a price that is gone
    answers = answer_each([request for _, request in asked])
    for (index, _), answer in zip(asked, answers, strict=True):
        if not isinstance(answer, PlanErrors):
            bills[index] = None if answer.cost is None else answer.cost.usd
    return bills
