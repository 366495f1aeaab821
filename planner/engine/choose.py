"""Choosing what a question leaves open: the layout and the number of nodes.

Memory is priced first and prunes; only what fits is timed. Everything here works on grids: there is no loop
over plans, and none over all node counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from planner.engine import flops
from planner.engine.calibration import Calibration
from planner.engine.errors import PlanError, PlanErrors
from planner.engine.evaluate import Evaluation, evaluate
from planner.engine.grid import Array, grid_over_layouts, layout_numbers
from planner.engine.layouts import (
    Axes,
    Candidates,
    Mask,
    Whole,
    axes_of,
    blocks,
    candidates_on,
    degrees_of_any_size,
    degrees_on,
    is_auto,
    ranks_per_node,
)
from planner.engine.memory import memory_per_rank
from planner.engine.parallelism import DEGREES, check_layout, total_ranks
from planner.engine.ppo import evaluate_ppo
from planner.engine.request import Layout, LayoutRequest, PlanRequest, Task
from planner.engine.timing import step_time

MOST_NODES = 100_000
SECONDS_PER_DAY = 86_400.0
#: Node counts are priced for memory in portions of this many combinations of degrees, smallest first.
PORTION = 256
#: No run is faster than at this share of the accelerators' peak; below it node counts are not worth timing.
BEST_UTILIZATION = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The plan that is evaluated. idle_ranks: ranks that the batch or the layout leaves without work.

    late: the deadline asked for is missed by every number of nodes.
    """

    request: PlanRequest
    layout: Layout
    open_fields: tuple[str, ...]
    idle_ranks: int = 0
    late: bool = False


@dataclass(frozen=True, slots=True)
class Priced:
    """Candidates with their memory per rank and, for those that fit, their step time (inf for the others)."""

    candidates: Candidates
    task: Task
    memory_total_bytes: Array
    usable_bytes: float
    fits: Mask
    step_s: Array

    def best(self) -> int:
        """The fastest that fits, plainer ones first where it makes little difference; where nothing fits, the
        one that needs least memory."""
        if not self.fits.any():
            return int(np.argmin(self.memory_total_bytes))
        return int(np.argmin(self.step_s * (1.0 + reluctance(self))))


#: What an expert would rather do without: share of step time that a doubling of a degree must win before it
#: is chosen. The choice is ours; it stands for the trouble of running it and for what the model cannot see.
RELUCTANCE = {
    "tensor_parallel": 0.015,
    "pipeline_parallel": 0.02,
    "context_parallel": 0.02,
    "expert_parallel": 0.005,
    "interleaved_stages": 0.01,
}
SHARDING_RELUCTANCE = np.array([0.0, 0.002, 0.004, 0.01])
#: Fine-tuning stacks shard models rather than split them (PEFT, torchtune, DeepSpeed-Chat).
UNUSUAL_RELUCTANCE = 0.35
#: Plans that fill the memory to more than these shares run slowly or out of it when anything is a little
#: larger.
TIGHT_RELUCTANCE = ((0.95, 0.03), (0.98, 0.07))


def reluctance(priced: Priced) -> Array:
    """Share of step time by which each candidate is held back."""
    arrays, task = priced.candidates.arrays, priced.task
    total: Array = SHARDING_RELUCTANCE[arrays["sharding"].astype(int)]
    for name, share in RELUCTANCE.items():
        total = total + share * np.log2(arrays[name])
    if task != "pretraining":
        for name in ("tensor_parallel", "pipeline_parallel"):
            total = total + UNUSUAL_RELUCTANCE * (arrays[name] > 1)
    for share, held_back in TIGHT_RELUCTANCE:
        total = total + held_back * (priced.memory_total_bytes > share * priced.usable_bytes)
    return total


