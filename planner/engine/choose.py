"""Choosing what a question leaves open: the layout, the number of nodes, and the nearest change that fits.

Memory is priced first and prunes; only what fits is timed. Everything here works on grids: there is no loop
over plans, only over node counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.engine.calibration import Calibration
from planner.engine.errors import PlanError, PlanErrors
from planner.engine.evaluate import Evaluation, evaluate
from planner.engine.grid import (
    RECOMPUTES,
    SHARDINGS,
    Array,
    cluster_numbers,
    grid_over_layouts,
    layout_numbers,
)
from planner.engine.memory import memory_per_rank
from planner.engine.parallelism import (
    Candidates,
    blocks,
    check_layout,
    enumerate_layouts,
    is_auto,
    total_ranks,
)
from planner.engine.ppo import evaluate_ppo
from planner.engine.request import Cluster, Layout, LayoutRequest, PlanRequest, Recompute
from planner.engine.result import NearestFit
from planner.engine.timing import step_time

#: Node counts tried where the question leaves them open, and when looking for a larger cluster that fits.
NODE_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The plan that is evaluated. idle_ranks: ranks that the batch or the layout leaves without work."""

    request: PlanRequest
    layout: Layout
    open_fields: tuple[str, ...]
    idle_ranks: int = 0


@dataclass(frozen=True, slots=True)
class Priced:
    """Candidates with their memory per rank and, for those that fit, their step time (inf for the others)."""

    candidates: Candidates
    memory_total_bytes: Array
    fits: Array
    step_s: Array

    def best(self) -> int:
        """Fastest that fits; where nothing fits, the one that needs least memory."""
        if self.fits.any():
            return int(np.argmin(self.step_s))
        return int(np.argmin(self.memory_total_bytes))


def price(request: PlanRequest, candidates: Candidates, calibration: Calibration) -> Priced:
    if request.workload.ppo:
        return price_ppo(request, candidates, calibration)
    grid = grid_over_layouts(request, candidates.arrays)
    total = np.broadcast_to(memory_per_rank(grid, calibration.memory).total, (len(candidates),))
    fits = total <= grid.memory_bytes
    step_s = np.full(len(candidates), np.inf)
    index = np.flatnonzero(fits)
    if index.size:
        index = least_recompute(index, candidates.arrays, total)
        step_s[index] = step_time(grid.rows(index), calibration.timing).step
    return Priced(candidates, total, fits, step_s)


def price_ppo(request: PlanRequest, candidates: Candidates, calibration: Calibration) -> Priced:
    result = evaluate_ppo(request, candidates.arrays, calibration)
    total = np.broadcast_to(result.memory.total, (len(candidates),))
    fits = total <= result.grid.memory_bytes
    return Priced(candidates, total, fits, np.where(fits, result.step.step, np.inf))


def evaluate_choice(choice: Choice, calibration: Calibration) -> Evaluation:
    """The grid of one that was chosen."""
    layouts = one_row(choice.layout)
    if choice.request.workload.ppo:
        return evaluate_ppo(choice.request, layouts, calibration)
    return evaluate(grid_over_layouts(choice.request, layouts), calibration)


def least_recompute(index: Array, arrays: dict[str, Array], total: Array) -> Array:
    """Contract: ``auto`` recompute is the least that fits. Keep, of plans alike but for it, the first."""
    kinds = arrays["recompute"][index]
    if kinds.size < 2 or kinds.min() == kinds.max():
        return index
    names = [name for name in arrays if name not in ("recompute",)]
    keys = np.stack([arrays[name][index] for name in names])
    order = np.lexsort((kinds, *keys))
    ordered = keys[:, order]
    first = np.ones(order.size, dtype=bool)
    first[1:] = np.any(ordered[:, 1:] != ordered[:, :-1], axis=0)
    return np.sort(index[order[first]])


def choose(request: PlanRequest, calibration: Calibration) -> Choice:
    """The complete plan for ``request``. Raises PlanErrors for a question that makes no sense."""
    if request.cluster.nodes is None:
        return choose_nodes(request, calibration)
    return choose_layout(request, calibration)


