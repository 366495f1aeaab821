"""Fields that a request gives and that change nothing of its answer: each is said, none silently dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from planner.contract.section import Problems
from planner.engine.grid.build import FINETUNING
from planner.engine.question.request import Cluster, Workload
from planner.engine.question.specs import ModelSpec

UNUSED = "unused_field"
#: Architectures without a kernel (FlashAttention's README: 2 from Ampere on, 3 on Hopper; NVIDIA cuDNN's
#: support matrix: from Ampere on; read 2026-11). Blackwell's own kernel is counted as flash_3.
NOT_ON = {
    "flash_1": ("trainium",),
    "memory_efficient": ("trainium",),
    "flash_2": ("volta", "turing", "trainium"),
    "flash_3": ("volta", "turing", "ampere", "ada", "cdna3", "cdna4", "trainium"),
    "cudnn": ("volta", "turing", "cdna3", "cdna4", "trainium"),
}
#: What ``recompute_modules`` names that only some models have.
ONLY_WITH = {"moe_experts": "experts", "mla_up_projection": "latent attention"}


def without_unused(workload: Workload, model: ModelSpec | None, problems: Problems) -> Workload:
    """The workload, with a note for each field that has no meaning beside the others."""
    for message in _of_workload(workload, model):
        problems.note(UNUSED, message)
    if workload.objective is not None and not _has_objective(workload):
        return replace(workload, objective=None)
    return workload


def note_unused_of_cluster(cluster: Cluster, workload: Workload, problems: Problems) -> None:
    """A note for each field of the machines that has no meaning for this run."""
    for message in _of_cluster(cluster, workload):
        problems.note(UNUSED, message)


def _has_objective(workload: Workload) -> bool:
    return workload.task in FINETUNING or (workload.task == "pretraining" and workload.objective == "mlm")


def _of_workload(workload: Workload, model: ModelSpec | None) -> Iterator[str]:
    if workload.objective is not None and not _has_objective(workload):
        yield f"objective {workload.objective} only matters for fine-tuning; the task is {workload.task}."
    recompute, modules = workload.activation_recompute, workload.recompute_modules or ()
    if modules and recompute in ("none", "full"):
        yield f"recompute_modules only matters with selective recompute; activation_recompute is {recompute}."
    if model is not None:
        has = {"moe_experts": model.experts > 0, "mla_up_projection": model.kv_lora_rank > 0}
        for name in (name for name in modules if not has.get(name, True)):
            yield f"recompute_modules: {model.name} has no {ONLY_WITH[name]}, so {name} repeats nothing."
    if workload.recompute_blocks is not None and recompute in ("none", "selective"):
        yield f"recompute_blocks only matters with full recompute; activation_recompute is {recompute}."
    moe = workload.moe
    routed = moe is not None and model is not None and model.experts > 0
    if moe is not None and routed and moe.nodes_per_token and moe.dispatcher not in ("deepep", "hybridep"):
        yield "moe.nodes_per_token only matters for dispatchers that send a token once to each node: deepep."
    if workload.ppo is not None and workload.ppo.sleep is not None and workload.ppo.placement == "split":
        yield "ppo.sleep only matters where generation and training share accelerators; placement is split."


def _of_cluster(cluster: Cluster, workload: Workload) -> Iterator[str]:
    chip, kernel = cluster.accelerator, workload.attention_kernel
    if chip.architecture in NOT_ON.get(kernel or "", ()):
        yield f"attention_kernel {kernel} does not run on {chip.name}; what does is counted in its place."
    if cluster.nodes == 1 and cluster.fabric is not None:
        yield "cluster.fabric only matters between machines; there is one."
    host = cluster.host_memory_bandwidth_bytes_per_s
    if host is not None and not workload.offload:
        yield "cluster.host_memory_bandwidth_bytes_per_s only matters with offload; nothing is offloaded."
