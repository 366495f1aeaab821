"""What the planning form offers: the choices of each field, the example it opens with, and the presets.

The words beside a choice are for people; the values are the JSON contract's.
"""

from __future__ import annotations

from typing import NamedTuple

AUTO = ("", "Automatic")

CHOICES: dict[str, list[tuple[str, str]]] = {
    "task": [
        ("pretraining", "Pretrain"),
        ("full_finetuning", "Fine-tune"),
        ("lora", "LoRA"),
        ("qlora", "QLoRA"),
        ("ppo", "PPO"),
    ],
    "unit": [("tokens", "tokens"), ("samples", "samples")],
    "buy": [
        ("on_demand", "On demand"),
        ("spot", "Spot"),
        ("reserved_1y", "Reserved, 1 year"),
        ("reserved_3y", "Reserved, 3 years"),
        ("savings_1y", "Savings plan, 1 year"),
        ("savings_3y", "Savings plan, 3 years"),
        ("capacity_block", "Capacity block"),
    ],
    "precision": [
        ("", "bf16, or fp16 on old chips"),
        *((name, name) for name in ("bf16", "fp16", "fp8", "tf32", "fp32")),
    ],
    "optimizer": [
        ("adamw", "AdamW"),
        ("adamw_8bit", "AdamW, 8 bit"),
        ("adafactor", "Adafactor"),
        ("sgd", "SGD"),
        ("lion", "Lion"),
        ("muon", "Muon"),
        ("lamb", "LAMB"),
    ],
    "attention": [("flash", "Flash"), ("standard", "Standard")],
    "recompute": [("auto", "Automatic"), ("none", "None"), ("selective", "Selective"), ("full", "Full")],
    "framework": [
        ("generic", "Generic"),
        ("megatron", "Megatron-LM"),
        ("fsdp", "PyTorch FSDP"),
        ("deepspeed", "DeepSpeed"),
        ("torchtitan", "torchtitan"),
        ("neuron", "AWS Neuron"),
    ],
    "offload": [("none", "None"), ("optimizer", "Optimizer to host")],
    "compile": [("off", "Off"), ("on", "On")],
    "overlap": [("on", "On"), ("off", "Off")],
    "sharding": [
        AUTO,
        ("none", "None"),
        ("zero1", "ZeRO-1: optimizer states"),
        ("zero2", "ZeRO-2: and gradients"),
        ("zero3", "ZeRO-3 / FSDP: and weights"),
    ],
    "sp": [("", "Auto"), ("on", "On"), ("off", "Off")],
    "master": [
        ("", "By framework"),
        ("separate", "fp32 beside a working copy"),
        ("only", "fp32 alone"),
        ("none", "None"),
    ],
    "gradients": [("", "By framework"), ("fp32", "fp32"), ("bf16", "bf16"), ("fp16", "fp16")],
    "states": [("", "By optimizer"), ("fp32", "fp32"), ("bf16", "bf16"), ("fp16", "fp16"), ("int8", "int8")],
    "kernel": [("", "By framework"), ("fused", "Fused"), ("foreach", "Foreach"), ("paged", "Paged")],
    "loss": [("", "By framework"), ("whole", "Whole logits"), ("chunked", "In chunks"), ("fused", "Fused")],
    "frozen": [("", "By task"), *((name, name) for name in ("bf16", "fp16", "fp32", "int8", "int4", "nf4"))],
    "qhead": [("", "By task"), ("on", "Yes"), ("off", "No")],
}

#: The empty page: a real plan, Llama 3.1 8B on 1T tokens with 16 x p5.48xlarge.
DEFAULTS: dict[str, str] = {
    "model": "llama-3.1-8b",
    "config": "",
    "task": "pretraining",
    "tokens": "1T",
    "unit": "tokens",
    "epochs": "1",
    "seq": "",
    "target": "",
    "batch": "1024",
    "rank": "16",
    "targets": "",
    "frozen": "",
    "qhead": "",
    "rollout": "512",
    "ppo_epochs": "1",
    "critic": "same",
    "reward": "same",
    "instance": "p5.48xlarge",
    "region": "",
    "buy": "on_demand",
    "nodes": "16",
    "deadline": "",
    "price_on": "",
    "mig": "",
    "chip": "",
    "per_node": "8",
    "gbps": "",
    "usd": "",
    "tp": "",
    "pp": "",
    "vp": "",
    "cp": "",
    "ep": "",
    "dp": "",
    "sp": "",
    "sharding": "",
    "group": "",
    "mbs": "",
    "ga": "",
    "precision": "",
    "optimizer": "adamw",
    "attention": "flash",
    "recompute": "auto",
    "framework": "generic",
    "offload": "none",
    "compile": "off",
    "overlap": "on",
    "master": "",
    "gradients": "",
    "states": "",
    "kernel": "",
    "loss": "",
}


class Preset(NamedTuple):
    """A button that fills the workload. says: what it stands for, shown on hover."""

    name: str
    label: str
    says: str


PRESET_BUTTONS = (
    Preset("pretraining", "Pretrain", "From scratch on 1T tokens, 1,024 sequences a batch"),
    Preset(
        "full_finetuning", "Fine-tune on my data", "All weights, 100M tokens of your own, three times over"
    ),
    Preset("lora", "LoRA", "Adapters of rank 16 on frozen weights, 100M tokens, three times over"),
    Preset("qlora", "QLoRA", "Adapters on 4-bit frozen weights, 100M tokens, three times over"),
    Preset("ppo", "PPO", "Reinforcement learning with a critic and a reward model of the same size"),
)

_WORKLOAD = (
    "tokens",
    "unit",
    "epochs",
    "seq",
    "target",
    "batch",
    "rank",
    "targets",
    "frozen",
    "qhead",
    "rollout",
    "ppo_epochs",
    "critic",
    "reward",
)
_USUAL = {name: DEFAULTS[name] for name in _WORKLOAD}
_TUNING = {"tokens": "100M", "epochs": "3", "seq": "", "batch": "64"}

PRESETS: dict[str, dict[str, str]] = {
    "pretraining": _USUAL | {"task": "pretraining"},
    "full_finetuning": _USUAL | _TUNING | {"task": "full_finetuning"},
    "lora": _USUAL | _TUNING | {"task": "lora"},
    "qlora": _USUAL | _TUNING | {"task": "qlora"},
    "ppo": _USUAL | {"task": "ppo", "tokens": "100M", "seq": "1024", "batch": "128"},
}
