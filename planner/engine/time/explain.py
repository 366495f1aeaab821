"""The trace of a step: which named terms its seconds are made of, with formula and source."""

from __future__ import annotations

from planner.engine.grid import stack
from planner.engine.grid.plan_grid import ARCHITECTURES, ATTENTION_KERNELS, KERNELS, PlanGrid
from planner.engine.question import words
from planner.engine.question.request import Workload
from planner.engine.question.result import Term
from planner.engine.time import collectives, overlap
from planner.engine.time.attention_rates import CAUSAL_TOKENS, rates_of
from planner.engine.time.constants import TimingConstants
from planner.engine.time.kernels import traffic_factor
from planner.engine.trace import FIT, TermTemplate

STEP_TEMPLATES: tuple[TermTemplate, ...] = (
    TermTemplate(
        name="step_s",
        value="time.step_s",
        unit="s",
        formula="{step.forward:span} forward + {step.backward:span} backward + {step.recompute:span}"
        " recompute + {step.pipeline_bubble:span} bubble + {step.communication:span} exposed"
        " communication + {step.optimizer:span} optimizer + {step.other:span} other{shown.phases}",
        source="sum of the parts",
    ),
    TermTemplate(
        name="forward",
        value="step.forward",
        unit="s",
        parent="step_s",
        part=True,
        formula="{grid.gradient_accumulation:.0f} micro-batches x ({step.terms[stage_forward_s]:span}"
        " blocks of one stage + {step.terms[head_forward_s]:span} output head){shown.also}",
        source="sum of the parts",
    ),
    TermTemplate(
        name="block_matmul_s",
        value="step.terms[block_matmul_s]",
        unit="s",
        parent="forward",
        formula="projections and MLP of one block, {grid.tokens_per_rank:.0f} tokens, at up to"
        " {shown.matmul_rate_tflops:.1f} TFLOP/s of {shown.peak_tflops:.1f} peak",
        source="roofline, at a lower rate for short sides; " + FIT,
    ),
    TermTemplate(
        name="block_attention_s",
        value="step.terms[block_attention_s]",
        unit="s",
        parent="forward",
        formula="scores and values of one block, {grid.sequence_length:.0f} tokens,"
        " {grid.attention_heads:.0f} heads of {grid.head_dim:.0f} / TP {grid.tensor_parallel:.0f}",
        source="published rates of fused kernels, see attention_kernel; unfused: memory passes, " + FIT,
    ),
    TermTemplate(
        name="block_elementwise_s",
        value="step.terms[block_elementwise_s]",
        unit="s",
        parent="forward",
        formula="norms, residuals, activation of one block at {shown.bandwidth_gbyte_s:.0f} GB/s peak",
        source="memory passes counted between the matmuls of one block",
    ),
    TermTemplate(
        name="block_cast_s",
        value="step.terms[block_cast_s]",
        unit="s",
        parent="forward",
        formula="fp8 casts and scales of one block",
        source="16-bit operands read, 8-bit ones written, with their maxima; " + FIT,
        optional=True,
    ),
    TermTemplate(
        name="block_adapter_s",
        value="step.terms[block_adapter_s]",
        unit="s",
        parent="forward",
        formula="low-rank adapters of one block, {grid.lora_parameters:,.0f} parameters in all",
        source="Hu et al. 2021 (LoRA), bound by memory; " + FIT,
        optional=True,
    ),
    TermTemplate(
        name="block_dequantisation_s",
        value="step.terms[block_dequantisation_s]",
        unit="s",
        parent="forward",
        formula="unpacking one block's quantised weights of {grid.frozen_bytes:.4g} bytes a parameter",
        source="packed weights read, 16-bit weights written; " + FIT,
        optional=True,
    ),
    TermTemplate(
        name="block_launch_s",
        value="step.terms[block_launch_s]",
        unit="s",
        parent="forward",
        formula="launching one block's kernels; the slower of this and the block's device work counts",
        source="host and device work side by side; " + FIT,
    ),
    TermTemplate(
        name="backward",
        value="step.backward",
        unit="s",
        parent="step_s",
        part=True,
        formula="{grid.gradient_accumulation:.0f} micro-batches x ({step.terms[stage_backward_s]:span}"
        " blocks of one"
        " stage + {step.terms[head_backward_s]:span} output head){shown.also}",
        source="two matmuls for each one of the forward pass, five for two in flash attention"
        " (Dao et al. 2022)",
    ),
    TermTemplate(
        name="recompute",
        value="step.recompute",
        unit="s",
        parent="step_s",
        part=True,
        formula="{grid.gradient_accumulation:.0f} micro-batches x {step.terms[stage_recompute_s]:.4g}"
        " s{shown.also}",
        source="Korthikanti et al. 2022, section 5",
    ),
    TermTemplate(
        name="pipeline_bubble",
        value="step.pipeline_bubble",
        unit="s",
        parent="step_s",
        part=True,
        formula="({grid.pipeline_parallel:.0f} - 1) / {grid.interleaved_stages:.0f} x"
        " {shown.bubble_each_s:.4g} s of one"
        " micro-batch on one stage{shown.also}",
        source="Narayanan et al. 2021, section 2.2",
    ),
    TermTemplate(
        name="tensor_communication",
        value="step.tensor_communication",
        unit="s",
        parent="step_s",
        part=True,
        formula="{grid.gradient_accumulation:.0f} micro-batches x {step.terms[tensor_exposed_s]:span}"
        " exposed over TP {grid.tensor_parallel:.0f}",
        source="Shoeybi et al. 2019, section 3; ring collectives (Thakur et al. 2005)",
    ),
    TermTemplate(
        name="context_communication",
        value="step.context_communication",
        unit="s",
        parent="step_s",
        part=True,
        formula="{grid.gradient_accumulation:.0f} micro-batches x {step.terms[context_exposed_s]:span}"
        " exposed over CP {grid.context_parallel:.0f}",
        source="Liu et al. 2023 (ring attention)",
    ),
    TermTemplate(
        name="expert_communication",
        value="step.expert_communication",
        unit="s",
        parent="step_s",
        part=True,
        formula="{grid.gradient_accumulation:.0f} micro-batches x {step.terms[expert_exposed_s]:span}"
        " all-to-all exposed over EP {grid.expert_parallel:.0f}",
        source="each rank sends its share to every other (Thakur et al. 2005)",
    ),
    TermTemplate(
        name="pipeline_communication",
        value="step.pipeline_communication",
        unit="s",
        parent="step_s",
        part=True,
        formula="exposed share of 2 x {grid.interleaved_stages:.0f} x {grid.gradient_accumulation:.0f}"
        " transfers"
        " between stages of {step.terms[hand_over_s]:span} each",
        source="latency + bytes / bandwidth of the link",
    ),
    TermTemplate(
        name="data_communication",
        value="step.data_communication",
        unit="s",
        parent="step_s",
        part=True,
        formula="{grid.gradient_accumulation:.0f} x {step.terms[gather_exposed_s]:span} weight gathers +"
        " {step.terms[reduction_exposed_s]:span} gradient reduction, exposed{shown.also}",
        source="Rajbhandari et al. 2020, section 7; ring collectives (Thakur et al. 2005)",
    ),
    TermTemplate(
        name="optimizer",
        value="step.optimizer",
        unit="s",
        parent="step_s",
        part=True,
        formula="memory traffic of the optimizer's states and of adding gradients up (and Muon's products) at"
        " {shown.bandwidth_gbyte_s:.0f} GB/s peak; offloaded states are updated by the node's CPUs instead",
        source="bytes that each optimizer reads and writes",
    ),
    TermTemplate(
        name="host_updates",
        value="step.terms[host_updates]",
        unit="parameter",
        parent="optimizer",
        formula="{step.terms[host_updates]:count} parameters that one node's CPUs update per step",
        source="Ren et al. 2021 (ZeRO-Offload)",
        optional=True,
    ),
    TermTemplate(
        name="other",
        value="step.other",
        unit="s",
        parent="step_s",
        part=True,
        formula="{step.terms[slack_s]:span} data loading, logging, host + {step.terms[jitter_s]:span}"
        " waiting for the slowest of {step.terms[nodes_in_use]:.0f} nodes",
        source=FIT,
    ),
)


