"""What the caching allocator holds beside the bytes it has handed out.

Freed blocks stay in the allocator's cache. Those of one moment of a step serve another as far as their sizes
and streams allow: activations and logits do, so the reserve follows the fullest moment; gradients and the
optimizer's copies are many small blocks, which large activations cannot use, and come on top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.scalars import where
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.traits import Traits

#: Bytes per logit that pass through the loss of a plain causal model and its backward pass: fp32 logits,
#: their gradient, that gradient padded by the token that labels are shifted by, and its 16-bit cast. Their
#: sizes differ, so that the cache ends up with room for all of them, whatever kernel computes the loss.
#: Source: PyTorch autograd of transformers' causal models (float(), shift, cross_entropy).
SHIFTED_LOSS_BYTES = 4.0 + 4.0 + 4.0 + 2.0


@dataclass(frozen=True, slots=True)
class Reuse:
    """How a plan's freed blocks serve again. Shapes broadcast to (3, plans).

    loss_room: bytes beside the logits that are alive at the loss.  pipelined: 1.0 where micro-batches are.
    """

    loss_room: Array
    pipelined: Array


def reuse_of(grid: PlanGrid, traits: Traits, logits: Array, each_logit: Array) -> Reuse:
    """logits: on the rank, of each stage; each_logit: bytes of one that are alive at the loss."""
    widened = (grid.loss_whole > 0) & (traits.plain > 0) & (traits.narrow_loss == 0)
    widened = widened & (traits.compiled_loss == 0)
    return Reuse(
        loss_room=logits * where(widened, np.maximum(SHIFTED_LOSS_BYTES - each_logit, 0.0), 0.0),
        pipelined=where(grid.pipeline_parallel > 1, 1.0, 0.0),
    )


def seen_bytes(
    at: tuple[Array, Array, Array, Array],
    of: dict[str, Array],
    *,
    early: Array,
    gathered: Array,
    retained: Array,
    reuse: Reuse,
    constants: MemoryConstants,
) -> Array:
    """Bytes in the allocator's hands at the fullest, before it gives any back for want of room.

    at: allocated at the loss, the backward pass's start and end, and the step, each of shape (3, plans).
    of: bytes by how long they live.  early: share of the gradients there at the loss.  gathered: weights made
    whole, on a stream of their own, whose freed blocks the compute stream cannot reuse.  retained: second
    copies of block inputs, which come as the first ones go.

    Shape of the result: (3, plans).
    """
    loss, backward, backward_end, step = at
    share, idle = constants.reserve_share, constants.idle_reserve_share
    moving = of["casts"] + of["activations"] + of["graph"]
    later = idle * of["step"]
    waiting = idle * (of["gradients"] * (1.0 - early)) + later
    passing = constants.backward_reserve_share * of["backward"]
    held = of["always"] + of["gradients"]
    seen = np.maximum(
        np.maximum(
            loss + share * moving + (reuse.loss_room + passing + waiting),
            backward + share * (moving + of["backward"]) + waiting,
        ),
        np.maximum(backward_end + share * (backward_end - held) + later, step),
    )
    highest = np.maximum(np.maximum(loss, backward), np.maximum(backward_end, step))
    beside: Array = (
        constants.state_reserve_share * highest
        + constants.gather_reserve_share * gathered
        + constants.crossing_reserve_share * (retained + reuse.pipelined * of["activations"])
    )
    total: Array = seen + beside
    return total
