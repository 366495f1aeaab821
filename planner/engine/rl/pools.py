"""How the phases of a round make up a step: in turn on the same accelerators, in turn on two pools, or at the
same time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.engine.grid.plan_grid import Array
from planner.engine.rl.generation import Generation
from planner.engine.rl.rollout import Rollout


@dataclass(frozen=True, slots=True)
class Round:
    """Exposed seconds of a round beside training, shape (plans,); with training's they add up to the step.

    generation: that training waits for because it comes before it.  waiting: of the training accelerators
    for a generation that runs beside them.  idle: of the generating ones for training, which adds nothing.
    """

    generation: Array
    scoring: Array
    synchronization: Array
    waiting: Array
    idle: Array


def round_of(
    rollout: Rollout, generation: Generation, *, scoring: Array, training: Array, synchronization: Array
) -> Round:
    """The round of plans, shape (plans,); all arguments in seconds.

    In turn, all phases add up; partial rollouts spare the wait for the longest answer. On two pools with
    generation ahead, the slower pool sets the pace and both stop for new weights.
    Source: Sheng et al. 2024 (HybridFlow), section 6; Fu et al. 2025 (AReaL), section 4.
    """
    none = np.asarray(0.0) * (generation.seconds + training)
    own = generation.overlapped if rollout.partial_rollouts or rollout.staleness_steps else generation.seconds
    if not (rollout.split and rollout.staleness_steps):
        return Round(own + none, scoring, synchronization, none, none)
    busy = scoring + training
    return Round(
        generation=none,
        scoring=scoring,
        synchronization=synchronization,
        waiting=np.maximum(own - busy, 0.0),
        idle=np.maximum(busy - own, 0.0),
    )
