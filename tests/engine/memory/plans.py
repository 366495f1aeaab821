"""Plans for the memory tests: requests as the contract reads them, with a layout of our own."""

from __future__ import annotations

from typing import Any

from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.engine.grid.build import grid_of
from planner.engine.grid.plan_grid import PlanGrid
from planner.engine.question.request import Layout, PlanRequest

CATALOG = load_shipped_catalog()

LLAMA_8B: dict[str, Any] = {
    "architecture": "decoder",
    "layers": 32,
    "hidden_size": 4096,
    "attention_heads": 32,
    "kv_heads": 8,
    "head_dim": 128,
    "ffn_size": 14336,
    "gated_ffn": True,
    "vocab_size": 128256,
    "position_embedding": "rope",
    "tied_embeddings": False,
    "bias": False,
    "norm": "rmsnorm",
}
GPT: dict[str, Any] = {
    "architecture": "decoder",
    "layers": 48,
    "hidden_size": 6144,
    "attention_heads": 64,
    "vocab_size": 51200,
    "max_positions": 2048,
}
MIXTRAL: dict[str, Any] = {
    **LLAMA_8B,
    "vocab_size": 32000,
    "experts": 8,
    "experts_per_token": 2,
    "expert_ffn_size": 14336,
}


def plan_request(
    model: dict[str, Any] | str = LLAMA_8B,
    *,
    nodes: int = 1,
    accelerator: str = "h100-sxm",
    accelerators_per_node: int = 8,
    **workload: Any,
) -> PlanRequest:
    return parse_plan_request(
        {
            "model": model,
            "workload": {
                "task": "pretraining",
                "tokens": 1e9,
                "sequence_length": 4096,
                "global_batch_size": 1024,
                "precision": "bf16",
                **workload,
            },
            "cluster": {
                "accelerator": accelerator,
                "accelerators_per_node": accelerators_per_node,
                "nodes": nodes,
                "internode_gbps_per_node": 3200,
                "usd_per_node_hour": 1.0,
            },
        },
        CATALOG,
    )


def plan_layout(**changes: Any) -> Layout:
    settings: dict[str, Any] = {
        "tensor_parallel": 1,
        "sequence_parallel": False,
        "pipeline_parallel": 1,
        "interleaved_stages": 1,
        "context_parallel": 1,
        "expert_parallel": 1,
        "data_parallel": 8,
        "sharding": "none",
        "micro_batch_size": 1,
        "gradient_accumulation": 8,
        "activation_recompute": "none",
        **changes,
    }
    return Layout(**{"sharding_group": settings["data_parallel"], **settings})


def plan_grid(request: PlanRequest, *layouts: Layout) -> PlanGrid:
    return grid_of([(request, layout) for layout in layouts])
