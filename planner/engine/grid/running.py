"""What runs, as PlanGrid fields: the stack's kernels, real lengths, experts, and the machine's clock and
links.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from planner.engine.grid import stack
from planner.engine.grid.plan_grid import ATTENTION_KERNELS, DISPATCHERS, KERNELS
from planner.engine.question.request import Cluster, Fabric, Workload
from planner.engine.question.specs import AcceleratorSpec, ModelSpec
from planner.engine.shape.parameters import targeted_modules

#: Chips whose link joins more than one machine, and how many of them (NVIDIA GB200 NVL72, data sheet).
LINK_DOMAINS = {"gb200": 72, "gb300": 72}
#: What a network keeps of the efficiency of InfiniBand in nccl-tests' bus bandwidth. EFA's first generation
#: 30 of 50 GB/s on 3 and 4 p4d (NVIDIA/nccl issue 527, 2022), 50 to 60 % of p3dn's (aws-ofi-nccl issue 19,
#: 2019), its second some 90 %; Google's TCPX and TCPXO 80 to 90 %; RoCE on par with InfiniBand where it is
#: tuned (Gangidi et al. 2024, "RDMA over Ethernet for Distributed AI Training at Meta Scale"); NCCL over TCP
#: sockets about half, our judgement. Our reading of published nccl-tests logs, 2019 to 2025.
FABRIC_SHARES: dict[Fabric, float] = {
    "infiniband": 1.0,
    "roce": 0.95,
    "efa_v1": 0.7,
    "efa_v2": 0.9,
    "efa_v3": 0.95,
    "tcpx": 0.8,
    "tcpxo": 0.9,
    "ethernet": 0.5,
}
#: The network of instance types whose names begin so, the first that fits (AWS: Elastic Fabric Adapter,
#: supported instance types; Google Cloud: GPU machine types, network bandwidth). Others have InfiniBand.
FABRICS: tuple[tuple[str, Fabric], ...] = (
    ("p5en", "efa_v3"),
    ("p5", "efa_v2"),
    ("p6", "efa_v3"),
    ("trn2", "efa_v3"),
    ("p3", "efa_v1"),
    ("p4", "efa_v1"),
    ("trn1", "efa_v1"),
    ("g", "efa_v1"),
    ("a2-", "ethernet"),
    ("a3-mega", "tcpxo"),
    ("a3-ultra", "roce"),
    ("a3-", "tcpx"),
    ("a4", "roce"),
)
#: Clock that a limit above the catalog's can win at most, by architecture: V100 was also sold at 450 W, whose
#: boost clock is some 1.2 times what it holds at 300 W (NVIDIA data sheets of V100 and DGX-2H). Others: 1.
MOST_RAISED = {"volta": 1.2}
#: Joules per 16-bit FLOP of large matrix products at full clock, by architecture: the catalog's limit in
#: watts over its peak tells where power, not the tensor cores, sets the pace (L4, A10, RTX cards, MI300X at
#: 750 W against MI325X at 1000); what A100, H100 and B200 lose to power is in their fitted efficiency. Our
#: reading of measured matrix products: L40S 270 of 362 TFLOP/s at 350 W, L4 60 of 121 at 72 W (public
#: benchmarks, 2023 to 2025); AMD's maximum achievable rates of MI300X and MI325X differ by about a fifth
#: (ROCm blog, 2025).
JOULES_PER_FLOP = {"ada": 1.2e-12, "turing": 1.2e-12, "ampere": 1.25e-12, "cdna3": 1.0e-12}
#: How the clock follows power: voltage falls with it, so that power goes with its square and more.
CLOCK_PER_POWER = 0.5


def workload_numbers(workload: Workload) -> dict[str, float]:
    """Flags and indices of autocast and experts, and the real lengths in tokens. Rows are padded a
    micro-batch at a time, of which the question alone does not tell the size: eight, or the batch, stand
    for it.
    """
    at_once = float(min(workload.global_batch_size, 8))
    row = stack.row_tokens(workload.sequences, float(workload.sequence_length), at_once)
    return {
        "autocast": stack.autocast(workload),
        "wide_attention": stack.wide_attention(workload),
        "row_tokens": row,
        "sample_tokens": stack.sample_tokens(workload.sequences, row),
        "dispatcher": DISPATCHERS.index(stack.dispatcher(workload)),
        "dispatcher_usual": stack.chooses_dispatcher(workload),
        "expert_load": stack.expert_load(workload),
        "grouped_matmul": stack.grouped_matmul(workload),
        "expert_overlap": bool(workload.moe and workload.moe.overlap),
        "expert_overlap_usual": stack.overlaps_experts(workload),
        "nodes_per_token": float((workload.moe and workload.moe.nodes_per_token) or 0),
        "unsaid_inputs": unsaid_inputs(workload),
    }


def unsaid_inputs(workload: Workload) -> int:
    """Count of inputs that turn a run's speed most and were left to defaults: the stack, the kernels
    between the products, the attention kernel, and in fine-tuning the real lengths.
    """
    return sum(
        (
            workload.framework == "generic",
            workload.kernels is None and not workload.compile,
            workload.attention_kernel is None and workload.attention == "flash",
            workload.task != "pretraining" and workload.sequences is None,
        )
    )


def adapted_modules(model: ModelSpec, workload: Workload) -> float:
    """Linear layers of the mean block that have adapters, the routed experts' as one, a count."""
    blocks = max(model.layers + model.decoder_layers, 1)
    copies = [
        blocks if module.routed_expert else module.copies
        for module in targeted_modules(model, workload.lora_targets)
        if module.in_blocks
    ]
    return sum(copies) / blocks


