"""The fitted constants of the timing model: one set for all sources.

Accelerators of one architecture share their constants; a named framework has a host overhead per step of
its own, and no factor. ``planner/accuracy/data/timing_priors.csv`` says what each constant means and gives
its prior and its bounds; ``make calibrate`` fits them to measured runs. Nothing here reads a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from planner.engine.grid.plan_grid import ARCHITECTURES, FRAMEWORKS, Array


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingConstants:
    """The fitted constants. ``matmul_efficiency`` has shape (architectures,), ``step_slack_s`` (frameworks,);
    the rest are scalars.

    ``*_s`` are seconds, ``*_efficiency`` shares of a peak rate, ``*_exposed`` and ``*_contention`` shares of
    communication seconds, ``*_traffic`` and ``*_passes`` multiples of counted bytes.
    """

    matmul_efficiency: Array
    step_slack_s: Array
    neuron_attention: float
    fp8_efficiency: float
    tf32_efficiency: float
    fp32_efficiency: float
    misaligned: float
    shallow_inner: float
    wave_elements: float
    grouped_efficiency: float
    score_passes: float
    fused_score_passes: float
    plain_traffic: float
    eager_traffic: float
    fused_traffic: float
    engine_traffic: float
    compiled_traffic: float
    loss_traffic: float
    bandwidth_efficiency: float
    fp8_cast_traffic: float
    adapter_traffic: float
    dequantisation_traffic: float
    unpacking_traffic: float
    launch_s: float
    adapter_launch: float
    expert_launch_s: float
    expert_imbalance: float
    link_efficiency: float
    pcie_efficiency: float
    network_efficiency: float
    link_latency_s: float
    network_latency_s: float
    tensor_exposed: float
    engine_tensor_exposed: float
    neuron_tensor_exposed: float
    tensor_backward_exposed: float
    expert_exposed: float
    fused_dispatch_exposed: float
    context_exposed: float
    pipeline_exposed: float
    prefetched_contention: float
    hooked_contention: float
    overlap_reach: float
    shard_copy_passes: float
    optimizer_traffic: float
    micro_batch_slack_s: float
    jitter: float

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TimingConstants:
        """From values by field name; arrays come as mappings by architecture or framework name."""
        filled: dict[str, Any] = {}
        for item in fields(cls):
            value = values[item.name]
            if isinstance(value, Mapping):
                by_framework = item.name == "step_slack_s"
                names = FRAMEWORKS if by_framework else ARCHITECTURES
                # A stack that no run was measured on trains like plain PyTorch modules.
                otherwise = value["generic"] if by_framework else mean_of(value)
                value = np.array([float(value.get(name, otherwise)) for name in names])
            filled[item.name] = value
        return cls(**filled)


def mean_of(values: Mapping[str, float]) -> float:
    """Geometric mean of a constant over the known architectures, in its unit (shares of peak).

    values: by architecture.  An architecture without a constant of its own gets it. Source: our own choice.
    """
    return float(np.exp(np.mean([np.log(value) for value in values.values()])))
