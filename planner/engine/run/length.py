"""How many optimizer steps a run takes, and how long they are together."""

from __future__ import annotations

import math

from planner.engine.grid.stack import real_tokens
from planner.engine.question.request import PlanRequest

SECONDS_PER_DAY = 86_400.0
#: Steps below a whole number that rounding may leave: tokens are often given as steps x tokens of a step.
ROUNDING_STEPS = 1e-9


def steps_of(tokens: float, tokens_per_step: float) -> int:
    """Whole steps that see at least ``tokens`` tokens, the last one filled up; one at least.

    tokens: of the whole run; tokens_per_step: over all replicas.
    """
    return max(1, math.ceil(tokens / tokens_per_step - ROUNDING_STEPS))


def total_steps(request: PlanRequest) -> int:
    """Count of optimizer steps of the whole run that was asked for."""
    return steps_of(
        request.workload.tokens, request.workload.global_batch_size * tokens_per_sequence(request)
    )


def tokens_per_sequence(request: PlanRequest) -> float:
    """Count of tokens of one sample of the batch that are trained on: of its sequence without padding, or of
    both answers of a pair.

    Of the encoder in an encoder-decoder model; in vision, the patches and the class token.
    """
    workload = request.workload
    return real_tokens(workload.sequences, workload.sequence_length) * workload.answers_per_sample
