"""The space of a search: machines that differ in price and number alone are one piece, laid out once.

A piece also has one variant of the workload (stack, precision). How many layouts it holds is counted without
making them, so that a question that means too many is refused at once. Knows no formula of memory or time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.engine.grid.plan_grid import SHARDINGS
from planner.engine.grid.running import fabric
from planner.engine.layout.enumeration import (
    Axes,
    Candidates,
    axes_of,
    blocks,
    candidates_on,
    divisors,
    ranks_per_node,
)
from planner.engine.layout.pools import degrees_over, training_sizes
from planner.engine.layout.refusals import check_layout, total_ranks
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import Cluster, PlanRequest, Workload
from planner.engine.question.search_request import Market, SearchRequest, Variable

Whole = NDArray[np.int64]

#: More layouts than this are refused. With bounds, a thousand million take seconds; ten times as many still
#: answer within minutes, and a question that means more has an axis that nobody meant.
MOST_PLANS = 10_000_000_000

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
#: Start of the architecture of chips that AWS's stack alone compiles for.
NEURON_ARCHITECTURES = ("neuroncore", "trainium")


@dataclass(frozen=True, slots=True)
class Piece:
    """Machines of one kind under one variant of the workload.

    number: position among the pieces.  variant: position of its workload in the request's variants.
    asked: the question on one of them.  offers: the ways to buy them, whose ``nodes`` are not looked at.
    sizes: numbers of nodes.  index: positions in the request's clusters, shape (sizes, offers).
    plans: layouts of each size, those included that do not divide evenly.
    """

    number: int
    variant: int
    asked: PlanRequest
    axes: Axes
    offers: tuple[Cluster, ...]
    sizes: tuple[int, ...]
    index: Whole
    plans: tuple[int, ...]

    @property
    def evaluated(self) -> int:
        """How many layouts the piece stands for: each counts once for every way to buy its machines."""
        return sum(self.plans) * len(self.offers)

    def candidates(self, size: int) -> Candidates:
        """The layouts on the ``size``-th number of nodes."""
        sized = replace(self.asked, cluster=replace(self.asked.cluster, nodes=self.sizes[size]))
        return candidates_on(self.axes, self.asked, degrees_over(self.axes, self.asked, ranks_to_use(sized)))


def pieces_of(request: SearchRequest) -> list[Piece]:
    """The whole space, in the order asked for. Raises PlanErrors where it has more than MOST_PLANS."""
    made: list[Piece] = []
    offload = any(workload.offload for workload in request.workloads)
    groups = grouped(request.clusters, offload=offload)
    for variant, workload in enumerate(request.workloads):
        for offers, sizes, index in groups:
            asked = PlanRequest(
                model=request.model, workload=workload, cluster=offers[0], today=request.today
            )
            if variant and not can_run(asked):
                continue
            axes = axes_to_vary(request, asked)
            plans = tuple(layouts_on(asked, axes, nodes) for nodes in sizes)
            made.append(Piece(len(made), variant, asked, axes, offers, sizes, index, plans))
    refuse_too_many(request, made)
    return made


def grouped(
    clusters: Sequence[Cluster], *, offload: bool
) -> list[tuple[tuple[Cluster, ...], tuple[int, ...], Whole]]:
    """The clusters by what changes memory or time, node count aside: offers, sizes, and their positions."""
    if isinstance(clusters, Market):
        bases: dict[object, list[int]] = {}
        for place, offer in enumerate(clusters.offers):
            bases.setdefault(hardware(offer, offload=offload), []).append(place)
        across = len(clusters.sizes)
        steps = np.arange(across)[:, None]
        return [
            (
                tuple(clusters.offers[place] for place in places),
                clusters.sizes,
                np.array(places)[None, :] * across + steps,
            )
            for places in bases.values()
        ]
    sized: dict[tuple[object, int], list[tuple[int, Cluster]]] = {}
    for place, cluster in enumerate(clusters):
        sized.setdefault((hardware(cluster, offload=offload), cluster.nodes or 1), []).append(
            (place, cluster)
        )
    together: dict[object, dict[int, list[int]]] = {}
    offers_of: dict[object, tuple[Cluster, ...]] = {}
    for (kind, nodes), members in sized.items():
        offers = tuple(replace(cluster, nodes=None) for _, cluster in members)
        offers_of[kind, offers] = offers
        together.setdefault((kind, offers), {})[nodes] = [place for place, _ in members]
    return [
        (offers_of[key], tuple(by_nodes), np.array(list(by_nodes.values())))
        for key, by_nodes in together.items()
    ]


def hardware(cluster: Cluster, *, offload: bool) -> object:
    """What of a cluster changes memory or time, its number of nodes aside; the host's memory where something
    is offloaded to it.
    """
    return (
        cluster.accelerator,
        cluster.accelerators_per_node,
        cluster.internode_bytes_per_s,
        cluster.mig_profile,
        cluster.power_limit_watts,
        cluster.matmul_flops_per_s,
        fabric(cluster),
        cluster.host_memory_bandwidth_bytes_per_s,
        cluster.host_bytes if offload else None,
    )


def can_run(asked: PlanRequest) -> bool:
    """Whether the machines have a unit for the precision, and the stack runs this workload on them."""
    workload, chip = asked.workload, asked.cluster.accelerator
    on_neuron = chip.architecture.startswith(NEURON_ARCHITECTURES)
    if getattr(chip, f"{workload.precision}_flops_per_s") <= 0:
        return False
    if workload.framework != "generic" and on_neuron != (workload.framework == "neuron"):
        return False
    try:
        check_layout(asked, None)
    except PlanErrors:
        return False
    return True


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


def ranks_to_use(asked: PlanRequest) -> tuple[int, ...]:
    """Counts of ranks that may train: all of the cluster's, a single GPU instance under MIG, or several sizes
    where other accelerators generate.
    """
    if asked.cluster.mig_profile is not None:
        return (1,)
    return training_sizes(asked, total_ranks(asked.cluster, asked.cluster.nodes or 1))


def layouts_on(asked: PlanRequest, axes: Axes, nodes: int) -> int:
    """How many layouts there are on so many nodes, those included that do not divide evenly."""
    each = (
        len(axes.micro) * len(axes.sharding) * len(axes.recompute) * len(axes.expert) * len(axes.interleaved)
    )
    if asked.cluster.mig_profile is None and asked.workload.ppo is None:
        sizes: tuple[int, ...] = (ranks_per_node(asked.cluster) * nodes,)
    else:
        sizes = ranks_to_use(replace(asked, cluster=replace(asked.cluster, nodes=nodes)))
    splits = 0
    for ranks in sizes:
        product = 1
        for axis in (axes.tensor, axes.pipeline, axes.context):
            product *= sum(ranks % degree == 0 for degree in axis)
        splits += product
    return each * splits


def refuse_too_many(request: SearchRequest, pieces: Sequence[Piece]) -> None:
    """Raise PlanErrors where the space has more than MOST_PLANS layouts, at the axis that is widest."""
    plans = sum(piece.evaluated for piece in pieces)
    if plans <= MOST_PLANS:
        return
    field, value, narrower = widest(request)
    raise PlanErrors(
        [
            PlanError(
                field,
                value,
                f"This means {plans:,} layouts; a search looks at {MOST_PLANS:,} at most.",
                narrower,
            )
        ]
    )


def widest(request: SearchRequest) -> tuple[str, int, str]:
    """The axis that multiplies the space most: its field, how many values it has, and what to do."""
    counts: dict[str, tuple[int, str]] = {}
    if isinstance(request.clusters, Market):
        offers, sizes = len(request.clusters.offers), len(request.clusters.sizes)
        counts["cluster.any.nodes"] = (sizes, f"Name fewer node counts than {sizes:,}.")
        counts["cluster.any"] = (
            offers,
            f"Narrow regions, purchases or accelerators: they mean {offers:,} offers.",
        )
    else:
        offers = len(request.clusters)
        counts["cluster"] = (offers, f"Name fewer clusters or node counts than {offers:,}.")
    variants = len(request.workloads)
    counts["vary"] = (variants, f"Leave framework or precision out of vary: they mean {variants:,} variants.")
    batch = request.workload.global_batch_size
    micro = len(divisors(batch)) * blocks(request.model)
    narrow_layouts = "Leave micro_batch_size or pipeline_parallel out of vary."
    if len(request.vary) > len(VARIABLE_AXES) and micro > max(count for count, _ in counts.values()):
        return "vary", micro, narrow_layouts
    field = max(counts, key=lambda name: counts[name][0])
    return field, *counts[field]


def workloads_of(
    workload: Workload, frameworks: Sequence[str], precisions: Sequence[str]
) -> tuple[Workload, ...]:
    """The workload by each stack in each precision, itself first. Empty lists: as it is."""
    found: dict[Workload, None] = {workload: None}
    for framework in frameworks or (workload.framework,):
        for precision in precisions or (workload.precision,):
            found[replace(workload, framework=framework, precision=precision)] = None  # type: ignore[arg-type]
    return tuple(found)
