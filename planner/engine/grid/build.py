"""From questions and layouts to a grid: precision, framework and sharding names become numbers here, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from planner.engine.grid import stack
from planner.engine.grid.plan_grid import (
    ARCHITECTURES,
    ATTENTION_KERNELS,
    DISPATCHERS,
    FRAMEWORKS,
    KERNELS,
    RECOMPUTES,
    SHARDINGS,
    Array,
    PlanGrid,
)
from planner.engine.grid.recipe import MemoryRecipe, frozen_precision, memory_recipe
from planner.engine.question.request import Cluster, Layout, PlanRequest, Workload
from planner.engine.question.specs import AcceleratorSpec, ModelSpec
from planner.engine.shape.adapters import kept_matmul_inputs
from planner.engine.shape.composed import mean_over_blocks
from planner.engine.shape.parameters import count_parameters, lora_parameters, targeted_modules

#: Share of positions whose label is predicted in masked-language-model pretraining
#: (Devlin et al. 2019, section 3.1: 15 % of tokens; NVIDIA's recipes gather just these for the head).
MASKED_SHARE = 0.15


#: A MIG compute slice is one seventh of the streaming multiprocessors, a memory slice one eighth of the
#: memory and its bandwidth (NVIDIA MIG User Guide, "Concepts"); A30 has four of each.
MIG_SLICES = {"a30": (4, 4)}


MIG_SLICES_DEFAULT = (7, 8)


#: Bandwidth of accelerators without a link of their own, which exchange data through host memory: PCIe 4 x16,
#: one direction.
PCIE4_BYTES_PER_S = 32e9


#: Chips whose link joins more than one machine, and how many of them (NVIDIA GB200 NVL72, data sheet).
LINK_DOMAINS = {"gb200": 72, "gb300": 72}
#: What a provider's network keeps of the efficiency of InfiniBand in nccl-tests' bus bandwidth (EFA: some 85 %
#: of what InfiniBand gives at the same rate on p4d and p5; Google's TCPX and TCPXO: 80 to 90 %). Our reading of
#: published nccl-tests logs, 2023 to 2025.
FABRIC_SHARES = {"aws": 0.9, "gcp": 0.85}
#: Memory bandwidth of the two sockets of a GPU server, all channels: 8 of DDR5-4800 each (Intel's and AMD's data
#: sheets of 2023).
HOST_BYTES_PER_S = 614e9
#: Joules per 16-bit FLOP of large matrix products at full clock, by architecture; the catalog's limit in watts
#: over its peak tells where power, not the tensor cores, sets the pace (L4, A10, RTX cards). Ampere is the 8 nm
#: kind of workstations; A100, H100 and B200 are limited less than their own fitted efficiency says. Our reading
#: of measured matrix products: L40S 270 of 362 TFLOP/s at 350 W, L4 60 of 121 at 72 W (public benchmarks, 2023
#: to 2025).
JOULES_PER_FLOP = {"ada": 1.2e-12, "turing": 1.2e-12, "ampere": 1.25e-12}
#: How the clock follows power: voltage falls with it, so that power goes with about its square and more.
CLOCK_PER_POWER = 0.5


@lru_cache(maxsize=256)
def model_numbers(model: ModelSpec) -> Mapping[str, float]:
    """PlanGrid fields that depend on the model alone: widths in elements, parameters and layers as counts."""
    count = count_parameters(model)
    mixing = mixing_numbers(model)
    attending = max(model.layers * mixing["attending_share"], 1)
    return {
        "layers": model.layers,
        "decoder_layers": model.decoder_layers,
        "hidden_size": model.hidden_size,
        "attention_heads": model.attention_heads,
        "kv_heads": model.kv_heads,
        "head_dim": model.head_dim,
        "value_head_dim": model.value_head_dim,
        "ffn_size": model.ffn_size,
        "gated": model.gated_ffn,
        "vocab_size": model.vocab_size,
        "experts": model.experts,
        "experts_per_token": model.experts_per_token,
        "expert_ffn_size": model.expert_ffn_size,
        "shared_expert_ffn_size": model.shared_expert_ffn_size
        or model.shared_experts * model.expert_ffn_size,
        "kv_lora_rank": model.kv_lora_rank,
        "dense_blocks": count.dense_blocks,
        "moe_blocks": count.moe_blocks,
        "decoder_blocks": count.decoder_blocks,
        "causal": model.architecture == "decoder",
        "encoder": model.architecture == "encoder",
        "vision": model.architecture == "vision_encoder",
        "layernorm": model.norm == "layernorm",
        "tied": model.tied_embeddings,
        "window": model.sliding_window,
        "windowed_share": model.windowed_layers / attending if model.sliding_window else 0.0,
        **mixing,
        "embedding_parameters": count.embedding,
        "head_parameters": count.head,
        "tied_head_parameters": count.tied_head,
        "dense_block_parameters": count.dense_block,
        "moe_block_parameters": count.moe_block,
        "routed_expert_parameters": count.routed_experts,
        "decoder_block_parameters": count.decoder_block,
        "total_parameters": count.total,
        "active_parameters": count.active,
        "attention_matmul": count.attention_matmul,
        "cross_attention_matmul": count.cross_attention_matmul,
        "ffn_matmul": count.ffn_matmul,
        "expert_matmul": count.expert_matmul,
        "shared_expert_matmul": count.shared_expert_matmul,
        "router_matmul": count.router_matmul,
        "head_matmul": count.head_matmul
        or (
            # An encoder is counted as its base model, but it is pretrained with a masked-token head.
            model.hidden_size * model.vocab_size if model.architecture == "encoder" else 0
        ),
    }


def mixing_numbers(model: ModelSpec) -> dict[str, float]:
    """What the blocks do beside softmax attention: shares that attend, and the scans' work.

    Source: the parts' docstrings in ``planner.engine.shape.parts.mixers``.
    """
    if model.parts is None or not model.layers:
        return {"scoring_share": 1.0, "attending_share": 1.0, "state_flops": 0.0, "state_elements": 0.0}
    usual = model.attention_heads * (model.head_dim + model.value_head_dim)
    main = [group for group in model.parts.groups if group.stack == "main"]
    attending = sum(group.blocks for group in main if group.mixer.score_width)
    return {
        "scoring_share": mean_over_blocks(model.parts, "score_width") / usual,
        "attending_share": attending / model.layers,
        "state_flops": mean_over_blocks(model.parts, "state_flops"),
        "state_elements": mean_over_blocks(model.parts, "state_elements"),
    }


@lru_cache(maxsize=1024)
def head_share(model: ModelSpec, workload: Workload) -> float:
    """Share of the tokens that pass through the vocabulary's head.

    As many positions of a sequence as were asked for. Else encoders are pretrained on their masked tokens,
    and fine-tuned with a classifier in place of the head.
    """
    if workload.head_positions is not None:
        return min(workload.head_positions / workload.sequence_length, 1.0)
    if model.architecture != "encoder":
        return 1.0
    return MASKED_SHARE if workload.task == "pretraining" else 0.0


def workload_numbers(model: ModelSpec, workload: Workload) -> Mapping[str, float]:
    """PlanGrid fields of the workload on this model: lengths in tokens, bytes per parameter, flags."""
    count = count_parameters(model)
    recipe: MemoryRecipe = memory_recipe(workload, (count.embedding + count.head) / count.total)
    frozen = workload.task in ("lora", "qlora")
    adapters = lora_parameters(model, workload.lora_rank, workload.lora_targets) if frozen else 0
    return {
        "sequence_length": workload.sequence_length,
        "decoder_sequence_length": (workload.decoder_sequence_length or workload.sequence_length)
        if model.architecture == "encoder_decoder"
        else 0,
        "global_batch_size": workload.global_batch_size,
        "head_share": head_share(model, workload),
        "element_bytes": 4.0 if workload.precision in ("fp32", "tf32") else 2.0,
        "fp8": workload.precision == "fp8",
        "fp16": workload.precision == "fp16",
        "full_precision": workload.precision in ("fp32", "tf32"),
        "tf32": workload.precision == "tf32",
        "flash": stack.is_flash(workload),
        "autocast": stack.autocast(workload),
        "wide_attention": stack.wide_attention(workload),
        **length_numbers(workload),
        "dispatcher": DISPATCHERS.index(stack.dispatcher(workload)),
        "expert_load": stack.expert_load(workload),
        "grouped_matmul": stack.grouped_matmul(workload),
        "overlap": workload.overlap_communication,
        "frozen": frozen,
        "quantized": workload.task == "qlora",
        "integer_quantized": workload.task == "qlora" and frozen_precision(workload) == "int4",
        "lora_parameters": adapters,
        # Inputs plus outputs of all adapted layers: LoRA holds rank weights for each (Hu et al. 2021).
        "lora_width": adapters / workload.lora_rank,
        "adapted_modules": adapted_modules(model, workload) if frozen else 0.0,
        "offload": workload.offload == "optimizer",
        "paged": recipe.optimizer_kernel == "paged",
        "finetuning": workload.task != "pretraining",
        "lamb": workload.optimizer == "lamb",
        # Recipes with unfused attention are older ones, which use dropout (Korthikanti et al. 2022, section
        # 4.1); decoders trained with flash attention do without.
        "dropout": workload.attention == "standard" and model.norm == "layernorm",
        "framework": FRAMEWORKS.index(workload.framework),
        "weight_bytes": recipe.weight_bytes,
        "master_bytes": recipe.master_bytes,
        "gradient_bytes": recipe.gradient_bytes,
        "state_bytes": recipe.state_bytes,
        "temporary_bytes": recipe.temporary_bytes,
        "frozen_bytes": recipe.frozen_bytes,
        "frozen_head_bytes": recipe.frozen_head_bytes,
        "gradient_copy_bytes": recipe.gradient_copy_bytes,
        "gradient_partition_bytes": recipe.gradient_partition_bytes,
        "unsynced_gradients": recipe.unsynced_gradients,
        **kept_matmul_inputs(model, workload),
        "loss_whole": recipe.loss == "whole",
        "loss_chunked": recipe.loss == "chunked",
    }


def length_numbers(workload: Workload) -> dict[str, float]:
    """PlanGrid fields of the real lengths, tokens. Rows are padded a micro-batch at a time, of which the
    question alone does not tell the size: the whole batch stands for it.
    """
    row = stack.row_tokens(
        workload.sequences, float(workload.sequence_length), float(min(workload.global_batch_size, 8))
    )
    return {"row_tokens": row, "sample_tokens": stack.sample_tokens(workload.sequences, row)}


def adapted_modules(model: ModelSpec, workload: Workload) -> float:
    """Linear layers of the mean block that have adapters, the routed experts' as one, a count."""
    blocks = max(model.layers + model.decoder_layers, 1)
    copies = [
        blocks if module.routed_expert else module.copies
        for module in targeted_modules(model, workload.lora_targets)
        if module.in_blocks
    ]
    return sum(copies) / blocks


