"""What a step waits for where states, weights or activations are kept in the host's memory.

The host's processors update the offloaded states as fast as its memory delivers them; everything else passes
over the link between accelerator and host. Knows nothing of how much memory that takes.
"""

from __future__ import annotations

import numpy as np

from planner.engine.grid.plan_grid import DEEPSPEED, FULL_RECOMPUTE, NO_RECOMPUTE, Array, PlanGrid
from planner.engine.grid.scalars import NONE, anywhere, where

#: Share of the sockets' peak bandwidth that an optimizer on the host reaches. Our own judgement from two
#: public runs: a 70B model whose whole step takes 20.9 s needs at least a quarter of two sockets of DDR5, and
#: 8B models on 8 GPUs (stas00/ml-engineering, DeepSpeed ZeRO-3 with CPU Adam, 2026) about a fifth to a third.
HOST_BANDWIDTH_SHARE = 0.3
#: Bytes that DeepSpeed's optimizer moves for each offloaded gradient before its step reads it: written in
#: fp32, then read and written once more to undo the loss scale and to clip.
#: Source: deepspeed/runtime/zero/stage3.py and stage_1_and_2.py, unscale_and_clip_grads (0.16, 2025).
DEEPSPEED_GRADIENT_BYTES = 12.0
#: Share of a PCIe link's peak that pinned copies reach (bandwidthTest: 25 to 26 of 32 GB/s on PCIe 4).
LINK_SHARE = 0.8
#: Kept per token and block in multiples of the residual stream, where nothing is recomputed
#: (Korthikanti et al. 2022, section 4.1, without scores and dropout: 34 s b h bytes over 2 s b h).
KEPT_WITHOUT_RECOMPUTE = 16.0


def update_s(grid: PlanGrid, updates: Array) -> Array:
    """Seconds in which a node's processors update ``updates`` parameters, shape (plans,).

    Each reads its gradient and reads and writes its master weight and moments, and writes the weight that
    goes back. DeepSpeed passes over its fp32 gradients before (DEEPSPEED_GRADIENT_BYTES).
    Source: our own count of the bytes; HOST_BANDWIDTH_SHARE.
    """
    states = 2.0 * (
        np.maximum(grid.master_bytes, where(grid.weight_bytes >= 4.0, 4.0, 0.0)) + grid.state_bytes
    )
    before = where(grid.framework == DEEPSPEED, DEEPSPEED_GRADIENT_BYTES, 0.0)
    nbytes = updates * (states + before + grid.gradient_bytes + grid.element_bytes)
    return nbytes / (HOST_BANDWIDTH_SHARE * grid.host_bandwidth_bytes_per_s)


def exchange_s(grid: PlanGrid, trained: Array, shards: Array) -> Array:
    """Seconds in which a rank's gradients go down and its updated weights come up, exposed, shape (plans,).

    trained: parameters of the rank before sharding, a count; shards: ranks that share them. Gradients leave
    while the backward pass runs where communication overlaps. Source: Ren et al. 2021, section 4.
    """
    link = LINK_SHARE * grid.host_link_bytes_per_s
    down = (1.0 - grid.overlap) * grid.gradient_bytes
    return grid.offload * (trained / shards) * (grid.element_bytes + down) / link


def weights_s(grid: PlanGrid, shards: Array) -> Array:
    """Seconds per micro-batch in which a rank's share of the weights comes from the host, for the forward and
    the backward pass each, shape (plans,). 0 unless parameters are offloaded.

    shards: ranks that share the weights. Source: Rajbhandari et al. 2021 (ZeRO-Infinity), section 4.1.
    """
    own = grid.total_parameters / (grid.tensor_parallel * grid.pipeline_parallel * shards)
    width = where(grid.frozen > 0, np.minimum(grid.frozen_bytes, grid.element_bytes), grid.gathered_bytes)
    return grid.offload_parameters * 2.0 * own * width / (LINK_SHARE * grid.host_link_bytes_per_s)


def activations_s(grid: PlanGrid) -> Array:
    """Seconds per micro-batch in which kept activations go to the host and come back, shape (plans,).

    0 unless activations are offloaded. Block inputs where blocks are recomputed whole. Source: our own count.
    """
    recomputed = where(grid.recompute == FULL_RECOMPUTE, 1.0, KEPT_WITHOUT_RECOMPUTE / 2.0)
    kept = where(grid.recompute == NO_RECOMPUTE, KEPT_WITHOUT_RECOMPUTE, recomputed)
    blocks = (grid.layers + grid.decoder_layers) / grid.pipeline_parallel
    nbytes = grid.tokens_per_rank * grid.hidden_size * grid.element_bytes * blocks * kept
    return grid.offload_activations * 2.0 * nbytes / (LINK_SHARE * grid.host_link_bytes_per_s)


def waiting_s(grid: PlanGrid, shards: Array, beside_s: Array) -> Array:
    """Seconds of a step that transfers of weights and activations take beyond what goes on beside them.

    shards: ranks that share the weights.  beside_s: compute and exposed communication of one micro-batch on a
    rank, neither of which uses the host's link.  Shape (plans,).
    Source: both run at once, so the longer of the two counts (ZeRO-Infinity's prefetching; torchtune's and
    axolotl's streams).
    """
    if not anywhere(grid.offload_parameters + grid.offload_activations > 0):
        return NONE
    each = weights_s(grid, shards) + activations_s(grid)
    return grid.gradient_accumulation * np.maximum(each - beside_s, 0.0)
