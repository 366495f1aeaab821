"""What the caching allocator holds beside the bytes it has handed out.

Freed blocks stay in the allocator's cache and can be reused at another moment of the step as far as their
sizes and streams allow. Activations and logits reuse each other's blocks, so the reserve follows the fullest
moment. Gradients and the optimizer's copies are many small blocks, which large activations cannot reuse; they
come on top. Where lengths vary, blocks of each length wait for it to come again, until the card is full. With
expandable segments freed blocks of one stream join and serve any size: only the holes between what is alive
remain, and what another stream holds.

The cache goes back to the driver before an allocation fails. What has to be free all the same, because holes
cannot be used, is the unusable share; the chance that a plan runs is told from it, not from the cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.engine.grid.plan_grid import Array, PlanGrid
from planner.engine.grid.scalars import larger, where
from planner.engine.memory.constants import MemoryConstants
from planner.engine.memory.traits import FP32_BYTES, Traits

#: Bytes per logit that pass through the loss of a plain causal model and its backward pass: fp32 logits,
#: their gradient, that gradient padded by the token that labels are shifted by, and its 16-bit cast. Their
#: sizes differ, so the cache ends up holding a block for each of them, whatever kernel computes the loss.
#: Source: PyTorch autograd of transformers' causal models (float(), shift, cross_entropy).
SHIFTED_LOSS_BYTES = 4.0 + 4.0 + 4.0 + 2.0
#: The same where the kernel writes the gradient over the logits (Liger, Unsloth, FastKernels).
FUSED_LOSS_BYTES = 4.0 + 4.0 + 2.0
#: Bytes that wait in the cache beside those that come and go in a step, as a share of these, where
#: micro-batches differ in size and freed blocks serve tensors of their own size. Source: medians over ten
#: ways to train, simulated (planner/accuracy/data/allocator.json: 2.1 to 2.9 from a spread of 0.25 on, less
#: 0.2 that lengths of one size leave; it grows to this within some 40 micro-batches).
VARYING_CACHE_SHARE = 2.5
#: Share of the bytes that come and go which must be free beside them, since holes between what is alive
#: cannot be used: with blocks by size, where lengths vary as well, and with expandable segments. Source:
#: the same simulation, medians 0.18, 0.15 and 0.02 and what it says of failed runs (12 %); but measured
#: runs of one length went through with 0.1 (llm-foundry's, whose micro-batches fill the card by
#: themselves), which is our judgement then.
UNUSABLE = 0.1
UNUSABLE_VARYING = 0.15
UNUSABLE_EXPANDABLE = 0.02


@dataclass(frozen=True, slots=True)
class Reuse:
    """How a plan's freed blocks serve again. Shapes broadcast to (3, plans).

    loss_room: bytes of cached blocks beside the logits that are alive at the loss.  pipelined: 1.0 with more
    than one pipeline stage.  by_size: 1.0 where a block serves tensors of its own size alone, 0.0 with
    expandable segments, whose freed blocks serve any.  varying: how far micro-batches differ in size, 0 to
    1.  unusable: share of the moving bytes that has to be free beside them.
    """

    loss_room: Array
    pipelined: Array
    by_size: Array
    varying: Array
    unusable: Array


def reuse_of(grid: PlanGrid, traits: Traits, logits: Array, each_logit: Array) -> Reuse:
    """Bytes that the loss leaves cached, and whether micro-batches overlap in a pipeline.

    logits: count on the rank, of each stage, shape (3, plans).  each_logit: bytes per logit alive at the
    loss.
    Source: SHIFTED_LOSS_BYTES; VARYING_CACHE_SHARE, UNUSABLE.
    """
    widened = (grid.loss_whole > 0) & (traits.modules > 0) & (traits.narrow_loss == 0)
    widened = widened & (traits.compiled_loss == 0)
    # Where the fp32 logits stay, the gradients cannot take their block; where the 16-bit ones do, theirs is
    # in use anyway.
    held = where(grid.kept_logit_bytes >= FP32_BYTES, grid.kept_logit_bytes, 0.0)
    passing = where(grid.kernels_fused > 0, FUSED_LOSS_BYTES, SHIFTED_LOSS_BYTES) + held
    by_size = 1.0 - grid.expandable
    return Reuse(
        loss_room=logits * where(widened, larger(passing - each_logit, 0.0), 0.0),
        pipelined=where(grid.pipeline_parallel > 1, 1.0, 0.0),
        by_size=by_size,
        varying=grid.varying_lengths * by_size,
        unusable=UNUSABLE_EXPANDABLE
        + by_size * (UNUSABLE + grid.varying_lengths * (UNUSABLE_VARYING - UNUSABLE) - UNUSABLE_EXPANDABLE),
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
    """Bytes that the allocator has taken from the driver at the fullest moment, if memory were unlimited, (3,
    plans).

    at: allocated at the loss, the backward pass's start and end, and the step, each of shape (3, plans).
    of: bytes by how long they live.  early: share of the gradients that exists at the loss.
    gathered: bytes of gathered weights, on a stream of their own, whose freed blocks the compute stream
    cannot reuse.
    retained: bytes of second copies of block inputs, which are allocated while the first ones are freed.
    reuse: how freed blocks serve again.
    Source: PyTorch notes, "CUDA semantics: memory management"; the shares are fitted (``MemoryConstants``).
    """
    loss, backward, backward_end, step = at
    share, idle = constants.reserve_share, constants.idle_reserve_share * reuse.by_size
    moving = of["casts"] + of["activations"] + of["graph"]
    later = idle * of["step"]
    waiting = idle * (of["gradients"] * (1.0 - early)) + later
    passing = reuse.by_size * constants.backward_reserve_share * of["backward"]
    held = of["always"] + of["gradients"]
    seen = larger(
        larger(
            loss + share * moving + (reuse.loss_room + passing + waiting),
            backward + share * (moving + of["backward"]) + waiting,
        ),
        larger(backward_end + share * (backward_end - held) + later, step),
    )
    highest = larger(larger(loss, backward), larger(backward_end, step))
    beside: Array = (
        constants.state_reserve_share * highest
        + constants.gather_reserve_share * gathered
        + reuse.by_size * constants.crossing_reserve_share * (retained + reuse.pipelined * of["activations"])
    )
    # Blocks of each length that passed by wait for that length to come again.
    by_length = VARYING_CACHE_SHARE * reuse.varying * (highest - of["always"])
    total: Array = seen + beside + by_length
    return total