@lru_cache(maxsize=4096)
def stack_numbers(workload: Workload, architecture: str) -> Mapping[str, float]:
    """PlanGrid fields of the kernels that the stack runs on a chip of this architecture, as indices."""
    kernels = stack.kernels(workload, architecture)
    return {
        "attention_kernel": ATTENTION_KERNELS.index(stack.attention_kernel(workload, architecture)),
        "kernels": KERNELS.index(kernels),
        "compiled": kernels == "compiled" and workload.framework != "neuron",
    }


def peak_flops_per_s(accelerator: AcceleratorSpec, precision: str) -> float:
    """Peak dense FLOP/s of one chip in ``precision``; a precision without a unit of its own runs in fp32."""
    rates = {
        "fp32": accelerator.fp32_flops_per_s,
        "tf32": accelerator.tf32_flops_per_s,
        "bf16": accelerator.bf16_flops_per_s,
        "fp16": accelerator.fp16_flops_per_s,
        "fp8": accelerator.fp8_flops_per_s,
    }
    return rates[precision] or accelerator.fp32_flops_per_s


def architecture_index(architecture: str) -> int:
    """Position of the accelerator architecture in ARCHITECTURES; an unknown one counts as "other"."""
    name = "trainium" if architecture.startswith("neuroncore") else architecture
    return ARCHITECTURES.index(name if name in ARCHITECTURES else "other")


