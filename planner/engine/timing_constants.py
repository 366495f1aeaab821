"""The fitted constants of the timing model: each with a physical meaning, a prior and bounds.

There is one set for all sources, accelerators share theirs by architecture, and a named framework has at most
one multiplicative factor. ``scripts/calibrate.py`` fits them to published runs and writes them, with the date
and the command, to a data file that ``planner.catalog`` reads: this room reads no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from planner.engine.grid import ARCHITECTURES, FRAMEWORKS, Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is known of a constant before any run is looked at. spread: of its logarithm (1 sigma)."""

    value: float
    spread: float
    low: float
    high: float
    unit: str
    meaning: str
    source: str


PEAK = "share of peak"
GEMM_SOURCE = (
    "achievable matmul rates: stas00/ml-engineering, compute/accelerator benchmarks (mamf-finder), 2024"
)
ASSUMED = "prior judged from data sheets, wide on purpose"

#: Per accelerator architecture, in the order of grid.ARCHITECTURES.
ARCHITECTURE_PRIORS: dict[str, dict[str, Prior]] = {
    "matmul_efficiency": {
        name: Prior(
            value=value,
            spread=0.1,
            low=0.3,
            high=0.98,
            unit=PEAK,
            meaning=f"large matmul on {name}",
            source=GEMM_SOURCE,
        )
        for name, value in zip(ARCHITECTURES, (0.80, 0.60, 0.85, 0.75, 0.75, 0.75, 0.60), strict=True)
    },
    "attention_efficiency": {
        name: Prior(
            value=value,
            spread=0.2,
            low=0.1,
            high=0.9,
            unit=PEAK,
            meaning=f"flash attention on {name}",
            source="Dao 2023, section 4; Shah et al. 2024, section 4",
        )
        for name, value in zip(ARCHITECTURES, (0.40, 0.40, 0.60, 0.50, 0.45, 0.45, 0.35), strict=True)
    },
}

