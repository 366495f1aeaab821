"""How many optimizer steps a run takes."""

from __future__ import annotations

import numpy as np

from planner.engine.question.request import PlanRequest

SECONDS_PER_DAY = 86_400.0


def total_steps(request: PlanRequest) -> int:
    workload = request.workload
    per_step = workload.global_batch_size * tokens_per_sequence(request)
    return max(1, int(np.ceil(workload.tokens / per_step - 1e-9)))


def tokens_per_sequence(request: PlanRequest) -> int:
    """Encoder tokens for an encoder-decoder; for vision a sequence is its patches and the class token."""
    return request.workload.sequence_length
