"""Changes that would make a plan fit, the cheapest kind first, each with what it would take and cost.

What may be changed stands in ``planner.engine.choose.offers``. Here the memory of all changes is computed in
one grid; of each kind the mildest change that may do is laid out and evaluated as any plan is, again in one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np

from planner.engine.answer.records import figures_of, one_plan
from planner.engine.choose.candidates import shares_filled
from planner.engine.choose.layout import (
    asked_ranks,
    available_ranks,
    complete_layout,
    frugal_candidates,
    one_row,
)
from planner.engine.choose.nodes import on_nodes
from planner.engine.choose.offers import Offer, Plan, more_machines, offers
from planner.engine.choose.plan import Choice, choose_each, evaluate_choices
from planner.engine.layout.enumeration import Candidates
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import SURE, PlanResult, Remedy, RemedyKind
from planner.engine.sure.calibration import Calibration

#: As many as one reads before choosing.
MOST_REMEDIES = 5
#: Changes of one kind that are laid out before the next kind has its turn; each takes milliseconds.
MOST_TRIES = 3
#: Offered where no single change does: they are harder to take than any one of those before them.
LAST_RESORTS: frozenset[RemedyKind] = frozenset({"several"})
#: Kinds that leave the task or the machines.
ELSEWHERE: frozenset[RemedyKind] = frozenset({"adapters", "machine", "nodes"})


@dataclass(slots=True)
class Shelf:
    """The offers of one kind that may fit, in the order of trial, and the remedies found so far."""

    kind: RemedyKind
    waiting: list[Offer] = field(default_factory=list)
    sure: Remedy | None = None
    tight: Remedy | None = None
    tries: int = 0

    @property
    def open(self) -> bool:
        """Whether there is an offer left to lay out, and a need to."""
        return self.sure is None and self.tries < MOST_TRIES and bool(self.waiting)

    def next(self) -> Offer:
        """The offer to lay out next."""
        self.tries += 1
        return self.waiting.pop(0)


def remedies(
    request: PlanRequest,
    choice: Choice,
    result: PlanResult,
    calibration: Calibration,
    alternatives: Iterable[PlanRequest] = (),
    *,
    most: int = MOST_REMEDIES,
) -> tuple[Remedy, ...]:
    """Up to ``most`` changes that fit, one of a kind, in the order in which they cost effort and money.

    request: as it was asked.  choice, result: the plan that answers it.  alternatives: the question on other
    machines, in the order in which they are to be looked at. Changes that fit nine times in ten come first;
    those that fit by the estimate alone come after them, and are left out where the plan itself fits as well
    as that.
    """
    plan = Plan(asked=request, choice=choice, calibration=calibration, others=tuple(alternatives))
    shelves = shelves_of(plan, result)
    while True:
        drawn = [(shelf, shelf.next()) for shelf in list(open_shelves(shelves, most))]
        if not drawn:
            break
        found = evaluated([offer for _, offer in drawn], calibration)
        for (shelf, _), remedy in zip(drawn, found, strict=True):
            if remedy is None:
                continue
            if remedy.fit_probability >= SURE:
                shelf.sure = remedy
            elif shelf.tight is None and not result.fits:
                shelf.tight = remedy
    if not result.fits and not any(shelf.sure or shelf.tight for shelf in shelves):
        elsewhere = evaluated(list(more_machines(plan)), calibration)
        return tuple(sorted(filter(None, elsewhere), key=lambda each: each.fit_probability < SURE)[:1])
    sure = [shelf.sure for shelf in shelves if shelf.sure is not None]
    tight = [shelf.tight for shelf in shelves if shelf.sure is None and shelf.tight is not None]
    return tuple((sure + tight)[:most])


def shelves_of(plan: Plan, result: PlanResult) -> list[Shelf]:
    """The offers that may fit, by kind; within a kind those that may fit nine times in ten come first."""
    shelves: dict[RemedyKind, Shelf] = {}
    after: dict[RemedyKind, list[Offer]] = {}
    for offer, filled, margin in least_filled(list(offers(plan)), plan):
        shelf = shelves.setdefault(offer.kind, Shelf(offer.kind))
        if filled * margin <= 1.0:
            shelf.waiting.append(offer)
        elif filled <= 1.0 and not result.fits:
            after.setdefault(offer.kind, []).append(offer)
    for kind, late in after.items():
        shelves[kind].waiting += late
    return [shelves[kind] for kind in get_args(RemedyKind) if kind in shelves]


def open_shelves(shelves: Sequence[Shelf], most: int) -> Iterator[Shelf]:
    """Kinds that are still to be settled, as many as are shown; last resorts where no single change does."""
    settled = [shelf for shelf in shelves if shelf.sure is not None]
    usual = [shelf for shelf in shelves if shelf.kind not in LAST_RESORTS]
    in_place = [shelf for shelf in usual if shelf.kind not in ELSEWHERE]
    wanted = most - len(settled)
    for shelf in usual if any(shelf.sure or shelf.open for shelf in in_place) else shelves:
        if wanted > 0 and shelf.open:
            wanted -= 1
            yield shelf


def least_filled(all_offers: Sequence[Offer], plan: Plan) -> Iterator[tuple[Offer, float, float]]:
    """Each offer that makes sense, with the share of a rank's memory that its most frugal layout fills, and
    the factor on it that holds nine times in ten; (0, 1) where the layouts that it allows are not known yet.
    """
    drawn: list[tuple[Offer, PlanRequest, Candidates]] = []
    cached: dict[tuple[object, ...], Candidates | None] = {}
    nodes = plan.choice.request.cluster.nodes
    for offer in all_offers:
        request = offer.request
        if request.cluster.nodes is None:
            request = on_nodes(request, nodes or 1)
        work, cluster = request.workload, request.cluster
        key = (
            (work.sequence_length, work.global_batch_size, work.framework, work.activation_recompute),
            (cluster.accelerators_per_node, cluster.accelerator.ranks_per_accelerator, cluster.nodes),
            cluster.mig_profile,
            request.layout,
        )
        if key not in cached:
            cached[key] = frugal_layouts(request)
        candidates = cached[key]
        if candidates is not None:
            drawn.append((offer, request, candidates))
    known = [(request, candidates) for _, request, candidates in drawn if len(candidates)]
    found = iter(shares_filled(known, plan.calibration) if known else ())
    for offer, _, candidates in drawn:
        if not len(candidates):
            yield offer, 0.0, 1.0
            continue
        filled, margin = next(found)
        yield offer, float(np.min(filled)), margin


def frugal_layouts(request: PlanRequest) -> Candidates | None:
    """The layouts that need least memory, or the one asked for; None for a layout that cannot exist."""
    try:
        ranks = asked_ranks(request, available_ranks(request))
    except PlanErrors:
        return None
    given = complete_layout(request, ranks)
    return frugal_candidates(request) if given is None else Candidates(one_row(given), ())


def evaluated(drawn: Sequence[Offer], calibration: Calibration) -> list[Remedy | None]:
    """Each offer as a remedy; None where it makes no sense or does not fit. All are computed in one grid."""
    choices = choose_each([offer.request for offer in drawn], calibration)
    plans = iter(evaluate_choices([each for each in choices if isinstance(each, Choice)], calibration))
    found: list[Remedy | None] = []
    for offer, choice in zip(drawn, choices, strict=True):
        if isinstance(choice, PlanErrors):
            found.append(None)
            continue
        plan = one_plan(next(plans))
        if not bool(plan.fits):
            found.append(None)
            continue
        figures = figures_of(choice, plan, calibration)
        cluster = choice.request.cluster
        found.append(
            Remedy(
                kind=offer.kind,
                change=offer.change,
                request_patch=offer.patch,
                fit_probability=figures.memory.fit_probability,
                total_s=figures.time.total_s,
                usd=None if figures.cost is None else figures.cost.usd,
                layout=choice.layout,
                nodes=cluster.nodes or 1,
                instance_type=cluster.instance_type,
                accelerator=cluster.accelerator.slug,
                memory_total_bytes=figures.memory.per_accelerator_bytes.total,
                usable_bytes=figures.memory.usable_bytes,
            )
        )
    return found
