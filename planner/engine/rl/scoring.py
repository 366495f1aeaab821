"""Seconds of the scoring phase: one forward pass of each model over the finished sequences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from planner.engine.grid.plan_grid import FULL_RECOMPUTE, ZERO_3, Array, PlanGrid
from planner.engine.grid.scalars import where
from planner.engine.time.rollout_constants import RolloutConstants
from planner.engine.time.step import StepTime


def forward_pass_s(grid: PlanGrid, step: StepTime) -> Array:
    """Seconds of the forward passes of a round, shape (plans,), out of those of a training step.

    grid, step: of the model in training. Its forward compute; the share of exposed communication that falls
    to the forward pass (one of two directions, of three passes with full recompute); its share of the
    pipeline's bubble; and ZeRO-3's gathers, half of that traffic. No gradients, no optimizer.
    Source: Narayanan et al. 2021, section 2.2; Rajbhandari et al. 2020, section 7.2.
    """
    passes = 2.0 + where(grid.recompute == FULL_RECOMPUTE, 1.0, 0.0)
    talk = step.tensor_communication + step.context_communication + step.expert_communication
    busy = step.forward + step.backward + step.recompute
    bubble = step.pipeline_bubble * step.forward / np.maximum(busy, 1e-30)
    gathers = where(grid.sharding >= ZERO_3, step.data_communication / passes, 0.0)
    return step.forward + talk / passes + bubble + step.pipeline_communication / 2.0 + gathers


def scoring_s(models: Sequence[tuple[PlanGrid, StepTime]], constants: RolloutConstants) -> Array:
    """Seconds in which every model reads the round's sequences once, in turn, shape (plans,).

    models: each with its training step in the same layout: the actor (old log-probabilities), critic,
    reference and reward.  Log-probabilities of whole vocabularies and the hand-over of batches come on top
    (``scoring_overhead``).
    Source: Ouyang et al. 2022; Sheng et al. 2024 (HybridFlow), section 2.1.
    """
    total: Array = np.asarray(0.0)
    for grid, step in models:
        total = total + forward_pass_s(grid, step)
    return constants.scoring_overhead * total
