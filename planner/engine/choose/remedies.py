"""The smallest change that makes a plan fit, found from memory alone.

Tried in this order, each from the mildest on: recompute more, a smaller micro-batch, more sharding; any
layout on the same machines; more nodes; another machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from planner.engine.choose.candidates import memory_fits
from planner.engine.choose.layout import Choice, choose_layout, evaluate_choice, frugal_candidates, may_fit
from planner.engine.choose.nodes import MOST_NODES, fewest_nodes_that_fit, on_nodes
from planner.engine.grid.build import cluster_numbers, layout_numbers
from planner.engine.grid.plan_grid import RECOMPUTES, SHARDINGS
from planner.engine.layout.enumeration import Candidates, divisors, is_auto, ranks_per_node
from planner.engine.layout.stacks import STACKS
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import Cluster, Layout, LayoutRequest, PlanRequest, Sharding
from planner.engine.question.result import NearestFit
from planner.engine.sure.calibration import Calibration

#: Larger clusters are looked at up to this many times the nodes asked for.
MOST_TIMES_THE_NODES = 64


def nearest_fit(
    choice: Choice, calibration: Calibration, alternatives: Sequence[Cluster]
) -> NearestFit | None:
    """The mildest change that makes the plan fit; None where nothing that was tried does.

    Whatever is returned fits when it is estimated again.
    """
    request = choice.request
    return (
        smaller_change(choice, calibration)
        or other_layout(request, calibration)
        or more_nodes(request, calibration)
        or other_machine(request, calibration, alternatives)
    )


def smaller_change(choice: Choice, calibration: Calibration) -> NearestFit | None:
    """The mildest change of one thing that fits; all of them are computed in one grid."""
    changes = list(small_changes(choice))
    if not changes:
        return None
    rows = [layout_numbers(layout) for _, layout in changes]
    arrays = {name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]}
    fits = memory_fits(choice.request, Candidates(arrays, ()), calibration)
    if not fits.any():
        return None
    words, layout = changes[int(np.argmax(fits))]
    return as_nearest(words, replace(choice, layout=layout), calibration)


def small_changes(choice: Choice) -> Iterator[tuple[str, Layout]]:
    """Layouts that differ from the plan in one thing, each with the change in words, mildest first."""
    layout = choice.layout
    kinds = RECOMPUTES[RECOMPUTES.index(layout.activation_recompute) :]
    for kind in kinds[1:]:
        yield f"use {kind} activation recompute", replace(layout, activation_recompute=kind)
    replica = layout.micro_batch_size * layout.gradient_accumulation
    for size in reversed([size for size in divisors(replica) if size < layout.micro_batch_size]):
        smaller = replace(layout, micro_batch_size=size, gradient_accumulation=replica // size)
        for kind in kinds:
            also = "" if kind == layout.activation_recompute else f", with {kind} activation recompute"
            yield (
                f"use a micro-batch of {size} instead of {layout.micro_batch_size}{also}",
                replace(smaller, activation_recompute=kind),
            )
    for sharding in stronger_sharding(choice):
        for kind in kinds:
            also = "" if kind == layout.activation_recompute else f", with {kind} activation recompute"
            yield (
                f"shard with {sharding.replace('zero', 'ZeRO-')}{also}",
                replace(layout, sharding=sharding, activation_recompute=kind),
            )


def stronger_sharding(choice: Choice) -> list[Sharding]:
    """Kinds of sharding stronger than the plan's.

    Those that the stack usually has; GPU instances share nothing.
    """
    request, layout = choice.request, choice.layout
    if layout.data_parallel * layout.context_parallel == 1 or request.cluster.mig_profile is not None:
        return []
    stronger = SHARDINGS[SHARDINGS.index(layout.sharding) + 1 :]
    stack = STACKS[request.workload.framework]
    usual = ("none", *stack.usual_shardings)
    open_to_all = len(stack.usual_shardings) > 1 or stack.usual_shardings == ("zero3",)
    return [kind for kind in stronger if kind in (stack.shardings if open_to_all else usual)]


def freed(request: PlanRequest) -> PlanRequest:
    """The question with its layout and recompute left open."""
    workload = replace(request.workload, activation_recompute="auto")
    return replace(request, layout=LayoutRequest(), workload=workload)


def other_layout(request: PlanRequest, calibration: Calibration) -> NearestFit | None:
    """Another layout on the same machines."""
    asked = request.layout.activation_recompute or request.workload.activation_recompute
    if is_auto(request) and asked == "auto":
        return None
    return chosen(freed(request), calibration, "use another layout on the same machines: {layout}")


def more_nodes(request: PlanRequest, calibration: Calibration) -> NearestFit | None:
    """The fewest more nodes on which some layout fits."""
    nodes = request.cluster.nodes
    if nodes is None or request.cluster.mig_profile is not None:
        return None
    free = freed(request)
    most = min(MOST_TIMES_THE_NODES * nodes, MOST_NODES)
    more = fewest_nodes_that_fit(free, calibration, least=nodes + 1, most=most)
    if more is None:
        return None
    return chosen(on_nodes(free, more), calibration, f"use {more} nodes instead of {nodes}")


def other_machine(
    request: PlanRequest, calibration: Calibration, alternatives: Sequence[Cluster]
) -> NearestFit | None:
    """The first of the alternatives on which some layout fits."""
    free, own = freed(request), request.cluster
    larger = [
        cluster
        for cluster in alternatives
        if cluster.nodes is not None and may_hold_more(cluster, own, request.workload.precision)
    ]
    for cluster in machines_that_hold(free, larger, calibration):
        name = cluster.instance_type or cluster.accelerator.name
        found = chosen(replace(free, cluster=cluster), calibration, f"use {cluster.nodes} x {name}")
        if found is not None:
            return found
    return None


def machines_that_hold(
    request: PlanRequest, clusters: Sequence[Cluster], calibration: Calibration
) -> list[Cluster]:
    """The clusters on which some plan may fit, in the order given.

    All machines' most frugal plans are computed in one grid.
    """
    each: list[Candidates] = []
    cached: dict[tuple[int, int, bool], Candidates] = {}
    for cluster in clusters:
        split = cluster.mig_profile is not None
        key = (ranks_per_node(cluster), cluster.nodes or 1, split)
        if key not in cached:
            cached[key] = frugal_candidates(replace(request, cluster=cluster))
        each.append(cached[key])
    sizes = [len(candidates) for candidates in each]
    if not sum(sizes):
        return list(clusters)
    numbers = [cluster_numbers(cluster, request.workload.precision) for cluster in clusters]
    columns = {name: np.repeat(np.array([float(row[name]) for row in numbers]), sizes) for name in numbers[0]}
    names = next(candidates.arrays for candidates in each if len(candidates))
    layouts = {name: np.concatenate([candidates.arrays[name] for candidates in each]) for name in names}
    fits = memory_fits(request, Candidates({**layouts, **columns}, ()), calibration)
    holds = {*np.repeat(np.arange(len(clusters)), sizes)[fits].tolist()}
    # Where no plan uses all ranks, one on some of them may fit, so the cluster stays on the list.
    return [cluster for index, cluster in enumerate(clusters) if index in holds or not sizes[index]]


def may_hold_more(cluster: Cluster, own: Cluster, precision: str) -> bool:
    """False for fewer ranks with no more memory each.

    They cannot hold what the plan's own machines cannot.
    """
    ranks, own_ranks = ((each.nodes or 1) * ranks_per_node(each) for each in (cluster, own))
    return ranks > own_ranks or usable_bytes(cluster, precision) > usable_bytes(own, precision)


def usable_bytes(cluster: Cluster, precision: str) -> float:
    """Bytes of memory of one rank."""
    return float(cluster_numbers(cluster, precision)["memory_bytes"])


def chosen(request: PlanRequest, calibration: Calibration, words: str) -> NearestFit | None:
    """The best plan for ``request`` if it fits. words: the change, with ``{layout}`` to be filled in."""
    if not may_fit(request, calibration):
        return None
    try:
        choice = choose_layout(request, calibration)
    except PlanErrors:
        return None
    return as_nearest(words.format(layout=in_words(choice.layout)), choice, calibration)


def as_nearest(change: str, choice: Choice, calibration: Calibration) -> NearestFit | None:
    """The choice as a nearest fit, if it fits. change: in words."""
    result = evaluate_choice(choice, calibration)
    if not np.all(result.fits):
        return None
    request = choice.request
    assert request.cluster.nodes is not None
    return NearestFit(
        change=change,
        layout=choice.layout,
        nodes=request.cluster.nodes,
        instance_type=request.cluster.instance_type,
        accelerator=request.cluster.accelerator.slug,
        memory_total_bytes=float(np.max(result.memory.total)),
        usable_bytes=usable_bytes(request.cluster, request.workload.precision),
    )


def in_words(layout: Layout) -> str:
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
