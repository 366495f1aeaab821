"""How sure the order of two plans is: chances of pairs, since the errors of plans share their causes.

Pure: points in, sentences out. Ranges of two plans overlap even where one is surely better; what is wrong
with both cancels (``engine.sure.pairs``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from planner.catalog.facts.catalog import Catalog, UnknownSlugError
from planner.contract.render import render_layout
from planner.engine.answer.shown import compared as of_plan
from planner.engine.question.request import Cluster, PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.sure.pairs import Compared, SharedErrors, as_good, chance_better, spread_of
from planner.tradeoffs.points import Point

Measure = Literal["cost", "time"]
#: Other machines that a plan is held against.
MOST_OTHERS = 4
CERTAIN = 0.995


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One plan against another by one measure. chance: 0 to 1, that ``best`` is the better one.

    equal: neither is better with a chance that is worth a choice.
    """

    best: Point
    other: Point
    measure: Measure
    chance: float

    @property
    def equal(self) -> bool:
        """Whether both are to be shown as equal."""
        return as_good(self.chance)


def in_percent(chance: float) -> str:
    """``71 %``; nothing is claimed for sure."""
    return "over 99 %" if chance >= CERTAIN else f"{chance:.0%}".replace("%", " %")


def compared(point: Point, catalog: Catalog) -> Compared | None:
    """A point as one of a pair; None where its machine or its ranges are not known.

    The range of its cost holds that of its time and that of its price, which err apart.
    """
    if point.total_interval_s is None:
        return None
    cluster = cluster_of(point, catalog)
    if cluster is None:
        return None
    time_spread = spread_of(point.total_interval_s)
    cost_spread = 0.0 if point.usd_interval is None else spread_of(point.usd_interval)
    return Compared(
        cluster=cluster,
        layout=point.layout,
        stack=(point.stack, point.precision),
        total_s=point.total_s,
        usd=point.usd or None,
        time_spread=time_spread,
        price_spread=math.sqrt(max(cost_spread**2 - time_spread**2, 0.0)),
    )


def cluster_of(point: Point, catalog: Catalog) -> Cluster | None:
    """The machines of a point, None where the catalog does not know them."""
    try:
        spec = catalog.instance(point.machine).spec
    except UnknownSlugError:
        try:
            chip = catalog.accelerator(point.accelerator).spec
        except UnknownSlugError:
            return None
        return Cluster(
            accelerator=chip,
            accelerators_per_node=max(point.accelerators // max(point.nodes, 1), 1),
            nodes=point.nodes,
            internode_bytes_per_s=0.0,
        )
    return Cluster(
        accelerator=spec.accelerator,
        accelerators_per_node=spec.accelerators_per_node,
        nodes=point.nodes,
        internode_bytes_per_s=spec.internode_bytes_per_s,
        instance_type=point.machine,
        provider=point.provider,
        region=point.region,
        purchase=point.purchase or None,  # type: ignore[arg-type]
    )


def pairs(
    best: Point, points: Sequence[Point], measure: Measure, *, catalog: Catalog, shared: SharedErrors
) -> list[Pair]:
    """A plan against the best of each other kind of machine, the nearest first. points: those that may be had
    instead.
    """
    value: Callable[[Point], float] = _usd if measure == "cost" else _seconds
    mine = compared(best, catalog)
    rivals: dict[str, Point] = {}
    for point in sorted(points, key=value):
        if point.machine != best.machine and math.isfinite(value(point)):
            rivals.setdefault(point.machine, point)
    found = []
    for rival in list(rivals.values())[:MOST_OTHERS]:
        other = compared(rival, catalog)
        chance = None if mine is None or other is None else chance_better(mine, other, measure, shared)
        if chance is not None:
            found.append(Pair(best=best, other=rival, measure=measure, chance=chance))
    return found


def beside_proposal(
    question: PlanRequest, result: PlanResult, point: Point, *, catalog: Catalog, shared: SharedErrors
) -> str:
    """How surely the plan proposed beats a point: ``costs less with 80 %, faster with 12 %``."""
    other = compared(point, catalog)
    if other is None:
        return ""
    work = question.workload
    # A point that names no stack or precision has the scenario's own.
    stack = (work.framework if point.stack else "", work.precision if point.precision else "")
    mine = replace(of_plan(result, work), stack=stack, layout=render_layout(result.layout))
    said = []
    for measure, words in MEASURES.items():
        chance = chance_better(mine, other, measure, shared)
        if chance is None:
            continue
        better, worse = words
        if as_good(chance):
            said.append(f"equal in {measure}")
        else:
            said.append(f"{better if chance > 0.5 else worse} with {in_percent(max(chance, 1.0 - chance))}")
    return ", ".join(said)


#: What is said where the plan proposed is the better one, and where the other is.
MEASURES: dict[Measure, tuple[str, str]] = {
    "cost": ("costs less", "costs more"),
    "time": ("is faster", "is slower"),
}


def told(found: Sequence[Pair]) -> list[str]:
    """Pairs of one plan and one measure as sentences: whom it beats, and whom it equals."""
    if not found:
        return []
    best, measure = found[0].best, found[0].measure
    beaten = [pair for pair in found if not pair.equal]
    equals = [pair.other.name for pair in found if pair.equal]
    said = []
    if beaten:
        first, *rest = [f"{pair.other.name} on {measure} with {in_percent(pair.chance)}" for pair in beaten]
        others = [each.replace(f" on {measure} with ", " with ") for each in rest]
        said.append(f"{best.name} beats {', '.join([first, *others])}.")
    if equals:
        said.append(f"{best.name} and {' and '.join(equals)} are equal in {measure} within what is known.")
    return said


def _usd(point: Point) -> float:
    return math.inf if not point.usd else point.usd


def _seconds(point: Point) -> float:
    return point.total_s
