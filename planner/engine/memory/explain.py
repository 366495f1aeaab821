"""The trace of memory: which terms the total is made of, with formula and source.

Templates are filled from the plan's records (``grid``, and ``memory``: its MemoryTerms with their ``terms``),
so that the explanation is the computation. Children marked ``part`` add up to their parent. Computes nothing.
"""

from __future__ import annotations

from planner.engine.grid.plan_grid import PlanGrid
from planner.engine.grid.recipe import memory_recipe
from planner.engine.question.request import Workload
from planner.engine.question.result import Term
from planner.engine.trace import FIT, TermTemplate

ZERO = "Rajbhandari et al. 2020 (ZeRO), section 5"
KORTHIKANTI = "Korthikanti et al. 2022, section 4"


def _part(name: str, parent: str, formula: str, source: str, *, optional: bool = False) -> TermTemplate:
    """The parts of the total are fields of MemoryTerms; theirs are its named terms."""
    return TermTemplate(
        name=name,
        value=f"memory.{name}" if parent == "total" else f"memory.terms[{name}]",
        unit="byte",
        parent=parent,
        part=True,
        formula=formula,
        source=source,
        optional=optional,
    )


MEMORY_TEMPLATES: tuple[TermTemplate, ...] = (
    TermTemplate(
        name="total",
        value="memory.total",
        unit="byte",
        formula="{memory.weights:bytes} weights + {memory.gradients:bytes} gradients +"
        " {memory.optimizer_states:bytes} optimizer states + {memory.activations:bytes} activations +"
        " {memory.logits:bytes} logits + {memory.temporary:bytes} temporary + {memory.framework:bytes}"
        " framework, on stage {memory.worst_stage:place} of {grid.pipeline_parallel:.0f}",
        source="the fullest pipeline stage at the fullest moment of a step",
    ),
    _part(
        "weights",
        "total",
        "{memory.terms[trained_weights]:bytes} trained + {memory.terms[frozen_weights]:bytes} frozen"
        " + {memory.terms[cast_weights]:bytes} cast copies",
        ZERO,
    ),
    _part(
        "trained_weights",
        "weights",
        "{memory.terms[trained_parameters]:count} trained parameters on the rank x"
        " {grid.weight_bytes:.3g} bytes / {memory.terms[weight_shards]:.0f} sharing ranks",
        ZERO,
    ),
    _part(
        "frozen_weights",
        "weights",
        "frozen blocks at {grid.frozen_bytes:.4g} bytes and head at {grid.frozen_head_bytes:.4g}"
        " bytes a parameter",
        "Dettmers et al. 2023 (QLoRA), section 3",
        optional=True,
    ),
    _part(
        "cast_weights",
        "weights",
        "16-bit copies of fp32 weights kept by autocast, or fp8 copies: {grid.element_bytes:.0f} bytes each",
        "PyTorch automatic mixed precision: weight cache; Transformer Engine: fp8 weight workspaces",
        optional=True,
    ),
    _part(
        "gradients",
        "total",
        "{memory.terms[gradient_buffer]:bytes} gradients + {memory.terms[gradient_copies]:bytes} flat copies"
        " + {memory.terms[gradient_placeholders]:bytes} placeholders",
        ZERO,
    ),
    _part(
        "gradient_buffer",
        "gradients",
        "{memory.terms[trained_parameters]:count} trained parameters x {grid.gradient_bytes:.3g} bytes /"
        " {memory.terms[gradient_shards]:.0f}"
        " sharing ranks; without accumulation not yet allocated at the loss",
        ZERO,
    ),
    _part(
        "gradient_copies",
        "gradients",
        "flat copy of {grid.gradient_copy_bytes:.0f} bytes and fp32 partition of"
        " {grid.gradient_partition_bytes:.0f} bytes a parameter (sharded with the states)",
        "DeepSpeed runtime/zero/stage_1_and_2.py, runtime/bf16_optimizer.py",
        optional=True,
    ),
    _part(
        "gradient_placeholders",
        "gradients",
        "an empty gradient of {grid.element_bytes:.0f} bytes a weight for each shape of matrix in a block",
        "Transformer Engine pytorch/module/base.py (get_dummy_wgrad), where gradients are added up in fp32",
        optional=True,
    ),
    _part(
        "optimizer_states",
        "total",
        "{memory.terms[master_weights]:bytes} master weights +"
        " {memory.terms[optimizer_moments]:bytes} moments",
        ZERO,
    ),
    _part(
        "master_weights",
        "optimizer_states",
        "{memory.terms[trained_parameters]:count} trained parameters x {grid.master_bytes:.3g}"
        " bytes / {memory.terms[state_shards]:.0f} sharing ranks",
        ZERO,
        optional=True,
    ),
    _part(
        "optimizer_moments",
        "optimizer_states",
        "{memory.terms[trained_parameters]:count} trained parameters x {grid.state_bytes:.3g} bytes /"
        " {memory.terms[state_shards]:.0f}"
        " sharing ranks x {memory.terms[moments_held]:.0f} (0 where they are on the host or paged)",
        ZERO,
    ),
    _part(
        "activations",
        "total",
        "{memory.terms[block_inputs]:bytes} block inputs +"
        " {memory.terms[attention_activations]:bytes} attention +"
        " {memory.terms[attention_scores]:bytes} scores + {memory.terms[ffn_activations]:bytes} MLP,"
        " of the micro-batches in flight",
        KORTHIKANTI,
    ),
    _part(
        "block_inputs",
        "activations",
        "{memory.terms[stage_blocks]:.0f} blocks of the stage x {memory.terms[batches_in_flight]:.4g}"
        " micro-batches in flight x"
        " {grid.tokens_per_rank:.0f} tokens x width {grid.hidden_size:.0f} x {grid.element_bytes:.0f}"
        " bytes per"
        " checkpointed input (more where single operators are kept)",
        "Chen et al. 2016; " + KORTHIKANTI,
        optional=True,
    ),
    _part(
        "attention_activations",
        "activations",
        "{memory.terms[stage_blocks]:.0f} blocks x {memory.terms[batches_in_flight]:.4g} micro-batches:"
        " norms, query, key, value,"
        " output of {grid.attention_heads:.0f} ({grid.kv_heads:.0f} key-value) heads of"
        " {grid.head_dim:.0f}, {grid.tokens_per_rank:.0f} tokens, TP {grid.tensor_parallel:.0f}",
        KORTHIKANTI + "; Dao et al. 2022",
        optional=True,
    ),
    _part(
        "attention_scores",
        "activations",
        "{memory.terms[stage_blocks]:.0f} blocks x {memory.terms[batches_in_flight]:.4g}"
        " micro-batches x {grid.attention_heads:.0f} heads / TP {grid.tensor_parallel:.0f} x"
        " {grid.tokens_per_rank:.0f} tokens x {grid.sequence_length:.0f} keys, unfused attention",
        KORTHIKANTI + ", equation 1",
        optional=True,
    ),
    _part(
        "ffn_activations",
        "activations",
        "{memory.terms[stage_blocks]:.0f} blocks x {memory.terms[batches_in_flight]:.4g}"
        " micro-batches: inner width {grid.ffn_size:.0f} (experts: {grid.experts_per_token:.0f}"
        " of {grid.experts:.0f}, width {grid.expert_ffn_size:.0f}), {grid.tokens_per_rank:.0f}"
        " tokens",
        KORTHIKANTI,
        optional=True,
    ),
    _part(
        "logits",
        "total",
        "{memory.terms[logits_and_loss]:bytes}",
        "the copies that PyTorch's cross-entropy makes",
    ),
    _part(
        "logits_and_loss",
        "logits",
        "{memory.terms[logits_on_rank]:count} logits ({grid.micro_batch_size:.0f} sequences,"
        " vocabulary {grid.vocab_size:.0f}) x {memory.terms[bytes_per_logit]:.3g} bytes for them,"
        " fp32 copies, softmax and gradient",
        "PyTorch cross_entropy; Megatron-LM vocabulary-parallel cross-entropy; " + FIT,
        optional=True,
    ),
    _part(
        "temporary",
        "total",
        "{memory.terms[recompute_working_set]:bytes} recomputed +"
        " {memory.terms[retained_inputs]:bytes} retained + {memory.terms[activation_gradients]:bytes}"
        " gradients of activations + {memory.terms[gathered_root]:bytes} +"
        " {memory.terms[gathered_blocks]:bytes} + {memory.terms[gathered_gradients]:bytes} gathered +"
        " {memory.terms[dequantized_weights]:bytes} dequantised + {memory.terms[tied_gradient]:bytes}"
        " tied gradient + {memory.terms[optimizer_step_copy]:bytes} step copy",
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
        "a second copy of each recomputed block's input, {grid.tokens_per_rank:.0f} tokens x"
        " {grid.hidden_size:.0f}",
        "measured: fms-acceleration, FSDP with adapters; docs/memory.md",
        optional=True,
    ),
    _part(
        "activation_gradients",
        "temporary",
        "residual stream, branch and inner width {grid.ffn_size:.0f}, {grid.tokens_per_rank:.0f} tokens",
        FIT,
        optional=True,
    ),
    _part(
        "gathered_root",
        "temporary",
        "token table and head, gathered whole from {grid.sharding_group:.0f} ranks",
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
        "the largest quantised matrix, unpacked to {grid.element_bytes:.0f}-byte elements",
        "Dettmers et al. 2023 (QLoRA), section 3",
        optional=True,
    ),
    _part(
        "tied_gradient",
        "temporary",
        "second gradient of the tied token table, {grid.vocab_size:.0f} x {grid.hidden_size:.0f}",
        "PyTorch autograd: both gradients of one tensor exist before they are added",
        optional=True,
    ),
    _part(
        "optimizer_step_copy",
        "temporary",
        "{memory.terms[trained_parameters]:count} trained parameters x {grid.temporary_bytes:.3g} bytes /"
        " {memory.terms[state_shards]:.0f}"
        " sharing ranks",
        "PyTorch optimizers, foreach implementation",
        optional=True,
    ),
    _part(
        "framework",
        "total",
        "{memory.terms[context]:bytes} context + {memory.terms[communication_buffers]:bytes}"
        " communication + {memory.terms[allocator_reserve]:bytes} reserve",
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


def recipe_term(workload: Workload, grid: PlanGrid) -> Term:
    """What is kept per trained parameter before sharding, with the names of the choices behind it."""
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
    each = {
        "weight": float(grid.weight_bytes),
        "master": float(grid.master_bytes),
        "gradient": float(grid.gradient_bytes),
        "state": float(grid.state_bytes),
    }
    numbers = " + ".join(f"{value:.3g} {name}" for name, value in each.items())
    return Term(
        name="bytes_per_parameter",
        value=sum(each.values()),
        unit="byte",
        formula=f"{numbers}; {', '.join(words)}",
        source="what the named stack documents; docs/formulas.md",
        parent="total",
    )
