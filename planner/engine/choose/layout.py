"""Choosing the layout that a question leaves open, on the machines that it names.

A layout that is given completely is taken as it is; otherwise the open fields are enumerated and the best
plan that fits is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from planner.engine.choose.candidates import Priced, memory_fits, price
from planner.engine.evaluate import Evaluation, evaluate
from planner.engine.grid.build import grid_over_layouts, layout_numbers
from planner.engine.grid.plan_grid import Array
from planner.engine.layout.enumeration import (
    Axes,
    Candidates,
    axes_of,
    blocks,
    candidates_on,
    degrees_of_any_size,
    degrees_on,
    divisors,
    is_auto,
    ranks_per_node,
)
from planner.engine.layout.pools import degrees_over, training_sizes
from planner.engine.layout.refusals import DEGREES, check_layout, total_ranks
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import Layout, LayoutRequest, PlanRequest
from planner.engine.rl.ppo import evaluate_ppo
from planner.engine.sure.calibration import Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The plan that is evaluated.

    open_fields: layout fields that were chosen here.
    idle_ranks: ranks that the batch or the layout leaves without work.
    late: no number of nodes meets the deadline asked for.
    """

    request: PlanRequest
    layout: Layout
    open_fields: tuple[str, ...]
    idle_ranks: int = 0
    late: bool = False


def evaluate_choice(choice: Choice, calibration: Calibration) -> Evaluation:
    """Memory and time of the plan that was chosen, as a grid of one."""
    layouts = one_row(choice.layout)
    if choice.request.workload.ppo:
        return evaluate_ppo(choice.request, layouts, calibration)
    return evaluate(grid_over_layouts(choice.request, layouts), calibration)


def one_row(layout: Layout) -> dict[str, Array]:
    """The layout as PlanGrid arrays of shape (1,)."""
    return {name: np.array([value], dtype=float) for name, value in layout_numbers(layout).items()}


def choose_layout(request: PlanRequest, calibration: Calibration) -> Choice:
    """The layout on the nodes that the cluster has. Where generation and training are apart and nobody said
    how many accelerators generate, all sizes of the pools are looked at in one grid.
    """
    sizes = pool_sizes(request)
    if len(sizes) > 1:
        return choose_pools(request, sizes, calibration)
    available = available_ranks(request)
    ranks = asked_ranks(request, available)
    given = complete_layout(request, ranks)
    if given is not None:
        return Choice(request=request, layout=given, open_fields=(), idle_ranks=available - ranks)
    priced = best_on(request, (ranks,), calibration)
    if priced is None and may_idle(request.layout):
        ranks = most_usable_ranks(request, available)
        priced = best_on(request, (ranks,), calibration)
    if priced is None:
        raise no_layout(request, available)
    return Choice(
        request=request,
        layout=priced.candidates.layout(priced.best()),
        open_fields=priced.candidates.open_fields,
        idle_ranks=available - ranks,
    )


def pool_sizes(request: PlanRequest) -> tuple[int, ...]:
    """Counts of ranks that may train on the request's nodes."""
    assert request.cluster.nodes is not None
    return training_sizes(request, total_ranks(request.cluster, request.cluster.nodes))


