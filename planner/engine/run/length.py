"""How many optimizer steps a run takes."""

from __future__ import annotations

import numpy as np

from planner.engine.question.request import PlanRequest

SECONDS_PER_DAY = 86_400.0


def total_steps(request: PlanRequest) -> int:
    """Count of optimizer steps: tokens / (global batch x tokens per sequence), rounded up, at least 1.

    The small constant keeps a product that is whole up to rounding from costing one more step.
    """
    workload = request.workload
    per_step = workload.global_batch_size * tokens_per_sequence(request)
    return max(1, int(np.ceil(workload.tokens / per_step - 1e-9)))


def tokens_per_sequence(request: PlanRequest) -> int:
    """Count of tokens of one sequence.

    Of the encoder in an encoder-decoder model; in vision, the patches and the class token.
    """
    return request.workload.sequence_length
