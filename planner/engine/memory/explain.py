"""The trace of memory: which terms the total is made of, with formula and source.

Templates are filled from a plan's row of arrays (grid fields, ``MemoryTerms`` and their ``terms``), so that
the explanation shows the numbers of the computation itself. Children marked ``part`` add up to their parent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.engine.grid.recipe import memory_recipe
from planner.engine.question.request import Workload
from planner.engine.question.result import Term
from planner.engine.trace import FIT, TermTemplate

ZERO = "Rajbhandari et al. 2020 (ZeRO), section 5"
KORTHIKANTI = "Korthikanti et al. 2022, section 4"


def _part(name: str, parent: str, formula: str, source: str, *, optional: bool = False) -> TermTemplate:
    return TermTemplate(
        name=name, unit="byte", parent=parent, part=True, formula=formula, source=source, optional=optional
    )


MEMORY_TEMPLATES: tuple[TermTemplate, ...] = (
    TermTemplate(
        name="total",
        unit="byte",
        formula="{weights:.4g} weights + {gradients:.4g} gradients + {optimizer_states:.4g} optimizer states"
        " + {activations:.4g} activations + {logits:.4g} logits + {temporary:.4g} temporary"
        " + {framework:.4g} framework, on stage {worst_stage:.0f} of {pipeline_parallel:.0f}",
        source="the fullest pipeline stage at the fullest moment of a step",
    ),
    _part(
        "weights",
        "total",
        "{trained_weights:.4g} trained + {frozen_weights:.4g} frozen + {cast_weights:.4g} cast copies",
        ZERO,
    ),
    _part(
        "trained_weights",
        "weights",
        "{trained_parameters:.5g} trained parameters on the rank x {weight_bytes:.3g} bytes"
        " / {weight_shards:.0f} sharing ranks",
        ZERO,
    ),
    _part(
        "frozen_weights",
        "weights",
        "frozen blocks at {frozen_bytes:.4g} bytes and head at {frozen_head_bytes:.4g} bytes a parameter",
        "Dettmers et al. 2023 (QLoRA), section 3",
        optional=True,
    ),
    _part(
        "cast_weights",
        "weights",
        "16-bit copies of fp32 weights kept by autocast, or fp8 copies: {element_bytes:.0f} bytes each",
        "PyTorch automatic mixed precision: weight cache; Transformer Engine: fp8 weight workspaces",
        optional=True,
    ),
    _part(
        "gradients",
        "total",
        "{gradient_buffer:.4g} gradients + {gradient_copies:.4g} flat copies",
        ZERO,
    ),
    _part(
        "gradient_buffer",
        "gradients",
        "{trained_parameters:.5g} trained parameters x {gradient_bytes:.3g} bytes / {gradient_shards:.0f}"
        " sharing ranks; without accumulation not yet allocated at the loss",
        ZERO,
    ),
    _part(
        "gradient_copies",
        "gradients",
        "flat copy of {gradient_copy_bytes:.0f} bytes and fp32 partition of {gradient_partition_bytes:.0f}"
        " bytes a parameter (sharded with the states)",
        "DeepSpeed runtime/zero/stage_1_and_2.py, runtime/bf16_optimizer.py",
        optional=True,
    ),
    _part(
        "optimizer_states",
        "total",
        "{master_weights:.4g} master weights + {optimizer_moments:.4g} moments",
        ZERO,
    ),
    _part(
        "master_weights",
        "optimizer_states",
        "{trained_parameters:.5g} trained parameters x {master_bytes:.3g} bytes / {state_shards:.0f}"
        " sharing ranks",
        ZERO,
        optional=True,
    ),
    _part(
        "optimizer_moments",
        "optimizer_states",
        "{trained_parameters:.5g} trained parameters x {state_bytes:.3g} bytes / {state_shards:.0f}"
        " sharing ranks x {moments_held:.0f} (0 where they are on the host or paged)",
        ZERO,
    ),
    _part(
        "activations",
        "total",
        "{block_inputs:.4g} block inputs + {attention_activations:.4g} attention + {attention_scores:.4g}"
        " scores + {ffn_activations:.4g} MLP, of the micro-batches in flight",
        KORTHIKANTI,
    ),
    _part(
        "block_inputs",
        "activations",
        "{stage_blocks:.0f} blocks of the stage x {batches_in_flight:.4g} micro-batches in flight x"
        " {tokens_per_rank:.0f} tokens x width {hidden_size:.0f} x {element_bytes:.0f} bytes per"
        " checkpointed input (more where single operators are kept)",
        "Chen et al. 2016; " + KORTHIKANTI,
        optional=True,
    ),
    _part(
        "attention_activations",
        "activations",
        "{stage_blocks:.0f} blocks x {batches_in_flight:.4g} micro-batches: norms, query, key, value,"
        " output of {attention_heads:.0f} ({kv_heads:.0f} key-value) heads of"
        " {head_dim:.0f}, {tokens_per_rank:.0f} tokens, TP {tensor_parallel:.0f}",
        KORTHIKANTI + "; Dao et al. 2022",
        optional=True,
    ),
    _part(
        "attention_scores",
        "activations",
        "{stage_blocks:.0f} blocks x {batches_in_flight:.4g} micro-batches x {attention_heads:.0f} heads / TP"
        " {tensor_parallel:.0f} x {tokens_per_rank:.0f} tokens x {sequence_length:.0f} keys, unfused"
        " attention",
        KORTHIKANTI + ", equation 1",
        optional=True,
    ),
    _part(
        "ffn_activations",
        "activations",
        "{stage_blocks:.0f} blocks x {batches_in_flight:.4g} micro-batches: inner width {ffn_size:.0f}"
        " (experts: {experts_per_token:.0f} of {experts:.0f}, width"
        " {expert_ffn_size:.0f}), {tokens_per_rank:.0f} tokens",
        KORTHIKANTI,
        optional=True,
    ),
    _part(
        "logits",
        "total",
        "{logits_and_loss:.4g}",
        "the copies that PyTorch's cross-entropy makes",
    ),
    _part(
        "logits_and_loss",
        "logits",
        "{logits_on_rank:.5g} logits ({micro_batch_size:.0f} sequences, vocabulary {vocab_size:.0f}) x"
        " {bytes_per_logit:.3g} bytes for them, fp32 copies, softmax and gradient",
        "PyTorch cross_entropy; Megatron-LM vocabulary-parallel cross-entropy; " + FIT,
        optional=True,
    ),
    _part(
        "temporary",
        "total",
        "{recompute_working_set:.4g} recomputed + {retained_inputs:.4g} retained"
        " + {activation_gradients:.4g} gradients of activations"
        " + {gathered_root:.4g} + {gathered_blocks:.4g} + {gathered_gradients:.4g} gathered"
        " + {dequantized_weights:.4g} dequantised + {tied_gradient:.4g} tied gradient"
        " + {optimizer_step_copy:.4g} step copy",
        "counted at the moments of one step: loss, both ends of backward, optimizer",
    ),
    _part(
        "recompute_working_set",
        "temporary",
        "tensors of the largest block that its backward pass recomputes and holds at once",
        "Chen et al. 2016; " + FIT,
        optional=True,
    ),
    _part(
        "retained_inputs",
        "temporary",
        "a second copy of each recomputed block's input, {tokens_per_rank:.0f} tokens x {hidden_size:.0f}",
        "measured: fms-acceleration, FSDP with adapters; docs/memory.md",
        optional=True,
    ),
    _part(
        "activation_gradients",
        "temporary",
        "residual stream, branch and inner width {ffn_size:.0f}, {tokens_per_rank:.0f} tokens",
        FIT,
        optional=True,
    ),
    _part(
        "gathered_root",
        "temporary",
        "token table and head, gathered whole from {sharding_group:.0f} ranks",
        "Zhao et al. 2023 (PyTorch FSDP), section 3",
        optional=True,
    ),
    _part(
        "gathered_blocks",
        "temporary",
        "two blocks gathered whole (one computes, the next is prefetched), or DeepSpeed's live parameters",
        "Zhao et al. 2023 (PyTorch FSDP), section 3.3; DeepSpeed configuration reference",
        optional=True,
    ),
    _part(
        "gathered_gradients",
        "temporary",
        "one block's whole gradients before they are reduced, or DeepSpeed's reduction bucket",
        "Zhao et al. 2023 (PyTorch FSDP), section 3; DeepSpeed configuration reference",
        optional=True,
    ),
    _part(
        "dequantized_weights",
        "temporary",
        "the largest quantised matrix, unpacked to {element_bytes:.0f}-byte elements",
        "Dettmers et al. 2023 (QLoRA), section 3",
        optional=True,
    ),
    _part(
        "tied_gradient",
        "temporary",
        "second gradient of the tied token table, {vocab_size:.0f} x {hidden_size:.0f}",
        "PyTorch autograd: both gradients of one tensor exist before they are added",
        optional=True,
    ),
    _part(
        "optimizer_step_copy",
        "temporary",
        "{trained_parameters:.5g} trained parameters x {temporary_bytes:.3g} bytes / {state_shards:.0f}"
        " sharing ranks",
        "PyTorch optimizers, foreach implementation",
        optional=True,
    ),
    _part(
        "framework",
        "total",
        "{context:.4g} context + {communication_buffers:.4g} communication + {allocator_reserve:.4g} reserve",
        "counted as PyTorch's caching allocator counts; " + FIT,
    ),
    _part("context", "framework", "driver context and loaded kernels of one process", FIT),
    _part(
        "communication_buffers", "framework", "NCCL buffers of this rank's communicators", FIT, optional=True
    ),
    _part(
        "allocator_reserve", "framework", "cached by the allocator beyond the bytes it has handed out", FIT
    ),
)


def recipe_term(workload: Workload, row: Mapping[str, Any]) -> Term:
    """What is kept per trained parameter before sharding, with the names of the choices behind it.

    row: values by name.
    """
    recipe = memory_recipe(workload)
    named = {
        "master_weights": recipe.master_weights,
        "optimizer_kernel": recipe.optimizer_kernel,
        "loss": recipe.loss,
    }
    words = [
        f"{name} {value}"
        + ("" if getattr(workload, name) else f" (default of {workload.framework} {workload.task})")
        for name, value in named.items()
    ]
    each = ("weight_bytes", "master_bytes", "gradient_bytes", "state_bytes")
    numbers = " + ".join(f"{row[name]:.3g} {name.removesuffix('_bytes')}" for name in each)
    return Term(
        name="bytes_per_parameter",
        value=float(sum(row[name] for name in each)),
        unit="byte",
        formula=f"{numbers}; {', '.join(words)}",
        source="what the named stack documents; docs/formulas.md",
        parent="total",
    )
