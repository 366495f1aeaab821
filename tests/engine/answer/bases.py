"""Questions that fields are tried on, each of another kind, and laid out by name so that one field moves at a
time.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

from planner.accuracy.calibration import shipped_calibration
from planner.contract.parse import parse_plan_request
from planner.engine.answer.estimate import estimate
from planner.engine.question.result import PlanResult
from tests.engine.questions import catalog

Json = dict[str, Any]

TOKENS = {"tokens": 1e11, "sequence_length": 4096, "global_batch_size": 256}
OWN = {
    "accelerator": "h100-sxm",
    "accelerators_per_node": 8,
    "nodes": 8,
    "internode_gbps_per_node": 400,
    "usd_per_node_hour": 60,
}
#: Layouts that leave nothing open, so that nothing but the field asked about changes.
FIXED = {
    "tensor_parallel": 1,
    "pipeline_parallel": 1,
    "context_parallel": 1,
    "expert_parallel": 1,
    "interleaved_stages": 1,
    "micro_batch_size": 1,
    "activation_recompute": "none",
}
SHAPE = {"architecture": "decoder", "layers": 24, "hidden_size": 2048, "attention_heads": 16}
ROUND = {"actor": "qwen2.5-7b", "critic": None, "reference": "qwen2.5-7b", "reward": None}
ROLLOUT = {
    "rollout_tokens": 3072,
    "responses_per_prompt": 8,
    "mean_response_tokens": 1000,
    "max_response_tokens": 3072,
    "generation": {"engine": "vllm"},
}


def pretraining(model: Any, cluster: Json, layout: Json, **workload: Any) -> Json:
    return {
        "model": model,
        "workload": {"task": "pretraining", **TOKENS, **workload},
        "cluster": cluster,
        "layout": FIXED | layout,
    }


def tuning(task: str, cluster: Json, layout: Json, model: str = "llama-3.1-8b", **workload: Any) -> Json:
    asked = pretraining(model, cluster, layout, **{"tokens": 1e8, "global_batch_size": 64, **workload})
    asked["workload"]["task"] = task
    return asked


def rl(layout: Json, nodes: int = 4, **ppo: Any) -> Json:
    """A round of GRPO by an FSDP trainer."""
    asked = tuning("ppo", OWN | {"nodes": nodes}, {"activation_recompute": "full"} | layout, "qwen2.5-7b")
    asked["workload"] |= {"framework": "fsdp", "tokens": 1e9, "global_batch_size": 512}
    asked["workload"]["ppo"] = {**ROUND, **ROLLOUT, **ppo}
    return asked


BASES: dict[str, Json] = {
    "fsdp": pretraining("llama-3.1-8b", OWN, {"sharding": "zero3"}, framework="fsdp"),
    "megatron": pretraining(
        "llama-3.1-70b",
        {"instance_type": "p5.48xlarge", "nodes": 16},
        {
            "tensor_parallel": 8,
            "pipeline_parallel": 4,
            "sharding": "zero1",
            "activation_recompute": "selective",
        },
        framework="megatron",
    ),
    "shape": pretraining(SHAPE | {"vocab_size": 50304}, OWN, {"sharding": "zero1"}),
    "shape of experts": pretraining(
        SHAPE
        | {"vocab_size": 50304, "experts": 32, "experts_per_token": 4, "expert_ffn_size": 1024, "layers": 8}
        | {"gated_ffn": True, "norm": "rmsnorm"},
        OWN,
        {"expert_parallel": 8, "sharding": "zero1"},
        framework="megatron",
    ),
    "shape of scans": pretraining(
        SHAPE | {"vocab_size": 50304, "mixer": "mamba2", "mixer_layers": 20}, OWN, {"sharding": "zero1"}
    ),
    "shape of delta rules": pretraining(
        SHAPE | {"vocab_size": 50304, "mixer": "gated_delta", "mixer_layers": 18}, OWN, {"sharding": "zero1"}
    ),
    "shape of patches": {
        "model": SHAPE | {"architecture": "vision_encoder", "patch_size": 16, "image_size": 224},
        "workload": {"task": "pretraining", "samples": 1e8, "global_batch_size": 4096},
        "cluster": OWN,
        "layout": FIXED | {"sharding": "none", "micro_batch_size": 32},
    },
    "shape of two stacks": pretraining(
        SHAPE | {"architecture": "encoder_decoder", "vocab_size": 32128, "layers": 12, "decoder_layers": 12},
        OWN,
        {"sharding": "none"},
        sequence_length=512,
    ),
    "mixture": pretraining(
        "qwen3-30b-a3b", OWN, {"expert_parallel": 32, "sharding": "zero1"}, framework="megatron"
    ),
    "latent": pretraining(
        "deepseek-v3",
        OWN | {"nodes": 64},
        {
            "pipeline_parallel": 8,
            "expert_parallel": 32,
            "sharding": "zero1",
            "activation_recompute": "selective",
        },
        framework="megatron",
        global_batch_size=2048,
    ),
    "bert": {
        "model": "bert-large-uncased",
        "workload": {
            "task": "pretraining",
            "samples": 1e8,
            "sequence_length": 128,
            "global_batch_size": 8192,
            "precision": "fp16",
        },
        "cluster": {"instance_type": "p3.16xlarge", "nodes": 4},
        "layout": FIXED | {"sharding": "none", "micro_batch_size": 16},
    },
    "sft": tuning(
        "full_finetuning",
        {"instance_type": "p4de.24xlarge", "nodes": 1},
        {"sharding": "zero3", "activation_recompute": "full"},
        framework="fsdp",
    ),
    "offloaded": tuning(
        "full_finetuning",
        {"instance_type": "p4d.24xlarge", "nodes": 1},
        {"sharding": "zero3", "activation_recompute": "full"},
        framework="deepspeed",
        offload="optimizer",
    ),
    "lora": tuning("lora", {"instance_type": "p4de.24xlarge", "nodes": 1}, {"sharding": "none"}),
    "qlora": tuning(
        "qlora",
        {"instance_type": "g5.xlarge", "nodes": 1},
        {"sharding": "none", "activation_recompute": "full"},
        sequence_length=2048,
        global_batch_size=16,
    ),
    "sharded qlora": tuning(
        "qlora",
        {"instance_type": "p4de.24xlarge", "nodes": 1},
        {"sharding": "zero3", "activation_recompute": "full"},
        "llama-3.1-70b",
        framework="fsdp",
        sequence_length=2048,
    ),
    "rl": rl({"sharding": "zero3"}),
    "rl apart": rl(
        {"sharding": "zero3"}, placement="split", staleness_steps=1, generation={"accelerators": 16}
    ),
    "rl of long answers": rl(
        {"sharding": "zero3"},
        nodes=1,
        rollout_tokens=3900,
        mean_response_tokens=3800,
        max_response_tokens=3900,
        generation={"engine": "vllm", "tensor_parallel": 1, "max_sequences": 512},
    ),
    "rl of experts": {
        **rl({"sharding": "zero3"}, nodes=16),
        "model": "qwen3-30b-a3b",
    },
    "trainium": pretraining(
        "llama-2-7b",
        {"instance_type": "trn1.32xlarge", "nodes": 8},
        {"tensor_parallel": 8, "sharding": "zero1", "activation_recompute": "selective"},
        framework="neuron",
    ),
    "mig": {
        "model": "bert-base-uncased",
        "workload": {
            "task": "full_finetuning",
            "samples": 1e6,
            "sequence_length": 128,
            "global_batch_size": 32,
        },
        "cluster": {"instance_type": "p4d.24xlarge", "nodes": 1, "mig_profile": "3g.20gb"},
        "layout": FIXED | {"micro_batch_size": 32},
    },
    "spot": pretraining(
        "llama-3.1-8b",
        {"instance_type": "p4d.24xlarge", "nodes": 8, "purchase": "spot"},
        {"sharding": "zero3", "activation_recompute": "full"},
        framework="fsdp",
    ),
    "own card": pretraining(
        "llama-3.1-8b",
        OWN | {"accelerator": {"name": "Card", "like": "h100-sxm"}},
        {"sharding": "zero3"},
        framework="fsdp",
    ),
}
for _models in ("actor", "reference"):
    BASES["rl of experts"]["workload"]["ppo"][_models] = "qwen3-30b-a3b"


def with_field(question: Json, path: str, value: Any) -> Json:
    """The question with one field set, by its path; ABSENT takes it away."""
    changed = deepcopy(question)
    *sections, name = path.split(".")
    place = changed
    for section in sections:
        if not isinstance(place.get(section), dict):
            place[section] = {}
        place = place[section]
    if value is ABSENT:
        place.pop(name, None)
    else:
        place[name] = value
    return changed


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


def answered(question: Json) -> PlanResult:
    return estimate(parse_plan_request(question, catalog()), shipped_calibration())


@cache
def base_answer(name: str) -> PlanResult:
    return answered(BASES[name])
