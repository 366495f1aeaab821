"""Questions to the engine: one that makes sense, to be bent, and any number of odd but legal ones.

Questions go through the contract's parser, so that what the tests ask is what a user can ask.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from planner.accuracy.calibration import shipped_calibration
from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.engine.answer.estimate import estimate
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import Layout, LayoutRequest, PlanRequest
from planner.engine.question.result import PlanResult

WORKLOAD = {"task": "pretraining", "tokens": 1e11, "sequence_length": 2048, "global_batch_size": 256}
CLUSTER = {"instance_type": "p4d.24xlarge", "nodes": 4}

TEXT_MODELS = (
    "gpt2",
    "gpt2-xl",
    "llama-2-7b",
    "llama-3.1-8b",
    "llama-3.1-70b",
    "llama-3.1-405b",
    "bloom-176b",
    "gpt-3-175b",
    "mpt-7b",
    "mixtral-8x7b",
    "qwen3-30b-a3b",
    "deepseek-v3",
    "gpt-oss-120b",
    "bert-base-uncased",
    "bert-large-uncased",
    "distilbert-base-uncased",
    "t5-small",
    "t5-11b",
)
VISION_MODELS = ("vit-base-patch16-224",)
INSTANCES = (
    "p3.16xlarge",
    "p4d.24xlarge",
    "p4de.24xlarge",
    "p5.48xlarge",
    "p6-b200.48xlarge",
    "g4dn.12xlarge",
    "g5.xlarge",
    "g5.12xlarge",
    "g6e.48xlarge",
    "trn1.32xlarge",
    "trn2.48xlarge",
    "a2-megagpu-16g",
    "a2-ultragpu-8g",
    "a3-highgpu-8g",
)
MIG_INSTANCES = ("p4d.24xlarge", "p5.48xlarge", "a2-ultragpu-1g")


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    return load_shipped_catalog()


def question(
    *,
    model: Any = "llama-2-7b",
    cluster: dict[str, Any] | None = None,
    layout: dict[str, Any] | str = "auto",
    deadline_days: float | None = None,
    **workload: Any,
) -> PlanRequest:
    data: dict[str, Any] = {
        "model": model,
        "workload": WORKLOAD | workload,
        "cluster": CLUSTER | (cluster or {}),
        "layout": layout,
    }
    if cluster and "accelerator" in cluster:
        data["cluster"] = cluster
    if deadline_days is not None:
        data["deadline_days"] = deadline_days
    return parse_plan_request(data, catalog())


def answer(request: PlanRequest) -> PlanResult:
    return estimate(request, shipped_calibration())


def sent_back(layout: Layout) -> LayoutRequest:
    return LayoutRequest(**{name: getattr(layout, name) for name in LayoutRequest.__slots__})


def odd_question(seed: int) -> PlanRequest | None:
    """A legal question from the corners of the contract, drawn at random; None where it makes no sense."""
    draw = random.Random(seed)
    try:
        return parse_plan_request(odd_data(draw), catalog())
    except PlanErrors:
        return None


def odd_data(draw: random.Random) -> dict[str, Any]:
    model = draw.choice(TEXT_MODELS + VISION_MODELS)
    workload = odd_workload(draw, model)
    return {
        "model": model,
        "workload": workload,
        "cluster": odd_cluster(draw),
        "layout": odd_layout(draw, workload["global_batch_size"]),
    }


def odd_workload(draw: random.Random, model: str) -> dict[str, Any]:
    workload: dict[str, Any] = {
        "task": draw.choice(["pretraining", "full_finetuning", "lora", "qlora"]),
        "tokens": draw.choice([1, 1e6, 1e12, 3.7e13]),
        "sequence_length": draw.choice([1, 7, 128, 512, 2048, 8192, 32768, 131072]),
        "global_batch_size": draw.choice([1, 2, 3, 7, 16, 60, 64, 100, 512, 1000, 1024, 4096]),
        "precision": draw.choice(["bf16", "bf16", "fp16", "fp32", "tf32", "fp8"]),
        "optimizer": draw.choice(
            ["adamw", "adamw", "adamw_8bit", "adafactor", "sgd", "lion", "muon", "lamb"]
        ),
        "attention": draw.choice(["flash", "flash", "standard"]),
        "activation_recompute": draw.choice(["auto", "auto", "none", "selective", "full"]),
        "framework": draw.choice(
            ["generic", "generic", "megatron", "fsdp", "deepspeed", "torchtitan", "neuron"]
        ),
        "overlap_communication": draw.choice([True, True, False]),
        "compile": draw.choice([True, False]),
        "offload": draw.choice(["none", "none", "optimizer"]),
    }
    if model in VISION_MODELS:
        del workload["sequence_length"], workload["tokens"]
        workload["samples"] = draw.choice([1, 1.28e6, 3e8])
    for name, values in {
        "master_weights": ["separate", "only", "none"],
        "gradient_precision": ["fp32", "bf16", "fp16", "int8"],
        "optimizer_kernel": ["fused", "foreach", "paged"],
        "loss": ["whole", "chunked", "fused"],
        "lora_rank": [1, 8, 256],
        "quantized_head": [True, False],
    }.items():
        if draw.random() < 0.2:
            workload[name] = draw.choice(values)
    if model not in VISION_MODELS and draw.random() < 0.1:
        workload["task"] = "ppo"
        rollout = max(1, workload["sequence_length"] // 2)
        workload["ppo"] = {
            "actor": model,
            "critic": draw.choice([None, "gpt2", model]),
            "reference": draw.choice([None, model]),
            "reward": draw.choice([None, "gpt2"]),
            "rollout_tokens": rollout,
            "ppo_epochs": draw.choice([1, 4]),
        }
    return workload


def odd_cluster(draw: random.Random) -> dict[str, Any]:
    nodes: Any = draw.choice([1, 1, 2, 3, 5, 8, 13, 16, 64, 127, 1000, 99_999, 100_000, "auto"])
    kind = draw.random()
    if kind < 0.1:
        return {
            "accelerator": draw.choice(["a100-sxm-80gb", "h100-pcie", "t4", "trainium2", "rtx-pro-6000"]),
            "accelerators_per_node": draw.choice([1, 3, 4, 16, 72]),
            "nodes": nodes,
            "internode_gbps_per_node": draw.choice([1, 100, 3200]),
        }
    if kind < 0.2:
        profile = draw.choice(["1g.5gb", "3g.20gb", "7g.40gb", "1g.10gb", "3g.40gb", "7g.80gb"])
        return {"instance_type": draw.choice(MIG_INSTANCES), "nodes": nodes, "mig_profile": profile}
    return {"instance_type": draw.choice(INSTANCES), "nodes": nodes}


def odd_layout(draw: random.Random, batch: int) -> dict[str, Any] | str:
    if draw.random() < 0.5:
        return "auto"
    options: dict[str, list[Any]] = {
        "tensor_parallel": [1, 2, 4, 8, 16],
        "pipeline_parallel": [1, 2, 3, 4, 8, 16],
        "interleaved_stages": [1, 2],
        "context_parallel": [1, 2, 8],
        "expert_parallel": [1, 2, 8],
        "sharding": ["none", "zero1", "zero2", "zero3"],
        "micro_batch_size": [1, 2, 3, 8],
        "gradient_accumulation": [1, 2, 16],
        "sequence_parallel": [True, False],
        "activation_recompute": ["none", "selective", "full"],
        "data_parallel": [1, 2, 8, 16],
    }
    return {name: draw.choice(values) for name, values in options.items() if draw.random() < 0.25}


def patched(request: PlanRequest, patch: Mapping[str, Any]) -> PlanRequest:
    """The question with a remedy's patch put over it, as whoever applies it would; not to other machines."""
    layout = request.layout
    if "layout" in patch:
        layout = LayoutRequest() if patch["layout"] == "auto" else LayoutRequest(**patch["layout"])
    return replace(
        request,
        workload=replace(request.workload, **patch.get("workload", {})),
        cluster=replace(request.cluster, **patch.get("cluster", {})),
        layout=layout,
    )
