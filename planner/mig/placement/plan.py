"""The answer to a question of partitions: a quick layout, the exact one, and what would let the rest fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from planner.mig.placement.assign import Layout, assign
from planner.mig.placement.chip import Chip
from planner.mig.placement.clock import Clock
from planner.mig.placement.first_fit import first_fit
from planner.mig.placement.nearest import nearest
from planner.mig.placement.optimise import Chosen, improved, optimise
from planner.mig.placement.program import DemandType, demand_types
from planner.mig.placement.question import Answer, Change, Demand, Gpus, Question, Unplaced

LOOKS_S = (0.5, 2.0)
"""After how long a search that goes on shows what it has; it is begun again each time."""
QUICK_S = 2.0
"""How long the first layout may take."""


def plan(question: Question) -> Answer:
    """The best layout within the question's time, with what was proven of it."""
    clock = Clock(question.time_limit_s)
    types, unservable = demand_types(question)
    chosen = optimise(question, types, clock)
    if chosen is None:
        return replace(quick(question), elapsed_s=clock.elapsed_s)
    return _finished(question, types, _exact(question, types, unservable, chosen, clock), clock)


def improving(question: Question) -> Iterator[Answer]:
    """Layouts, each better than the one before or with more proven of it; the last is that of ``plan``."""
    clock = Clock(question.time_limit_s)
    best = quick(question)
    yield best
    types, unservable = demand_types(question)
    exact = None
    for chosen in improved(question, types, clock, LOOKS_S):
        exact = _exact(question, types, unservable, chosen, clock)
        yield exact
    yield _finished(question, types, exact, clock) if exact else replace(best, elapsed_s=clock.elapsed_s)


def _exact(
    question: Question, types: Sequence[DemandType], unservable: Sequence[int], chosen: Chosen, clock: Clock
) -> Answer:
    """The layout that a choice of the program stands for."""
    layout = assign(question, types, chosen)
    lacking = {number: question.demands[number].count for number in unservable}
    for each, count in zip(types, chosen.unserved, strict=True):
        for number, wanted in reversed(each.members):
            missing = min(count, wanted)
            count -= missing
            if missing:
                lacking[number] = missing
    bound = chosen.bound
    if question.objective in ("fewest_gpus", "fewest_changes"):
        bound = math.ceil(bound - 1e-6)
    answer = _answer(question, layout, chosen.value, bound, optimal=chosen.optimal, clock=clock)
    return replace(
        answer,
        unplaced=_reasons(question, types, lacking),
        fewest_destroyed=chosen.fewest_destroyed or not layout.destroyed,
    )


def _finished(question: Question, types: Sequence[DemandType], answer: Answer, clock: Clock) -> Answer:
    """The answer with what would let the rest fit."""
    servable = {number for each in types for number, _ in each.members}
    changes: tuple[Change, ...] = ()
    if any(each.demand in servable for each in answer.unplaced):
        changes = tuple(nearest(question, types, clock))
    return replace(answer, nearest_changes=changes, elapsed_s=clock.elapsed_s)


def quick(question: Question) -> Answer:
    """A layout by first fit, with no more than a plain bound: to show while the exact one is sought."""
    clock = Clock(question.time_limit_s)
    types, _ = demand_types(question)
    limit = QUICK_S if question.time_limit_s is None else question.time_limit_s / 2
    layout, lacking = first_fit(question, until=clock.began + limit)
    answer = _answer(question, layout, 0.0, 0.0, optimal=False, clock=clock)
    value = {
        "fewest_gpus": float(answer.gpus_used),
        "least_cost": answer.usd_per_hour or 0.0,
        "most_demand": float(answer.served),
        "fewest_changes": float(answer.created),
    }[question.objective]
    most = float(sum(each.count for each in types))
    bound = most if question.objective == "most_demand" else 0.0
    if question.objective == "fewest_gpus" and not lacking:
        bound = float(least_gpus(question.gpus, question.demands))
    unplaced = tuple(
        Unplaced(number, count, "First fit found no place; the exact plan may.")
        for number, count in sorted(lacking.items())
    )
    return replace(answer, value=value, bound=bound, unplaced=unplaced, elapsed_s=clock.elapsed_s)


