"""What the JSON contract says of an answer, checked from its text alone: names, types, sums, definitions.

Knows nothing of the engine, so that a mistake there cannot hide here.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

Json = dict[str, Any]

NAMES = {
    "": "id fits reason nearest_fit layout accelerators parameters memory time cost explanation warnings",
    "layout": "tensor_parallel sequence_parallel pipeline_parallel interleaved_stages context_parallel "
    "expert_parallel data_parallel sharding micro_batch_size gradient_accumulation activation_recompute",
    "parameters": "total active trainable",
    "memory": "per_accelerator_bytes resident_bytes allocated_bytes reserved_bytes usable_bytes "
    "interval_bytes worst_stage",
    "memory.per_accelerator_bytes": "weights gradients optimizer_states activations logits temporary "
    "framework total",
    "time": "step_s step_breakdown_s step_interval_s tokens_per_s tokens_per_s_per_accelerator "
    "model_flops_utilization hardware_flops_utilization steps total_s total_interval_s",
    "time.step_breakdown_s": "forward backward recompute pipeline_bubble tensor_communication "
    "context_communication expert_communication pipeline_communication data_communication optimizer other",
    "cost": "usd usd_interval price_usd_per_node_hour price_as_of price_source purchase "
    "usd_per_million_tokens",
}
# Dense peak of one chip, FLOP/s, from the vendors' data sheets (NVIDIA A100 and H100, AWS Trainium).
PEAK = {
    ("h100-sxm", "bf16"): 989.4e12,
    ("h100-sxm", "fp8"): 1978.9e12,
    ("h100-sxm", "tf32"): 494.7e12,
    ("a100-sxm-40gb", "bf16"): 312e12,
    ("a100-sxm-80gb", "bf16"): 312e12,
    ("trainium1", "bf16"): 190e12,
}
# (accelerator, chips of a node) of the instance types that are asked about.
CHIPS = {
    "p4d.24xlarge": ("a100-sxm-40gb", 8),
    "p4de.24xlarge": ("a100-sxm-80gb", 8),
    "p5.48xlarge": ("h100-sxm", 8),
    "a2-megagpu-16g": ("a100-sxm-40gb", 16),
    "trn1.32xlarge": ("trainium1", 16),
}
RANKS_OF_A_CHIP = {"trainium1": 2, "trainium2": 8}


def close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6)


def deviations(request: Json, answer: Json, shape: Json | None = None) -> list[str]:
    """How an answer differs from the contract; ``shape``: a decoder's sizes, where MFU is to be counted."""
    if "error" in answer:
        return [f"error: {answer['error']}"]
    found = [
        f"{path}.{name} is missing"
        for path, names in NAMES.items()
        if (part := at(answer, path)) is not None
        for name in names.split()
        if name not in part
    ]
    if found:
        return found
    checks = (*of_memory(answer), *of_time(request, answer), *of_layout(request, answer))
    checks += (*of_cost(request, answer), *of_rest(request, answer), *of_utilization(request, answer, shape))
    return [name for name, holds in checks if not holds]


def at(answer: Json, path: str) -> Any:
    for name in path.split(".") if path else ():
        answer = answer[name]
    return answer


def of_memory(answer: Json) -> list[tuple[str, bool]]:
    memory = answer["memory"]
    parts = dict(memory["per_accelerator_bytes"])
    total = parts.pop("total")
    rising = [memory["resident_bytes"], memory["allocated_bytes"], memory["reserved_bytes"], total]
    low, high = memory["interval_bytes"]
    return [
        ("memory parts are not negative", all(part >= 0 for part in parts.values())),
        ("memory parts add up", close(sum(parts.values()), total)),
        ("resident <= allocated <= reserved <= total", all(a <= b * (1 + 1e-9) for a, b in pairwise(rising))),
        ("memory interval brackets", low <= total <= high),
        ("fits is total <= usable", answer["fits"] is (total <= memory["usable_bytes"])),
        ("a reason where it does not fit", answer["fits"] is (answer["reason"] is None)),
        ("nearest_fit only where it does not fit", not (answer["fits"] and answer["nearest_fit"])),
        ("worst stage", 0 <= memory["worst_stage"] < answer["layout"]["pipeline_parallel"]),
    ]


