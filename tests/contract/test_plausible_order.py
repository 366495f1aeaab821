"""Orders that anybody who has trained a model expects: what needs more memory, takes longer, costs more.

Each is a list of questions from the least to the most of one figure of their answers.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.plans import answers
from tests.contract.test_contract_conformance import LLAMA, TODAY, ask, free, nodes, ppo, work

Json = dict[str, Any]
Figure = Callable[[Json], float]

ONE = free("h100-sxm", accelerators_per_node=1, nodes=1)
PLAIN = {"tensor_parallel": 1, "pipeline_parallel": 1, "sharding": "none", "micro_batch_size": 1}
ZERO3 = PLAIN | {"sharding": "zero3", "activation_recompute": "full"}
TENSOR8 = PLAIN | {"tensor_parallel": 8, "sharding": "zero1"}
NETWORKS_GBPS = (3200, 800, 100)


def memory(answer: Json) -> float:
    return float(answer["memory"]["per_accelerator_bytes"]["total"])


def states(answer: Json) -> float:
    parts = answer["memory"]["per_accelerator_bytes"]
    return float(parts["weights"] + parts["gradients"] + parts["optimizer_states"])


def step(answer: Json) -> float:
    return float(answer["time"]["step_s"])


def total(answer: Json) -> float:
    return float(answer["time"]["total_s"])


def usd(answer: Json) -> float:
    return float(answer["cost"]["usd"])


def zero3(cluster: Json | None = None, *, layout: Json | None = None, **changes: Any) -> Json:
    return ask(workload=work(**changes), cluster=cluster or nodes(1), layout=ZERO3 | (layout or {}))


def tensor8(cluster: Json, **changes: Any) -> Json:
    return ask(workload=work(sequence_length=2048, **changes), cluster=cluster, layout=TENSOR8)


def alone(**changes: Any) -> Json:
    return ask(workload=work(activation_recompute="full", **changes), cluster=ONE, layout=PLAIN)


RISING: dict[str, tuple[Figure, list[Json]]] = {
    "qlora, lora, all weights": (memory, [alone(task=name) for name in ("qlora", "lora", "full_finetuning")]),
    "precision of frozen weights": (
        memory,
        [alone(task="lora", frozen_precision=name) for name in ("nf4", "int8", "bf16", "fp32")],
    ),
    "rank of adapters": (memory, [alone(task="lora", lora_rank=rank) for rank in (4, 64, 256)]),
    "states with fewer GPUs": (states, [zero3(nodes(n), global_batch_size=1024) for n in (16, 4, 1)]),
    "ZeRO stages": (
        memory,
        [zero3(layout={"sharding": stage}) for stage in ("zero3", "zero2", "zero1", "none")],
    ),
    "optimizers": (states, [zero3(optimizer=name) for name in ("adafactor", "adamw_8bit", "lion", "adamw")]),
    "offload saves memory": (memory, [zero3(offload=name) for name in ("optimizer", "none")]),
    "offload takes time": (step, [zero3(offload=name) for name in ("none", "optimizer")]),
    "loss": (memory, [zero3(nodes(4), loss=name, sequence_length=8192) for name in ("fused", "whole")]),
    "sequence length": (
        memory,
        [zero3(sequence_length=n, global_batch_size=64) for n in (1024, 4096, 16384)],
    ),
    "micro-batch": (memory, [zero3(layout={"micro_batch_size": n}) for n in (1, 4, 16)]),
    "small micro-batches are slow": (step, [zero3(layout={"micro_batch_size": n}) for n in (16, 4, 1)]),
    "global batch": (step, [zero3(global_batch_size=n) for n in (16, 64, 256)]),
    "recompute saves memory": (
        memory,
        [
            zero3(attention="standard", layout={"activation_recompute": kind})
            for kind in ("full", "selective", "none")
        ],
    ),
    "recompute takes time": (
        step,
        [
            zero3(attention="standard", layout={"activation_recompute": kind})
            for kind in ("none", "selective", "full")
        ],
    ),
    "overlap": (step, [zero3(nodes(4), overlap_communication=on) for on in (True, False)]),
    "compiled": (step, [zero3(compile=on) for on in (True, False)]),
    "precision": (step, [tensor8(nodes(4), precision=name) for name in ("fp8", "bf16", "tf32", "fp32")]),
    "generations": (
        step,
        [
            tensor8(nodes(4, name))
            for name in ("p6-b200.48xlarge", "p5en.48xlarge", "p5.48xlarge", "p4de.24xlarge")
        ],
    ),
    "networks": (
        step,
        [zero3(free("h100-sxm", nodes=8, internode_gbps_per_node=rate)) for rate in NETWORKS_GBPS],
    ),
    "more nodes are sooner": (total, [ask(cluster=nodes(n)) for n in (8, 4, 2, 1)]),
    "more nodes cost more": (usd, [ask(cluster=nodes(n)) for n in (1, 4, 16)]),
    "purchases": (
        usd,
        [ask(cluster=nodes(1, purchase=name)) for name in ("spot", "savings_1y", "on_demand")],
    ),
    "sizes": (step, [ask(name, cluster=nodes(4)) for name in ("gpt2", LLAMA, "llama-3.1-70b")]),
    "GRPO and PPO": (
        memory,
        [
            ask(workload=ppo(critic=name, reward=name), layout=TENSOR8 | {"sharding": "zero3"})
            for name in (None, "gpt2", LLAMA)
        ],
    ),
}


@pytest.fixture(scope="module")
def shipped() -> Catalog:
    return load_shipped_catalog()


@pytest.mark.parametrize("name", RISING)
def test_what_is_more_comes_out_as_more(name: str, shipped: Catalog) -> None:
    figure, questions = RISING[name]
    figures = [figure(answers.estimate_json(question, shipped, today=TODAY)) for question in questions]
    assert all(less < more for less, more in pairwise(figures)), figures


def test_what_more_gpus_do_not_shrink(shipped: Catalog) -> None:
    def passing(count: int) -> float:
        asked = zero3(nodes(count), global_batch_size=1024)
        parts = answers.estimate_json(asked, shipped, today=TODAY)["memory"]["per_accelerator_bytes"]
        return float(parts["activations"] + parts["logits"])

    assert passing(16) == pytest.approx(passing(1))
