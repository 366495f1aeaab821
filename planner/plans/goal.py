"""Goal first: the machines of the whole catalog on which a run meets a budget, a deadline or both.

Each chip is searched for its best plan; the few that are shown are then estimated as any plan is, its layout
chosen as for any reader, so that a plan taken from here is the same plan on the page.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, cast

import numpy as np

from planner.accuracy.calibration import shipped_calibration
from planner.catalog.facts.catalog import Catalog
from planner.contract.parse import parse_plan_request
from planner.contract.search import parse_search_request
from planner.engine.answer.kept import Rows, best_by
from planner.engine.answer.searching import kept_of
from planner.engine.question import effort
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import Cluster, PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.question.search_request import Objective, SearchRequest
from planner.engine.run.length import SECONDS_PER_DAY
from planner.plans.answers import answer_each
from planner.plans.choices import BUDGET, PROVIDER
from planner.plans.state import FormState, contract_request, spelled_number
from planner.web import formats

NODES = (1, 2, 4, 8, 16, 32, 64, 128)
#: As many as one compares before choosing.
MOST_OFFERS = 6
NOWHERE = PlanError(
    "cluster.any",
    None,
    f"The run fits on no machine of the catalog, on up to {NODES[-1]} nodes.",
    "Shorten the sequence, choose a smaller model, or name the machines.",
)


@dataclass(frozen=True, slots=True)
class Offer:
    """One plan that was found. meets: within the budget and the deadline."""

    question: PlanRequest
    result: PlanResult
    meets: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """offers: the best first, at least one.  missed: why none meets the goal, "" where one does.

    limited: there is a goal, rather than neither a budget nor a deadline.
    """

    offers: tuple[Offer, ...]
    missed: str
    limited: bool


def find_machines(state: FormState, catalog: Catalog, *, today: date) -> Found:
    """The plans that meet the state's goal. Raises PlanErrors where the run makes no sense anywhere."""
    asked = contract_request(state)
    goal: dict[str, Any] = {}
    if state.values["deadline"]:
        goal["deadline_days"] = spelled_number(state.values["deadline"])
    if state.values[BUDGET]:
        goal["budget_usd"] = spelled_number(state.values[BUDGET].removeprefix("$"))
    machines: dict[str, Any] = {"purchases": [state.values["buy"]], "nodes": list(NODES)}
    if state.values[PROVIDER]:
        machines["providers"] = [state.values[PROVIDER]]
    if state.values["price_on"]:
        machines["price_as_of"] = state.values["price_on"]
    run = {"model": asked["model"], "workload": asked["workload"], "cluster": {"any": machines}}
    return _found(json.dumps(run), json.dumps(goal), catalog, today)


@lru_cache(maxsize=16)
def _found(run: str, goal: str, catalog: Catalog, today: date) -> Found:
    """Cached: the page, its exports and its folds ask for the same plans."""
    asked, limits = json.loads(run), json.loads(goal)
    # What is wrong with the question is said once, for all chips together.
    parse_search_request(asked | limits, catalog, today=today)
    offers = _kept(asked, limits, catalog, today)
    if offers:
        return Found(offers=tuple(offers)[:MOST_OFFERS], missed="", limited=bool(limits))
    nearest = [
        (words, near)
        for given_up, words in (("budget_usd", "in time"), ("deadline_days", "within the budget"))
        if len(limits) > 1 and (near := _kept(asked, _without(limits, given_up), catalog, today))
    ] or [("at all", _kept(asked, {}, catalog, today))]
    if not nearest[0][1]:
        raise PlanErrors([NOWHERE])
    return Found(offers=tuple(nearest[0][1])[:MOST_OFFERS], missed=_missed(nearest), limited=bool(limits))


def _kept(asked: dict[str, Any], limits: dict[str, Any], catalog: Catalog, today: date) -> list[Offer]:
    return [offer for offer in _offers(asked, limits, catalog, today) if offer.meets]


def _without(limits: dict[str, Any], given_up: str) -> dict[str, Any]:
    return {name: value for name, value in limits.items() if name != given_up}


