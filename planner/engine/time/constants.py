"""The fitted constants of the timing model: one set for all sources.

Accelerators of one architecture share their constants, and a named framework has at most one multiplicative
factor. ``planner/accuracy/data/timing_priors.csv`` says what each constant means and gives its prior and its
bounds; ``make calibrate`` fits them to measured runs. Nothing here reads a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from planner.engine.grid.plan_grid import ARCHITECTURES, FRAMEWORKS, Array


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingConstants:
    """The fitted constants. Those per architecture have shape (architectures,); ``framework_factor`` has
    (frameworks,); the rest are scalars.

    ``*_s`` are seconds, ``*_efficiency`` shares of a peak rate, ``*_exposed`` and ``*_contention`` shares of
    communication seconds, ``*_traffic`` and ``*_passes`` multiples of counted bytes.
    """

    matmul_efficiency: Array
    attention_efficiency: Array
    framework_factor: Array
    fp8_efficiency: float
    tf32_efficiency: float
    fp32_efficiency: float
    fused_score_passes: float
    shard_copy_passes: float
    adapter_launch: float
    misaligned: float
    shallow_inner: float
    compiled_gain: float
    expert_launch_s: float
    wave_elements: float
    short_attention: float
    megatron_traffic: float
    loss_traffic: float
    narrow_head: float
    attention_backward: float
    score_passes: float
    elementwise_traffic: float
    compiled_traffic: float
    bandwidth_efficiency: float
    fp8_cast_traffic: float
    launch_s: float
    link_efficiency: float
    pcie_efficiency: float
    network_efficiency: float
    link_latency_s: float
    network_latency_s: float
    tensor_exposed: float
    engine_tensor_exposed: float
    tensor_backward_exposed: float
    unfused_traffic: float
    expert_exposed: float
    context_exposed: float
    pipeline_exposed: float
    link_contention: float
    network_contention: float
    engine_matmul_gain: float
    engine_attention_gain: float
    adapter_traffic: float
    dequantisation_traffic: float
    unpacking_traffic: float
    overlap_reach: float
    expert_imbalance: float
    optimizer_traffic: float
    step_slack_s: float
    micro_batch_slack_s: float
    decode_bandwidth: float
    decode_launch_s: float
    jitter: float

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TimingConstants:
        """From values by field name; arrays come as mappings by architecture or framework name."""
        filled: dict[str, Any] = {}
        for item in fields(cls):
            value = values[item.name]
            if isinstance(value, Mapping):
                names = FRAMEWORKS if item.name == "framework_factor" else ARCHITECTURES
                # A stack that no run was measured on trains like plain PyTorch modules.
                otherwise = value["generic"] if item.name == "framework_factor" else mean_of(value)
                value = np.array([float(value.get(name, otherwise)) for name in names])
            filled[item.name] = value
        return cls(**filled)


def mean_of(values: Mapping[str, float]) -> float:
    """Geometric mean of a constant over the known architectures, in its unit (shares of peak).

    values: by architecture.  An architecture without a constant of its own gets it. Source: our own choice.
    """
    return float(np.exp(np.mean([np.log(value) for value in values.values()])))
