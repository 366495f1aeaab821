"""Refusing layouts that make no sense: degrees that do not divide what they must.

Each refusal names the field, its value, what is wrong and what to do. A layout that merely does not fit is
not refused. Degrees multiply to ranks: tensor x pipeline x context x data parallel; expert parallel divides
the ranks of one pipeline stage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from planner.engine.layout.enumeration import blocks, divisors, ranks_per_node
from planner.engine.layout.stacks import AXES, STACKS, has, label, those_with
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import Cluster, Framework, LayoutRequest, PlanRequest

DEGREES = ("tensor_parallel", "pipeline_parallel", "context_parallel", "data_parallel")
#: Values listed in a remedy.
SHOWN = 12


def total_ranks(cluster: Cluster, nodes: int) -> int:
    """Ranks of the nodes; with a MIG profile, the GPU instances that they can hold."""
    return nodes * ranks_per_node(cluster)


@dataclass(slots=True)
class Refusals:
    """Collects what is wrong with one layout, at most one problem per field."""

    layout: LayoutRequest
    errors: list[PlanError] = field(default_factory=list)

    def add(self, name: str, message: str, remedy: str) -> None:
        """Note a problem with a layout field, unless one was noted already."""
        path = f"layout.{name}"
        if all(error.field != path for error in self.errors):
            self.errors.append(PlanError(path, getattr(self.layout, name), message, remedy))

    def add_elsewhere(self, path: str, value: Any, message: str, remedy: str) -> None:
        """Note a problem with a field outside the layout."""
        self.errors.append(PlanError(path, value, message, remedy))


def check_layout(request: PlanRequest, ranks: int | None) -> None:
    """Raise PlanErrors for a layout that cannot exist, whatever values the open degrees take.

    ranks: of the cluster; None where the number of nodes is open.
    """
    refusals = Refusals(request.layout)
    check_against_stack(request, refusals, ranks)
    check_against_model(request, refusals)
    if request.cluster.mig_profile is not None:
        check_gpu_instances(request, refusals, ranks)
    elif not refusals.errors and ranks is not None:
        check_product(request, refusals, ranks)
    if not refusals.errors:
        check_batch(request, refusals, ranks)
    if refusals.errors:
        raise PlanErrors(refusals.errors)


def check_against_stack(request: PlanRequest, refusals: Refusals, ranks: int | None) -> None:
    """What is asked for must be something that the named stack has (``STACKS``)."""
    workload, asked = request.workload, request.layout
    stack, name = STACKS[workload.framework], label(workload.framework)
    for axis, in_words in AXES.items():
        if (getattr(asked, axis) or 1) > 1 and not has(stack, axis):
            others = those_with(lambda each, axis=axis: has(each, axis))  # type: ignore[misc]
            refusals.add(
                axis, f"{name} has no {in_words}.", f"Use 1, leave it out, or name a stack with it: {others}."
            )
    if asked.sharding is not None and asked.sharding not in stack.shardings:
        refusals.add(
            "sharding",
            f"{name} does not shard so.",
            f"Use {' or '.join(stack.shardings)}, or leave it out.",
        )
    recompute = asked.activation_recompute or workload.activation_recompute
    if recompute != "auto" and recompute not in stack.recomputes:
        path = "layout" if asked.activation_recompute else "workload"
        refusals.add_elsewhere(
            f"{path}.activation_recompute",
            recompute,
            f"{name} recomputes whole blocks or nothing.",
            f"Use {' or '.join(stack.recomputes)}, or leave it out.",
        )
    for kind in workload.offload:
        if kind not in stack.offloads:
            others = those_with(lambda each, kind=kind: kind in each.offloads)  # type: ignore[misc]
            can = f"Use {' or '.join(stack.offloads)}, or name" if stack.offloads else "Use none, or name"
            refusals.add_elsewhere(
                "workload.offload",
                kind,
                f"{name} cannot move {kind} to the host's memory.",
                f"{can} a stack that does: {others}.",
            )
    if stack.most_ranks and ranks is not None and ranks > stack.most_ranks:
        refusals.add_elsewhere(
            "workload.framework",
            workload.framework,
            f"{name} trains on one GPU, and the cluster has {ranks}.",
            "Take a machine with a single accelerator, or another stack, such as trl or axolotl.",
        )


def stacks_offered(request: PlanRequest, ranks: int | None) -> tuple[Framework, ...]:
    """Stacks that people run such a task with on such a chip and that have all that is asked for.

    ranks: of the plan, None where they are open. In the order of ``STACKS``, no stack named first.
    """
    on_neuron = request.cluster.accelerator.architecture.startswith("neuroncore")
    found: list[Framework] = []
    for name, stack in STACKS.items():
        other_chip = name != "generic" and (name == "neuron") != on_neuron
        other_model = stack.decoders_only and request.model.architecture != "decoder"
        if request.workload.task not in stack.tasks or other_chip or other_model:
            continue
        refusals = Refusals(request.layout)
        asked = replace(request, workload=replace(request.workload, framework=name))
        check_against_stack(asked, refusals, ranks)
        if not refusals.errors:
            found.append(name)
    return tuple(found)


def check_against_model(request: PlanRequest, refusals: Refusals) -> None:
    """Degrees must divide the model's heads, layers, experts and sequence length."""
    asked, model, workload = request.layout, request.model, request.workload
    heads, layers = model.attention_heads, blocks(model)
    tensor, pipeline, chunks = asked.tensor_parallel, asked.pipeline_parallel, asked.interleaved_stages
    if tensor is not None and heads % tensor:
        refusals.add(
            "tensor_parallel",
            f"The {heads} attention heads do not divide by it.",
            f"Use {one_of(divisors(heads))}.",
        )
    if pipeline is not None and pipeline > layers:
        refusals.add(
            "pipeline_parallel",
            f"There are more stages than the model's {layers} layers.",
            f"Use at most {layers}.",
        )
    if chunks is not None and chunks > 1:
        check_interleaving(refusals, pipeline=pipeline, chunks=chunks, layers=layers)
    context, targets = asked.context_parallel, workload.decoder_sequence_length
    if context is not None and (workload.sequence_length % context or targets % context):
        lengths = f"{workload.sequence_length:,}" + (f" and {targets:,}" if targets else "")
        refusals.add(
            "context_parallel",
            f"The sequence length, {lengths}, does not divide by it.",
            "Use a divisor of the sequence length.",
        )
    expert = asked.expert_parallel
    if expert is not None and expert > 1 and not model.experts:
        refusals.add("expert_parallel", f"{model.name} has no experts.", "Use 1, or leave it out.")
    elif expert is not None and expert > 1 and model.experts % expert:
        refusals.add(
            "expert_parallel",
            f"The {model.experts} experts do not divide by it.",
            f"Use {one_of(divisors(model.experts))}.",
        )