def choose_layout(request: PlanRequest, calibration: Calibration) -> Choice:
    nodes = request.cluster.nodes
    assert nodes is not None
    ranks = total_ranks(request.cluster, nodes)
    check_layout(request, ranks)
    candidates = enumerate_layouts(request, ranks)
    idle = 0
    if not len(candidates) and is_auto(request.layout):
        candidates, idle = on_fewer_ranks(request, ranks)
    if not len(candidates):
        raise no_layout(request, ranks)
    open_fields = candidates.open_fields
    index = 0 if len(candidates) == 1 else price(request, candidates, calibration).best()
    return Choice(request=request, layout=candidates.layout(index), open_fields=open_fields, idle_ranks=idle)


def on_fewer_ranks(request: PlanRequest, ranks: int) -> tuple[Candidates, int]:
    """Layouts on the most ranks that the batch can use; the machines left over stay idle but are billed."""
    per_node = total_ranks(request.cluster, 1)
    counts = [nodes * per_node for nodes in range(ranks // per_node - 1, 0, -1)]
    counts += [count for count in range(per_node - 1, 0, -1) if per_node % count == 0]
    for count in counts:
        found = enumerate_layouts(request, count)
        if len(found):
            return found, ranks - count
    return enumerate_layouts(request, 1), ranks - 1


def no_layout(request: PlanRequest, ranks: int) -> PlanErrors:
    return PlanErrors(
        [
            PlanError(
                "layout",
                {
                    name: value
                    for name in LayoutRequest.__slots__
                    if (value := getattr(request.layout, name)) is not None
                }
                or "auto",
                f"no layout with these values divides {ranks} ranks, {blocks(request.model)} layers and a batch of {request.workload.global_batch_size} sequences evenly.",
                "Leave more of the layout open, or change global_batch_size to a multiple of the data-parallel degree.",
            )
        ]
    )


def choose_nodes(request: PlanRequest, calibration: Calibration) -> Choice:
    """Fewest nodes that fit, or the fewest that meet the deadline; else the largest count that was tried."""
    last: Choice | None = None
    failure: PlanErrors | None = None
    deadline_s = None if request.deadline_days is None else request.deadline_days * SECONDS_PER_DAY
    for nodes in NODE_COUNTS:
        asked = replace(request, cluster=replace(request.cluster, nodes=nodes))
        try:
            choice = choose_layout(asked, calibration)
        except PlanErrors as error:
            failure = error
            continue
        if choice.idle_ranks and last is not None:
            break
        last = choice
        result = evaluate_choice(choice, calibration)
        if not np.all(result.fits):
            continue
        if deadline_s is None or float(np.max(result.step.step)) * total_steps(asked) <= deadline_s:
            return choice
    if last is None:
        assert failure is not None
        raise failure
    return last


def total_steps(request: PlanRequest) -> int:
    workload = request.workload
    per_step = workload.global_batch_size * tokens_per_sequence(request)
    return max(1, int(np.ceil(workload.tokens / per_step - 1e-9)))


def tokens_per_sequence(request: PlanRequest) -> int:
    """Encoder tokens for an encoder-decoder; for vision a sequence is its patches and the class token."""
    return request.workload.sequence_length


def one_row(layout: Layout) -> dict[str, Array]:
    return {name: np.array([value], dtype=float) for name, value in layout_numbers(layout).items()}


def nearest_fit(
    choice: Choice, calibration: Calibration, alternatives: Sequence[Cluster]
) -> NearestFit | None:
    """The smallest change that fits, tried in this order: recompute kind, micro-batch, sharding, any layout
    on the same machines, more nodes, another machine."""
    request, layout = choice.request, choice.layout
    nodes = request.cluster.nodes
    assert nodes is not None
    for change, asked in smaller_changes(request, layout):
        found = fitting(asked, calibration)
        if found is not None:
            return as_nearest(f"{change(found[1])}", found)
    free = replace(
        request, layout=LayoutRequest(), workload=replace(request.workload, activation_recompute="auto")
    )
    found = fitting(free, calibration)
    if found is not None:
        return as_nearest(f"lay it out as {words(found[1])} on the same machines", found)
    for more in NODE_COUNTS:
        if nodes < more <= 64 * nodes:
            found = fitting(replace(free, cluster=replace(free.cluster, nodes=more)), calibration)
            if found is not None:
                return as_nearest(f"use {more} nodes instead of {nodes}", found)
    for cluster in alternatives:
        found = fitting(replace(free, cluster=cluster), calibration)
        if found is not None:
            return as_nearest(
                f"use {cluster.nodes} x {cluster.instance_type or cluster.accelerator.name}", found
            )
    return None


def smaller_changes(request: PlanRequest, layout: Layout) -> Iterable[tuple[object, PlanRequest]]:
    """Questions that differ from the plan in one thing, nearest first, each with the change in words."""

    def asked(**changes: object) -> PlanRequest:
        whole = LayoutRequest(**{name: getattr(layout, name) for name in LayoutRequest.__slots__})
        return replace(request, layout=replace(whole, **changes))

    for kind in RECOMPUTES[RECOMPUTES.index(layout.activation_recompute) + 1 :]:
        recompute: Recompute = kind  # type: ignore[assignment]
        yield (
            (lambda found, kind=kind: f"recompute activations: {kind}"),
            asked(activation_recompute=recompute),
        )
    smaller = layout.micro_batch_size
    while smaller % 2 == 0:
        smaller //= 2
        for kind in RECOMPUTES[RECOMPUTES.index(layout.activation_recompute) :]:
            yield (
                (
                    lambda found: (
                        f"micro-batch of {found.micro_batch_size} instead of {layout.micro_batch_size}"
                        + (
                            ""
                            if found.activation_recompute == layout.activation_recompute
                            else f", recomputing activations: {found.activation_recompute}"
                        )
                    )
                ),
                asked(micro_batch_size=smaller, gradient_accumulation=None, activation_recompute=kind),
            )
    if layout.data_parallel * layout.context_parallel > 1:
        for sharding in SHARDINGS[SHARDINGS.index(layout.sharding) + 1 :]:
            yield (
                (lambda found: f"shard with {found.sharding.replace('zero', 'ZeRO-')}"),
                asked(sharding=sharding, sharding_group=None),
            )


def fitting(
    request: PlanRequest, calibration: Calibration
) -> tuple[PlanRequest, Layout, float, float] | None:
    nodes = request.cluster.nodes
    assert nodes is not None
    ranks = total_ranks(request.cluster, nodes)
    try:
        check_layout(request, ranks)
    except PlanErrors:
        return None
    candidates = enumerate_layouts(request, ranks)
    if not len(candidates):
        return None
    priced = price(request, candidates, calibration)
    if not priced.fits.any():
        return None
    best = priced.best()
    return request, candidates.layout(best), float(priced.memory_total_bytes[best]), usable_bytes(request)


def usable_bytes(request: PlanRequest) -> float:
    return float(cluster_numbers(request.cluster, request.workload.precision)["memory_bytes"])


def as_nearest(change: str, found: tuple[PlanRequest, Layout, float, float]) -> NearestFit:
    request, layout, total, usable = found
    assert request.cluster.nodes is not None
    return NearestFit(
        change=change,
        layout=layout,
        nodes=request.cluster.nodes,
        instance_type=request.cluster.instance_type,
        accelerator=request.cluster.accelerator.slug,
        memory_total_bytes=total,
        usable_bytes=usable,
    )


def words(layout: Layout) -> str:
    """A layout in short words, e.g. ``TP 8, PP 2, DP 16, ZeRO-1, micro-batch 1``."""
    parts = [f"TP {layout.tensor_parallel}", f"PP {layout.pipeline_parallel}"]
    if layout.context_parallel > 1:
        parts.append(f"CP {layout.context_parallel}")
    if layout.expert_parallel > 1:
        parts.append(f"EP {layout.expert_parallel}")
    parts.append(f"DP {layout.data_parallel}")
    if layout.sharding != "none":
        parts.append(layout.sharding.replace("zero", "ZeRO-"))
    parts.append(f"micro-batch {layout.micro_batch_size}")
    if layout.activation_recompute != "none":
        parts.append(f"{layout.activation_recompute} recompute")
    return ", ".join(parts)
