"""The answer to a question of partitions: a quick layout, the exact one, and what would let the rest fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

from planner.mig.placement.assign import Layout, assign
from planner.mig.placement.chip import Chip
from planner.mig.placement.first_fit import first_fit
from planner.mig.placement.optimise import DemandType, demand_types, fewest_more, optimise
from planner.mig.placement.question import Answer, Demand, Gpus, Question, Remedy, Unplaced

NEAREST_CHANGE_S = 0.3
"""How long the search for the nearest change that lets the rest fit may take, for each kind of GPU."""


def plan(question: Question) -> Answer:
    """The best layout within the question's time, with what was proven of it."""
    began = monotonic()
    types, unservable = demand_types(question)
    chosen = optimise(question, types, began=began)
    if chosen is None:
        return replace(quick(question), elapsed_s=monotonic() - began)
    layout = assign(question, types, chosen)
    lacking = dict.fromkeys(unservable, 0)
    for number in unservable:
        lacking[number] = question.demands[number].count
    for each, count in zip(types, chosen.unserved, strict=True):
        for number, wanted in reversed(each.members):
            missing = min(count, wanted)
            count -= missing
            if missing:
                lacking[number] = missing
    value, bound = chosen.value, chosen.bound
    if question.objective in ("fewest_gpus", "fewest_changes"):
        bound = math.ceil(bound - 1e-6)
    answer = _answer(question, layout, value, bound, optimal=chosen.optimal, began=began)
    return replace(
        answer,
        unplaced=_reasons(question, types, lacking),
        remedies=_remedies(question, types, began) if sum(chosen.unserved) else (),
        elapsed_s=monotonic() - began,
    )


def quick(question: Question) -> Answer:
    """A layout by first fit, with no more than a plain bound: to show while the exact one is sought."""
    began = monotonic()
    types, _ = demand_types(question)
    layout, lacking = first_fit(question, until=began + question.time_limit_s / 2)
    answer = _answer(question, layout, 0.0, 0.0, optimal=False, began=began)
    value = {
        "fewest_gpus": float(answer.gpus_used),
        "least_cost": answer.usd_per_hour or 0.0,
        "most_demand": float(answer.served),
        "fewest_changes": float(answer.created),
    }[question.objective]
    most = float(sum(each.count for each in types))
    bound = {"most_demand": most, "fewest_gpus": float(least_gpus(question.gpus, question.demands))}.get(
        question.objective, 0.0
    )
    unplaced = tuple(
        Unplaced(number, count, "First fit found no place; the exact plan may.")
        for number, count in sorted(lacking.items())
    )
    return replace(answer, value=value, bound=bound, unplaced=unplaced, elapsed_s=monotonic() - began)


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
    question: Question, layout: Layout, value: float, bound: float, *, optimal: bool, began: float
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
        elapsed_s=monotonic() - began,
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
    chips = sorted({gpus.chip.name for gpus in question.gpus})
    return f"No profile of {', '.join(chips)} gives {demand.label}."


def _full(question: Question, demand: Demand, count: int) -> str:
    able = [gpus for gpus in question.gpus if _serves(gpus.chip, demand)]
    total = sum(gpus.count for gpus in able)
    fixed = sum(gpus.count for gpus in able if gpus.in_use)
    held = f", of which {fixed} hold instances in use that stay" if fixed else ""
    able_words = (
        "the GPU that could serve it is" if total == 1 else f"the {total} GPUs that could serve it are"
    )
    return (
        f"{count} of {demand.count} x {demand.label} find no place: {able_words} full once as many "
        f"instances as can be are placed{held}."
    )


def _serves(chip: Chip, demand: Demand) -> bool:
    return any(name in chip.by_name for name in demand.accepts.get(chip.slug, ()))


def _remedies(question: Question, types: Sequence[DemandType], began: float) -> tuple[Remedy, ...]:
    """What lets all that can be served be so: the fewest further GPUs, and moving the jobs that run."""
    found = (_fewest_gpus(question, types, began), _if_moved(question, types, began))
    return tuple(remedy for remedy in found if remedy is not None)


def _fewest_gpus(question: Question, types: Sequence[DemandType], began: float) -> Remedy | None:
    best: Remedy | None = None
    wanted = sum(each.count for each in types)
    for gpus in {gpus.chip.slug: gpus for gpus in question.gpus}.values():
        if monotonic() - began > question.time_limit_s:
            break
        extra = replace(gpus, count=max(wanted, 1), standing=(), first=10**9, hosts=(), per_node=1)
        found = fewest_more(question, types, extra, NEAREST_CHANGE_S)
        if found is None:
            continue
        more, proven = found
        unsure = "" if proven else " (not proven fewest)"
        words = f"Add GPUs: {more} more {gpus.chip.slug} would serve all of it{unsure}."
        if best is None or more < best.count:
            best = Remedy("add_gpus", gpus.chip.slug, more, proven, words)
    return best


def _if_moved(question: Question, types: Sequence[DemandType], began: float) -> Remedy | None:
    """What moving the jobs in instances that are in use would do."""
    busy = any(gpus.in_use for gpus in question.gpus)
    if question.may_destroy_in_use or not busy or monotonic() - began > question.time_limit_s:
        return None
    freed = replace(question, may_destroy_in_use=True, objective="most_demand", time_limit_s=NEAREST_CHANGE_S)
    chosen = optimise(freed, types, began=monotonic())
    if chosen is None:
        return None
    lacking = sum(chosen.unserved)
    gone = sum(pattern.destroyed * count for _, pattern, count in chosen.taken)
    if lacking or not gone:
        return None
    words = f"Or let {gone} instances be destroyed and made again elsewhere, those in use among them."
    return Remedy("destroy", "", gone, chosen.optimal, words)