def check_interleaving(refusals: Refusals, *, pipeline: int | None, chunks: int, layers: int) -> None:
    """Interleaved chunks need more than one stage and enough layers."""
    if pipeline == 1:
        refusals.add(
            "interleaved_stages",
            "Interleaving needs more than one pipeline stage.",
            "Use 1, or raise pipeline_parallel.",
        )
    elif chunks > layers:
        # Stages x chunks may exceed the layers by a few: published runs count embedding and head as layers.
        refusals.add(
            "interleaved_stages",
            f"{chunks} chunks on each stage are more than the model's {layers} layers.",
            f"Use at most {max(layers // (pipeline or 2), 1)}.",
        )


def check_gpu_instances(request: PlanRequest, refusals: Refusals, ranks: int | None) -> None:
    """GPU instances allow replicas only.

    They have neither NVLink nor peer-to-peer access (NVIDIA MIG User Guide).
    """
    asked = request.layout
    for name in ("tensor_parallel", "pipeline_parallel", "context_parallel", "expert_parallel"):
        if (getattr(asked, name) or 1) > 1:
            refusals.add(
                name,
                "A model cannot be split over MIG GPU instances: they have no NVLink and no peer-to-peer.",
                "Use 1, or remove cluster.mig_profile.",
            )
    if asked.data_parallel is not None and ranks is not None and asked.data_parallel > ranks:
        profile = request.cluster.mig_profile
        name = profile.profile if profile else ""
        refusals.add(
            "data_parallel",
            f"The cluster can hold only {ranks} GPU instances of {name}.",
            f"Use at most {ranks}.",
        )


def check_product(request: PlanRequest, refusals: Refusals, ranks: int) -> None:
    """The degrees given must divide the ranks, and multiply to them where all are given."""
    asked = request.layout
    given = {name: value for name in DEGREES if (value := getattr(asked, name)) is not None}
    known = math.prod(given.values())
    whole = len(given) == len(DEGREES)
    # Context parallel is 1 unless asked for, so three degrees settle the product as well.
    settled = whole or (len(given) == len(DEGREES) - 1 and asked.context_parallel is None)
    if ranks % known == 0 and (not settled or known == ranks):
        return
    message = product_message(given, ranks, settled=settled)
    of_model = math.prod(value for name, value in given.items() if name != "data_parallel")
    if asked.data_parallel is not None and ranks % of_model == 0:
        replicas = ranks // of_model
        refusals.add(
            "data_parallel",
            message,
            f"Use {replicas}, or leave it out." if settled else f"Use {one_of(divisors(replicas))}.",
        )
        return
    so_far = 1
    for name, value in given.items():
        if name != "data_parallel" and ranks % (so_far * value):
            refusals.add(
                name,
                message,
                f"Use {one_of(divisors(ranks // so_far))}, or another number of nodes.",
            )
            return
        so_far *= value