def price(request: PlanRequest, candidates: Candidates, calibration: Calibration) -> Priced:
    """Contract: recompute ``auto`` is the least that fits; of plans alike but for it only that is timed."""
    count = len(candidates)
    if request.workload.ppo:
        result = evaluate_ppo(request, candidates.arrays, calibration)
        total, usable = result.memory.total, float(result.grid.memory_bytes)
        fits = least_recompute(np.broadcast_to(total, (count,)) <= usable, candidates.kinds)
        return Priced(
            candidates, request.workload.task, total, usable, fits, np.where(fits, result.step.step, np.inf)
        )
    grid = grid_over_layouts(request, candidates.arrays)
    total = np.broadcast_to(memory_per_rank(grid, calibration.memory).total, (count,))
    usable = float(grid.memory_bytes)
    fits = least_recompute(total <= usable, candidates.kinds)
    step_s = np.full(count, np.inf)
    index = np.flatnonzero(fits)
    if index.size == 1:
        step_s[index] = 0.0
    elif index.size:
        step_s[index] = step_time(grid.rows(index), calibration.timing).step
    return Priced(candidates, request.workload.task, total, usable, fits, step_s)


def least_recompute(fits: Mask, kinds: int) -> Mask:
    """Of each run of ``kinds`` plans that differ in recompute alone, the first that fits."""
    if kinds == 1:
        return fits
    side_by_side = fits.reshape(-1, kinds)
    first: Mask = side_by_side & (np.cumsum(side_by_side, axis=1) == 1)
    return first.reshape(-1)


def evaluate_choice(choice: Choice, calibration: Calibration) -> Evaluation:
    """The grid of one that was chosen."""
    layouts = one_row(choice.layout)
    if choice.request.workload.ppo:
        return evaluate_ppo(choice.request, layouts, calibration)
    return evaluate(grid_over_layouts(choice.request, layouts), calibration)


def choose(request: PlanRequest, calibration: Calibration) -> Choice:
    """The complete plan for ``request``. Raises PlanErrors for a question that makes no sense."""
    if request.cluster.nodes is None:
        return choose_nodes(request, calibration)
    return choose_layout(request, calibration)


def choose_layout(request: PlanRequest, calibration: Calibration) -> Choice:
    """The layout on the nodes that the cluster has."""
    available = available_ranks(request)
    ranks = asked_ranks(request, available)
    given = complete_layout(request, ranks)
    if given is not None:
        return Choice(request=request, layout=given, open_fields=(), idle_ranks=available - ranks)
    priced = best_on(request, ranks, calibration)
    if priced is None and may_idle(request.layout):
        ranks = most_usable_ranks(request, available)
        priced = best_on(request, ranks, calibration)
    if priced is None:
        raise no_layout(request, available)
    return Choice(
        request=request,
        layout=priced.candidates.layout(priced.best()),
        open_fields=priced.candidates.open_fields,
        idle_ranks=available - ranks,
    )


def asked_ranks(request: PlanRequest, available: int) -> int:
    """Ranks that the layout is to use: all of them, or the GPU instances asked for, one unless told
    otherwise.

    A plan that leaves machines idle can be sent back: its degrees then multiply to the ranks it uses.
    Raises PlanErrors.
    """
    layout = request.layout
    try:
        check_layout(request, available)
    except PlanErrors:
        degrees = [getattr(layout, name) for name in DEGREES]
        used = 0 if None in degrees else math.prod(degrees)
        if not 0 < used < available or request.cluster.mig_profile is not None:
            raise
        free = replace(request, layout=LayoutRequest())
        if len(degrees_on(few_axes(free), free, available).data) or used != most_usable_ranks(
            free, available
        ):
            raise
        check_layout(request, used)
        return used
    return available if request.cluster.mig_profile is None else (layout.data_parallel or 1)


def available_ranks(request: PlanRequest) -> int:
    assert request.cluster.nodes is not None
    return total_ranks(request.cluster, request.cluster.nodes)


def complete_layout(request: PlanRequest, ranks: int) -> Layout | None:
    """The layout where the question names every field that leaves a choice, checked before; else None."""
    asked, model = request.layout, request.model
    tensor, pipeline = asked.tensor_parallel, asked.pipeline_parallel
    context, chunks = asked.context_parallel, asked.interleaved_stages
    expert = asked.expert_parallel or (None if model.experts else 1)
    micro, recompute = asked.micro_batch_size, asked.activation_recompute
    if recompute is None and request.workload.activation_recompute != "auto":
        recompute = request.workload.activation_recompute
    if not (tensor and pipeline and context and chunks and expert and micro and recompute and asked.sharding):
        return None
    data = ranks // (tensor * pipeline * context)
    sequence = axes_of(request).sequence_parallel
    return Layout(
        tensor_parallel=tensor,
        sequence_parallel=tensor > 1 and sequence,
        pipeline_parallel=pipeline,
        interleaved_stages=chunks,
        context_parallel=context,
        expert_parallel=expert,
        data_parallel=data,
        sharding=asked.sharding,
        sharding_group=asked.sharding_group or data * context,
        micro_batch_size=micro,
        gradient_accumulation=request.workload.global_batch_size // (data * micro),
        activation_recompute=recompute,
    )


