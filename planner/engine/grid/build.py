"""From questions and layouts to a grid: precision, framework and sharding names become numbers here, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from planner.engine.grid import clock, hosts, running, stack
from planner.engine.grid.adapted import adapter_input_bytes, dropout_numbers, saved_numbers
from planner.engine.grid.plan_grid import ARCHITECTURES, FRAMEWORKS, RECOMPUTES, SHARDINGS, PlanGrid
from planner.engine.grid.recipe import (
    MemoryRecipe,
    dequantized,
    expandable_segments,
    frozen_precision,
    memory_recipe,
)
from planner.engine.question import effort
from planner.engine.question.request import Cluster, Layout, PlanRequest, Workload
from planner.engine.question.specs import AcceleratorSpec, ModelSpec
from planner.engine.shape.adapters import kept_matmul_inputs
from planner.engine.shape.composed import mean_over_blocks
from planner.engine.shape.parameters import count_parameters, lora_parameters

#: Share of positions whose label is predicted in masked-language-model pretraining
#: (Devlin et al. 2019, section 3.1: 15 % of tokens; NVIDIA's recipes gather just these for the head).
MASKED_SHARE = 0.15


#: Bytes of a logit that the loop holds, by ``logits_kept``.
KEPT_LOGIT_BYTES = {"none": 0.0, "16_bit": 2.0, "fp32": 4.0}
#: Grid fields of ``recompute_modules``, and the words that set them.
RECOMPUTE_FLAGS = {
    "recompute_core": "attention_core",
    "recompute_norms": "norms",
    "recompute_activation": "activation",
    "recompute_mlp": "mlp",
    "recompute_experts": "moe_experts",
    "recompute_latent": "mla_up_projection",
}

FINETUNING = ("full_finetuning", "lora", "qlora")
#: Bandwidth of accelerators without a link of their own, which exchange data through host memory: PCIe 4 x16,
#: one direction.
PCIE4_BYTES_PER_S = 32e9


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
        "expert_groups": model.expert_groups,
        "groups_per_token": model.groups_per_token,
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
        **head_numbers(model),
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


def head_numbers(model: ModelSpec) -> dict[str, float]:
    """Queries and keys of one token and block that kernels of their own pass over, elements: rotary
    embedding, and the norms of queries and keys where the family has them (Qwen3, OLMo 2, Gemma 3).

    Source: definition.
    """
    width = float((model.attention_heads + model.kv_heads) * model.head_dim)
    normed = dict(model.extras).get("qk_norm_parameters", 0) > 0
    if model.parts is not None:
        mixers = [group.mixer for group in model.parts.groups if group.stack == "main"]
        normed = any(
            mixer.kind in ("attention", "windowed_attention") and mixer.other_parameters >= 2 * model.head_dim
            for mixer in mixers
        )
    return {
        "rotary_width": width if model.position_embedding == "rope" else 0.0,
        "normed_width": width if normed else 0.0,
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
        return 1.0 if model.architecture != "decoder" or count_parameters(model).head_matmul else 0.0
    masked = workload.task == "pretraining" or workload.objective == "mlm"
    return MASKED_SHARE if masked else 0.0


def workload_numbers(model: ModelSpec, workload: Workload) -> Mapping[str, float]:
    """PlanGrid fields of the workload on this model: lengths in tokens, bytes per parameter, flags."""
    count = count_parameters(model)
    full_precision = workload.precision in ("fp32", "tf32")
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
        **running.workload_numbers(workload),
        "unsaid_inputs": running.unsaid_inputs(model, workload),
        "overlap": workload.overlap_communication,
        "frozen": frozen,
        "quantized": dequantized(workload),
        "integer_quantized": dequantized(workload) and frozen_precision(workload) == "int4",
        "lora_parameters": adapters,
        "lora_width": running.adapted_width(model, workload) if frozen else 0.0,
        "adapted_modules": running.adapted_modules(model, workload) if frozen else 0.0,
        # Weights that live on the host are stepped there.
        "offload": not {"optimizer", "parameters"}.isdisjoint(workload.offload),
        "offload_parameters": "parameters" in workload.offload,
        "offload_activations": "activations" in workload.offload,
        # Under autocast the residual stream is as wide as the weights, which adapters leave as they are.
        "residual_bytes": 4.0
        if full_precision or (stack.autocast(workload) and not 0.0 < recipe.frozen_bytes < 4.0)
        else 2.0,
        **kernel_numbers(workload),
        "expandable": expandable_segments(workload),
        "varying_lengths": stack.varying_lengths(workload.sequences),
        "fp8_activation_input": workload.fp8_activation_input,
        "kept_logit_bytes": KEPT_LOGIT_BYTES[workload.logits_kept],
        "optimizer_in_backward": workload.optimizer_in_backward,
        **saved_numbers(model, workload),
        "adapters_with_base": frozen and recipe.adapter_wrapping == "with_base",
        "k_bit": frozen and recipe.k_bit_preparation,
        **recompute_numbers(workload),
        **objective_numbers(model, workload),
        "paged": recipe.optimizer_kernel == "paged",
        "finetuning": workload.task != "pretraining",
        "lamb": workload.optimizer == "lamb",
        "muon": workload.optimizer == "muon",
        **dropout_numbers(model, workload),
        "framework": FRAMEWORKS.index(workload.framework),
        "weight_bytes": recipe.weight_bytes,
        "gathered_bytes": recipe.gathered_bytes,
        "saved_bytes": recipe.saved_bytes,
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
        "adapter_input_bytes": adapter_input_bytes(workload, recipe) if frozen else 0.0,
        "loss_whole": recipe.loss in ("whole", "compiled"),
        "loss_compiled": recipe.loss == "compiled",
        "loss_bytes": {None: 0.0, "fp32": 4.0}.get(workload.loss_precision, 2.0),
        "loss_chunked": recipe.loss == "chunked",
    }


def kernel_numbers(workload: Workload) -> dict[str, float]:
    """Whether the question names the kernels between the matmuls, and whether they are fused, flags."""
    named = workload.kernels
    return {
        "kernels_named": named is not None,
        "kernels_fused": named in ("fused", "transformer_engine"),
    }


def recompute_numbers(workload: Workload) -> dict[str, float]:
    """What full and selective recompute mean where the question says it: a share of the blocks, flags."""
    named = workload.recompute_modules or ()
    share = workload.recompute_blocks
    return {
        "recompute_blocks": 1.0 if share is None else share,
        "modules_named": workload.recompute_modules is not None,
        **{number: word in named for number, word in RECOMPUTE_FLAGS.items()},
    }


def objective_numbers(model: ModelSpec, workload: Workload) -> dict[str, float]:
    """Sequences a sample, forward passes of a frozen reference, and whether it is a copy of its own.

    A pair of answers runs as two sequences (DPO, reward models). DPO scores both with the reference; KTO also
    scores mismatched answers with policy and reference. With adapters the reference is the base without them.
    Source: TRL trainer/dpo_trainer.py, trainer/reward_trainer.py, experimental/kto/kto_trainer.py.
    """
    objective = workload.objective if workload.task in FINETUNING else None
    own_copy = workload.task == "full_finetuning"
    return {
        "answers_per_sample": workload.answers_per_sample,
        "reference_forwards": {"dpo": 1.0, "kto": 3.0}.get(objective or "", 0.0),
        "reference_held": objective in ("dpo", "kto") and own_copy,
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
        # Slices are equal parts of the multiprocessors, and of memory and its bandwidth (NVIDIA MIG User
        # Guide, "Concepts").
        compute_share = cluster.mig_profile.compute_slices / cluster.mig_profile.gpu_compute_slices
        memory_share = cluster.mig_profile.memory_slices / cluster.mig_profile.gpu_memory_slices
        memory_bytes = float(cluster.mig_profile.memory_bytes)
        instances = cluster.mig_profile.max_instances
        # GPU instances have neither NVLink nor peer-to-peer (NVIDIA MIG User Guide, "Limitations").
        link_bytes_per_s, pcie = PCIE4_BYTES_PER_S, True
    nodes = 1 if cluster.nodes is None else cluster.nodes
    ranks_per_node = cluster.accelerators_per_node * instances
    price = cluster.usd_per_node_hour
    return {
        "peak_flops_per_s": peak_flops_per_s(chip, precision) * compute_share,
        "bf16_flops_per_s": (chip.bf16_flops_per_s or chip.fp16_flops_per_s) * compute_share,
        "memory_bytes": memory_bytes,
        "memory_bandwidth_bytes_per_s": chip.memory_bandwidth_bytes_per_s * memory_share,
        "link_bytes_per_s": link_bytes_per_s,
        "pcie": pcie,
        "fp32_flops_per_s": chip.fp32_flops_per_s * compute_share,
        **running.machine_numbers(cluster, ranks_per_node),
        "internode_bytes_per_s": cluster.internode_bytes_per_s,
        "ranks_per_node": ranks_per_node,
        "ranks_per_accelerator": ranks_per_chip,
        **hosts.host_numbers(cluster),
        "nodes": nodes,
        "architecture": architecture_index(clock.family(chip)),
        "own_chip": chip.own,
        "usd_per_node_hour": np.nan if price is None else price,
    }


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
        **running.stack_numbers(request.workload, clock.family(request.cluster.accelerator)),
    }


@lru_cache(maxsize=1024)
def run_scalars(model: ModelSpec, workload: Workload) -> Mapping[str, Any]:
    """numpy scalars of model and workload, cached because many plans share one run."""
    return running.constants({**model_numbers(model), **workload_numbers(model, workload)})


@lru_cache(maxsize=4096)
def cluster_scalars(cluster: Cluster, precision: str) -> Mapping[str, Any]:
    """numpy scalars of the machines, cached like ``run_scalars``."""
    return running.constants(cluster_numbers(cluster, precision))


#: Grid fields that a question counts in samples.
COUNTED_IN_SAMPLES = ("global_batch_size", "micro_batch_size")


def per_sequence(numbers: Mapping[str, Any], request: PlanRequest) -> dict[str, Any]:
    """Grid fields with the batch in sequences, where the question counts it in samples of several answers."""
    answers = request.workload.answers_per_sample
    if answers == 1:
        return dict(numbers)
    return {**numbers, **{name: numbers[name] * answers for name in COUNTED_IN_SAMPLES}}


def grid_of(plans: Sequence[tuple[PlanRequest, Layout]]) -> PlanGrid:
    """One row per (request, layout); every array has shape (len(plans),)."""
    rows = [
        per_sequence({**question_numbers(request), **layout_numbers(layout)}, request)
        for request, layout in plans
    ]
    return PlanGrid(**{name: np.array([row[name] for row in rows], dtype=float) for name in rows[0]})


def grid_over_layouts(request: PlanRequest, layouts: Mapping[str, Any]) -> PlanGrid:
    """One question over many layouts.

    layouts: layout arrays by PlanGrid field name, and those cluster fields that vary with the plan (node
    counts), shape (plans,); numpy scalars of a single one.
    Raises PlanErrors where the question's budget does not reach (``effort``).
    """
    effort.plans_ahead(max(np.size(values) for values in layouts.values()))
    numbers = {
        **run_scalars(request.model, request.workload),
        **cluster_scalars(request.cluster, request.workload.precision),
        **running.stack_scalars(request.workload, clock.family(request.cluster.accelerator)),
        **layouts,
    }
    return PlanGrid(**per_sequence(numbers, request))
