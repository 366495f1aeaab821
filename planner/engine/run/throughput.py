"""How fast a run is: tokens and sequences a second, and the share of the peak that does useful work.

Numbers of one plan, or arrays of shape (plans,). A rank is what runs one process: a chip, a part of one
(NeuronCores, MIG instances), as the plan's grid counts them.
"""

from __future__ import annotations

from typing import TypeVar

from planner.engine.grid.plan_grid import Array

Number = TypeVar("Number", float, Array)


def tokens_per_s(tokens_per_step: Number, step_s: Number) -> Number:
    """tokens_per_step: over all replicas; step_s: seconds of one step."""
    return tokens_per_step / step_s


def tokens_per_s_per_accelerator(rate: Number, ranks: Number, ranks_per_accelerator: Number) -> Number:
    """rate: tokens/s of the run; ranks: of the machines that are billed, with those that idle."""
    return rate / (ranks / ranks_per_accelerator)


def samples_per_s(global_batch_size: Number, step_s: Number) -> Number:
    """Sequences (images) a second. global_batch_size: sequences of one step, over all replicas."""
    return global_batch_size / step_s


def flops_utilization(flops: Number, step_s: Number, *, ranks: Number, peak_flops_per_s: Number) -> Number:
    """Share (0 to 1) of the dense peak FLOP/s of all ranks that ``flops`` a step come to.

    flops: of one step over all ranks; step_s: its seconds; peak_flops_per_s: of one rank in the plan's
    precision.
    """
    return flops / (step_s * ranks * peak_flops_per_s)


def model_flops_utilization(
    model_flops: Number, step_s: Number, *, ranks: Number, peak_flops_per_s: Number
) -> Number:
    """MFU, a ratio: the FLOPs that the mathematics asks for, without recomputation, over the peak.

    model_flops: of one step, 6 N + 12 L H Q T a token (see ``model_flops_per_sequence``).  Else as in
    ``flops_utilization``.  Source: Chowdhery et al. 2022, appendix B.
    """
    return flops_utilization(model_flops, step_s, ranks=ranks, peak_flops_per_s=peak_flops_per_s)


def hardware_flops_utilization(
    model_flops: Number, recomputed_flops: Number, step_s: Number, *, ranks: Number, peak_flops_per_s: Number
) -> Number:
    """HFU, a ratio: the same with the FLOPs of one step that the backward pass repeats.

    Source: Korthikanti et al. 2022, section 6.3.
    """
    flops = model_flops + recomputed_flops
    return flops_utilization(flops, step_s, ranks=ranks, peak_flops_per_s=peak_flops_per_s)