def choose_pools(request: PlanRequest, sizes: tuple[int, ...], calibration: Calibration) -> Choice:
    """The layout, and with it how many accelerators train: the others generate. Raises PlanErrors."""
    check_layout(request, None)
    priced = best_on(request, sizes, calibration)
    if priced is None:
        raise no_layout(request, sizes[len(sizes) // 2])
    layout = priced.candidates.layout(priced.best())
    return Choice(
        request=with_generating(request, trained_ranks(layout)),
        layout=layout,
        open_fields=priced.candidates.open_fields,
    )


def trained_ranks(layout: Layout) -> int:
    """Count of ranks of a layout."""
    return math.prod(int(getattr(layout, name)) for name in DEGREES)


def with_generating(request: PlanRequest, ranks: int) -> PlanRequest:
    """The question with all that is not among the ``ranks`` that train set to generate."""
    ppo, cluster = request.workload.ppo, request.cluster
    assert ppo is not None and cluster.nodes is not None
    chips = (total_ranks(cluster, cluster.nodes) - ranks) // cluster.accelerator.ranks_per_accelerator
    generation = replace(ppo.generation, accelerators=chips)
    return replace(request, workload=replace(request.workload, ppo=replace(ppo, generation=generation)))


def asked_ranks(request: PlanRequest, available: int) -> int:
    """Count of ranks that the layout is to use: all of them, or the GPU instances asked for (one by default).

    A plan that leaves machines idle can be sent back as a question: its degrees then multiply to the ranks it
    uses.
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
    """Count of ranks on the request's nodes that train; others may only generate."""
    assert request.cluster.nodes is not None
    sizes = training_sizes(request, total_ranks(request.cluster, request.cluster.nodes))
    return sizes[len(sizes) // 2]


def complete_layout(request: PlanRequest, ranks: int) -> Layout | None:
    """The layout where the question names every field that leaves a choice (checked before), else None."""
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


def best_on(request: PlanRequest, sizes: tuple[int, ...], calibration: Calibration) -> Priced | None:
    """The candidates on as many ranks as one of ``sizes``, with memory and time; None where there are none.

    Where the question names some degrees, those that stacks leave at 1 by default stay at 1 as long as some
    plan fits with a margin. Uneven pipelines are tried where nothing else divides.
    """
    found: Priced | None = None
    for axes in axes_in_turn(request, sizes[0]):
        candidates = candidates_on(axes, request, degrees_over(axes, request, sizes))
        if not len(candidates):
            continue
        priced = price(request, candidates, calibration)
        if found is None or (priced.fits.any(), priced.roomy) > (found.fits.any(), found.roomy):
            found = priced
        if found.roomy:
            break
    return found


def axes_in_turn(request: PlanRequest, ranks: int) -> Iterator[Axes]:
    """The sets of values to try, from the plainest to the widest."""
    if is_auto(request):
        yield axes_of(request)
        return
    yield axes_of(request, plain=True)
    yield axes_of(request)
    if request.layout.pipeline_parallel is None:
        layers = blocks(request.model)
        uneven = [degree for degree in divisors(ranks) if degree <= layers]
        yield replace(axes_of(request), pipeline=uneven, pipeline_asked=True)


def may_idle(layout: LayoutRequest) -> bool:
    """Whether machines may be left idle: nothing was asked that settles which ranks can be used."""
    kept = {name: getattr(layout, name) for name in FREE_OF_RANKS}
    return replace(layout, **dict.fromkeys(kept)) == LayoutRequest()


#: Fields of a layout that leave the number of usable ranks as it is.
FREE_OF_RANKS = ("sharding", "sequence_parallel", "activation_recompute")


def most_usable_ranks(request: PlanRequest, available: int) -> int:
    """Count of ranks on the most whole nodes that the batch can use, or on part of one where the batch is
    small.
    """
    per_node = ranks_per_node(request.cluster)
    ranks = np.unique(degrees_of_any_size(few_axes(request), request, available).ranks)
    whole = ranks[ranks % per_node == 0]
    return int((whole if whole.size else ranks[ranks < per_node]).max(initial=1))


def few_axes(request: PlanRequest, *, plain: bool = False) -> Axes:
    """Axes that decide which numbers of ranks can be used, without those that make no difference to it."""
    axes = axes_of(request, plain=plain)
    return replace(axes, expert=axes.expert[:1], interleaved=axes.interleaved[:1])


def frugal_axes(request: PlanRequest, *, plain: bool = False) -> Axes:
    """Axes of the plans that need least memory: smallest micro-batch, most recompute, no interleaving."""
    axes = axes_of(request, plain=plain)
    return replace(
        axes, micro=axes.micro[:1], recompute=axes.recompute[-1:], interleaved=axes.interleaved[:1]
    )


def frugal_candidates(request: PlanRequest) -> Candidates:
    """The plans that need least memory on all of the request's machines (on one GPU instance under MIG)."""
    axes = frugal_axes(request)
    ranks = available_ranks(request) if request.cluster.mig_profile is None else 1
    return candidates_on(axes, request, degrees_on(axes, request, ranks))


def may_fit(request: PlanRequest, calibration: Calibration) -> bool:
    """False only where no plan on the request's machines fits, decided without looking at all of them."""
    candidates = frugal_candidates(request)
    return not len(candidates) or bool(memory_fits(request, candidates, calibration).any())


def no_layout(request: PlanRequest, ranks: int) -> PlanErrors:
    """The error for a question that no layout answers, at the field that restricts it most."""
    asked, batch = request.layout, request.workload.global_batch_size
    given = {name: value for name in LayoutRequest.__slots__ if (value := getattr(asked, name)) is not None}
    order = (*DEGREES, "micro_batch_size", "gradient_accumulation", "interleaved_stages", *given)
    named = [name for name in order if name in given]
    return PlanErrors(
        [
            PlanError(
                f"layout.{named[0]}" if named else "layout",
                given[named[0]] if named else "auto",
                f"With this, no layout divides {ranks} ranks, {blocks(request.model)} layers and a batch of "
                f"{batch} sequences evenly.",
                "Leave more of the layout open, or make global_batch_size a multiple of the replicas.",
            )
        ]
    )