@lru_cache(maxsize=4096)
def cluster_numbers(cluster: Cluster, precision: str) -> Mapping[str, float]:
    """PlanGrid fields of the machines, per rank: FLOP/s, bytes, bytes/s, and dollars per node-hour.

    A MIG instance gets its slices' share of compute and of memory bandwidth.
    """
    chip = cluster.accelerator
    ranks_per_chip = chip.ranks_per_accelerator
    compute_share = memory_share = 1.0 / ranks_per_chip
    instances = ranks_per_chip
    memory_bytes = chip.memory_bytes / ranks_per_chip
    link_bytes_per_s, pcie = chip.link_bytes_per_s / ranks_per_chip, chip.link.startswith("pcie")
    if not link_bytes_per_s:
        link_bytes_per_s, pcie = PCIE4_BYTES_PER_S, True
    if cluster.mig_profile is not None:
        compute_slices, memory_slices = MIG_SLICES.get(chip.slug, MIG_SLICES_DEFAULT)
        compute_share = cluster.mig_profile.compute_slices / compute_slices
        memory_share = cluster.mig_profile.memory_slices / memory_slices
        memory_bytes = float(cluster.mig_profile.memory_bytes)
        instances = cluster.mig_profile.max_instances
        # GPU instances have neither NVLink nor peer-to-peer (NVIDIA MIG User Guide, "Limitations").
        link_bytes_per_s, pcie = PCIE4_BYTES_PER_S, True
    nodes = 1 if cluster.nodes is None else cluster.nodes
    ranks_per_node = cluster.accelerators_per_node * instances
    domain = LINK_DOMAINS.get(chip.slug, 0) if cluster.mig_profile is None else 0
    price = cluster.usd_per_node_hour
    return {
        "peak_flops_per_s": peak_flops_per_s(chip, precision) * compute_share,
        "bf16_flops_per_s": (chip.bf16_flops_per_s or chip.fp16_flops_per_s) * compute_share,
        "memory_bytes": memory_bytes,
        "memory_bandwidth_bytes_per_s": chip.memory_bandwidth_bytes_per_s * memory_share,
        "link_bytes_per_s": link_bytes_per_s,
        "pcie": pcie,
        "link_domain_ranks": max(domain, ranks_per_node),
        "fabric_share": FABRIC_SHARES.get(cluster.provider or "", 1.0),
        "sustained_share": sustained_share(chip, getattr(cluster, "power_limit_watts", None)),
        "fp32_flops_per_s": chip.fp32_flops_per_s * compute_share,
        "host_bytes_per_s": getattr(cluster, "host_memory_bandwidth_bytes_per_s", None) or HOST_BYTES_PER_S,
        "internode_bytes_per_s": cluster.internode_bytes_per_s,
        "ranks_per_node": ranks_per_node,
        "ranks_per_accelerator": ranks_per_chip,
        "nodes": nodes,
        "architecture": architecture_index(chip.architecture),
        "usd_per_node_hour": np.nan if price is None else price,
    }


