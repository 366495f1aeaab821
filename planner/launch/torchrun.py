"""PyTorch's launcher, which several stacks start their processes with."""

from __future__ import annotations

from planner.launch.plan import LaunchPlan
from planner.launch.records import Setting, said


def torchrun(plan: LaunchPlan) -> list[Setting]:
    per = "MIG GPU instance" if plan.on_mig else "NeuronCore" if plan.on_neuron else "GPU"
    return [
        said("--nnodes", plan.nodes, "nodes"),
        said("--nproc-per-node", plan.processes_per_node, f"processes a node, one a {per}"),
    ]


def rendezvous(plan: LaunchPlan) -> list[str]:
    """What of the machines is left to the reader."""
    if plan.on_mig:
        return ["CUDA_VISIBLE_DEVICES: the UUID of the MIG GPU instance"]
    return ["the address of the first node, where the others meet it"] if plan.nodes > 1 else []