def _missed(nearest: list[tuple[str, list[Offer]]]) -> str:
    """What can be had instead, in a sentence. nearest: what is kept of it, and the plans that keep it."""
    said = []
    for words, offers in nearest:
        best = offers[0].result
        cost = "" if best.cost is None else f" for {formats.dollars(best.cost.usd)}"
        said.append(f"the best {words} takes {formats.duration(best.time.total_s)}{cost}")
    return f"Nothing in the catalog meets this goal: {'; '.join(said)}."


def _offers(asked: dict[str, Any], limits: dict[str, Any], catalog: Catalog, today: date) -> list[Offer]:
    """The best plan of each chip, sure ones first, then by what the goal leaves open."""
    # Whoever has days to spare, or says nothing of them, wants the cheapest.
    objective = "time" if "budget_usd" in limits and "deadline_days" not in limits else "cost"
    chips = _searched(json.dumps(asked), catalog, today)
    best = [each.best(limits, objective) for each in chips]
    questions = [_question(asked, limits, cluster, catalog, today) for cluster in best if cluster]
    answers = zip(questions, answer_each(questions), strict=True)
    found = [
        Offer(question, result, _meets(result, limits))
        for question, result in answers
        if isinstance(result, PlanResult) and result.fits and result.cost is not None
    ]
    return sorted(
        found, key=lambda offer: (not offer.meets, offer.result.verdict != "fits", _value(offer, objective))
    )


@dataclass(frozen=True, slots=True)
class _Chip:
    """What a search of one chip's machines keeps when it has no limit: the front."""

    request: SearchRequest
    front: Rows

    def best(self, limits: dict[str, Any], objective: str) -> Cluster | None:
        """The machines of the best plan within the limits: the cheapest in time and the fastest within a
        budget are always on the front.
        """
        rows = self.front
        within_s = limits.get("deadline_days", float("inf")) * SECONDS_PER_DAY
        within = np.flatnonzero((rows.total_s <= within_s) & ~(rows.usd > limits.get("budget_usd", np.inf)))
        if "budget_usd" in limits:
            within = within[~np.isnan(rows.usd[within])]
        if not within.size:
            return None
        row = within[best_by(cast(Objective, objective), rows.total_s[within], rows.usd[within])[0]]
        return self.request.clusters[int(rows.cluster[row])]


@lru_cache(maxsize=16)
def _searched(run: str, catalog: Catalog, today: date) -> tuple[_Chip, ...]:
    """Each chip's machines, searched once for all goals of a run."""
    asked = json.loads(run)
    machines = asked["cluster"]["any"]
    effort.search_ahead()
    found = []
    for chip in dict.fromkeys(record.spec.accelerator.slug for record in catalog.instances()):
        of_chip = {"any": machines | {"accelerators": [chip]}}
        try:
            request = parse_search_request(
                asked | {"cluster": of_chip, "objective": "cost", "limit": 1}, catalog, today=today
            )
        except PlanErrors:
            continue  # not sold so, not here, or without a unit for the precision
        found.append(_Chip(request, kept_of(request, shipped_calibration()).front))
    return tuple(found)


def _question(
    asked: dict[str, Any], limits: dict[str, Any], machines: Cluster, catalog: Catalog, today: date
) -> PlanRequest:
    cluster = {
        "instance_type": machines.instance_type,
        "region": machines.region,
        "purchase": machines.purchase,
        "nodes": machines.nodes,
    }
    day = asked["cluster"]["any"].get("price_as_of")
    if day:
        cluster["price_as_of"] = day
    days = {name: value for name, value in limits.items() if name == "deadline_days"}
    run = {"model": asked["model"], "workload": asked["workload"], "cluster": cluster, **days}
    return parse_plan_request(run, catalog, today=today)


def _meets(result: PlanResult, limits: dict[str, Any]) -> bool:
    days, usd = limits.get("deadline_days"), limits.get("budget_usd")
    in_time = days is None or result.time.total_s <= days * SECONDS_PER_DAY
    return in_time and (usd is None or (result.cost is not None and result.cost.usd <= usd))


def _value(offer: Offer, objective: str) -> float:
    usd = 0.0 if offer.result.cost is None else offer.result.cost.usd
    seconds = offer.result.time.total_s
    return {"cost": usd, "time": seconds}[objective]