def least_gpus(gpus: Sequence[Gpus], demands: Sequence[Demand]) -> int:
    """GPUs that demands need at the least: by compute slices or by memory slices alone, whichever is more."""
    chips = {group.chip.slug: group.chip for group in gpus}
    compute = memory = 0.0
    for demand in demands:
        serving = [
            (chips[slug].by_name[name], chips[slug])
            for slug, names in demand.accepts.items()
            if slug in chips
            for name in names
            if name in chips[slug].by_name
        ]
        compute += demand.count * min((p.compute_slices / c.compute_slices for p, c in serving), default=0.0)
        memory += demand.count * min((p.size / c.memory_slices for p, c in serving), default=0.0)
    return math.ceil(max(compute, memory) - 1e-9)


def _answer(
    question: Question, layout: Layout, value: float, bound: float, *, optimal: bool, clock: Clock
) -> Answer:
    used = {placement.gpu for placement in layout.placements}
    return Answer(
        placements=layout.placements,
        staying=layout.staying,
        destroyed=layout.destroyed,
        unplaced=(),
        gpus_used=len(used),
        value=value,
        bound=bound,
        optimal=optimal,
        elapsed_s=clock.elapsed_s,
        created=sum(not placement.kept for placement in layout.placements),
        usd_per_hour=_usd_per_hour(question.gpus, used),
        served=len(layout.placements),
    )


def _usd_per_hour(groups: Sequence[Gpus], used: set[int]) -> float | None:
    """What the GPUs in use cost, by whole nodes; None where a price is not known."""
    total = 0.0
    for gpus in groups:
        count = sum(number in used for number in gpus.numbers)
        if not count:
            continue
        if gpus.usd_per_gpu_hour is None:
            return None
        total += math.ceil(count / gpus.per_node) * gpus.per_node * gpus.usd_per_gpu_hour
    return total


def _reasons(
    question: Question, types: Sequence[DemandType], lacking: dict[int, int]
) -> tuple[Unplaced, ...]:
    """Why instances found no place."""
    servable = {number for each in types for number, _ in each.members}
    found = []
    for number, count in sorted(lacking.items()):
        demand = question.demands[number]
        why = _full(question, demand, count) if number in servable else _unservable(question, demand)
        found.append(Unplaced(number, count, why))
    return tuple(found)


def _unservable(question: Question, demand: Demand) -> str:
    chips = {gpus.chip.name: gpus.chip for gpus in question.gpus}
    largest = max((p for chip in chips.values() for p in chip.profiles), key=lambda p: p.memory_bytes)
    elsewhere = ", ".join(f"{profile} of {slug}" for slug, profile in demand.elsewhere)
    return (
        f"No profile of {', '.join(sorted(chips))} is enough for {demand.label}; the largest, "
        f"{largest.name}, has {largest.memory_bytes / 1e9:.3g} GB and {largest.compute_slices} compute "
        "slices." + (f" Other GPUs have one that is: {elsewhere}." if elsewhere else "")
    )


def _full(question: Question, demand: Demand, count: int) -> str:
    able = [gpus for gpus in question.gpus if _serves(gpus.chip, demand)]
    total = sum(gpus.count for gpus in able)
    fixed = sum(gpus.count for gpus in able if gpus.in_use and not question.may_destroy_in_use)
    held = f"; {fixed:,} of them hold instances in use that stay" if fixed else ""
    none = "the one GPU that serves it cannot" if total == 1 else f"none of the {total:,} that serve it can"
    return (
        f"{count:,} of {demand.count:,} x {demand.label} find no place: once as many instances as can be are "
        f"placed, {none} hold one more{held}."
    )


def _serves(chip: Chip, demand: Demand) -> bool:
    return any(name in chip.by_name for name in demand.accepts.get(chip.slug, ()))