def adapted_width(model: ModelSpec, workload: Workload) -> float:
    """Inputs plus outputs of all adapted layers that one token meets, elements: of the routed experts those
    that it visits.  Source: definition.
    """
    visited = model.experts_per_token / model.experts if model.experts else 1.0
    return sum(
        module.copies
        * (visited if module.routed_expert else 1.0)
        * (module.in_features + module.out_features)
        for module in targeted_modules(model, workload.lora_targets)
    )


@lru_cache(maxsize=4096)
def stack_numbers(workload: Workload, architecture: str) -> Mapping[str, float]:
    """Kernels that the stack runs on a chip of this architecture, as indices and a flag."""
    kernels = stack.kernels(workload, architecture)
    return {
        "attention_kernel": ATTENTION_KERNELS.index(stack.attention_kernel(workload, architecture)),
        "kernels": KERNELS.index(kernels),
        "graphs": bool(workload.cuda_graphs),
        "compiled": kernels == "compiled" and workload.framework != "neuron",
    }


@lru_cache(maxsize=4096)
def stack_scalars(workload: Workload, architecture: str) -> Mapping[str, Any]:
    """numpy scalars of ``stack_numbers``, cached because many plans share one run."""
    return constants(stack_numbers(workload, architecture))


def machine_numbers(cluster: Cluster, ranks_per_node: int) -> dict[str, float]:
    """Reach of the link in ranks, and ratios of the network's efficiency and of the clock.

    ranks_per_node: count.
    """
    chip = cluster.accelerator
    domain = LINK_DOMAINS.get(chip.slug, 0) if cluster.mig_profile is None else 0
    return {
        "link_domain_ranks": max(domain, ranks_per_node),
        "fabric_share": FABRIC_SHARES[fabric(cluster)],
        "sustained_share": sustained_share(chip, cluster.power_limit_watts),
        "measured_share": measured_share(cluster),
    }


def fabric(cluster: Cluster) -> Fabric:
    """The network between machines: as said, else that of the instance type.  Source: FABRICS."""
    if cluster.fabric is not None:
        return cluster.fabric
    name = cluster.instance_type or ""
    return next((kind for start, kind in FABRICS if name.startswith(start)), "infiniband")


def measured_share(cluster: Cluster) -> float:
    """Share of the 16-bit peak that large matrix products were measured at, a ratio; 0 where nobody did."""
    chip = cluster.accelerator
    peak = chip.bf16_flops_per_s or chip.fp16_flops_per_s
    return min((cluster.matmul_flops_per_s or 0.0) / peak, 1.0) if peak else 0.0


def sustained_share(chip: AcceleratorSpec, limit_watts: float | None) -> float:
    """Share of its clock that the chip holds in large matrix products under its power limit, a ratio.

    limit_watts: what it may draw, None for its own limit.
    Source: JOULES_PER_FLOP and CLOCK_PER_POWER, our reading of public measurements.
    """
    own = chip.power_watts or 0.0
    most = MOST_RAISED.get(chip.architecture, 1.0)
    share = min((limit_watts / own) ** CLOCK_PER_POWER, most) if limit_watts and own else 1.0
    needed = JOULES_PER_FLOP.get(chip.architecture, 0.0) * (chip.bf16_flops_per_s or chip.fp16_flops_per_s)
    return share * (min(own / needed, 1.0) ** CLOCK_PER_POWER if own and needed else 1.0)


def constants(numbers: Mapping[str, float]) -> dict[str, Any]:
    """The numbers as numpy scalars, which broadcast like arrays of shape () but compute much faster."""
    return {name: np.float64(value) for name, value in numbers.items()}
