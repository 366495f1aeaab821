"""Which ranks of a cluster train where others only generate, and refusals of pools that cannot be."""

from __future__ import annotations

import math

from planner.engine.layout.enumeration import Axes, Degrees, degrees_on, ranks_per_node
from planner.engine.layout.refusals import DEGREES
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import PlanRequest

#: Shares of a cluster that may train while the rest generates, where nobody said how many do.
TRAINING_SHARES = (1 / 8, 1 / 4, 1 / 3, 3 / 8, 1 / 2, 5 / 8, 2 / 3, 3 / 4, 7 / 8)
ACCELERATORS = "workload.ppo.generation.accelerators"


def training_sizes(request: PlanRequest, ranks: int) -> tuple[int, ...]:
    """Counts of ranks, of the cluster's ``ranks``, on which the training layout may be: all, unless
    generation has accelerators of its own.

    Where nobody said how many generate: what a complete layout multiplies to, or each of TRAINING_SHARES in
    whole nodes (in chips of a single node).  Raises PlanErrors for pools that cannot be.
    """
    check_pools(request, ranks)
    ppo = request.workload.ppo
    if ppo is None or not ppo.split:
        return (ranks,)
    per_chip = request.cluster.accelerator.ranks_per_accelerator
    if ppo.generation.accelerators is not None:
        return (ranks - ppo.generation.accelerators * per_chip,)
    degrees = [getattr(request.layout, name) for name in DEGREES]
    if None not in degrees and 0 < math.prod(degrees) < ranks:
        return (math.prod(degrees),)
    unit = ranks_per_node(request.cluster) if ranks >= 2 * ranks_per_node(request.cluster) else per_chip
    units = ranks // unit
    return tuple(sorted({max(min(round(share * units), units - 1), 1) * unit for share in TRAINING_SHARES}))


def degrees_over(axes: Axes, request: PlanRequest, sizes: tuple[int, ...]) -> Degrees:
    """Degrees that multiply to any of ``sizes``, one after the other."""
    if len(sizes) == 1:
        return degrees_on(axes, request, sizes[0])
    return Degrees.joined([degrees_on(axes, request, ranks) for ranks in sizes])


def check_pools(request: PlanRequest, ranks: int) -> None:
    """Raise PlanErrors where the accelerators that generate are not among the cluster's ``ranks``, or leave
    none to train.
    """
    ppo = request.workload.ppo
    if ppo is None:
        return
    asked, per_chip = ppo.generation.accelerators, request.cluster.accelerator.ranks_per_accelerator
    chips = ranks // per_chip
    replica = (ppo.generation.tensor_parallel or 1) * (ppo.generation.pipeline_parallel or 1)
    problem = None
    if ppo.split and request.cluster.mig_profile is not None:
        problem = PlanError(
            "workload.ppo.placement",
            ppo.placement or "split",
            "On MIG GPU instances a job has instances of one kind, all of which train.",
            'Use placement "colocated" with staleness_steps 0, or remove cluster.mig_profile.',
        )
    elif ppo.split and chips < 2:
        problem = PlanError(
            "workload.ppo.placement",
            ppo.placement or "split",
            "One accelerator cannot both train and generate apart.",
            'Use placement "colocated" with staleness_steps 0, or more nodes.',
        )
    elif asked is not None and asked > chips - ppo.split:
        rest = ", and some must be left to train." if ppo.split else "."
        problem = PlanError(
            ACCELERATORS,
            asked,
            f"The cluster has {chips:,} accelerators{rest}",
            f"Use at most {chips - ppo.split:,}, or more nodes.",
        )
    elif replica > (asked or chips) * per_chip:
        problem = PlanError(
            "workload.ppo.generation.tensor_parallel",
            ppo.generation.tensor_parallel,
            f"A replica takes {replica} ranks; {asked or chips:,} accelerators generate.",
            "Lower it or pipeline_parallel, or let more accelerators generate.",
        )
    if problem is not None:
        raise PlanErrors([problem])