def best_on(request: PlanRequest, ranks: int, calibration: Calibration) -> Priced | None:
    """The candidates on exactly ``ranks`` ranks, priced; None where there are none.

    Where the question names some degrees, those that stacks leave at 1 unless told otherwise stay there as
    long as a plan fits so.
    """
    found: Priced | None = None
    for plain in (False,) if is_auto(request) else (True, False):
        axes = axes_of(request, plain=plain)
        candidates = candidates_on(axes, request, degrees_on(axes, request, ranks))
        if not len(candidates):
            continue
        found = price(request, candidates, calibration)
        if found.fits.any():
            break
    return found


def may_idle(layout: LayoutRequest) -> bool:
    """Whether machines may be left without work: nothing was asked that settles which ranks can be used."""
    kept = {name: getattr(layout, name) for name in FREE_OF_RANKS}
    return replace(layout, **dict.fromkeys(kept)) == LayoutRequest()


#: Fields of a layout that leave the number of usable ranks as it is.
FREE_OF_RANKS = ("sharding", "sequence_parallel", "activation_recompute")


def most_usable_ranks(request: PlanRequest, available: int) -> int:
    """The ranks of the most whole nodes that the batch can use, or of a part of one where it is small."""
    per_node = ranks_per_node(request.cluster)
    ranks = np.unique(degrees_of_any_size(few_axes(request), request, available).ranks)
    whole = ranks[ranks % per_node == 0]
    return int((whole if whole.size else ranks[ranks < per_node]).max(initial=1))


def few_axes(request: PlanRequest, *, plain: bool = False) -> Axes:
    """Axes that settle which numbers of ranks can be used, without those that make no difference to it."""
    axes = axes_of(request, plain=plain)
    return replace(axes, expert=axes.expert[:1], interleaved=axes.interleaved[:1])


def no_layout(request: PlanRequest, ranks: int) -> PlanErrors:
    asked, batch = request.layout, request.workload.global_batch_size
    given = {name: value for name in LayoutRequest.__slots__ if (value := getattr(asked, name)) is not None}
    order = (*DEGREES, "micro_batch_size", "gradient_accumulation", "interleaved_stages", *given)
    named = [name for name in order if name in given]
    return PlanErrors(
        [
            PlanError(
                f"layout.{named[0]}" if named else "layout",
                given[named[0]] if named else "auto",
                f"With this, nothing divides {ranks} ranks, {blocks(request.model)} layers and a batch of "
                f"{batch} sequences evenly.",
                "Leave more of the layout open, or make global_batch_size a multiple of the replicas.",
            )
        ]
    )


