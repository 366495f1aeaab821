"""The trace of every number: which named terms it is made of, the formula with its numbers in, the source.

A formula is a template that is filled from the very arrays the estimate was computed with, so an explanation
cannot drift from the computation. This room computes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from planner.engine.defaults import memory_recipe
from planner.engine.request import Workload
from planner.engine.result import Term


@dataclass(frozen=True, slots=True, kw_only=True)
class TermTemplate:
    """name: of the value in the row.  formula: str.format template over the row.  parent, part: see Term."""

    name: str
    unit: str
    formula: str
    source: str
    parent: str | None = None
    part: bool = False
    optional: bool = False


FIT = "fitted constant; docs/validation.md"

STEP_TEMPLATES: tuple[TermTemplate, ...] = (
    TermTemplate(
        name="step_s",
        unit="s",
        formula="{forward:.4g} forward + {backward:.4g} backward + {recompute:.4g} recompute"
        " + {pipeline_bubble:.4g} bubble + {communication:.4g} exposed communication"
        " + {optimizer:.4g} optimizer + {other:.4g} other{phases}",
        source="planner.engine.timing.step_time",
    ),
    TermTemplate(
        name="forward",
        unit="s",
        parent="step_s",
        part=True,
        formula="{gradient_accumulation:.0f} micro-batches x ({stage_forward_s:.4g} s blocks of one"
        " stage + {head_forward_s:.4g} s output head){also}",
        source="planner.engine.timing.step_time",
    ),
    TermTemplate(
        name="block_matmul_s",
        unit="s",
        parent="forward",
        formula="projections and MLP of one block, {tokens_per_rank:.0f} tokens, at up to"
        " {matmul_rate_tflops:.1f} TFLOP/s of {peak_tflops:.1f} peak",
        source="planner.engine.kernels.matmul_s, a saturating roofline; " + FIT,
    ),
    TermTemplate(
        name="block_attention_s",
        unit="s",
        parent="forward",
        formula="scores and values of one block, {sequence_length:.0f} tokens, {attention_heads:.0f}"
        " heads of {head_dim:.0f} / TP {tensor_parallel:.0f}",
        source="planner.engine.kernels.attention_core_s; Dao 2023; " + FIT,
    ),
    TermTemplate(
        name="block_elementwise_s",
        unit="s",
        parent="forward",
        formula="norms, residuals, activation of one block at {bandwidth_gbyte_s:.0f} GB/s peak",
        source="planner.engine.kernels.elementwise_bytes",
    ),
    TermTemplate(
        name="block_cast_s",
        unit="s",
        parent="forward",
        formula="fp8 casts and scales of one block",
        source="planner.engine.kernels.fp8_cast_s; " + FIT,
        optional=True,
    ),
    TermTemplate(
        name="block_adapter_s",
        unit="s",
        parent="forward",
        formula="low-rank adapters of one block, {lora_parameters:,.0f} parameters in all",
        source="planner.engine.kernels.adapter_s; " + FIT,
        optional=True,
    ),
    TermTemplate(
        name="block_dequantisation_s",
        unit="s",
        parent="forward",
        formula="unpacking one block's quantised weights of {frozen_bytes:.4g} bytes a parameter",
        source="planner.engine.kernels.dequantisation_s; " + FIT,
        optional=True,
    ),
    TermTemplate(
        name="block_launch_s",
        unit="s",
        parent="forward",
        formula="launching one block's kernels; the slower of this and the block's device work counts",
        source="planner.engine.kernels.root_of_squares; " + FIT,
    ),
    TermTemplate(
        name="backward",
        unit="s",
        parent="step_s",
        part=True,
        formula="{gradient_accumulation:.0f} micro-batches x ({stage_backward_s:.4g} s blocks of one"
        " stage + {head_backward_s:.4g} s output head){also}",
        source="two matmuls for each of the forward; flash attention five for two (Dao et al. 2022)",
    ),
    TermTemplate(
        name="recompute",
        unit="s",
        parent="step_s",
        part=True,
        formula="{gradient_accumulation:.0f} micro-batches x {stage_recompute_s:.4g} s{also}",
        source="Korthikanti et al. 2022, section 5",
    ),
    TermTemplate(
        name="pipeline_bubble",
        unit="s",
        parent="step_s",
        part=True,
        formula="({pipeline_parallel:.0f} - 1) / {interleaved_stages:.0f} x {bubble_each_s:.4g} s of one"
        " micro-batch"
        " on one stage{also}",
        source="Narayanan et al. 2021, section 2.2",
    ),
    TermTemplate(
        name="tensor_communication",
        unit="s",
        parent="step_s",
        part=True,
        formula="{gradient_accumulation:.0f} micro-batches x {tensor_exposed_s:.4g} s exposed over TP"
        " {tensor_parallel:.0f}",
        source="Shoeybi et al. 2019, section 3; planner.engine.comms.reduce_scatter_s",
    ),
    TermTemplate(
        name="context_communication",
        unit="s",
        parent="step_s",
        part=True,
        formula="{gradient_accumulation:.0f} micro-batches x {context_exposed_s:.4g} s exposed over CP"
        " {context_parallel:.0f}",
        source="Liu et al. 2023 (ring attention)",
    ),
    TermTemplate(
        name="expert_communication",
        unit="s",
        parent="step_s",
        part=True,
        formula="{gradient_accumulation:.0f} micro-batches x {expert_exposed_s:.4g} s all-to-all exposed"
        " over EP {expert_parallel:.0f}",
        source="planner.engine.comms.all_to_all_s",
    ),
    TermTemplate(
        name="pipeline_communication",
        unit="s",
        parent="step_s",
        part=True,
        formula="exposed share of 2 x {interleaved_stages:.0f} x {gradient_accumulation:.0f} hand-overs"
        " of {hand_over_s:.3g} s",
        source="planner.engine.comms.point_to_point_s",
    ),
    TermTemplate(
        name="data_communication",
        unit="s",
        parent="step_s",
        part=True,
        formula="{gradient_accumulation:.0f} x {gather_exposed_s:.4g} s weight gathers +"
        " {reduction_exposed_s:.4g} s gradient reduction, exposed{also}",
        source="Rajbhandari et al. 2020, section 7; planner.engine.comms.reduce_scatter_s",
    ),
    TermTemplate(
        name="optimizer",
        unit="s",
        parent="step_s",
        part=True,
        formula="memory traffic of the optimizer's states at {bandwidth_gbyte_s:.0f} GB/s peak; where they"
        " are offloaded, the node's CPUs instead",
        source="planner.engine.timing.optimizer_s",
    ),
    TermTemplate(
        name="host_updates",
        unit="parameter",
        parent="optimizer",
        formula="{host_updates:.4g} parameters that one node's CPUs update a step",
        source="planner.engine.timing.host_updates",
        optional=True,
    ),
    TermTemplate(
        name="other",
        unit="s",
        parent="step_s",
        part=True,
        formula="{slack_s:.4g} s data loading, logging, host + {jitter_s:.4g} s waiting for the slowest"
        " of {nodes:.0f} nodes",
        source=FIT,
    ),
    TermTemplate(
        name="generation",
        unit="s",
        parent="step_s",
        part=True,
        formula="{rollout_tokens:.0f} tokens decoded one by one, {generation_sequences:.0f} sequences at"
        " a time",
        source="planner.engine.ppo.generation_phase: weights and cache read once a token",
        optional=True,
    ),
    TermTemplate(
        name="scoring",
        unit="s",
        parent="step_s",
        part=True,
        formula="forward passes of reference, reward, critic and actor over the finished sequences",
        source="planner.engine.ppo.scoring_s",
        optional=True,
    ),
)

PPO_TEMPLATES: tuple[TermTemplate, ...] = (
    TermTemplate(
        name="ppo_weights",
        unit="byte",
        parent="weights",
        part=True,
        formula="critic's weights, and the frozen weights of reference and reward",
        source="planner.engine.ppo.ppo_memory",
        optional=True,
    ),
    TermTemplate(
        name="ppo_gradients",
        unit="byte",
        parent="gradients",
        part=True,
        formula="critic's gradients",
        source="planner.engine.ppo.ppo_memory",
        optional=True,
    ),
    TermTemplate(
        name="ppo_optimizer_states",
        unit="byte",
        parent="optimizer_states",
        part=True,
        formula="critic's optimizer states",
        source="planner.engine.ppo.ppo_memory",
        optional=True,
    ),
    TermTemplate(
        name="ppo_activations",
        unit="byte",
        parent="activations",
        part=True,
        formula="what the critic's training or the key-value cache of {generation_sequences:.0f}"
        " sequences takes"
        " beyond the actor's activations",
        source="planner.engine.ppo.ppo_memory",
        optional=True,
    ),
)

RUN_TEMPLATES: tuple[TermTemplate, ...] = (
    TermTemplate(
        name="steps",
        unit="step",
        formula="{tokens:.6g} tokens / ({global_batch_size:.0f} sequences x {sequence_length:.0f}"
        " tokens), rounded up",
        source="definition",
    ),
    TermTemplate(
        name="total_s",
        unit="s",
        formula="{steps:.0f} steps x {step_s:.5g} s; four times in five between {total_low_s:.5g} and"
        " {total_high_s:.5g} s",
        source="step and its 80 % interval: " + FIT,
    ),
    TermTemplate(
        name="tokens_per_s",
        unit="token/s",
        formula="{global_batch_size:.0f} sequences x {sequence_length:.0f} tokens / {step_s:.5g} s",
        source="definition",
    ),
    TermTemplate(
        name="tokens_per_s_per_accelerator",
        unit="token/s",
        parent="tokens_per_s",
        formula="{tokens_per_s:.5g} tokens/s / ({ranks:.0f} ranks / {ranks_per_accelerator:.0f} a chip)",
        source="definition",
    ),
    TermTemplate(
        name="samples_per_s",
        unit="sequence/s",
        parent="tokens_per_s",
        formula="{global_batch_size:.0f} sequences / {step_s:.5g} s",
        source="definition",
    ),
    TermTemplate(
        name="model_flops_utilization",
        unit="ratio",
        formula="{model_flops:.4g} model FLOPs a step / ({step_s:.5g} s x {ranks:.0f} ranks x"
        " {peak_tflops:.1f} TFLOP/s dense peak)",
        source="Chowdhery et al. 2022, appendix B",
    ),
    TermTemplate(
        name="hardware_flops_utilization",
        unit="ratio",
        formula="({model_flops:.4g} model + {recomputed_flops:.4g} recomputed FLOPs) / ({step_s:.5g} s x"
        " {ranks:.0f} ranks x {peak_tflops:.1f} TFLOP/s)",
        source="Korthikanti et al. 2022, section 6.3",
    ),
    TermTemplate(
        name="usd",
        unit="USD",
        formula="{nodes:.0f} nodes x {hours:.5g} h x {usd_per_node_hour:.6g} USD per node-hour; four"
        " times in five between {usd_low:.4g} and {usd_high:.4g} USD",
        source="catalog price",
        optional=True,
    ),
    TermTemplate(
        name="usd_per_million_tokens",
        unit="USD",
        parent="usd",
        formula="1e6 tokens / {tokens_per_s:.5g} tokens/s / 3600 x {nodes:.0f} nodes x"
        " {usd_per_node_hour:.6g} USD per node-hour",
        source="catalog price",
        optional=True,
    ),
    TermTemplate(
        name="memory_bytes",
        unit="byte",
        formula="memory of one rank as the driver reports it; the need of {total:.5g} is four times in"
        " five between {memory_low:.5g} and {memory_high:.5g}",
        source="catalog; interval: " + FIT,
    ),
    TermTemplate(
        name="resident",
        unit="byte",
        formula="weights, optimizer states, and gradients where the stack keeps them, between steps",
        source="planner.engine.memory",
    ),
    TermTemplate(
        name="allocated",
        unit="byte",
        formula="{total:.5g} in all - {framework:.4g} that the allocator does not hand out:"
        " torch.cuda.max_memory_allocated",
        source="planner.engine.memory",
    ),
    TermTemplate(
        name="reserved",
        unit="byte",
        formula="{allocated:.5g} handed out + the caching allocator's reserve:"
        " torch.cuda.max_memory_reserved",
        source="planner.engine.memory",
    ),
    TermTemplate(
        name="parameters_total",
        unit="parameter",
        formula="{parameters_total:,.0f} in all, {parameters_active:,.0f} met by a token,"
        " {parameters_trainable:,.0f} trained",
        source="planner.engine.params.count_parameters",
    ),
    TermTemplate(
        name="parameters_active",
        unit="parameter",
        parent="parameters_total",
        formula="all but the routed experts that a token does not visit ({experts_per_token:.0f} of"
        " {experts:.0f} are)",
        source="planner.engine.params.count_parameters",
    ),
    TermTemplate(
        name="parameters_trainable",
        unit="parameter",
        parent="parameters_total",
        formula="all, or the {lora_parameters:,.0f} of the adapters where the base is frozen",
        source="planner.engine.params; Hu et al. 2021 (LoRA)",
    ),
    TermTemplate(
        name="framework_factor",
        unit="ratio",
        parent="step_s",
        formula="compute time of the named stack against the generic one, compiled graphs included",
        source=FIT,
    ),
)


def recipe_term(workload: Workload, row: Mapping[str, Any]) -> Term:
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
    each = ("weight_bytes", "master_bytes", "gradient_bytes", "state_bytes")
    numbers = " + ".join(f"{row[name]:.3g} {name.removesuffix('_bytes')}" for name in each)
    return Term(
        name="bytes_per_parameter",
        value=float(sum(row[name] for name in each)),
        unit="byte",
        formula=f"{numbers}; {', '.join(words)}",
        source="planner.engine.defaults.memory_recipe",
        parent="total",
    )


def terms(templates: tuple[TermTemplate, ...], row: Mapping[str, Any]) -> tuple[Term, ...]:
    """The terms of ``row`` (values by name); optional ones only where the row has them and they are not 0."""
    return tuple(
        Term(
            name=item.name,
            value=float(row[item.name]),
            unit=item.unit,
            formula=item.formula.format_map(row),
            source=item.source,
            parent=item.parent,
            part=item.part,
        )
        for item in templates
        if not item.optional or row.get(item.name)
    )