def sustained_share(chip: AcceleratorSpec, limit_watts: float | None) -> float:
    """Share of its clock that the chip holds in large matrix products under its power limit, a ratio.

    limit_watts: what it may draw, None for its own limit.
    Source: JOULES_PER_FLOP and CLOCK_PER_POWER, our reading of public measurements.
    """
    own = chip.power_watts or 0.0
    share = 1.0
    if limit_watts and own:
        share = min(limit_watts / own, 1.0) ** CLOCK_PER_POWER
    needed = JOULES_PER_FLOP.get(chip.architecture, 0.0) * (chip.bf16_flops_per_s or chip.fp16_flops_per_s)
    if own and needed > own:
        share *= (own / needed) ** CLOCK_PER_POWER
    return share


def layout_numbers(layout: Layout) -> dict[str, float]:
    """PlanGrid fields of the layout: degrees and counts, sharding and recompute as positions."""
    return {
        "tensor_parallel": layout.tensor_parallel,
        "sequence_parallel": layout.sequence_parallel,
        "pipeline_parallel": layout.pipeline_parallel,
        "interleaved_stages": layout.interleaved_stages,
        "context_parallel": layout.context_parallel,
        "expert_parallel": layout.expert_parallel,
        "data_parallel": layout.data_parallel,
        "sharding": SHARDINGS.index(layout.sharding),
        "sharding_group": layout.sharding_group,
        "micro_batch_size": layout.micro_batch_size,
        "gradient_accumulation": layout.gradient_accumulation,
        "recompute": RECOMPUTES.index(layout.activation_recompute),
    }


def question_numbers(request: PlanRequest) -> dict[str, float]:
    """PlanGrid fields of everything except the layout."""
    return {
        **model_numbers(request.model),
        **workload_numbers(request.model, request.workload),
        **cluster_numbers(request.cluster, request.workload.precision),
        **stack_numbers(request.workload, request.cluster.accelerator.architecture),
    }


@lru_cache(maxsize=1024)
def run_scalars(model: ModelSpec, workload: Workload) -> Mapping[str, Any]:
    """numpy scalars of model and workload, cached because many plans share one run."""
    return constants({**model_numbers(model), **workload_numbers(model, workload)})


@lru_cache(maxsize=4096)
def cluster_scalars(cluster: Cluster, precision: str) -> Mapping[str, Any]:
    """numpy scalars of the machines, cached like ``run_scalars``."""
    return constants(cluster_numbers(cluster, precision))


@lru_cache(maxsize=4096)
def stack_scalars(workload: Workload, architecture: str) -> Mapping[str, Any]:
    """numpy scalars of the kernels, cached like ``run_scalars``."""
    return constants(stack_numbers(workload, architecture))


def constants(numbers: Mapping[str, float]) -> dict[str, Any]:
    """The numbers as numpy scalars, which broadcast like arrays of shape () but compute much faster."""
    return {name: np.float64(value) for name, value in numbers.items()}


def grid_of(plans: Sequence[tuple[PlanRequest, Layout]]) -> PlanGrid:
    """One row per (request, layout); every array has shape (len(plans),)."""
    rows = [{**question_numbers(request), **layout_numbers(layout)} for request, layout in plans]
    return PlanGrid(**{name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]})


def grid_over_layouts(request: PlanRequest, layouts: Mapping[str, Array]) -> PlanGrid:
    """One question over many layouts.

    layouts: layout arrays by PlanGrid field name, and those cluster fields that vary with the plan (node
    counts), shape (plans,).
    """
    return PlanGrid(
        **{
            **run_scalars(request.model, request.workload),
            **cluster_scalars(request.cluster, request.workload.precision),
            **stack_scalars(request.workload, request.cluster.accelerator.architecture),
            **layouts,
        }
    )