def choose_nodes(request: PlanRequest, calibration: Calibration) -> Choice:
    """Fewest nodes that fit or, with a deadline, the fewest that meet it."""
    check_layout(request, None)
    if request.cluster.mig_profile is not None:
        per_node = ranks_per_node(request.cluster)
        return choose_layout(
            on_nodes(request, -(-(request.layout.data_parallel or 1) // per_node)), calibration
        )
    counts = usable_node_counts(request)
    if not counts.size:
        return choose_layout(on_nodes(request, 1), calibration)
    fewest = fewest_nodes_that_fit(request, calibration, least=1, most=MOST_NODES)
    if fewest is None:
        return choose_layout(on_nodes(request, int(counts[-1])), calibration)
    if request.deadline_days is None:
        return choose_layout(on_nodes(request, fewest), calibration)
    return fewest_in_time(request, counts[counts >= fewest], calibration)


def on_nodes(request: PlanRequest, nodes: int) -> PlanRequest:
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
    """Of the node counts from ``least`` to ``most``, the smallest on which some layout fits.

    Looks at the plans that need least memory: the smallest micro-batch, the most recompute, no interleaving.
    """
    per_node = ranks_per_node(request.cluster)
    for plain in (False,) if is_auto(request) else (True, False):
        axes = axes_of(request, plain=plain)
        frugal = replace(
            axes,
            micro=axes.micro[:1],
            recompute=axes.recompute[-1:],
            interleaved=axes.interleaved[:1],
            expert=axes.expert if len(axes.expert) < 4 else [*axes.expert[:1], *axes.expert[2:]],
        )
        degrees = degrees_of_any_size(frugal, request, most * per_node)
        nodes = degrees.ranks // per_node
        kept = np.flatnonzero((degrees.ranks % per_node == 0) & (nodes >= least))
        kept = kept[np.argsort(nodes[kept], kind="stable")]
        start, portion = 0, PORTION
        while start < kept.size:
            candidates = candidates_on(frugal, request, degrees.at(kept[start : start + portion]))
            if len(candidates):
                fits = memory_fits(request, candidates, calibration)
                if fits.any():
                    arrays = candidates.arrays
                    ranks = np.prod([arrays[name] for name in DEGREES], axis=0)
                    return int(ranks[fits].min()) // per_node
            start, portion = start + portion, 4 * portion
    return None


def memory_fits(request: PlanRequest, candidates: Candidates, calibration: Calibration) -> Mask:
    if request.workload.ppo:
        return evaluate_ppo(request, candidates.arrays, calibration).fits
    grid = grid_over_layouts(request, candidates.arrays)
    fits = memory_per_rank(grid, calibration.memory).total <= grid.memory_bytes
    return np.broadcast_to(fits, (len(candidates),))


def fewest_in_time(request: PlanRequest, counts: Whole, calibration: Calibration) -> Choice:
    """The smallest of ``counts`` (ascending, all may fit) that meets the deadline, by galloping and
    bisecting.

    More nodes are taken to be faster; where they are not, a few of the next smaller counts are looked at too.
    """
    assert request.deadline_days is not None
    deadline_s = request.deadline_days * SECONDS_PER_DAY
    tried: dict[int, tuple[Choice, float]] = {}

    def in_time(position: int) -> bool:
        if position not in tried:
            choice = choose_layout(on_nodes(request, int(counts[position])), calibration)
            result = evaluate_choice(choice, calibration)
            total_s = float(np.max(result.step.step)) * total_steps(request)
            tried[position] = choice, total_s if np.all(result.fits) else np.inf
        return tried[position][1] <= deadline_s

    low = min(int(np.searchsorted(counts, least_nodes(request, deadline_s))), counts.size - 1)
    high, stride = low, 1
    while not in_time(high):
        if high == counts.size - 1:
            fastest = min(tried.values(), key=lambda each: each[1])[0]
            return replace(fastest, late=True)
        low, high, stride = high + 1, min(high + stride, counts.size - 1), 2 * stride
    while low < high:
        middle = (low + high) // 2
        if in_time(middle):
            high = middle
        else:
            low = middle + 1
    return tried[high][0]


def least_nodes(request: PlanRequest, deadline_s: float) -> float:
    """Nodes below which the deadline cannot be met even at BEST_UTILIZATION of the peak."""
    if request.workload.ppo:
        return 1.0
    layouts = {name: np.asarray(1.0) for name in ("tensor_parallel", "pipeline_parallel", "data_parallel")}
    grid = grid_over_layouts(request, {**{name: np.asarray(0.0) for name in OTHER_FIELDS}, **layouts})
    work = total_steps(request) * grid.global_batch_size * flops.model_flops_per_sequence(grid)
    # Masks that kernels skip are counted in these FLOPs but not worked on: half of attention at most.
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


def total_steps(request: PlanRequest) -> int:
    workload = request.workload
    per_step = workload.global_batch_size * tokens_per_sequence(request)
    return max(1, int(np.ceil(workload.tokens / per_step - 1e-9)))


def tokens_per_sequence(request: PlanRequest) -> int:
    """Encoder tokens for an encoder-decoder; for vision a sequence is its patches and the class token."""
    return request.workload.sequence_length


def one_row(layout: Layout) -> dict[str, Array]:
    return {name: np.array([value], dtype=float) for name, value in layout_numbers(layout).items()}
