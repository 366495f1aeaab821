"""The answers of searches as points: each a plan with its time and cost, and what a goal makes of them.

Pure: contract responses in, records out. The pages' script works on the same points, by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from planner.catalog.facts.catalog import Catalog
from planner.engine.run.length import SECONDS_PER_DAY
from planner.tradeoffs.market import Market

#: Ways to pay whose machines may be taken back at any time.
TAKEN_BACK = ("spot",)
Key = tuple[str, str, str, int, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One plan. machine: its instance type, or what its hosts hold.  usd: None where no price is known.

    memory_share: of a rank's memory that it needs.  front: no other is both cheaper and faster.
    stack, precision: "" where the scenario's own.  total_interval_s, usd_interval: 80 % ranges, where known.
    fit_probability: the chance that it fits, where known.
    """

    machine: str
    provider: str
    region: str
    purchase: str
    nodes: int
    accelerators: int
    accelerator: str
    stack: str
    precision: str
    total_s: float
    usd: float | None
    memory_share: float
    model_flops_utilization: float
    layout: Mapping[str, Any]
    front: bool = False
    total_interval_s: tuple[float, float] | None = None
    usd_interval: tuple[float, float] | None = None
    fit_probability: float | None = None

    @property
    def key(self) -> Key:
        """What names the plan among the others."""
        return (self.machine, self.region, self.purchase, self.nodes, self.stack, self.precision)

    @property
    def name(self) -> str:
        """``16 × p5.48xlarge``."""
        return f"{self.nodes:,} × {self.machine}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is wanted, None where nothing is. Both are as the reader said, before the margin."""

    deadline_s: float | None = None
    budget_usd: float | None = None
    margin: float = 1.0

    @property
    def within_s(self) -> float:
        """Seconds that a plan may take."""
        return float("inf") if self.deadline_s is None else self.deadline_s * self.margin

    @property
    def within_usd(self) -> float:
        """Dollars that a plan may cost."""
        return float("inf") if self.budget_usd is None else self.budget_usd * self.margin

    def met_by(self, point: Point) -> bool:
        """Whether a plan keeps within both. Without a price it cannot be shown to be within a budget."""
        usd = point.usd
        priced = self.budget_usd is None or (usd is not None and usd <= self.within_usd)
        return priced and point.total_s <= self.within_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What a goal makes of the points. cheapest, quickest: within the goal, None where nothing is.

    steady: the cheapest that is not taken back, where the cheapest is.  balanced: of the least time x cost.
    nearest_time, nearest_cost: where nothing is, the plan within the budget that comes nearest to the
    deadline, and the one within the deadline that comes nearest to the budget.
    """

    cheapest: Point | None
    quickest: Point | None
    steady: Point | None = None
    balanced: Point | None = None
    nearest_time: Point | None = None
    nearest_cost: Point | None = None


def points_of(
    responses: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], market: Market, catalog: Catalog
) -> list[Point]:
    """The plans that were found. responses: (question, answer) pairs.

    Of one machine in one number and purchase the best region alone is kept.
    """
    found: dict[tuple[str, str, int, str, str], Point] = {}
    for question, answer in responses:
        workload = question["workload"]
        stack = workload.get("framework", "") if market.stacks else ""
        precision = workload.get("precision", "") if market.precisions else ""
        for plan in (*answer["pareto"], *answer["top"]):
            point = _point(plan, stack, precision, catalog)
            key = (point.machine, point.purchase, point.nodes, stack, precision)
            known = found.get(key)
            if known is None or order(point) < order(known):
                found[key] = point
    return with_front(list(found.values()))


def order(point: Point) -> tuple[float, float]:
    """Cheaper first, then quicker; without a price last."""
    return (float("inf") if point.usd is None else point.usd, point.total_s)


def with_front(points: Sequence[Point]) -> list[Point]:
    """The points, quickest first, with those marked that no other beats in both time and cost."""
    ordered = sorted(points, key=lambda point: (point.total_s, *order(point)))
    cheapest = float("inf")
    found = []
    for point in ordered:
        front = point.usd is not None and point.usd < cheapest
        if front and point.usd is not None:
            cheapest = point.usd
        found.append(_marked(point, front))
    if found and all(point.usd is None for point in found):
        found[0] = _marked(found[0], True)
    return found


def choose(points: Sequence[Point], goal: Goal) -> Chosen:
    """The plans that a goal leads to."""
    met = [point for point in points if goal.met_by(point)]
    if met:
        quickest = min(met, key=lambda point: (point.total_s, *order(point)))
        cheapest = min(met, key=order)
        kept = [point for point in met if point.purchase not in TAKEN_BACK and point.usd is not None]
        return Chosen(
            cheapest=cheapest,
            quickest=quickest,
            steady=min(kept, key=order, default=None) if cheapest.purchase in TAKEN_BACK else None,
            balanced=min(
                (point for point in met if point.usd is not None),
                key=lambda point: (point.total_s * (point.usd or 0.0), *order(point)),
                default=None,
            ),
        )
    in_time = [point for point in points if point.total_s <= goal.within_s and point.usd is not None]
    affordable = [point for point in points if point.usd is not None and point.usd <= goal.within_usd]
    return Chosen(
        cheapest=None,
        quickest=None,
        nearest_time=min(affordable, key=lambda point: point.total_s, default=None),
        nearest_cost=min(in_time, key=order, default=None),
    )


def goal_of(deadline_days: float | None, budget_usd: float | None, market: Market) -> Goal:
    """What the scenario wants."""
    return Goal(
        deadline_s=None if deadline_days is None else deadline_days * SECONDS_PER_DAY,
        budget_usd=budget_usd,
        margin=market.margin,
    )


def empty_reason(answers: Sequence[Mapping[str, Any]]) -> str:
    """Why nothing was found: layouts that divide evenly and do not fit say more than those that do not."""
    words = (
        ("unavailable", "fit, but cannot be bought so"),
        ("memory", "did not fit into memory"),
        ("divisibility", "did not divide evenly"),
    )
    for name, failed in words:
        count = sum(int(answer["rejected"].get(name, 0)) for answer in answers)
        if count:
            return f"{count:,} layouts {failed}."
    return "There was nothing to look at."


def _marked(point: Point, front: bool) -> Point:
    return point if point.front == front else replace(point, front=front)


def _point(plan: Mapping[str, Any], stack: str, precision: str, catalog: Catalog) -> Point:
    cluster, nodes = plan["cluster"], int(plan["cluster"]["nodes"])
    slug = cluster.get("instance_type")
    if slug is None:
        per_node, accelerator, provider = int(cluster["accelerators_per_node"]), cluster["accelerator"], ""
        machine = f"{per_node} × {accelerator}"
    else:
        spec = catalog.instance(slug).spec
        per_node, accelerator, provider = spec.accelerators_per_node, spec.accelerator.name, spec.provider
        machine = slug
    return Point(
        machine=machine,
        provider=provider,
        region=cluster.get("region") or "",
        purchase=cluster.get("purchase") or "",
        nodes=nodes,
        accelerators=per_node * nodes,
        accelerator=accelerator,
        stack=stack,
        precision=precision,
        total_s=plan["total_s"],
        usd=plan["usd"],
        memory_share=plan["memory_total_bytes"] / plan["usable_bytes"],
        model_flops_utilization=plan["model_flops_utilization"],
        layout=plan["layout"],
        total_interval_s=_ends(plan.get("total_interval_s")),
        usd_interval=_ends(plan.get("usd_interval")),
        fit_probability=plan.get("fit_probability"),
    )


def _ends(given: Sequence[float] | None) -> tuple[float, float] | None:
    return None if given is None else (float(given[0]), float(given[1]))
