"""What runs, as PlanGrid fields: the stack's kernels, real lengths, experts, and the machine's clock and
links.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from planner.engine.grid import clock, stack
from planner.engine.grid.plan_grid import ATTENTION_KERNELS, DISPATCHERS, KERNELS
from planner.engine.question.request import Cluster, Fabric, Workload
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.parameters import count_parameters, targeted_modules

#: Chips whose link joins more than one machine, and how many of them (NVIDIA GB200 NVL72, data sheet).
LINK_DOMAINS = {"gb200": 72, "gb300": 72}
#: Ranks from which a machine is a rack with a link domain of its own (AWS, P6e-GB200 UltraServers: 36, 72).
WHOLE_RACK = 36
#: What a network keeps of the efficiency of InfiniBand in nccl-tests' bus bandwidth, which over 4 to 16
#: machines of 8 H100 is 360 to 320 of 400 GB/s (NVIDIA/nccl issue 1229, March 2024). EFA's first generation:
#: 30 of 50 GB/s on 3 and 4 P4d (NVIDIA/nccl issue 527, July 2022), 60 to 70 % of InfiniBand on P3dn
#: (aws-ofi-nccl issue 19, July 2019). Its second: 320 to 350 of 400 GB/s on 3 to 16 P5 (Hugging Face, Smol
#: Training Playbook, October 2025). RoCE: on par where it is tuned (Gangidi et al. 2024, "RDMA over Ethernet
#: for Distributed AI Training at Meta Scale"). Judgement, without a published measurement: EFA's third
#: generation as the second, Google's TCPX and TCPXO below it for their hosts' part in each copy, NCCL over
#: TCP sockets about half.
FABRIC_SHARES: dict[Fabric, float] = {
    "infiniband": 1.0,
    "roce": 0.95,
    "efa_v1": 0.7,
    "efa_v2": 0.95,
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
#: Share of a block's FLOPs from which on it matters which kernel computes attention: kernels are up to three
#: times apart (``time/attention_rates.py``), so a twentieth moves a step by up to a tenth. Our own choice.
ATTENTION_MATTERS = 0.05


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
        "split_experts": bool(workload.moe and workload.moe.split_experts),
        "expert_overlap": bool(workload.moe and workload.moe.overlap),
        "expert_overlap_usual": stack.overlaps_experts(workload),
        "nodes_per_token": float((workload.moe and workload.moe.nodes_per_token) or 0),
    }


def unsaid_inputs(model: ModelSpec, workload: Workload) -> int:
    """Count of inputs that turn this run's speed most and were left to defaults: the stack, the kernels
    between the products, the attention kernel where attention takes much of the run, in fine-tuning the real
    lengths, and of experts how tokens reach them and how evenly.
    """
    moe = workload.moe
    return sum(
        (
            workload.framework == "generic",
            workload.kernels is None and not workload.compile,
            workload.attention_kernel is None
            and workload.attention == "flash"
            and attention_share(model, workload.sequence_length) > ATTENTION_MATTERS,
            workload.task != "pretraining" and workload.sequences is None,
            bool(model.experts) and (moe is None or moe.dispatcher is None),
            bool(model.experts) and (moe is None or moe.balance is None),
        )
    )


def unsaid_of_machine(cluster: Cluster) -> int:
    """Count of what turns the speed of these machines most and was left to defaults: the rate of large matrix
    products on them, which differs between machines of one kind, and the network between one's own.
    """
    several = cluster.nodes is not None and cluster.nodes > 1
    own_network = several and cluster.instance_type is None and cluster.fabric is None
    return (cluster.matmul_flops_per_s is None) + own_network


def attention_share(model: ModelSpec, sequence_length: int) -> float:
    """Share of scores and their use in the FLOPs of a block of this length in tokens, a ratio.

    Scores and values are 4 x tokens x width a token, half of it where attention is causal; the matrices are 2
    a parameter.  Source: Kaplan et al. 2020, table 1.
    """
    count = count_parameters(model)
    width = model.attention_heads * (model.head_dim + model.value_head_dim) / 2.0
    scores = 4.0 * sequence_length * width * (0.5 if model.architecture == "decoder" else 1.0)
    matrices = 2.0 * (count.attention_matmul + count.ffn_matmul + count.shared_expert_matmul)
    matrices += 2.0 * model.experts_per_token * count.expert_matmul
    return scores / (scores + matrices)


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
        # A rack sold as one machine (an UltraServer of 36 or 72) is the domain.
        "link_domain_ranks": ranks_per_node if ranks_per_node >= WHOLE_RACK else max(domain, ranks_per_node),
        "fabric_share": FABRIC_SHARES[fabric(cluster)],
        "sustained_share": clock.sustained_share(chip, cluster.power_limit_watts),
        "measured_share": measured_share(cluster),
        "unsaid_of_machine": unsaid_of_machine(cluster),
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


def constants(numbers: Mapping[str, float]) -> dict[str, Any]:
    """The numbers as numpy scalars, which broadcast like arrays of shape () but compute much faster."""
    return {name: np.float64(value) for name, value in numbers.items()}