#: Parts of a step that reinforcement learning alone has.
OF_RL = {"generation", "scoring", "weight_synchronization", "waiting"}


def of_time(request: Json, answer: Json) -> list[tuple[str, bool]]:
    time, work = answer["time"], request["workload"]
    step, total = time["step_s"], time["total_s"]
    lost = 0.0 if time["interruptions"] is None else time["interruptions"]["lost_s"]
    parts, ppo = time["step_breakdown_s"], work["task"] == "ppo"
    asked = tokens_of(request) / tokens_of_step(request)
    return [
        ("step parts are not negative", all(part >= 0 for part in parts.values())),
        ("step parts add up", close(sum(parts.values()), step)),
        ("generation and scoring in PPO alone", (set(parts) & OF_RL == OF_RL) is ppo),
        ("step interval brackets", time["step_interval_s"][0] <= step <= time["step_interval_s"][1]),
        ("total interval brackets", time["total_interval_s"][0] <= total <= time["total_interval_s"][1]),
        ("whole steps", isinstance(time["steps"], int) and math.isclose(time["steps"], asked, abs_tol=1)),
        ("total is steps x step and what interruptions cost", close(total, time["steps"] * step + lost)),
        ("tokens per second", close(time["tokens_per_s"], tokens_of_step(request) / step)),
        ("samples per second", "samples" not in work or time["samples_per_s"] > 0),
        ("hardware FLOPs", time["hardware_flops_utilization"] >= time["model_flops_utilization"] * 0.999),
        ("MFU is a share", 0 < time["model_flops_utilization"] < 1),
    ]


