"""Choosing the layout that a question leaves open, on the machines that it names.

A layout that is given completely is taken as it is; otherwise the open fields are enumerated and the best
plan that fits is taken.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.engine.choose.candidates import Priced, price_each
from planner.engine.evaluate import Evaluation, evaluate
from planner.engine.grid.build import grid_over_layouts, layout_numbers
from planner.engine.grid.plan_grid import Array
from planner.engine.grid.questions import grid_over_questions
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
from planner.engine.layout.stacks import PIPELINE, STACKS
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
    if choice.request.workload.ppo:
        return evaluate_ppo(choice.request, one_row(choice.layout), calibration)
    numbers = {name: np.float64(value) for name, value in layout_numbers(choice.layout).items()}
    return evaluate(grid_over_layouts(choice.request, numbers), calibration)


def evaluate_choices(choices: Sequence[Choice], calibration: Calibration) -> list[Evaluation]:
    """Memory and time of each plan, computed in one grid; PPO's models have grids of their own."""
    together = [index for index, choice in enumerate(choices) if not choice.request.workload.ppo]
    if len(together) < 2:
        return [evaluate_choice(choice, calibration) for choice in choices]
    rows = [layout_numbers(choices[index].layout) for index in together]
    layouts = {name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]}
    grid = grid_over_questions([choices[index].request for index in together], [1] * len(together), layouts)
    split = evaluate(grid, calibration).split(len(together))
    found = dict(zip(together, split, strict=True))
    return [
        found[index] if index in found else evaluate_choice(choice, calibration)
        for index, choice in enumerate(choices)
    ]


def one_row(layout: Layout) -> dict[str, Array]:
    """The layout as PlanGrid arrays of shape (1,)."""
    return {name: np.array([value], dtype=float) for name, value in layout_numbers(layout).items()}


def choose_layout(request: PlanRequest, calibration: Calibration) -> Choice:
    """The layout on the nodes that the cluster has. Raises PlanErrors."""
    (chosen,) = choose_layouts([request], calibration)
    if isinstance(chosen, PlanErrors):
        raise chosen
    return chosen


@dataclass(slots=True)
class Open:
    """A question whose layout is to be chosen. available: ranks of its machines that may train.

    sizes: counts of ranks to use, of which one is taken: several where generation has accelerators of its own
    and nobody said how many.  priced: the best candidates so far, None before any were found.
    """

    request: PlanRequest
    available: int
    sizes: tuple[int, ...]
    priced: Priced | None = None

    @property
    def choice(self) -> Choice | PlanErrors:
        """The best of the candidates, or the error of a question that no layout answers."""
        if self.priced is None:
            return no_layout(self.request, self.available)
        layout = self.priced.candidates.layout(self.priced.best())
        apart = len(self.sizes) > 1
        return Choice(
            request=with_generating(self.request, trained_ranks(layout)) if apart else self.request,
            layout=layout,
            open_fields=self.priced.candidates.open_fields,
            idle_ranks=0 if apart else self.available - self.sizes[0],
        )


def choose_layouts(requests: Sequence[PlanRequest], calibration: Calibration) -> list[Choice | PlanErrors]:
    """The layout of each question on the nodes that its cluster has; all candidates are priced together."""
    found: list[Choice | PlanErrors | Open] = []
    for request in requests:
        try:
            sizes = pool_sizes(request)
            available = available_ranks(request)
            if len(sizes) > 1:
                check_layout(request, None)
                found.append(Open(request, available, sizes))
                continue
            ranks = asked_ranks(request, available)
        except PlanErrors as wrong:
            found.append(wrong)
            continue
        given = complete_layout(request, ranks)
        if given is None:
            found.append(Open(request, available, (ranks,)))
        else:
            idle = available - ranks
            found.append(Choice(request=request, layout=given, open_fields=(), idle_ranks=idle))
    open_ones = [each for each in found if isinstance(each, Open)]
    price_open(open_ones, calibration)
    without = [each for each in open_ones if each.priced is None and may_idle(each.request.layout)]
    for each in without:
        each.sizes = (most_usable_ranks(each.request, each.available),)
    price_open(without, calibration)
    return [each.choice if isinstance(each, Open) else each for each in found]


def pool_sizes(request: PlanRequest) -> tuple[int, ...]:
    """Counts of ranks that may train on the request's nodes."""
    assert request.cluster.nodes is not None
    return training_sizes(request, total_ranks(request.cluster, request.cluster.nodes))


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


def price_open(questions: Sequence[Open], calibration: Calibration) -> None:
    """Price the candidates of each question on exactly its ranks, or on as many as one of its sizes.

    Where a question names some degrees, those that stacks leave at 1 by default stay at 1 as long as some
    plan fits with a margin. Uneven pipelines are tried where nothing else divides.
    """
    drawn_once: dict[tuple[object, ...], Sets] = {}
    waiting = [
        (each, drawn_once.setdefault(alike(each), Sets(candidate_sets(each.request, each.sizes))))
        for each in questions
    ]
    for turn in itertools.count():
        drawn = [(each, sets, some) for each, sets in waiting if (some := sets.at(turn)) is not None]
        if not drawn:
            return
        priced = price_each([(each.request, candidates) for each, _, candidates in drawn], calibration)
        for (each, _, _), found in zip(drawn, priced, strict=True):
            best = each.priced
            if best is None or (found.fits.any(), found.roomy) > (best.fits.any(), best.roomy):
                each.priced = found
        waiting = [(each, sets) for each, sets, _ in drawn if each.priced is None or not each.priced.roomy]


class Sets:
    """Sets of candidates that several questions look at, each drawn when the first of them comes to it."""

    def __init__(self, more: Iterator[Candidates]) -> None:
        self._more = more
        self._drawn: list[Candidates | None] = []

    def at(self, turn: int) -> Candidates | None:
        """The set of this turn, counted from 0; None where there are no more."""
        while len(self._drawn) <= turn:
            self._drawn.append(next(self._more, None))
        return self._drawn[turn]


def alike(each: Open) -> tuple[object, ...]:
    """What the candidates of a question depend on: its run, and of its machines their ranks alone."""
    request, cluster = each.request, each.request.cluster
    return (
        request.model,
        request.workload,
        request.layout,
        ranks_per_node(cluster),
        cluster.mig_profile,
        each.sizes,
    )


def candidate_sets(request: PlanRequest, sizes: tuple[int, ...]) -> Iterator[Candidates]:
    """The sets of candidates on as many ranks as one of ``sizes`` that hold any, the plainest first."""
    for axes in axes_in_turn(request, sizes[0]):
        candidates = candidates_on(axes, request, degrees_over(axes, request, sizes))
        if len(candidates):
            yield candidates


def axes_in_turn(request: PlanRequest, ranks: int) -> Iterator[Axes]:
    """The sets of values to try, from the plainest to the widest."""
    if is_auto(request):
        yield axes_of(request)
        return
    yield axes_of(request, plain=True)
    yield axes_of(request)
    if request.layout.pipeline_parallel is None and PIPELINE in STACKS[request.workload.framework].usual_axes:
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
    """The plans that need least memory on the ranks that ``choose_layouts`` would use; perhaps none."""
    axes, available = frugal_axes(request), available_ranks(request)
    ranks = asked_ranks(request, available)
    candidates = candidates_on(axes, request, degrees_on(axes, request, ranks))
    if not len(candidates) and may_idle(request.layout):
        ranks = most_usable_ranks(request, available)
        candidates = candidates_on(axes, request, degrees_on(axes, request, ranks))
    return candidates


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
