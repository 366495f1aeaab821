"""Random runs, and laws that hold between the answer to a run and to one that differs from it in one thing.

A law yields (its name, whether it holds, what was found). Runs that a change makes senseless, or lays out in
another way, prove nothing and are passed over.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from planner.accuracy.calibration import shipped_calibration
from planner.contract.parse import parse_plan_request
from planner.contract.render import render_layout
from planner.contract.workload_fields import WORKLOAD
from planner.engine.answer.estimate import estimate
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import Layout, PlanRequest
from planner.engine.question.result import PlanResult
from tests.engine.answer.bases import ABSENT, Json, with_field
from tests.engine.questions import catalog

MODELS = (
    "gpt2", "gpt2-xl", "llama-2-7b", "llama-3.1-8b", "llama-3.1-70b", "mixtral-8x7b", "qwen3-30b-a3b",
    "deepseek-v3", "bert-large-uncased", "t5-small", "vit-base-patch16-224", "qwen2.5-7b", "mistral-7b",
    "bloom-176b", "gpt-oss-120b",
)  # fmt: skip
MIXTURES = ("mixtral-8x7b", "qwen3-30b-a3b", "deepseek-v3", "gpt-oss-120b")
CHIPS = ("a100-sxm-80gb", "h100-sxm", "b200", "a10g", "l4", "v100-sxm-32gb", "l40s", "trainium1")
SOMETIMES: dict[str, tuple[Any, ...]] = {
    "precision": ("bf16", "fp16", "fp8", "tf32", "fp32"),
    "optimizer": ("adamw", "adamw_8bit", "adafactor", "sgd", "lion", "muon", "lamb"),
    "attention_kernel": ("standard", "flash_1", "flash_2", "flash_3", "cudnn", "memory_efficient"),
    "kernels": ("plain", "compiled", "fused", "transformer_engine"),
    "loss": ("whole", "chunked", "fused", "compiled"),
    "offload": ("optimizer", "activations", "parameters"),
    "autocast": (True, False),
    "master_weights": ("separate", "only", "none"),
    "dropout": (0.0, 0.1),
    "optimizer_kernel": ("fused", "foreach"),
    "overlap_communication": (False,),
    "gradient_sync": ("every_micro_batch", "last_micro_batch"),
    "expandable_segments": (True, False),
    "cuda_graphs": (True,),
}
#: Inputs that, left out, never narrow the range of time.
GIVEN = ("kernels", "attention_kernel", "sequences", "moe", "loss", "autocast", "dropout")
#: What is left of rounding.
CLOSE = 1e-9
RATES = ("bf16_flops_per_s", "fp16_flops_per_s", "fp8_flops_per_s", "tf32_flops_per_s", "fp32_flops_per_s")

Found = Iterator[tuple[str, bool, object]]


def random_run(seed: int) -> Json:
    """A run with a layout named in full, drawn from the corners of the contract."""
    draw = random.Random(seed)
    model, chip = draw.choice(MODELS), draw.choice(CHIPS)
    workload: Json = {
        "task": draw.choice(("pretraining", "pretraining", "full_finetuning", "lora", "qlora")),
        "tokens": draw.choice((1e7, 1e9, 1e12)),
        "sequence_length": draw.choice((128, 512, 1024, 2048, 4096, 8192, 16384)),
        "global_batch_size": draw.choice((32, 64, 128, 256, 512, 1024)),
    }
    workload |= {name: draw.choice(some) for name, some in SOMETIMES.items() if draw.random() < 0.15}
    stacks = ("generic", "megatron", "fsdp", "deepspeed", "torchtitan")
    if draw.random() < 0.8:
        workload["framework"] = "neuron" if chip.startswith("trainium") else draw.choice(stacks)
    if chip.startswith("v100") and workload.get("precision") in ("bf16", "fp8", "tf32"):
        workload["precision"] = "fp16"
    if draw.random() < 0.2:
        kinds = ("packed", "unpadded", "padded_to_longest", "padded_to_max")
        workload["sequences"] = {"kind": draw.choice(kinds), "mean_tokens": draw.choice((64, 100))}
    if model.startswith("vit"):
        for name in ("sequence_length", "tokens", "sequences"):
            workload.pop(name, None)
        workload["samples"] = 1e7
    if model in MIXTURES and draw.random() < 0.5:
        experts = {"dispatcher": ("all_to_all", "all_gather", "deepep"), "balance": ("forced", "learned")}
        workload["moe"] = {name: draw.choice(some) for name, some in experts.items() if draw.random() < 0.7}
    if workload["task"] in ("lora", "qlora") and draw.random() < 0.4:
        workload |= {"lora_rank": draw.choice((4, 16, 64)), "frozen_precision": draw.choice(("bf16", "nf4"))}
    return {
        "model": model,
        "workload": workload,
        "cluster": {
            "accelerator": chip,
            "accelerators_per_node": 16 if chip.startswith("trainium") else draw.choice((1, 4, 8)),
            "nodes": draw.choice((1, 2, 4, 8, 16)),
            "internode_gbps_per_node": draw.choice((100, 400, 3200)),
            "usd_per_node_hour": 10,
        },
        "layout": {
            "tensor_parallel": draw.choice((1, 1, 1, 2, 4, 8)),
            "pipeline_parallel": draw.choice((1, 1, 1, 2, 4)),
            "context_parallel": draw.choice((1, 1, 1, 2)),
            "expert_parallel": draw.choice((1, 4, 8)) if model in MIXTURES else 1,
            "interleaved_stages": 1,
            "sharding": draw.choice(("none", "zero1", "zero2", "zero3")),
            "micro_batch_size": draw.choice((1, 2, 4)),
            "activation_recompute": draw.choice(("none", "selective", "full")),
        },
    }


@dataclass(frozen=True)
class Asked:
    """A run and its answer, and the answers to runs that differ from it."""

    question: Json
    request: PlanRequest
    result: PlanResult

    def other(self, **changes: Any) -> PlanResult | None:
        """With fields changed, each by its path with double underscores for dots; None where senseless."""
        question = self.question
        for path, value in changes.items():
            question = with_field(question, path.replace("__", "."), value)
        try:
            return estimate(parse_plan_request(question, catalog()), shipped_calibration())
        except PlanErrors:
            return None

    def alike(self, **changes: Any) -> PlanResult | None:
        """The same, where the layout stays what it was."""
        found = self.other(**changes)
        return found if found is not None and found.layout == self.result.layout else None

    def on(self, **changes: Any) -> PlanResult | None:
        """On a chip with other facts."""
        cluster = self.request.cluster
        chip = replace(cluster.accelerator, **changes)
        try:
            found = estimate(
                replace(self.request, cluster=replace(cluster, accelerator=chip)), shipped_calibration()
            )
        except PlanErrors:
            return None
        return found if found.layout == self.result.layout else None

    @cached_property
    def step_s(self) -> float:
        return self.result.time.step_s

    def slower(self, found: PlanResult | None, name: str) -> Found:
        if found is not None:
            now = found.time.step_s
            yield name, now >= self.step_s * (1 - CLOSE), (self.step_s, now)

    def quicker(self, found: PlanResult | None, name: str) -> Found:
        if found is not None:
            now = found.time.step_s
            yield name, now <= self.step_s * (1 + CLOSE), (self.step_s, now)


def ask(question: Json) -> Asked | None:
    try:
        request = parse_plan_request(question, catalog())
        return Asked(question, request, estimate(request, shipped_calibration()))
    except PlanErrors:
        return None


def total(result: PlanResult) -> float:
    return result.memory.per_accelerator_bytes.total


def width(result: PlanResult) -> float:
    low, high = result.time.step_interval_s
    return high / low


def of_ranges(run: Asked) -> Found:
    """Ranges hold their points, evidence counts within itself, shares of the peak are shares."""
    time, memory = run.result.time, run.result.memory
    yield (
        "a range holds its point",
        (
            time.step_interval_s[0] <= time.step_s <= time.step_interval_s[1]
            and time.total_interval_s[0] <= time.total_s <= time.total_interval_s[1]
            and memory.interval_bytes[0] <= total(run.result) <= memory.interval_bytes[1]
        ),
        (time.step_interval_s, memory.interval_bytes),
    )
    shares = (0.0, time.model_flops_utilization, time.hardware_flops_utilization, 1.0 + CLOSE)
    yield "utilization is a share", list(shares) == sorted(shares), shares
    near = run.result.evidence.time
    yield "sources are of runs", near.sources <= near.runs and bool(near.sources) == bool(near.runs), near
    yield (
        "real tokens are among the processed",
        (time.tokens_per_s <= time.processed_tokens_per_s * (1 + CLOSE)),
        (time.tokens_per_s, time.processed_tokens_per_s),
    )


def of_machines(run: Asked) -> Found:
    """Better machines are never worse, cheaper ones never dearer."""
    chip, cluster = run.request.cluster.accelerator, run.question["cluster"]
    larger = run.on(memory_bytes=int(chip.memory_bytes * 1.5))
    if larger is not None:
        yield "more memory goes on fitting", larger.fits or not run.result.fits, ""
        chances = (run.result.memory.fit_probability, larger.memory.fit_probability)
        yield "more memory has the better chance", chances[0] <= chances[1] + CLOSE, chances
    for name in ("memory_bandwidth_bytes_per_s", "link_bytes_per_s"):
        if before := getattr(chip, name):
            yield from run.quicker(run.on(**{name: before * 1.7}), f"more {name}")
    rates = {name: getattr(chip, name) * 1.7 for name in RATES if getattr(chip, name)}
    powered = {"power_watts": chip.power_watts * 1.7} if chip.power_watts else {}
    yield from run.quicker(run.on(**rates, **powered), "more FLOP/s")
    faster = run.alike(cluster__internode_gbps_per_node=2 * cluster["internode_gbps_per_node"])
    yield from run.quicker(faster, "a faster network")
    if chip.power_watts:
        yield from run.slower(run.alike(cluster__power_limit_watts=0.7 * chip.power_watts), "a power limit")
    cheaper = run.other(cluster__usd_per_node_hour=9)
    if cheaper is not None and cheaper.cost is not None and run.result.cost is not None:
        yield (
            "a lower price is no dearer",
            (cheaper.cost.usd <= run.result.cost.usd and cheaper.time == run.result.time),
            (run.result.cost.usd, cheaper.cost.usd),
        )


def replicas_of(layout: Layout) -> Layout:
    """A layout but for what follows from the number of its replicas."""
    return replace(layout, gradient_accumulation=1, sharding_group=1)


def of_size(run: Asked) -> Found:
    """More work is more memory and time."""
    workload, layout = run.question["workload"], run.result.layout
    if "sequence_length" in workload:
        longer = run.alike(workload__sequence_length=2 * workload["sequence_length"])
        yield from run.slower(longer, "a longer sequence")
        if longer is not None:
            yield "a longer sequence takes memory", total(longer) >= total(run.result) * (1 - CLOSE), ""
    batch = run.other(workload__global_batch_size=2 * workload["global_batch_size"])
    if (
        batch is not None
        and replace(batch.layout, gradient_accumulation=layout.gradient_accumulation) == layout
    ):
        yield from run.slower(batch, "a larger batch")
        if layout.gradient_accumulation > 1:
            twice = batch.time.step_s <= 2 * run.step_s * (1 + CLOSE)
            yield "a larger batch is no dearer a token", twice, (run.step_s, batch.time.step_s)
    wider = run.other(layout__micro_batch_size=2 * layout.micro_batch_size)
    if wider is not None and wider.layout.gradient_accumulation > 1:
        same = replace(
            wider.layout,
            micro_batch_size=layout.micro_batch_size,
            gradient_accumulation=layout.gradient_accumulation,
        )
        if same == layout:
            more = total(wider) >= total(run.result) * (1 - CLOSE)
            yield "a larger micro-batch takes memory", more, (total(run.result), total(wider))
    nodes = run.other(cluster__nodes=2 * run.question["cluster"]["nodes"])
    doubled = replace(layout, data_parallel=2 * layout.data_parallel)
    if nodes is not None and replicas_of(nodes.layout) == replicas_of(doubled):
        for name in ("forward", "backward", "recompute"):
            pair = [getattr(each.time.step_breakdown_s, name) for each in (run.result, nodes)]
            yield f"twice the nodes: {name}", pair[1] <= pair[0] * (1 + CLOSE), pair
    if workload["task"] in ("lora", "qlora"):
        ranked = run.alike(workload__lora_rank=2 * workload.get("lora_rank", 16))
        yield from run.slower(ranked, "a higher rank")


def of_savings(run: Asked) -> Found:
    """What saves memory saves it, and costs its time."""
    layout = run.result.layout
    states = []
    for sharding in ("none", "zero1", "zero2", "zero3"):
        found = run.other(layout__sharding=sharding)
        if found is not None and found.layout.data_parallel == layout.data_parallel:
            states.append(found.memory.resident_bytes)
    falls = all(a >= b * (1 - CLOSE) for a, b in itertools.pairwise(states))
    yield "each ZeRO stage keeps less", falls, states
    if "offload" not in run.question["workload"]:
        kept = [run.other(layout__activation_recompute=kind) for kind in ("none", "selective", "full")]
        found_all = [each for each in kept if each is not None]
        for less, more in itertools.pairwise(found_all):
            times = (less.time.step_s, more.time.step_s)
            yield "recompute takes time", times[0] <= times[1] * (1 + CLOSE), times
            activations = [each.memory.per_accelerator_bytes.activations for each in (less, more)]
            yield "recompute keeps less", activations[1] <= activations[0] * (1 + CLOSE), activations
        for what in ("optimizer", "activations", "parameters"):
            moved = run.alike(workload__offload=what)
            if moved is not None:
                pair = (total(run.result), total(moved))
                yield f"offload of {what} saves memory", pair[1] <= pair[0] * (1 + CLOSE), pair
    yield from run.slower(run.alike(workload__overlap_communication=False), "no overlap")
    computed = {}
    for precision in ("bf16", "tf32", "fp32"):
        found = run.alike(workload__precision=precision)
        if found is not None:
            parts = found.time.step_breakdown_s
            computed[precision] = parts.forward + parts.backward
    # Launches that the host sets the pace of differ by a hair.
    steps = list(computed.values())
    rises = all(a <= b * (1 + 1e-4) for a, b in itertools.pairwise(steps))
    yield "wider numbers compute no faster", rises, computed


def of_asking(run: Asked) -> Found:
    """What is sent back, or said that was meant anyhow, changes nothing; what is left out never narrows."""
    again = run.other(layout=render_layout(run.result.layout))
    yield (
        "a layout sent back gives the same",
        (again is not None and again.time == run.result.time and again.memory == run.result.memory),
        "",
    )
    workload = run.question["workload"]
    defaults = {
        f"workload__{field.name}": "none" if isinstance(field.default, tuple) else field.default
        for field in WORKLOAD.fields
        if field.default is not None
        and not field.tasks
        and field.name not in (*workload, "activation_recompute", "attention", "compile")
    }
    said = run.other(**defaults)
    if said is not None:
        yield "defaults that are said change nothing", said.time == run.result.time, list(defaults)
    for name in (name for name in GIVEN if name in workload):
        found = run.other(**{f"workload__{name}": ABSENT})
        if found is not None:
            pair = (width(run.result), width(found))
            yield f"without {name} the range is no narrower", pair[1] >= pair[0] * (1 - CLOSE), pair


LAWS: tuple[Callable[[Asked], Found], ...] = (of_ranges, of_machines, of_size, of_savings, of_asking)


def broken(seeds: range, law: Callable[[Asked], Found]) -> tuple[int, dict[str, list[object]]]:
    """(checks made, what was found wrong by name of the law), over the runs of these seeds."""
    checks, wrong = 0, {}
    for seed in seeds:
        run = ask(random_run(seed))
        if run is None:
            continue
        for name, holds, found in law(run):
            checks += 1
            if not holds:
                wrong.setdefault(name, []).append((seed, found))
    return checks, wrong
