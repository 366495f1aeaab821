"""The plan as a launcher sees it: a question with its answer, and what follows for the processes.

Gathers what several stacks ask (ranks, precision recipe, what differs from a plain layout); decides nothing
about any one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from planner.engine.grid.recipe import ELEMENT_BYTES, MemoryRecipe, frozen_precision, memory_recipe
from planner.engine.grid.recipe import default_state_precision as state_precision
from planner.engine.question.request import FrozenPrecision, Layout, PlanRequest, StatePrecision, Workload
from planner.engine.question.result import PlanResult
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.parameters import targeted_modules

#: Architectures for which the flash-attention package has kernels (its README: Ampere, Ada, Hopper or newer).
FLASH_ATTENTION_2 = ("ampere", "ada", "hopper", "blackwell")


@dataclass(frozen=True)
class LaunchPlan:
    """request: the question.  result: its answer, whose layout and cluster are complete."""

    request: PlanRequest
    result: PlanResult

    @property
    def workload(self) -> Workload:
        return self.request.workload

    @property
    def model(self) -> ModelSpec:
        """The model that is trained: the actor, in PPO."""
        ppo = self.workload.ppo
        return self.request.model if ppo is None else ppo.actor

    @property
    def layout(self) -> Layout:
        return self.result.layout

    @property
    def nodes(self) -> int:
        return 1 if self.on_mig else self.result.cluster.nodes or 1

    @property
    def on_mig(self) -> bool:
        return self.result.cluster.mig_profile is not None

    @property
    def on_neuron(self) -> bool:
        return self.result.cluster.accelerator.vendor.lower() == "aws"

    @property
    def processes_per_node(self) -> int:
        """One a GPU, one a NeuronCore, and one alone on a MIG GPU instance."""
        cluster = self.result.cluster
        if self.on_mig:
            return 1
        return cluster.accelerators_per_node * cluster.accelerator.ranks_per_accelerator

    @property
    def processes(self) -> int:
        return self.nodes * self.processes_per_node

    @property
    def model_ranks(self) -> int:
        """Ranks that hold one copy of the model: tensor x pipeline x context parallel."""
        layout = self.layout
        return layout.tensor_parallel * layout.pipeline_parallel * layout.context_parallel

    @property
    def expert_tensor_parallel(self) -> int:
        """Ranks that split the matrices of each expert."""
        moe = self.workload.moe
        return self.layout.tensor_parallel if moe is not None and moe.split_experts else 1

    @property
    def sharing_ranks(self) -> int:
        """Ranks over which states can be sharded: data x context parallel."""
        return self.layout.data_parallel * self.layout.context_parallel

    @property
    def sharded_whole(self) -> bool:
        """Whether states are sharded over all the ranks that could share them, or not at all."""
        return self.layout.sharding == "none" or self.layout.sharding_group == self.sharing_ranks

    @property
    def adapters(self) -> bool:
        return self.workload.task in ("lora", "qlora")

    @cached_property
    def recipe(self) -> MemoryRecipe:
        return memory_recipe(self.workload)

    @property
    def states(self) -> StatePrecision:
        return state_precision(self.workload, self.recipe.master_weights)

    @property
    def gradients_fp32(self) -> bool:
        return self.recipe.gradient_bytes == ELEMENT_BYTES["fp32"]

    @property
    def frozen(self) -> FrozenPrecision:
        return frozen_precision(self.workload)

    @cached_property
    def lora_targets(self) -> tuple[str, ...]:
        """Names of the linear layers that adapters wrap, as Hugging Face names them."""
        if self.workload.lora_targets is not None:
            return self.workload.lora_targets
        return tuple(dict.fromkeys(module.name for module in targeted_modules(self.model, None)))

    @property
    def flash_kernels(self) -> bool:
        """Whether the chip runs the flash-attention package."""
        return self.result.cluster.accelerator.architecture in FLASH_ATTENTION_2

    @property
    def steps(self) -> int:
        return self.result.time.steps