def running_terms(workload: Workload, grid: PlanGrid, constants: TimingConstants) -> tuple[Term, ...]:
    """What runs, in words with its numbers: the kernels, attention's rates, and rows; each default is named.

    grid: of one plan.
    """
    chip = ARCHITECTURES[int(grid.architecture)]
    default = f" (default of {workload.framework} on {chip})"
    kernels = KERNELS[int(grid.kernels)]
    said = workload.kernels or workload.compile
    parts = [words.KERNELS[kernels].in_sentence() + ("" if said else default)]
    if grid.autocast:
        parts.append("autocast" + ("" if workload.autocast else default))
    if grid.moe_blocks:
        experts = workload.moe
        machines = collectives.expert_group(grid, constants).machines
        fused = overlap.fused_dispatch(grid, machines)
        named = experts.dispatcher if experts else None
        dispatcher = words.DISPATCHERS[named or ("deepep" if fused else "all_to_all")].in_sentence()
        balance = words.BALANCES[stack.balance(workload)].in_sentence()
        parts.append(
            f"experts by {dispatcher}{'' if named else default}, {balance}"
            f"{'' if experts and experts.balance else default}"
        )
        if overlap.exchange_beside_compute(grid, machines):
            unsaid = experts is None or experts.overlap is None
            parts.append("their exchange beside other compute" + (default if unsaid else ""))
    if grid.row_tokens != grid.sequence_length or grid.sample_tokens != grid.row_tokens:
        parts.append(
            f"{float(grid.row_tokens):,.0f} tokens of a row computed,"
            f" {float(grid.sample_tokens):,.0f} of which attend to each other"
        )
    traffic = Term(
        name="kernels",
        value=float(traffic_factor(grid, constants)),
        unit="ratio",
        formula="memory traffic between the products relative to the counted one: " + "; ".join(parts),
        source="what the named stack runs; " + FIT,
        parent="block_elementwise_s",
    )
    return traffic, attention_term(workload, grid, default)


def attention_term(workload: Workload, grid: PlanGrid, default: str) -> Term:
    """The attention kernel and its published rate for long sequences, as a share of the 16-bit peak.

    grid: of one plan.  default: what to say where the kernel was not named.
    """
    kernel = ATTENTION_KERNELS[int(grid.attention_kernel)]
    named = words.ATTENTION_KERNELS[kernel].in_sentence() + ("" if workload.attention_kernel else default)
    if kernel in stack.UNFUSED:
        share, rest, source = 0.0, ", which move each score through memory", FIT
    else:
        rates = rates_of(kernel, ARCHITECTURES[int(grid.architecture)])
        share, source = rates.forward.share, rates.source
        half = rates.forward.half_tokens + CAUSAL_TOKENS * float(grid.causal)
        rest = (
            f": {rates.forward.share:.0%} of the 16-bit peak forward, {rates.backward.share:.0%} backward at"
            f" heads of 128, {rates.forward.narrow:.0%} of it at 64, half of it at {half:.0f} tokens"
        )
    return Term(
        name="attention_kernel",
        value=share,
        unit="ratio",
        formula=named + rest,
        source=source,
        parent="block_attention_s",
    )
