"""Choosing the number of nodes: the fewest that fit, or the fewest that meet a deadline.

There is no loop over all node counts. The counts that a batch can use follow from its divisors, memory is
computed for many of them in one grid, and the deadline is met by doubling steps followed by a short scan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from planner.engine.choose.candidates import shares_filled
from planner.engine.choose.layout import Choice, choose_layout, evaluate_choice, few_axes, frugal_axes
from planner.engine.grid.build import grid_over_layouts
from planner.engine.grid.plan_grid import Array
from planner.engine.layout.enumeration import (
    Candidates,
    Whole,
    candidates_on,
    degrees_of_any_size,
    is_auto,
    ranks_per_node,
)
from planner.engine.layout.refusals import DEGREES, check_layout
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import GenerationRequest, PlanRequest
from planner.engine.run.interruptions import lasting_s
from planner.engine.run.length import SECONDS_PER_DAY, total_steps
from planner.engine.sure.calibration import Calibration
from planner.engine.time import flops

MOST_NODES = 100_000
#: Memory is computed for portions of this many combinations of degrees, fewest nodes first.
PORTION = 256
#: No run exceeds this share of the accelerators' peak; node counts that would need more are not timed.
BEST_UTILIZATION = 0.9
#: A smaller node count has at most this many times the throughput per node of the larger one that was found.
LEEWAY = 1.25
#: Node counts looked at in the scan, at most: each is one search of layouts, some milliseconds.
MOST_TRIES = 32


def is_split(request: PlanRequest) -> bool:
    """Whether generation has accelerators of its own."""
    return request.workload.ppo is not None and request.workload.ppo.split


def choose_nodes(request: PlanRequest, calibration: Calibration) -> Choice:
    """Fewest nodes that fit or, with a deadline, the fewest that meet it."""
    if is_split(request):
        return choose_nodes_apart(request, calibration)
    if request.deadline_days is None or request.cluster.mig_profile is not None:
        return choose_layout(on_nodes(request, nodes_without_deadline(request, calibration)), calibration)
    check_layout(request, None)
    counts = usable_node_counts(request)
    fewest = fewest_nodes_that_fit(request, calibration, least=1, most=MOST_NODES) if counts.size else None
    if fewest is None:
        return choose_layout(on_nodes(request, int(counts[-1]) if counts.size else 1), calibration)
    return fewest_in_time(request, counts[counts >= fewest], calibration)


def nodes_without_deadline(request: PlanRequest, calibration: Calibration) -> int:
    """The fewest nodes that fit; where none do, as many as the batch can use. Raises PlanErrors.

    Of the machines it reads the accelerators, the host's memory and the partition (``memory_key``).
    """
    check_layout(request, None)
    if request.cluster.mig_profile is not None:
        return -(-(request.layout.data_parallel or 1) // ranks_per_node(request.cluster))
    counts = usable_node_counts(request)
    if not counts.size:
        return 1
    fewest = fewest_nodes_that_fit(request, calibration, least=1, most=MOST_NODES)
    return int(counts[-1]) if fewest is None else fewest


def memory_key(request: PlanRequest) -> tuple[object, ...]:
    """What decides how many nodes a question needs for its memory."""
    cluster = request.cluster
    machine = (cluster.accelerator, cluster.accelerators_per_node, cluster.host_bytes, cluster.mig_profile)
    return (request.model, request.workload, request.layout, *machine)


def choose_nodes_apart(request: PlanRequest, calibration: Calibration) -> Choice:
    """Nodes where generation has accelerators of its own: the fewest that training fits on, and as many again
    or those that were asked for. With a deadline twice as many, and twice again, until it is met.
    """
    ppo = request.workload.ppo
    assert ppo is not None
    together = replace(ppo, placement="colocated", staleness_steps=0, generation=GenerationRequest())
    alone = replace(request, workload=replace(request.workload, ppo=together), deadline_days=None)
    nodes = choose_nodes(alone, calibration).request.cluster.nodes or 1
    generating = ppo.generation.accelerators
    own = -(-generating // request.cluster.accelerators_per_node) if generating else nodes
    deadline_s = np.inf if request.deadline_days is None else request.deadline_days * SECONDS_PER_DAY
    while True:
        choice = choose_layout(on_nodes(request, nodes + own), calibration)
        result = evaluate_choice(choice, calibration)
        in_time = float(np.max(result.step.step)) * total_steps(request) <= deadline_s
        if in_time or 2 * (nodes + own) > min(MOST_NODES, request.workload.global_batch_size):
            return replace(choice, late=not in_time)
        nodes, own = 2 * nodes, own if generating else 2 * own


def on_nodes(request: PlanRequest, nodes: int) -> PlanRequest:
    """The question on this many nodes."""
    return replace(request, cluster=replace(request.cluster, nodes=nodes))


def usable_node_counts(request: PlanRequest) -> Whole:
    """Every number of nodes that some layout uses evenly, ascending."""
    per_node = ranks_per_node(request.cluster)
    ranks = np.unique(degrees_of_any_size(few_axes(request), request, MOST_NODES * per_node).ranks)
    nodes: Whole = ranks[ranks % per_node == 0] // per_node
    return nodes


def fewest_nodes_that_fit(
    request: PlanRequest, calibration: Calibration, *, least: int, most: int
) -> int | None:
    """The smallest node count from ``least`` to ``most`` on which some layout fits; None without one."""
    return next(node_counts_that_fit(request, calibration, least=least, most=most), None)


def node_counts_that_fit(
    request: PlanRequest, calibration: Calibration, *, least: int, most: int
) -> Iterator[int]:
    """The smallest node count from ``least`` to ``most`` on which some layout fits; then the smallest on
    which one does so nine times in ten, where that is another.

    Looks at the plans that need least memory: the smallest micro-batch, the most recompute, no interleaving.
    """
    per_node = ranks_per_node(request.cluster)
    fewest: int | None = None
    for plain in (False,) if is_auto(request) else (True, False):
        for candidates in frugal_portions(request, plain=plain, least=least, most=most):
            ((filled, margin),) = shares_filled([(request, candidates)], calibration)
            nodes = nodes_of(candidates, per_node)
            if fewest is None and (filled <= 1.0).any():
                fewest = int(nodes[filled <= 1.0].min())
                yield fewest
            surely = filled * margin <= 1.0
            if surely.any():
                enough = int(nodes[surely].min())
                if enough != fewest:
                    yield enough
                return
        if fewest is not None:
            return


def frugal_portions(request: PlanRequest, *, plain: bool, least: int, most: int) -> Iterator[Candidates]:
    """The plans that need least memory on whole nodes, from ``least`` to ``most`` of them, fewest first, in
    portions that grow.
    """
    per_node = ranks_per_node(request.cluster)
    frugal = frugal_axes(request, plain=plain)
    degrees = degrees_of_any_size(frugal, request, most * per_node)
    nodes = degrees.ranks // per_node
    kept = np.flatnonzero((degrees.ranks % per_node == 0) & (nodes >= least))
    kept = kept[np.argsort(nodes[kept], kind="stable")]
    start, portion = 0, PORTION
    while start < kept.size:
        candidates = candidates_on(frugal, request, degrees.at(kept[start : start + portion]))
        if len(candidates):
            yield candidates
        start, portion = start + portion, 4 * portion


def nodes_of(candidates: Candidates, per_node: int) -> Array:
    """Count of nodes of each plan, shape (plans,). per_node: ranks of a node."""
    ranks: Array = np.prod([candidates.arrays[name] for name in DEGREES], axis=0)
    return ranks // per_node


def nodes_each(requests: Sequence[PlanRequest], calibration: Calibration) -> list[int | PlanErrors]:
    """``nodes_without_deadline`` of each question, or what is wrong with it.

    Questions that differ only in machines of as many ranks look at the same plans first, in one grid; those
    that need more nodes are looked at one by one.
    """
    found: dict[int, int | PlanErrors] = {}
    alike: dict[tuple[object, ...], list[int]] = {}
    for index, request in enumerate(requests):
        if is_auto(request) and request.cluster.mig_profile is None and request.workload.ppo is None:
            ranks = ranks_per_node(request.cluster)
            alike.setdefault((request.model, request.workload, request.layout, ranks), []).append(index)
    drawn: list[tuple[int, Candidates]] = []
    for indices in alike.values():
        first = requests[indices[0]]
        portions = frugal_portions(first, plain=False, least=1, most=MOST_NODES)
        candidates = next(portions, None)
        if candidates is not None:
            drawn += [(index, candidates) for index in indices]
    shares = shares_filled([(requests[index], candidates) for index, candidates in drawn], calibration)
    for (index, candidates), (filled, _) in zip(drawn, shares, strict=True):
        if (filled <= 1.0).any():
            nodes = nodes_of(candidates, ranks_per_node(requests[index].cluster))
            found[index] = int(nodes[filled <= 1.0].min())
    for index, request in enumerate(requests):
        try:
            check_layout(request, None)
            if index not in found:
                found[index] = nodes_without_deadline(request, calibration)
        except PlanErrors as errors:
            found[index] = errors
        except PlanError as error:
            found[index] = PlanErrors([error])
    return [found[index] for index in range(len(requests))]


def fewest_in_time(request: PlanRequest, counts: Whole, calibration: Calibration) -> Choice:
    """The smallest of ``counts`` (ascending, all may fit) that meets the deadline.

    Steps up in doubling strides to a count that meets it, then looks at the smaller ones that could, in
    order.
    """
    assert request.deadline_days is not None
    deadline_s = request.deadline_days * SECONDS_PER_DAY
    tried: dict[int, tuple[Choice, float]] = {}

    def in_time(position: int) -> bool:
        if position not in tried:
            choice = choose_layout(on_nodes(request, int(counts[position])), calibration)
            result = evaluate_choice(choice, calibration)
            computing_s = float(np.max(result.step.step)) * total_steps(request)
            total_s = float(
                lasting_s(computing_s, float(counts[position]), request.cluster.sale.interruptions)
            )
            tried[position] = choice, total_s if np.all(result.fits) else np.inf
        return tried[position][1] <= deadline_s

    low = min(int(np.searchsorted(counts, least_nodes(request, deadline_s))), counts.size - 1)
    high, stride = low, 1
    while not in_time(high):
        if high == counts.size - 1:
            fastest = min(tried.values(), key=lambda each: each[1])[0]
            return replace(fastest, late=True)
        high, stride = min(high + stride, counts.size - 1), 2 * stride
    # Uneven counts are slower than their neighbours, so time does not fall steadily with nodes: every count
    # that could meet the deadline at up to LEEWAY of the found plan's throughput per node is looked at.
    needed = float(counts[high]) * tried[high][1] / deadline_s / LEEWAY
    first = max(low, int(np.searchsorted(counts, needed)))
    for position in range(first, min(high, first + MOST_TRIES)):
        if in_time(position):
            return tried[position][0]
    return tried[high][0]


def least_nodes(request: PlanRequest, deadline_s: float) -> float:
    """Count of nodes below which the deadline cannot be met even at BEST_UTILIZATION of the peak.

    deadline_s: seconds of the whole run.
    """
    if request.workload.ppo:
        return 1.0
    layouts = {name: np.asarray(1.0) for name in ("tensor_parallel", "pipeline_parallel", "data_parallel")}
    grid = grid_over_layouts(request, {**{name: np.asarray(0.0) for name in OTHER_FIELDS}, **layouts})
    work = total_steps(request) * grid.global_batch_size * flops.model_flops_per_sequence(grid)
    # These FLOPs count masked attention, which kernels skip: at most half of it.
    per_node = grid.peak_flops_per_s * BEST_UTILIZATION * 2.0 * ranks_per_node(request.cluster)
    return float(work / (per_node * deadline_s))


OTHER_FIELDS = (
    "sequence_parallel",
    "interleaved_stages",
    "context_parallel",
    "expert_parallel",
    "sharding",
    "sharding_group",
    "micro_batch_size",
    "gradient_accumulation",
    "recompute",
)
