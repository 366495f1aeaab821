"""Plans made by hand, so that pages and charts can be tested without asking the engine.

The figures are round and need not be possible; what is said of them is that parts add up.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date
from typing import Any

from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.engine.question.request import Layout, PlanRequest
from planner.engine.question.result import (
    Cost,
    Memory,
    MemoryParts,
    Parameters,
    PlanResult,
    Remedy,
    StepBreakdown,
    Term,
    Time,
    Warning,
)

GIB = 2**30
DAY = 86_400.0


def a_request(**cluster: Any) -> PlanRequest:
    """Llama 3.1 8B, 1T tokens, on 16 x p5.48xlarge."""
    return parse_plan_request(
        {
            "model": "llama-3.1-8b",
            "workload": {
                "task": "pretraining",
                "tokens": 1e12,
                "sequence_length": 8192,
                "global_batch_size": 1024,
            },
            "cluster": {"instance_type": "p5.48xlarge", "region": "us-east-1", "nodes": 16} | cluster,
        },
        load_shipped_catalog(),
    )


def a_layout() -> Layout:
    return Layout(
        tensor_parallel=8,
        sequence_parallel=True,
        pipeline_parallel=1,
        interleaved_stages=1,
        context_parallel=1,
        expert_parallel=1,
        data_parallel=16,
        sharding="zero1",
        sharding_group=16,
        micro_batch_size=1,
        gradient_accumulation=64,
        activation_recompute="selective",
    )


def a_remedy(nodes: int, usable_bytes: float) -> Remedy:
    layout = replace(a_layout(), activation_recompute="full")
    return Remedy(
        kind="recompute",
        change="recompute all activations",
        request_patch={"layout": asdict(layout)},
        fit_probability=0.97,
        total_s=40.0 * DAY,
        usd=8e5,
        layout=layout,
        nodes=nodes,
        instance_type="p5.48xlarge",
        accelerator="h100-sxm",
        memory_total_bytes=30.0 * GIB,
        usable_bytes=usable_bytes,
    )


def a_result(
    *, fits: bool = True, request: PlanRequest | None = None, seconds: float = 30 * DAY
) -> PlanResult:
    """A result whose memory is 50 GiB of 60 usable (or of 40), and whose step takes 20 seconds."""
    request = request or a_request()
    nodes = request.cluster.nodes or 16
    steps = 119_210
    step = seconds / steps
    usable = 60.0 * GIB if fits else 40.0 * GIB
    price = request.cluster.usd_per_node_hour
    hours = seconds / 3600
    cost = None
    if price is not None:
        cost = Cost(
            usd=nodes * hours * price,
            usd_interval=(0.9 * nodes * hours * price, 1.15 * nodes * hours * price),
            price_usd_per_node_hour=price,
            price_as_of=date(2025, 6, 5),
            price_source="a price list",
            purchase="on_demand",
            usd_per_million_tokens=nodes * hours * price / 1e6,
        )
    return PlanResult(
        id=None,
        fits=fits,
        reason=None if fits else "each accelerator lacks 10.0 GiB: it needs 50.0 GiB and has 40.0 GiB.",
        remedies=() if fits else (a_remedy(nodes, usable),),
        layout=a_layout(),
        layout_chosen=("tensor_parallel", "micro_batch_size"),
        cluster=request.cluster,
        accelerators=nodes * request.cluster.accelerators_per_node,
        parameters=Parameters(total=8_030_261_248, active=8_030_261_248, trainable=8_030_261_248),
        memory=Memory(
            per_accelerator_bytes=MemoryParts(
                weights=16.0 * GIB,
                gradients=8.0 * GIB,
                optimizer_states=12.0 * GIB,
                activations=9.0 * GIB,
                logits=2.0 * GIB,
                temporary=1.0 * GIB,
                framework=2.0 * GIB,
                total=50.0 * GIB,
            ),
            resident_bytes=36.0 * GIB,
            allocated_bytes=46.0 * GIB,
            reserved_bytes=48.0 * GIB,
            usable_bytes=usable,
            interval_bytes=(47.0 * GIB, 55.0 * GIB),
            worst_stage=0,
            fit_probability=0.99,
            host_bytes=0.0,
            host_usable_bytes=None,
            allocated_interval_bytes=(7.0e10, 8.0e10),
            reserved_interval_bytes=(7.0e10, 9.0e10),
            needed_bytes=7.5e10,
        ),
        time=Time(
            step_s=step,
            step_breakdown_s=StepBreakdown(
                forward=0.25 * step,
                backward=0.5 * step,
                recompute=0.05 * step,
                pipeline_bubble=0.0,
                tensor_communication=0.1 * step,
                context_communication=0.0,
                expert_communication=0.0,
                pipeline_communication=0.0,
                data_communication=0.05 * step,
                optimizer=0.02 * step,
                other=0.03 * step,
            ),
            step_interval_s=(0.9 * step, 1.15 * step),
            tokens_per_s=1e12 / seconds,
            processed_tokens_per_s=1e12 / seconds,
            tokens_per_s_per_accelerator=1e12 / seconds / (8 * nodes),
            model_flops_utilization=0.412,
            hardware_flops_utilization=0.431,
            model_flops_utilization_interval=(0.358, 0.458),
            steps=steps,
            total_s=seconds,
            total_interval_s=(0.9 * seconds, 1.15 * seconds),
        ),
        cost=cost,
        explanation=(
            Term(
                name="total", value=50.0 * GIB, unit="byte", formula="sum of the parts", source="definition"
            ),
            Term(
                name="weights",
                value=16.0 * GIB,
                unit="byte",
                formula="2 bytes x 8e9",
                source="paper",
                parent="total",
                part=True,
            ),
            Term(
                name="rest",
                value=34.0 * GIB,
                unit="byte",
                formula="what is left",
                source="paper",
                parent="total",
                part=True,
            ),
            Term(name="step_s", value=step, unit="s", formula="sum of the parts", source="definition"),
            Term(
                name="forward",
                value=step,
                unit="s",
                formula="64 micro-batches",
                source="paper",
                parent="step_s",
                part=True,
            ),
            Term(name="total_s", value=seconds, unit="s", formula=f"{steps} steps", source="definition"),
            Term(name="usd", value=1.0, unit="USD", formula="nodes x hours x price", source="catalog price"),
            Term(
                name="model_flops_utilization",
                value=0.412,
                unit="ratio",
                formula="FLOPs over peak",
                source="PaLM",
            ),
            Term(
                name="tokens_per_s",
                value=1e12 / seconds,
                unit="token/s",
                formula="tokens over time",
                source="definition",
            ),
        ),
        warnings=(Warning(code="extrapolating", message="Outside what was measured."),),
    )