def tokens_of_step(request: Json) -> float:
    work = request["workload"]
    return float(work["global_batch_size"] * work.get("sequence_length", (224 // 16) ** 2 + 1))


def tokens_of(request: Json) -> float:
    work = request["workload"]
    if "samples" in work:
        return float(work["samples"] / work["global_batch_size"] * tokens_of_step(request))
    return float(work["tokens"] if "tokens" in work else work["epochs"] * work["dataset_tokens"])


def of_layout(request: Json, answer: Json) -> list[tuple[str, bool]]:
    layout, cluster = answer["layout"], request["cluster"]
    degrees = ("tensor_parallel", "pipeline_parallel", "context_parallel", "data_parallel")
    ranks = math.prod(layout[name] for name in degrees)
    batch = layout["data_parallel"] * layout["micro_batch_size"] * layout["gradient_accumulation"]
    idle = any(warning["code"] == "idle_accelerators" for warning in answer["warnings"])
    chips = answer["accelerators"] * RANKS_OF_A_CHIP.get(accelerator_of(cluster), 1)
    asked = request["layout"] if isinstance(request.get("layout"), dict) else {}
    return [
        ("degrees multiply to the ranks", ranks == chips or idle),
        ("the batch divides", batch == request["workload"]["global_batch_size"]),
        ("what was asked for is kept", all(layout[name] == value for name, value in asked.items())),
        ("accelerators are those of the nodes", answer["accelerators"] % chips_of_node(cluster) == 0),
        ("per accelerator", per_accelerator_holds(answer, cluster)),
    ]


def per_accelerator_holds(answer: Json, cluster: Json) -> bool:
    time = answer["time"]
    if "mig_profile" in cluster:  # of one GPU instance there
        return bool(time["tokens_per_s_per_accelerator"] <= time["tokens_per_s"])
    return close(time["tokens_per_s_per_accelerator"], time["tokens_per_s"] / answer["accelerators"])


def accelerator_of(cluster: Json) -> str:
    return str(cluster.get("accelerator") or CHIPS.get(cluster["instance_type"], ("",))[0])


def chips_of_node(cluster: Json) -> int:
    if "accelerator" in cluster:
        return int(cluster["accelerators_per_node"])
    return CHIPS.get(cluster["instance_type"], ("", 1))[1]


def of_cost(request: Json, answer: Json) -> list[tuple[str, bool]]:
    cost, time = answer["cost"], answer["time"]
    if cost is None:
        return [("no_price", any(warning["code"] == "no_price" for warning in answer["warnings"]))]
    nodes = answer["accelerators"] / chips_of_node(request["cluster"])
    known = accelerator_of(request["cluster"]) != ""
    usd = nodes * cost["billed_hours"] * cost["price_usd_per_node_hour"]
    least = 60.0 if "instance_type" in request["cluster"] else 0.0
    hours = max(time["total_s"], least) / 3600
    if cost["block_days"] is not None:  # whole days, of which the last half hour is lost
        hours = 24.0 * math.ceil(hours / 24 + 0.5 / 24)
    tokens = time["steps"] * tokens_of_step(request)
    return [
        ("cost is nodes x hours x price", close(cost["usd"], usd) or not known),
        ("billed is the run's time, or whole days", close(cost["billed_hours"], hours)),
        ("cost interval brackets", cost["usd_interval"][0] <= cost["usd"] <= cost["usd_interval"][1]),
        ("USD per million tokens", close(cost["usd_per_million_tokens"], cost["usd"] / tokens * 1e6)),
        ("the price has a source", bool(cost["price_source"])),
    ]


def of_rest(request: Json, answer: Json) -> list[tuple[str, bool]]:
    parameters, task = answer["parameters"], request["workload"]["task"]
    whole = parameters["trainable"] == parameters["total"]
    terms = answer["explanation"]
    return [
        ("id is echoed", answer["id"] == request.get("id")),
        ("active <= total", 0 < parameters["active"] <= parameters["total"]),
        ("trainable", whole if task in ("pretraining", "full_finetuning") else task == "ppo" or not whole),
        (
            "terms are named",
            all({"name", "value", "unit", "formula", "source"} <= set(term) for term in terms),
        ),
        ("step and memory are explained", {"total", "step_s"} <= {term["name"] for term in terms}),
        ("warnings", all(set(warning) == {"code", "message"} for warning in answer["warnings"])),
    ]


def of_utilization(request: Json, answer: Json, shape: Json | None) -> list[tuple[str, bool]]:
    """6·N + 12·L·H·Q·T a token over the dense peak; frozen matmuls count 4 (Chowdhery et al. 2022)."""
    work, cluster = request["workload"], request["cluster"]
    peak = PEAK.get((accelerator_of(cluster), work.get("precision", "bf16")))
    if shape is None or peak is None or work["task"] == "ppo" or "mig_profile" in cluster:
        return []
    parameters = answer["parameters"]
    head_dim = shape.get("head_dim", shape["hidden_size"] // shape["attention_heads"])
    embedding = 0 if shape.get("tied_embeddings") else shape["vocab_size"] * shape["hidden_size"]
    learned = shape["max_positions"] * shape["hidden_size"] if "max_positions" in shape else 0
    matmuls = parameters["active"] - embedding - learned
    attention = 12 * shape["layers"] * shape["attention_heads"] * head_dim * work["sequence_length"]
    adapters = work["task"] in ("lora", "qlora")
    weights = 4 * matmuls + 6 * parameters["trainable"] if adapters else 6 * matmuls
    capacity = answer["accelerators"] * peak
    expected = answer["time"]["tokens_per_s"] * (weights + attention) / capacity
    stated = answer["time"]["model_flops_utilization"]
    # Norms and biases are parameters and no matmuls: they make half a per cent at most.
    return [("MFU by its definition", math.isclose(stated, expected, rel_tol=5e-3))]