def product_message(given: dict[str, int], ranks: int, *, settled: bool) -> str:
    """What is wrong with degrees that do not multiply to the ranks, or do not divide them."""
    if len(given) == 1:
        return f"It does not divide the {counted(ranks, 'rank')} of the cluster."
    product = f"{' x '.join(str(value) for value in given.values())} = {math.prod(given.values())}"
    verb = "multiply to" if settled else "divide"
    return f"The degrees {product} do not {verb} the {counted(ranks, 'rank')} of the cluster."


def check_batch(request: PlanRequest, refusals: Refusals, ranks: int | None) -> None:
    """The batch must divide over replicas, micro-batches and accumulation, as far as these are known."""
    asked, batch = request.layout, request.workload.global_batch_size
    micro, steps = asked.micro_batch_size, asked.gradient_accumulation
    data = known_replicas(request, ranks)
    if data is None:
        group = asked.sharding_group
        if ranks is not None and group is not None and ranks % group:
            refusals.add(
                "sharding_group",
                f"The {counted(ranks, 'rank')} of the cluster do not divide into groups of this size.",
                f"Use {one_of(divisors(ranks))}, or leave it out.",
            )
        if micro is not None and batch % micro:
            refuse_micro_batch(refusals, micro, batch, of="global batch")
        elif steps is not None and batch % steps:
            refusals.add(
                "gradient_accumulation",
                f"The global batch of {counted(batch, 'sequence')} does not divide by it.",
                f"Use {one_of(divisors(batch))}.",
            )
        return
    check_expert_ranks(request, refusals, data)
    if batch % data:
        refuse_replicas(request, refusals, data)
        return
    replica = batch // data
    if micro is not None and replica % micro:
        refuse_micro_batch(refusals, micro, replica, of="batch of each replica")
    elif steps is not None and (replica % steps or (micro is not None and micro * steps != replica)):
        refusals.add(
            "gradient_accumulation",
            f"Micro-batch x accumulation does not give the {counted(replica, 'sequence')} of each replica.",
            f"Use {replica // micro}, or leave it out." if micro else f"Use {one_of(divisors(replica))}.",
        )


def known_replicas(request: PlanRequest, ranks: int | None) -> int | None:
    """Count of data-parallel replicas where the question settles it, else None."""
    asked = request.layout
    if asked.data_parallel is not None:
        return asked.data_parallel
    if request.cluster.mig_profile is not None:
        return 1
    if ranks is None or asked.tensor_parallel is None or asked.pipeline_parallel is None:
        return None
    return ranks // (asked.tensor_parallel * asked.pipeline_parallel * (asked.context_parallel or 1))


def check_expert_ranks(request: PlanRequest, refusals: Refusals, data: int) -> None:
    """Experts and sharding groups must divide the ranks of a pipeline stage."""
    asked = request.layout
    shared = data * (asked.context_parallel or 1)
    expert, group = asked.expert_parallel, asked.sharding_group
    split = request.workload.moe is not None and request.workload.moe.split_experts
    over = shared * (1 if split else asked.tensor_parallel or 1)
    if expert is not None and over % expert:
        refusals.add(
            "expert_parallel",
            f"It does not divide the {over} ranks of a pipeline stage"
            + (" that do not split an expert." if split else "."),
            f"Use {one_of([d for d in divisors(request.model.experts or 1) if shared % d == 0])}.",
        )
    if group is not None and (group > shared or shared % group):
        refusals.add(
            "sharding_group",
            f"The {shared} data- and context-parallel ranks do not divide into groups of this size.",
            f"Use {one_of(divisors(shared))}, or leave it out.",
        )


def refuse_replicas(request: PlanRequest, refusals: Refusals, data: int) -> None:
    """Refuse replicas that do not divide the batch, at the field that the question can change."""
    batch = request.workload.global_batch_size
    near = max(1, round(batch / data)) * data
    message = (
        f"The global batch of {counted(batch, 'sequence')} does not divide over {counted(data, 'replica')}."
    )
    if request.layout.data_parallel is not None:
        refusals.add(
            "data_parallel", message, f"Use {one_of(divisors(batch))}, or a global_batch_size of {near}."
        )
    else:
        refusals.add_elsewhere(
            "workload.global_batch_size",
            batch,
            message,
            f"Use a multiple of {data}, for example {near}, or leave the layout open.",
        )


def refuse_micro_batch(refusals: Refusals, micro: int, replica: int, *, of: str) -> None:
    """Refuse a micro-batch that does not divide ``replica`` sequences. of: what these are, in words."""
    message = (
        f"It is larger than the {of}, {counted(replica, 'sequence')}."
        if micro > replica
        else f"The {of}, {counted(replica, 'sequence')}, does not divide by it."
    )
    refusals.add("micro_batch_size", message, f"Use {one_of(divisors(replica))}.")


def counted(number: int, noun: str) -> str:
    """A count with its noun: ``1 rank``, ``2 ranks``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def one_of(values: list[int]) -> str:
    """Values for a remedy: all of them when few, else the first ones."""
    if len(values) == 1:
        return str(values[0])
    shown = ", ".join(str(value) for value in values[:SHOWN])
    return f"one of {shown}" + (", …" if len(values) > SHOWN else "")
