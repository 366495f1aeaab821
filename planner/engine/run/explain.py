"""The trace of the whole run: steps, throughput, utilisation and cost."""

from __future__ import annotations

from planner.engine.trace import FIT, TermTemplate

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
        formula="{steps:.0f} steps x {step_s:.5g} s; 80 % interval {total_low_s:.5g} to {total_high_s:.5g} s",
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
        formula="{tokens_per_s:.5g} tokens/s / ({ranks:.0f} ranks / {ranks_per_accelerator:.0f} per chip)",
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
        formula="{model_flops:.4g} model FLOPs per step / ({step_s:.5g} s x {ranks:.0f} ranks x"
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
        formula="{nodes:.0f} nodes x {hours:.5g} h x {usd_per_node_hour:.6g} USD per node-hour; 80 %"
        " interval {usd_low:.4g} to {usd_high:.4g} USD",
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
        formula="memory of one rank as the driver reports it; the estimated need of {total:.5g} has the 80 %"
        " interval {memory_low:.5g} to {memory_high:.5g}",
        source="catalog; interval: " + FIT,
    ),
    TermTemplate(
        name="resident",
        unit="byte",
        formula="between steps: weights, optimizer states, and gradients where the stack keeps them",
        source="counted at the moments of one step: loss, both ends of backward, optimizer",
    ),
    TermTemplate(
        name="allocated",
        unit="byte",
        formula="{total:.5g} in total - {framework:.4g} that the allocator does not hand out:"
        " torch.cuda.max_memory_allocated",
        source="counted at the moments of one step: loss, both ends of backward, optimizer",
    ),
    TermTemplate(
        name="reserved",
        unit="byte",
        formula="{allocated:.5g} handed out + the caching allocator's reserve:"
        " torch.cuda.max_memory_reserved",
        source="counted at the moments of one step: loss, both ends of backward, optimizer",
    ),
    TermTemplate(
        name="parameters_total",
        unit="parameter",
        formula="{parameters_total:,.0f} in total, {parameters_active:,.0f} used by each token,"
        " {parameters_trainable:,.0f} trained",
        source="counted layer by layer, as Hugging Face transformers builds the model",
    ),
    TermTemplate(
        name="parameters_active",
        unit="parameter",
        parent="parameters_total",
        formula="all except the routed experts that a token does not visit (it visits"
        " {experts_per_token:.0f} of {experts:.0f})",
        source="counted layer by layer, as Hugging Face transformers builds the model",
    ),
    TermTemplate(
        name="parameters_trainable",
        unit="parameter",
        parent="parameters_total",
        formula="all, or the {lora_parameters:,.0f} of the adapters where the base is frozen",
        source="Hu et al. 2021 (LoRA)",
    ),
    TermTemplate(
        name="framework_factor",
        unit="ratio",
        parent="step_s",
        formula="compute time of the named stack relative to the generic one, compiled graphs included",
        source=FIT,
    ),
)