#: Shared by all.
SHARED_PRIORS: dict[str, Prior] = {
    "fp8_efficiency": Prior(
        value=0.70,
        spread=0.15,
        low=0.3,
        high=0.95,
        unit=PEAK,
        meaning="large fp8 matmul, casts apart",
        source=GEMM_SOURCE,
    ),
    "tf32_efficiency": Prior(
        value=0.80,
        spread=0.15,
        low=0.3,
        high=0.98,
        unit=PEAK,
        meaning="large tf32 or fp32 matmul",
        source=GEMM_SOURCE,
    ),
    "matmul_traffic": Prior(
        value=0.7,
        spread=0.5,
        low=0.05,
        high=3.0,
        unit="share of operand traffic not hidden behind the arithmetic",
        meaning="roofline overlap of a matmul",
        source=ASSUMED,
    ),
    "misaligned": Prior(
        value=1.15, spread=0.1, low=1.0, high=1.6, unit="ratio",
        meaning="slowness of matmuls whose widths per rank are not multiples of 64 elements",
        source="NVIDIA Deep Learning Performance Guide, Matrix Multiplication, section 2 (128-byte alignment on A100)",
    ),
    "shallow_inner": Prior(
        value=80.0, spread=0.7, low=1.0, high=1500.0, unit="elements",
        meaning="inner dimension (per rank) at which a matmul reaches half its rate", source=ASSUMED,
    ),
    "compiled_gain": Prior(
        value=1.07, spread=0.08, low=0.9, high=1.4, unit="ratio",
        meaning="compiled graphs against eager ones, beyond the memory passes they save", source=ASSUMED,
    ),
    "expert_launch_s": Prior(
        value=3e-5, spread=0.8, low=1e-6, high=1e-3, unit="s",
        meaning="host time for one local expert's kernels, forward", source=ASSUMED,
    ),
    "narrow_width": Prior(
        value=120.0,
        spread=0.7,
        low=1.0,
        high=1500.0,
        unit="elements",
        meaning="width (per rank) at which a matmul reaches half its rate",
        source=ASSUMED,
    ),
    "few_tokens": Prior(
        value=150.0,
        spread=0.7,
        low=1.0,
        high=2000.0,
        unit="tokens",
        meaning="rows at which a matmul reaches half its rate",
        source=ASSUMED,
    ),
    "short_attention": Prior(
        value=300.0,
        spread=0.7,
        low=1.0,
        high=3000.0,
        unit="tokens",
        meaning="sequence at which flash attention reaches half its rate",
        source="Dao 2023, figures 4 to 7: rate against sequence length",
    ),
    "narrow_head": Prior(
        value=30.0,
        spread=0.6,
        low=1.0,
        high=200.0,
        unit="elements",
        meaning="head width at which flash attention reaches half its rate",
        source="Dao 2023, figures 4 to 7: head 64 against 128",
    ),
    "attention_backward": Prior(
        value=1.2,
        spread=0.15,
        low=0.8,
        high=2.0,
        unit="ratio",
        meaning="slowness of flash attention's backward per FLOP",
        source="Dao 2023, figures 5 and 6",
    ),
    "score_passes": Prior(
        value=9.0,
        spread=0.3,
        low=2.0,
        high=30.0,
        unit="reads and writes per score",
        meaning="unfused attention's memory passes, forward",
        source="Korthikanti et al. 2022, figure 3 (scale, mask, softmax, dropout)",
    ),
    "elementwise_traffic": Prior(
        value=1.0,
        spread=0.3,
        low=0.2,
        high=4.0,
        unit="ratio",
        meaning="memory traffic of norms, residuals, activations against the counted one",
        source="kernels counted in timing.elementwise_bytes",
    ),
    "compiled_traffic": Prior(
        value=0.6,
        spread=0.3,
        low=0.15,
        high=1.0,
        unit="ratio",
        meaning="the part of it that fused (compiled) kernels keep",
        source=ASSUMED,
    ),
    "bandwidth_efficiency": Prior(
        value=0.85,
        spread=0.08,
        low=0.5,
        high=0.97,
        unit="share of peak bandwidth",
        meaning="streaming kernels",
        source="BabelStream on A100 and H100: 85 to 93 % of peak",
    ),
    "fp8_cast_traffic": Prior(
        value=1.0,
        spread=0.5,
        low=0.1,
        high=6.0,
        unit="ratio",
        meaning="casts, scales and transposes of fp8 against one read and write of the operands",
        source=ASSUMED,
    ),
    "launch_s": Prior(
        value=3e-4,
        spread=0.7,
        low=2e-5,
        high=3e-3,
        unit="s",
        meaning="host time to launch one block's forward kernels",
        source="about 20 to 60 kernels of 5 to 10 us",
    ),
    "link_efficiency": Prior(
        value=0.75,
        spread=0.15,
        low=0.3,
        high=0.95,
        unit=PEAK,
        meaning="collectives on NVLink or NeuronLink",
        source="nccl-tests bus bandwidth on DGX A100 (230 of 300 GB/s) and H100 (370 of 450 GB/s)",
    ),
    "pcie_efficiency": Prior(
        value=0.5, spread=0.3, low=0.15, high=0.9, unit=PEAK, meaning="collectives over PCIe", source=ASSUMED
    ),
    "network_efficiency": Prior(
        value=0.75,
        spread=0.2,
        low=0.2,
        high=0.95,
        unit=PEAK,
        meaning="collectives between nodes",
        source="nccl-tests on InfiniBand and EFA",
    ),
    "link_latency_s": Prior(
        value=4e-6,
        spread=0.5,
        low=5e-7,
        high=5e-5,
        unit="s",
        meaning="one round inside a node",
        source="nccl-tests small-message latency",
    ),
    "network_latency_s": Prior(
        value=2e-5,
        spread=0.5,
        low=2e-6,
        high=5e-4,
        unit="s",
        meaning="one round between nodes",
        source="nccl-tests small-message latency",
    ),
    "tensor_exposed": Prior(
        value=0.8,
        spread=0.25,
        low=0.2,
        high=1.0,
        unit="share",
        meaning="tensor-parallel communication not hidden by the matmul beside it",
        source=ASSUMED,
    ),
    "expert_exposed": Prior(
        value=0.8,
        spread=0.3,
        low=0.1,
        high=1.0,
        unit="share",
        meaning="all-to-all not hidden",
        source=ASSUMED,
    ),
    "context_exposed": Prior(
        value=0.3,
        spread=0.5,
        low=0.02,
        high=1.0,
        unit="share",
        meaning="ring exchange of keys and values not hidden behind attention",
        source=ASSUMED,
    ),
    "pipeline_exposed": Prior(
        value=0.5,
        spread=0.5,
        low=0.05,
        high=2.0,
        unit="share",
        meaning="stage hand-over not hidden",
        source=ASSUMED,
    ),
    "link_contention": Prior(
        value=0.10,
        spread=0.6,
        low=0.0001,
        high=1.0,
        unit="share",
        meaning="hidden communication inside a node that still slows compute (shared SMs and bandwidth)",
        source=ASSUMED,
    ),
    "network_contention": Prior(
        value=0.10,
        spread=0.6,
        low=0.0001,
        high=1.0,
        unit="share",
        meaning="hidden communication between nodes that still slows compute",
        source=ASSUMED,
    ),
    "engine_matmul_gain": Prior(
        value=1.05,
        spread=0.08,
        low=0.9,
        high=1.4,
        unit="ratio",
        meaning="Transformer Engine's matmuls on Hopper and later against plain PyTorch of 2023",
        source=ASSUMED,
    ),
    "engine_attention_gain": Prior(
        value=1.4,
        spread=0.15,
        low=0.9,
        high=2.5,
        unit="ratio",
        meaning="cuDNN attention on Hopper and later against FlashAttention-2",
        source="Shah et al. 2024, figures 5 and 6 (H100: 370 to 560 TFLOP/s)",
    ),
    "adapter_traffic": Prior(
        value=2.0,
        spread=0.5,
        low=0.2,
        high=8.0,
        unit="reads and writes per adapted input and output element",
        meaning="low-rank adapters beside the frozen matmuls (casts, dropout, two matmuls, addition)",
        source=ASSUMED,
    ),
    "dequantisation_traffic": Prior(
        value=2.0,
        spread=0.5,
        low=0.3,
        high=15.0,
        unit="ratio",
        meaning="unpacking quantised weights before each matmul against one read and one 16-bit write",
        source=ASSUMED,
    ),
    "overlap_reach": Prior(
        value=0.8,
        spread=0.2,
        low=0.2,
        high=1.0,
        unit="share",
        meaning="compute behind which sharded or reduced data can hide",
        source=ASSUMED,
    ),
    "expert_imbalance": Prior(
        value=1.15,
        spread=0.15,
        low=1.0,
        high=2.5,
        unit="ratio",
        meaning="fullest expert rank against the mean, grouped-matmul loss included",
        source="Fedus et al. 2022, section 2.2 (capacity factor 1.0 to 1.25)",
    ),
    "optimizer_traffic": Prior(
        value=1.3,
        spread=0.3,
        low=0.5,
        high=5.0,
        unit="ratio",
        meaning="optimizer step's memory traffic against one read and write of its state",
        source=ASSUMED,
    ),
    "step_slack_s": Prior(
        value=0.01,
        spread=0.8,
        low=0.0005,
        high=0.2,
        unit="s",
        meaning="data loading, logging, gradient norm and synchronisation per step",
        source=ASSUMED,
    ),
    "micro_batch_slack_s": Prior(
        value=5e-4,
        spread=0.8,
        low=1e-6,
        high=2e-2,
        unit="s",
        meaning="host work per micro-batch and stage",
        source=ASSUMED,
    ),
    "decode_bandwidth": Prior(
        value=0.6,
        spread=0.3,
        low=0.1,
        high=0.95,
        unit="share of peak bandwidth",
        meaning="reading weights and cache token by token",
        source="Pope et al. 2022, section 4",
    ),
    "decode_launch_s": Prior(
        value=2e-4,
        spread=0.8,
        low=1e-5,
        high=3e-3,
        unit="s",
        meaning="host and latency of one block and decoded token",
        source=ASSUMED,
    ),
    "jitter": Prior(
        value=0.004,
        spread=0.7,
        low=0.0001,
        high=0.05,
        unit="share per doubling of nodes",
        meaning="waiting for the slowest rank",
        source=ASSUMED,
    ),
}
FRAMEWORK_PRIOR = Prior(
    value=1.0,
    spread=0.12,
    low=0.6,
    high=1.8,
    unit="ratio",
    meaning="compute time of a named stack against the generic one",
    source="fit",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingConstants:
    """Per architecture: shape (architectures,); ``framework_factor``: shape (frameworks,); the rest scalars."""

    matmul_efficiency: Array
    attention_efficiency: Array
    framework_factor: Array
    fp8_efficiency: float
    tf32_efficiency: float
    matmul_traffic: float
    misaligned: float
    shallow_inner: float
    compiled_gain: float
    expert_launch_s: float
    narrow_width: float
    few_tokens: float
    short_attention: float
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
    expert_exposed: float
    context_exposed: float
    pipeline_exposed: float
    link_contention: float
    network_contention: float
    engine_matmul_gain: float
    engine_attention_gain: float
    adapter_traffic: float
    dequantisation_traffic: float
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
        """values: by field name; arrays as mappings by architecture or framework name."""
        filled: dict[str, Any] = {}
        for item in fields(cls):
            value = values[item.name]
            if isinstance(value, Mapping):
                names = FRAMEWORKS if item.name == "framework_factor" else ARCHITECTURES
                value = np.array([float(value[name]) for name in names])
            filled[item.name] = value
        return cls(**filled)

    @classmethod
    def from_priors(cls) -> TimingConstants:
        return cls.from_mapping(
            {
                **{
                    name: {key: prior.value for key, prior in table.items()}
                    for name, table in ARCHITECTURE_PRIORS.items()
                },
                **{name: prior.value for name, prior in SHARED_PRIORS.items()},
                "framework_factor": dict.fromkeys(FRAMEWORKS, 1.0),
            }
        )
