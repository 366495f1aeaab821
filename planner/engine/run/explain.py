"""The trace of the whole run: steps, throughput, utilisation and cost."""

from __future__ import annotations

from planner.engine.trace import FIT, TermTemplate

RUN_TEMPLATES: tuple[TermTemplate, ...] = (
    TermTemplate(
        name="steps",
        value="time.steps",
        unit="step",
        formula="{workload.tokens:count} tokens / ({grid.global_batch_size:.0f} sequences x"
        " {grid.sequence_length:.0f} tokens), rounded up",
        source="definition",
    ),
    TermTemplate(
        name="total_s",
        value="time.total_s",
        unit="s",
        formula="{time.steps:.0f} steps x {time.step_s:.5g} s{interrupted.lost_words}; 80 % interval"
        " {time.total_interval_s[0]:span} to {time.total_interval_s[1]:span}",
        source="step and its 80 % interval: " + FIT,
    ),
    TermTemplate(
        name="computing_s",
        value="interrupted.computing_s",
        unit="s",
        parent="total_s",
        part=True,
        formula="{time.steps:.0f} steps x {time.step_s:.5g} s, were no machine taken back",
        source="step and its 80 % interval: " + FIT,
        optional=True,
    ),
    TermTemplate(
        name="lost_s",
        value="interrupted.lost_s",
        unit="s",
        parent="total_s",
        part=True,
        formula="{interrupted.how}",
        source="Daly 2006, complete model of the wall time; interval: Young 1974, where none was asked for",
        optional=True,
    ),
    TermTemplate(
        name="expected_interruptions",
        value="interrupted.expected",
        unit="interruptions",
        parent="lost_s",
        formula="{grid.nodes:.0f} nodes x {interrupted.per_node_day:.4g} a node and day x {time.total_s:span}"
        " / 86,400, each stopping the whole run ({interrupted.source})",
        source="rates: planner/catalog/facts/data/spot_interruptions.csv and purchase_rules.csv",
        optional=True,
    ),
    TermTemplate(
        name="tokens_per_s",
        value="time.tokens_per_s",
        unit="token/s",
        formula="{grid.global_batch_size:.0f} sequences x {work.real_tokens:.6g} tokens that are trained on /"
        " {time.step_s:.5g} s",
        source="definition",
    ),
    TermTemplate(
        name="tokens_per_s_per_accelerator",
        value="time.tokens_per_s_per_accelerator",
        unit="token/s",
        parent="tokens_per_s",
        formula="{time.tokens_per_s:.5g} tokens/s / ({work.ranks:.0f} ranks /"
        " {grid.ranks_per_accelerator:.0f} per chip)",
        source="definition",
    ),
    TermTemplate(
        name="samples_per_s",
        value="time.samples_per_s",
        unit="sequence/s",
        parent="tokens_per_s",
        formula="{grid.global_batch_size:.0f} sequences / {time.step_s:.5g} s",
        source="definition",
    ),
    TermTemplate(
        name="model_flops_utilization",
        value="time.model_flops_utilization",
        unit="ratio",
        formula="{work.model_flops:.4g} model FLOPs per step / ({time.step_s:.5g} s x {work.ranks:.0f}"
        " ranks x"
        " {shown.peak_tflops:.1f} TFLOP/s dense peak)",
        source="Chowdhery et al. 2022, appendix B",
    ),
    TermTemplate(
        name="hardware_flops_utilization",
        value="time.hardware_flops_utilization",
        unit="ratio",
        formula="({work.model_flops:.4g} model + {work.recomputed_flops:.4g} recomputed FLOPs) /"
        " ({time.step_s:.5g} s x {work.ranks:.0f} ranks x {shown.peak_tflops:.1f} TFLOP/s)",
        source="Korthikanti et al. 2022, section 6.3",
    ),
    TermTemplate(
        name="usd",
        value="cost.usd",
        unit="USD",
        formula="{grid.nodes:.0f} nodes x {bill.hours:.5g} h billed x {cost.price_usd_per_node_hour:usd}"
        " per node-hour; 80 %"
        " interval {cost.usd_interval[0]:usd} to {cost.usd_interval[1]:usd}, of the run's length and of"
        " the price together",
        source="catalog price",
        optional=True,
    ),
    TermTemplate(
        name="billed_hours",
        value="bill.hours",
        unit="h",
        parent="usd",
        formula="{bill.rule} ({bill.rule_source})",
        source="rules of billing: planner/catalog/facts/data/purchase_rules.csv",
        optional=True,
    ),
    TermTemplate(
        name="price_usd_per_node_hour",
        value="cost.price_usd_per_node_hour",
        unit="USD",
        parent="usd",
        formula="{bill.price_words}{bill.spread_words}",
        source="changes of the catalog's own prices: planner/catalog/facts/data/price_volatility.csv",
        optional=True,
    ),
    TermTemplate(
        name="idle_usd",
        value="bill.idle_usd",
        unit="USD",
        parent="usd",
        formula="of {cost.usd:usd}, what is billed for machines without work and for time beyond the"
        " {shown.hours:.5g} h of the run",
        source="definition",
        optional=True,
    ),
    TermTemplate(
        name="commitment_usd",
        value="bill.commitment_usd",
        unit="USD",
        parent="usd",
        formula="{grid.nodes:.0f} nodes x {bill.commitment_hours:.0f} h x {cost.price_usd_per_node_hour:usd}"
        ", owed whether used or not ({bill.payment}); this run uses {bill.share_percent:.3g} % of it",
        source="rules of billing: planner/catalog/facts/data/purchase_rules.csv",
        optional=True,
    ),
    TermTemplate(
        name="upfront_usd",
        value="bill.upfront_usd",
        unit="USD",
        parent="usd",
        formula="{bill.payment}",
        source="rules of billing: planner/catalog/facts/data/purchase_rules.csv",
        optional=True,
    ),
    TermTemplate(
        name="usd_per_million_tokens",
        value="cost.usd_per_million_tokens",
        unit="USD",
        parent="usd",
        formula="{cost.usd:usd} / ({time.steps:.0f} steps x {grid.global_batch_size:.0f} sequences x"
        " {work.real_tokens:.6g} tokens) x 1e6",
        source="definition",
        optional=True,
    ),
    TermTemplate(
        name="memory_bytes",
        value="grid.memory_bytes",
        unit="byte",
        formula="memory of one rank as the driver reports it; the estimated need of {memory.total:bytes}"
        " has the 80 %"
        " interval {usage.interval_bytes[0]:bytes} to {usage.interval_bytes[1]:bytes}",
        source="catalog; interval: " + FIT,
    ),
    TermTemplate(
        name="resident",
        value="memory.resident",
        unit="byte",
        formula="between steps: weights, optimizer states, and gradients where the stack keeps them",
        source="counted at the moments of one step: loss, both ends of backward, optimizer",
    ),
    TermTemplate(
        name="allocated",
        value="memory.allocated",
        unit="byte",
        formula="{memory.total:bytes} in total - {memory.framework:bytes} that the allocator does not hand"
        " out: torch.cuda.max_memory_allocated",
        source="counted at the moments of one step: loss, both ends of backward, optimizer",
    ),
    TermTemplate(
        name="reserved",
        value="memory.reserved",
        unit="byte",
        formula="{memory.allocated:bytes} handed out + the caching allocator's reserve:"
        " torch.cuda.max_memory_reserved",
        source="counted at the moments of one step: loss, both ends of backward, optimizer",
    ),
    TermTemplate(
        name="parameters_total",
        value="parameters.total",
        unit="parameter",
        formula="{parameters.total:,.0f} in total, {parameters.active:,.0f} used by each token,"
        " {parameters.trainable:,.0f} trained",
        source="counted layer by layer, as Hugging Face transformers builds the model",
    ),
    TermTemplate(
        name="parameters_active",
        value="parameters.active",
        unit="parameter",
        parent="parameters_total",
        formula="all except the routed experts that a token does not visit (it visits"
        " {grid.experts_per_token:.0f} of {grid.experts:.0f})",
        source="counted layer by layer, as Hugging Face transformers builds the model",
    ),
    TermTemplate(
        name="parameters_trainable",
        value="parameters.trainable",
        unit="parameter",
        parent="parameters_total",
        formula="all, or the {grid.lora_parameters:,.0f} of the adapters where the base is frozen",
        source="Hu et al. 2021 (LoRA)",
    ),
)
