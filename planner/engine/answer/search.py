"""Searching all clusters and layouts for one run: what fits, what is fastest, what is cheapest.

Plans are laid out as grids and evaluated in blocks that stay in the processor's cache, by the same code as a
single estimate: memory first, and time only for what fits. Machines that differ in price alone are evaluated
once. The few plans that are shown are estimated again one by one, so a search and an estimate never disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from planner.engine.answer.estimate import estimate
from planner.engine.choose.layout import pool_sizes
from planner.engine.grid.build import grid_over_layouts
from planner.engine.grid.plan_grid import SHARDINGS, Array
from planner.engine.layout.enumeration import Axes, Candidates, axes_of, candidates_on, divisors
from planner.engine.layout.pools import degrees_over
from planner.engine.memory.peak import needed_per_rank
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import Cluster, LayoutRequest, PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.question.search_request import (
    Objective,
    Rejections,
    SearchRequest,
    SearchResult,
    Variable,
)
from planner.engine.rl.ppo import evaluate_ppo
from planner.engine.run.interruptions import lasting_s
from planner.engine.run.length import SECONDS_PER_DAY, total_steps
from planner.engine.run.money import billed_s, can_be_bought, run_usd
from planner.engine.sure.calibration import Calibration
from planner.engine.time.step import step_time

#: Plans evaluated at once: few enough for their arrays to stay in cache, enough to make calls cheap.
BLOCK = 4096
#: More layouts than this are refused: they would take minutes, and a narrower question does not need them.
MOST_PLANS = 50_000_000

#: Fields of Axes by the name that ``vary`` gives them, with the value of a field that is not to vary.
VARIABLE_AXES: dict[Variable, tuple[str, int]] = {
    "tensor_parallel": ("tensor", 1),
    "pipeline_parallel": ("pipeline", 1),
    "context_parallel": ("context", 1),
    "expert_parallel": ("expert", 1),
    "interleaved_stages": ("interleaved", 1),
    "micro_batch_size": ("micro", 1),
    "sharding": ("sharding", SHARDINGS.index("none")),
}


@dataclass(slots=True)
class Found:
    """The best plans so far, and counts of rejected ones by reason.

    One array per cluster that has plans to keep: seconds and dollars of the run (nan: no price), the
    cluster's index, and the plans' rows in its candidates.
    """

    total_s: list[Array] = field(default_factory=list)
    usd: list[Array] = field(default_factory=list)
    cluster: list[NDArray[np.int64]] = field(default_factory=list)
    candidates: list[Candidates] = field(default_factory=list)
    rows: list[NDArray[np.int64]] = field(default_factory=list)
    looked_at: int = 0
    fitting: int = 0
    indivisible: int = 0
    no_memory: int = 0
    late: int = 0
    dear: int = 0
    unsold: int = 0


@dataclass(frozen=True, slots=True)
class Hardware:
    """Clusters that differ only in nodes and price. members: (index, cluster) in the order asked for."""

    members: tuple[tuple[int, Cluster], ...]

    def by_nodes(self) -> dict[int, list[tuple[int, Cluster]]]:
        """The members by their number of nodes."""
        sizes: dict[int, list[tuple[int, Cluster]]] = {}
        for index, cluster in self.members:
            sizes.setdefault(cluster.nodes or 1, []).append((index, cluster))
        return sizes


def search(request: SearchRequest, calibration: Calibration) -> SearchResult:
    """Every sound layout on every cluster: the Pareto front of time against cost, and the best by the
    objective.

    Raises PlanErrors where that would be more layouts than MOST_PLANS.
    """
    hardware = machines(request)
    refuse_too_many(request, hardware)
    found = Found()
    for kind in hardware:
        search_machines(request, kind, calibration, found=found)
    rejected = Rejections(
        memory=found.no_memory,
        divisibility=found.indivisible,
        deadline=found.late,
        budget=found.dear,
        unavailable=found.unsold,
    )
    answers = Answers(request, calibration, found)
    top = answers.at(best_by(request.objective, answers.total_s, answers.usd)[: request.limit])
    return SearchResult(
        evaluated=found.looked_at,
        fitting=found.fitting,
        best=top[0] if top else None,
        pareto=answers.at(front(answers.total_s, answers.usd)),
        top=top,
        rejected=rejected,
    )


def machines(request: SearchRequest) -> list[Hardware]:
    """The clusters grouped by what changes memory or time, node count aside."""
    groups: dict[object, list[tuple[int, Cluster]]] = {}
    for index, cluster in enumerate(request.clusters):
        profile = cluster.mig_profile.profile if cluster.mig_profile else None
        key = (
            cluster.accelerator.slug,
            cluster.accelerators_per_node,
            cluster.internode_bytes_per_s,
            profile,
        )
        groups.setdefault(key, []).append((index, cluster))
    return [Hardware(tuple(members)) for members in groups.values()]


def plan_request(request: SearchRequest, cluster: Cluster) -> PlanRequest:
    """The question on one cluster, with an open layout."""
    return PlanRequest(model=request.model, workload=request.workload, cluster=cluster, today=request.today)


def axes_to_vary(request: SearchRequest, asked: PlanRequest) -> Axes:
    """The axes of an open layout, held at their default where they are not to vary."""
    axes = axes_of(asked)
    if len(axes.sharding) > 1:
        axes = replace(axes, sharding=range(len(SHARDINGS)))
    if len(axes.expert) > 1:
        axes = replace(axes, expert=divisors(request.model.experts))
    held = {
        name: [default] for variable, (name, default) in VARIABLE_AXES.items() if variable not in request.vary
    }
    return replace(axes, **held)  # type: ignore[arg-type]


def sizes_to_use(request: SearchRequest, cluster: Cluster) -> tuple[int, ...]:
    """Counts of ranks that may train: all of the cluster's, a single GPU instance under MIG, or several sizes
    where other accelerators generate.
    """
    return (1,) if cluster.mig_profile else pool_sizes(plan_request(request, on_nodes_of(cluster)))


def on_nodes_of(cluster: Cluster) -> Cluster:
    """The cluster with its number of nodes, one where it is open."""
    return replace(cluster, nodes=cluster.nodes or 1)


def refuse_too_many(request: SearchRequest, hardware: list[Hardware]) -> None:
    """Raise PlanErrors where the search would look at more than MOST_PLANS layouts."""
    plans = 0
    for kind in hardware:
        axes = axes_to_vary(request, plan_request(request, kind.members[0][1]))
        beside = len(axes.micro) * len(axes.sharding) * len(axes.recompute)
        beside *= len(axes.expert) * len(axes.interleaved)
        for members in kind.by_nodes().values():
            for ranks in sizes_to_use(request, members[0][1]):
                split = [
                    [d for d in axis if ranks % d == 0] for axis in (axes.tensor, axes.pipeline, axes.context)
                ]
                plans += beside * len(split[0]) * len(split[1]) * len(split[2])
    if plans > MOST_PLANS:
        raise PlanErrors(
            [
                PlanError(
                    "cluster",
                    len(request.clusters),
                    f"These clusters mean {plans:,} layouts; a search looks at {MOST_PLANS:,} at most.",
                    "Name fewer clusters or node counts, or narrow vary.",
                )
            ]
        )


def search_machines(
    request: SearchRequest, kind: Hardware, calibration: Calibration, *, found: Found
) -> None:
    """All layouts on all sizes of one kind of machine, evaluated in blocks."""
    asked = plan_request(request, kind.members[0][1])
    axes = axes_to_vary(request, asked)
    sizes = kind.by_nodes()
    each = {
        nodes: candidates_on(axes, asked, degrees_over(axes, asked, sizes_to_use(request, members[0][1])))
        for nodes, members in sizes.items()
    }
    counts = [len(candidates) for candidates in each.values()]
    arrays = {
        name: np.concatenate([candidates.arrays[name] for candidates in each.values()])
        for name in next(iter(each.values())).arrays
    }
    arrays["nodes"] = np.repeat(np.array(list(each), dtype=float), counts)
    fits, step_s = evaluate_blocks(asked, arrays, calibration)
    steps, start = total_steps(asked), 0
    for nodes, members in sizes.items():
        candidates = each[nodes]
        part = slice(start, start + len(candidates))
        start += len(candidates)
        computing_s = steps * step_s[part]
        for index, cluster in members:
            total_s = np.asarray(lasting_s(computing_s, float(nodes), cluster.sale.interruptions))
            evaluated = OnCluster(index, cluster, candidates, fits[part], total_s)
            keep_best(request, evaluated, found)


def evaluate_blocks(
    asked: PlanRequest, arrays: dict[str, Array], calibration: Calibration
) -> tuple[NDArray[np.bool_], Array]:
    """(fits, seconds of a step) of each plan, inf where it does not fit; shape (plans,).

    arrays: layout fields and ``nodes`` by PlanGrid field name.
    """
    plans = len(arrays["nodes"])
    fits = np.zeros(plans, dtype=bool)
    step_s = np.full(plans, np.inf)
    for start in range(0, plans, BLOCK):
        part = slice(start, start + BLOCK)
        block = {name: values[part] for name, values in arrays.items()}
        if asked.workload.ppo:
            result = evaluate_ppo(asked, block, calibration)
            fits[part] = result.fits
            step_s[part] = np.where(fits[part], result.step.step, np.inf)
            continue
        grid = grid_over_layouts(asked, block)
        fits[part] = needed_per_rank(grid, calibration.memory) <= grid.memory_bytes
        index = np.flatnonzero(fits[part])
        if index.size:
            step_s[start + index] = step_time(grid.rows(index), calibration.timing).step
    return fits, step_s


@dataclass(frozen=True, slots=True)
class OnCluster:
    """All candidates on one cluster: arrays of shape (plans,). index: position of the cluster in the
    question.
    """

    index: int
    cluster: Cluster
    candidates: Candidates
    fits: NDArray[np.bool_]
    total_s: Array


def keep_best(request: SearchRequest, evaluated: OnCluster, found: Found) -> None:
    """Count the rejected plans of one cluster by reason, and keep its best few.

    On one cluster the bill never falls with a longer run, so the fastest plans are the cheapest too.
    """
    candidates, cluster, total_s = evaluated.candidates, evaluated.cluster, evaluated.total_s
    plans = len(candidates)
    price = cluster.usd_per_node_hour
    nodes, sale = float(cluster.nodes or 1), cluster.sale
    usd = np.asarray(run_usd(nodes, billed_s(total_s, sale), np.nan if price is None else price))
    found.looked_at += max(candidates.looked_at, plans)
    found.indivisible += max(candidates.looked_at, plans) - plans
    found.no_memory += plans - int(np.count_nonzero(evaluated.fits))
    within = evaluated.fits
    sold = within & can_be_bought(nodes, total_s, sale)
    found.unsold += int(np.count_nonzero(within)) - int(np.count_nonzero(sold))
    within = sold
    if request.deadline_days is not None:
        in_time = within & (total_s <= request.deadline_days * SECONDS_PER_DAY)
        found.late += int(np.count_nonzero(within)) - int(np.count_nonzero(in_time))
        within = in_time
    if request.budget_usd is not None:
        # A run without a known price cannot be shown to be within a budget.
        affordable = within & (usd <= request.budget_usd)
        found.dear += int(np.count_nonzero(within)) - int(np.count_nonzero(affordable))
        within = affordable
    rows = np.flatnonzero(within)
    found.fitting += rows.size
    if not rows.size:
        return
    if rows.size > request.limit:
        rows = rows[np.argpartition(total_s[rows], request.limit - 1)[: request.limit]]
    found.total_s.append(total_s[rows])
    found.usd.append(usd[rows])
    found.cluster.append(np.full(rows.size, evaluated.index))
    found.candidates.append(candidates)
    found.rows.append(rows)


def best_by(objective: Objective, total_s: Array, usd: Array) -> NDArray[np.int64]:
    """Positions from best to worst. total_s: seconds; usd: dollars (nan: no price), shape (plans,).

    Balanced: by the product of dollars and seconds, so that halving either counts the same. A plan without a
    price comes after those that have one, unless time alone matters.
    """
    dollars = np.where(np.isnan(usd), np.inf, usd)
    if objective == "time":
        return np.lexsort((dollars, total_s))
    if objective == "balanced":
        return np.lexsort((total_s, dollars * total_s))
    return np.lexsort((total_s, dollars))


def front(total_s: Array, usd: Array) -> NDArray[np.int64]:
    """Positions on the Pareto front, fastest first: plans for which no other is both cheaper and faster.

    total_s: seconds; usd: dollars (nan: no price), shape (plans,). Plans without a price cannot be compared;
    where none has one, the fastest stands alone.
    """
    priced = np.flatnonzero(~np.isnan(usd))
    if not priced.size:
        return np.argsort(total_s, kind="stable")[:1]
    order = priced[np.lexsort((usd[priced], total_s[priced]))]
    cheapest_before = np.minimum.accumulate(np.concatenate([[np.inf], usd[order][:-1]]))
    return order[usd[order] < cheapest_before]


class Answers:
    """The plans that were kept; each is estimated on its own, once, when it is shown."""

    def __init__(self, request: SearchRequest, calibration: Calibration, found: Found) -> None:
        self.request = request
        self.calibration = calibration
        self.total_s = np.concatenate(found.total_s) if found.total_s else np.zeros(0)
        self.usd = np.concatenate(found.usd) if found.usd else np.zeros(0)
        self.cluster = np.concatenate(found.cluster) if found.cluster else np.zeros(0, dtype=np.int64)
        self.rows = np.concatenate(found.rows) if found.rows else np.zeros(0, dtype=np.int64)
        self.candidates = found.candidates
        self.of = np.repeat(np.arange(len(found.rows)), [rows.size for rows in found.rows])
        self.shown: dict[int, PlanResult] = {}

    def at(self, positions: NDArray[np.int64]) -> tuple[PlanResult, ...]:
        """The estimates of the plans at these positions."""
        return tuple(self._at(int(position)) for position in positions)

    def _at(self, position: int) -> PlanResult:
        if position not in self.shown:
            cluster = self.request.clusters[int(self.cluster[position])]
            layout = self.candidates[int(self.of[position])].layout(int(self.rows[position]))
            asked = replace(
                plan_request(self.request, cluster),
                layout=LayoutRequest(**{name: getattr(layout, name) for name in LayoutRequest.__slots__}),
                notes=tuple(notes_on(self.request, cluster)),
                id=self.request.id,
            )
            self.shown[position] = estimate(asked, self.calibration)
        return self.shown[position]


def notes_on(request: SearchRequest, cluster: Cluster) -> Iterator[tuple[str, str]]:
    """The notes that reading gave, without those on the prices of other machines."""
    for code, message in request.notes:
        of_price = code == "price_stale"
        if not of_price or (f"of {cluster.instance_type} in {cluster.region} " in message):
            yield code, message
