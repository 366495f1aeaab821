"""The trace of a step: which named terms its seconds are made of, with formula and source."""

from __future__ import annotations

from planner.engine.trace import FIT, TermTemplate

STEP_TEMPLATES: tuple[TermTemplate, ...] = (
    TermTemplate(
        name="step_s",
        unit="s",
        formula="{forward:.4g} forward + {backward:.4g} backward + {recompute:.4g} recompute"
        " + {pipeline_bubble:.4g} bubble + {communication:.4g} exposed communication"
        " + {optimizer:.4g} optimizer + {other:.4g} other{phases}",
        source="sum of the parts",
    ),
    TermTemplate(
        name="forward",
        unit="s",
        parent="step_s",
        part=True,
        formula="{gradient_accumulation:.0f} micro-batches x ({stage_forward_s:.4g} s blocks of one"
        " stage + {head_forward_s:.4g} s output head){also}",
        source="sum of the parts",
    ),
    TermTemplate(
        name="block_matmul_s",
        unit="s",
        parent="forward",
        formula="projections and MLP of one block, {tokens_per_rank:.0f} tokens, at up to"
        " {matmul_rate_tflops:.1f} TFLOP/s of {peak_tflops:.1f} peak",
        source="roofline, at a lower rate for short sides; " + FIT,
    ),
    TermTemplate(
        name="block_attention_s",
        unit="s",
        parent="forward",
        formula="scores and values of one block, {sequence_length:.0f} tokens, {attention_heads:.0f}"
        " heads of {head_dim:.0f} / TP {tensor_parallel:.0f}",
        source="Dao 2023; " + FIT,
    ),
    TermTemplate(
        name="block_elementwise_s",
        unit="s",
        parent="forward",
        formula="norms, residuals, activation of one block at {bandwidth_gbyte_s:.0f} GB/s peak",
        source="memory passes counted between the matmuls of one block",
    ),
    TermTemplate(
        name="block_cast_s",
        unit="s",
        parent="forward",
        formula="fp8 casts and scales of one block",
        source="16-bit operands read, 8-bit ones written, with their maxima; " + FIT,
        optional=True,
    ),
    TermTemplate(
        name="block_adapter_s",
        unit="s",
        parent="forward",
        formula="low-rank adapters of one block, {lora_parameters:,.0f} parameters in all",
        source="Hu et al. 2021 (LoRA), bound by memory; " + FIT,
        optional=True,
    ),
    TermTemplate(
        name="block_dequantisation_s",
        unit="s",
        parent="forward",
        formula="unpacking one block's quantised weights of {frozen_bytes:.4g} bytes a parameter",
        source="packed weights read, 16-bit weights written; " + FIT,
        optional=True,
    ),
    TermTemplate(
        name="block_launch_s",
        unit="s",
        parent="forward",
        formula="launching one block's kernels; the slower of this and the block's device work counts",
        source="host and device work side by side; " + FIT,
    ),
    TermTemplate(
        name="backward",
        unit="s",
        parent="step_s",
        part=True,
        formula="{gradient_accumulation:.0f} micro-batches x ({stage_backward_s:.4g} s blocks of one"
        " stage + {head_backward_s:.4g} s output head){also}",
        source="two matmuls for each one of the forward pass, five for two in flash attention"
        " (Dao et al. 2022)",
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
        " micro-batch on one stage{also}",
        source="Narayanan et al. 2021, section 2.2",
    ),
    TermTemplate(
        name="tensor_communication",
        unit="s",
        parent="step_s",
        part=True,
        formula="{gradient_accumulation:.0f} micro-batches x {tensor_exposed_s:.4g} s exposed over TP"
        " {tensor_parallel:.0f}",
        source="Shoeybi et al. 2019, section 3; ring collectives (Thakur et al. 2005)",
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
        source="each rank sends its share to every other (Thakur et al. 2005)",
    ),
    TermTemplate(
        name="pipeline_communication",
        unit="s",
        parent="step_s",
        part=True,
        formula="exposed share of 2 x {interleaved_stages:.0f} x {gradient_accumulation:.0f} transfers"
        " between stages of {hand_over_s:.3g} s each",
        source="latency + bytes / bandwidth of the link",
    ),
    TermTemplate(
        name="data_communication",
        unit="s",
        parent="step_s",
        part=True,
        formula="{gradient_accumulation:.0f} x {gather_exposed_s:.4g} s weight gathers +"
        " {reduction_exposed_s:.4g} s gradient reduction, exposed{also}",
        source="Rajbhandari et al. 2020, section 7; ring collectives (Thakur et al. 2005)",
    ),
    TermTemplate(
        name="optimizer",
        unit="s",
        parent="step_s",
        part=True,
        formula="memory traffic of the optimizer's states at {bandwidth_gbyte_s:.0f} GB/s peak; offloaded"
        " states are updated by the node's CPUs instead",
        source="bytes that each optimizer reads and writes",
    ),
    TermTemplate(
        name="host_updates",
        unit="parameter",
        parent="optimizer",
        formula="{host_updates:.4g} parameters that one node's CPUs update per step",
        source="Ren et al. 2021 (ZeRO-Offload)",
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
        source="Pope et al. 2022, section 2.1: weights and cache are read once per token",
        optional=True,
    ),
    TermTemplate(
        name="scoring",
        unit="s",
        parent="step_s",
        part=True,
        formula="forward passes of reference, reward, critic and actor over the finished sequences",
        source="one forward pass of each model",
        optional=True,
    ),
)
