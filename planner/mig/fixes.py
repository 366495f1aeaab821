"""Changes that give more of the demand a place, each as an address of the page: one click applies it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from planner.mig.placement.chip import Chip
from planner.mig.placement.question import (
    ADD_GPUS,
    ALL_PROFILES,
    Answer,
    Change,
    Demand,
    Question,
)
from planner.mig.state import Row, State, Wanted


@dataclass(frozen=True, slots=True)
class Fix:
    """A change. query: the page's address with it."""

    text: str
    query: str


def fixes(question: Question, answer: Answer, state: State, known: Mapping[str, Chip]) -> Iterable[Fix]:
    """The nearest changes, and for what none of these GPUs could serve what comes closest to it.

    known: every chip that MIG divides, by slug.
    """
    for change in answer.nearest_changes:
        yield _nearest(change, question, state, known)
    for each in answer.unplaced:
        demand = question.demands[each.demand]
        if not any(demand.accepts.values()):
            yield from _unservable(demand, state.asked[each.demand], question, state, known)


def _nearest(change: Change, question: Question, state: State, known: Mapping[str, Chip]) -> Fix:
    unsure = "" if change.proven else "; perhaps fewer would do"
    if change.kind == ALL_PROFILES:
        return Fix(
            "Let double-memory profiles serve too: all that can be served has a place",
            state.query(profiles="all"),
        )
    if change.kind == ADD_GPUS:
        listed = " and ".join(f"{count:,} × {known[slug].name}" for slug, count in change.gpus)
        more = (Row(slug, str(count), (), "") for slug, count in change.gpus)
        return Fix(
            f"Add {listed}: all that can be served has a place{unsure}",
            state.query(rows=(*state.rows, *more)),
        )
    jobs = "job that runs" if change.count == 1 else "jobs that run"
    return Fix(
        f"Move {change.count:,} {jobs} to instances elsewhere{unsure}", _with_jobs_moved(question, state)
    )


def _with_jobs_moved(question: Question, state: State) -> str:
    """The state in which the jobs that run are among the demands, and may be moved."""
    jobs: Counter[str] = Counter()
    if not question.in_use_serves:
        for gpus in question.gpus:
            for each in gpus.standing:
                if each.in_use and not each.foreign:
                    jobs[each.place.profile] += gpus.count
    running = tuple(Wanted(profile, str(count), "runs now") for profile, count in jobs.items())
    return state.query(demands=(*state.demands, *running), beside=False, destroys=True)


def _unservable(
    demand: Demand, index: int, question: Question, state: State, known: Mapping[str, Chip]
) -> Iterable[Fix]:
    for slug, name in demand.elsewhere[:1]:
        chip = known[slug]
        count = math.ceil(demand.count / chip.by_name[name].max_instances)
        yield Fix(
            f"Add {count:,} × {chip.name}, whose {name} is enough for {demand.label}",
            state.query(rows=(*state.rows, Row(slug, str(count), (), ""))),
        )
    if state.demands[index].plan_query:
        return  # a run is as large as it is
    profiles = [gpus.chip.by_name[name] for gpus in question.gpus for name in gpus.chip.named("standard")]
    largest = max(profiles, key=lambda profile: (profile.memory_bytes, profile.compute_slices)).name
    less = list(state.demands)
    less[index] = replace(less[index], want=largest)
    yield Fix(
        f"Take {largest} for {demand.label}, the largest that these GPUs have",
        state.query(demands=tuple(less)),
    )
