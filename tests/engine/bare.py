"""A plan and a machine of small round numbers, so that closed forms can be worked out by hand.

The machine is ideal unless a test spoils it: every rate is its peak, nothing has a latency, memory is
infinitely fast. The model has 2 blocks of width 8, 2 heads of 4, an MLP of 16 and 32 words.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from planner.engine.grid.plan_grid import ARCHITECTURES, FIELD_NAMES, FRAMEWORKS, PlanGrid
from planner.engine.time.constants import TimingConstants

AMPERE, HOPPER, TRAINIUM = (float(ARCHITECTURES.index(name)) for name in ("ampere", "hopper", "trainium"))
#: FLOP/s and bytes/s of the ideal machine's arithmetic and links.
RATE = 1000.0
LINK, NETWORK = 100.0, 40.0

MODEL: dict[str, float] = {
    "layers": 2,
    "dense_blocks": 2,
    "hidden_size": 8,
    "attention_heads": 2,
    "kv_heads": 2,
    "head_dim": 4,
    "value_head_dim": 4,
    "ffn_size": 16,
    "vocab_size": 32,
    "causal": 1,
    "attention_matmul": 256,  # four of 8 x 8
    "ffn_matmul": 256,  # two of 8 x 16
    "head_matmul": 256,  # 8 x 32
    "dense_block_parameters": 512,
    "embedding_parameters": 256,
    "head_parameters": 256,
    "total_parameters": 1536,
    "active_parameters": 1536,
}
WORKLOAD: dict[str, float] = {
    "sequence_length": 8,
    "global_batch_size": 4,
    "head_share": 1,
    "element_bytes": 2,
    "flash": 1,
    "overlap": 1,
    "weight_bytes": 2,
    "master_bytes": 4,
    "gradient_bytes": 4,
    "state_bytes": 8,
    "qkv_input_kept": 1,
    "output_input_kept": 1,
    "ffn_input_kept": 1,
    "down_input_kept": 1,
    "loss_whole": 1,
}
CLUSTER: dict[str, float] = {
    "peak_flops_per_s": RATE,
    "bf16_flops_per_s": RATE,
    "memory_bytes": 1e15,
    "memory_bandwidth_bytes_per_s": 1e18,
    "link_bytes_per_s": LINK,
    "internode_bytes_per_s": NETWORK,
    "ranks_per_node": 4,
    "ranks_per_accelerator": 1,
    "nodes": 1,
    # The one kind whose fused attention runs at a constant's rate, not at that of a published plot.
    "architecture": TRAINIUM,
    "fabric_share": 1,
    "sustained_share": 1,
    "fp32_flops_per_s": RATE,
    "host_bandwidth_bytes_per_s": 1000.0,
    "host_link_bytes_per_s": 100.0,
    "power_share": 1,
}
LAYOUT = dict.fromkeys(
    (
        "tensor_parallel",
        "pipeline_parallel",
        "interleaved_stages",
        "context_parallel",
        "expert_parallel",
        "data_parallel",
        "sharding_group",
        "micro_batch_size",
        "gradient_accumulation",
    ),
    1.0,
)

#: Constants that leave a closed form as it is; all others are 0.
NEUTRAL = (
    "matmul_efficiency",
    "fp8_efficiency",
    "tf32_efficiency",
    "fp32_efficiency",
    "misaligned",
    "loss_traffic",
    "plain_traffic",
    "eager_traffic",
    "fused_traffic",
    "engine_traffic",
    "compiled_traffic",
    "grouped_efficiency",
    "neuron_attention",
    "bandwidth_efficiency",
    "fp8_cast_traffic",
    "link_efficiency",
    "pcie_efficiency",
    "network_efficiency",
    "tensor_exposed",
    "engine_tensor_exposed",
    "tensor_backward_exposed",
    "neuron_tensor_exposed",
    "expert_exposed",
    "fused_dispatch_exposed",
    "context_exposed",
    "pipeline_exposed",
    "adapter_traffic",
    "dequantisation_traffic",
    "unpacking_traffic",
    "overlap_reach",
    "expert_imbalance",
    "optimizer_traffic",
    "shard_copy_passes",
    "score_passes",
    "fused_score_passes",
)


def framework(name: str) -> float:
    return float(FRAMEWORKS.index(name))


def bare_grid(**changes: float) -> PlanGrid:
    """One plan as scalars; what is not named is 0, or 1 for a degree; every block attends."""
    plain = {"scoring_share": 1.0, "attending_share": 1.0, "recompute_blocks": 1.0, "gathered_bytes": 2.0}
    plain |= {"answers_per_sample": 1.0, "residual_bytes": 2.0}
    values = {**dict.fromkeys(FIELD_NAMES, 0.0), **plain, **MODEL, **WORKLOAD, **CLUSTER, **LAYOUT, **changes}
    follow = {
        "row_tokens": values["sequence_length"],
        "sample_tokens": max(values["sequence_length"], values["decoder_sequence_length"]),
        "link_domain_ranks": values["ranks_per_node"],
    }
    values |= {name: value for name, value in follow.items() if name not in changes}
    unknown = set(values) - set(FIELD_NAMES)
    assert not unknown, unknown
    return PlanGrid(**{name: np.float64(value) for name, value in values.items()})


def bare_constants(**changes: float) -> TimingConstants:
    """The ideal machine's constants, but for those named."""
    values: dict[str, Any] = {
        item.name: 1.0 if item.name in NEUTRAL else 0.0 for item in fields(TimingConstants)
    }
    for name, count in (
        ("matmul_efficiency", len(ARCHITECTURES)),
        ("step_slack_s", len(FRAMEWORKS)),
    ):
        values[name] = np.full(count, changes.pop(name, values[name]))
    return TimingConstants(**{**values, **changes})


def number(value: Any) -> float:
    """The only value of a scalar or of an array of one."""
    return float(np.asarray(value).reshape(-1)[0])
