"""What one may change about a plan that does not fit, kind by kind, each kind from its mildest change on.

Knows the order in which people try things, and how a change is written over a request; whether it fits is
computed elsewhere. What a stack cannot do is not offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from planner.engine.choose.layout import Choice
from planner.engine.choose.nodes import MOST_NODES, node_counts_that_fit, on_nodes
from planner.engine.grid.build import cluster_numbers
from planner.engine.grid.plan_grid import RECOMPUTES, SHARDINGS
from planner.engine.grid.recipe import frozen_precision, memory_recipe
from planner.engine.layout.enumeration import divisors, is_auto, ranks_per_node
from planner.engine.layout.stacks import STACKS
from planner.engine.question.request import Cluster, Layout, LayoutRequest, PlanRequest, Sharding
from planner.engine.question.result import RemedyKind
from planner.engine.sure.calibration import Calibration

Patch = Mapping[str, Any]
#: Larger clusters are looked at up to this many times the nodes asked for.
MOST_TIMES_THE_NODES = 64
#: Of other machines, those with most memory are looked at in larger numbers.
MOST_LARGER = 2
#: A sequence is shortened to a half, a quarter, an eighth; below that it is another task.
SHORTENED = (2, 4, 8)
#: Fields of a cluster that is described by its accelerators, which give way to an instance type.
OF_ACCELERATORS = ("accelerator", "accelerators_per_node", "internode_gbps_per_node", "usd_per_node_hour")
#: Loss kernels that keep less than another, the next best first.
SMALLER_LOSSES = {
    "whole": ("chunked", "fused"),
    "compiled": ("chunked", "fused"),
    "chunked": ("fused",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A change. change: in words.  patch: a JSON merge patch of the request.  request: the question then."""

    kind: RemedyKind
    change: str
    patch: Patch
    request: PlanRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be mended. asked: the question as it was asked.  choice: the plan that answers it.

    others: the question on other machines, in the order in which they are to be looked at.
    """

    asked: PlanRequest
    choice: Choice
    calibration: Calibration
    others: Sequence[PlanRequest]


def offers(plan: Plan) -> Iterator[Offer]:
    """All changes, kind by kind in the order of effort and money."""
    for kind in KINDS:
        yield from kind(plan)


def of_layout(plan: Plan) -> Iterator[Offer]:
    """Changes of a layout that was asked for, or of the recompute alone where the rest is open."""
    request = plan.choice.request
    if not is_auto(request):
        for kind, words, layout in small_changes(plan.choice):
            yield pinned(plan.asked, kind, words, layout)
        return
    asked = request.layout.activation_recompute or request.workload.activation_recompute
    for recompute in () if asked == "auto" else RECOMPUTES[RECOMPUTES.index(asked) + 1 :]:
        workload = replace(plan.asked.workload, activation_recompute=recompute)
        changed = replace(plan.asked, layout=LayoutRequest(), workload=workload)
        patch: dict[str, Any] = {"workload": {"activation_recompute": recompute}}
        if plan.asked.layout != LayoutRequest():
            patch["layout"] = "auto"
        yield Offer(
            kind="recompute", change=f"use {recompute} activation recompute", patch=patch, request=changed
        )


def pinned(asked: PlanRequest, kind: RemedyKind, words: str, layout: Layout) -> Offer:
    """The question with a complete layout."""
    fields = asdict(layout)
    return Offer(
        kind=kind,
        change=words,
        patch={"layout": fields},
        request=replace(asked, layout=LayoutRequest(**fields)),
    )


def small_changes(choice: Choice) -> Iterator[tuple[RemedyKind, str, Layout]]:
    """Layouts near the plan's, each with the change in words: smaller micro-batches, more recompute, both,
    more sharding; each from the mildest on.
    """
    layout = choice.layout
    kinds = RECOMPUTES[RECOMPUTES.index(layout.activation_recompute) :]
    replica = layout.micro_batch_size * layout.gradient_accumulation
    smaller = [
        replace(layout, micro_batch_size=size, gradient_accumulation=replica // size)
        for size in reversed([size for size in divisors(replica) if size < layout.micro_batch_size])
    ]

    def in_words(changed: Layout) -> str:
        return f"use a micro-batch of {changed.micro_batch_size} instead of {layout.micro_batch_size}"

    for changed in smaller:
        yield "micro_batch", in_words(changed), changed
    for kind in kinds[1:]:
        words = f"use {kind} activation recompute"
        yield "recompute", words, replace(layout, activation_recompute=kind)
    for changed in smaller:
        for kind in kinds[1:]:
            words = f"{in_words(changed)}, with {kind} activation recompute"
            yield "recompute", words, replace(changed, activation_recompute=kind)
    for sharding in stronger_sharding(choice):
        for kind in kinds:
            also = "" if kind == layout.activation_recompute else f", with {kind} activation recompute"
            yield (
                "sharding",
                f"shard with {sharding.replace('zero', 'ZeRO-')}{also}",
                replace(layout, sharding=sharding, activation_recompute=kind),
            )


def stronger_sharding(choice: Choice) -> list[Sharding]:
    """Kinds of sharding stronger than the plan's.

    Those that the stack usually has; GPU instances share nothing.
    """
    request, layout = choice.request, choice.layout
    if layout.data_parallel * layout.context_parallel == 1 or request.cluster.mig_profile is not None:
        return []
    stronger = SHARDINGS[SHARDINGS.index(layout.sharding) + 1 :]
    stack = STACKS[request.workload.framework]
    usual = ("none", *stack.usual_shardings)
    open_to_all = len(stack.usual_shardings) > 1 or stack.usual_shardings == ("zero3",)
    return [kind for kind in stronger if kind in (stack.shardings if open_to_all else usual)]


def losses(plan: Plan) -> Iterator[Offer]:
    """A loss that never holds all logits."""
    for loss in SMALLER_LOSSES.get(memory_recipe(plan.asked.workload).loss, ()):
        words = "compute the loss in chunks" if loss == "chunked" else "fuse the loss with the output head"
        yield worked(plan.asked, "loss", words, loss=loss)


def sequences(plan: Plan) -> Iterator[Offer]:
    """Shorter sequences, as many tokens a step and in the whole run as before."""
    workload, layout = plan.asked.workload, plan.asked.layout
    if workload.ppo is not None or plan.asked.model.architecture == "vision_encoder":
        return
    for part in SHORTENED:
        if workload.sequence_length % part:
            continue
        length = workload.sequence_length // part
        fields: dict[str, Any] = {
            "sequence_length": length,
            "global_batch_size": workload.global_batch_size * part,
        }
        if workload.samples is not None:
            fields["samples"] = workload.samples * part
        words = f"train on sequences of {length:,} tokens instead of {workload.sequence_length:,}"
        offer = worked(plan.asked, "sequence_length", words, **fields)
        if layout.gradient_accumulation is not None:
            steps = layout.gradient_accumulation * part
            offer = replace(
                offer,
                patch={**offer.patch, "layout": {"gradient_accumulation": steps}},
                request=replace(offer.request, layout=replace(layout, gradient_accumulation=steps)),
            )
        yield offer


def bases(plan: Plan) -> Iterator[Offer]:
    """A frozen base in fewer bits."""
    asked, task = plan.asked, plan.asked.workload.task
    if task not in ("lora", "qlora"):
        return
    bits = {"fp32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8}.get(frozen_precision(asked.workload), 4)
    if task == "lora" and bits > 8:
        yield worked(
            asked, "frozen_precision", "keep the frozen base in 8 bit (int8)", frozen_precision="int8"
        )
    if bits > 4:
        yield worked(
            asked,
            "frozen_precision",
            "use QLoRA: keep the frozen base in 4 bit (nf4)",
            task="qlora",
            frozen_precision="nf4",
        )


def optimizers(plan: Plan) -> Iterator[Offer]:
    """Optimizer states in 8 bit."""
    workload = plan.asked.workload
    if workload.optimizer == "adamw" and workload.optimizer_state_precision in (None, "fp32", "bf16"):
        words = "keep the optimizer's states in 8 bit (8-bit AdamW)"
        yield worked(plan.asked, "optimizer", words, optimizer="adamw_8bit")


def offloads(plan: Plan) -> Iterator[Offer]:
    """Optimizer states in the host's memory."""
    offload = plan.asked.workload.offload
    if "optimizer" not in offload:
        words = "move the optimizer to the host's memory (offload)"
        yield worked(plan.asked, "offload", words, offload=(*offload, "optimizer"))


def freed_layout(plan: Plan) -> Iterator[Offer]:
    """The layout left open, recompute too."""
    if not is_auto(plan.choice.request):
        yield Offer(
            kind="layout",
            change="leave the layout to Headroom",
            patch=free_patch(plan.asked),
            request=freed(plan.asked),
        )


def several(plan: Plan) -> Iterator[Offer]:
    """Settings changed one after another, of each kind the one that saves most; shorter sequences last."""
    offer: Offer | None = None
    for kind in (freed_layout, losses, bases, optimizers, offloads):
        of_kind = list(kind(plan if offer is None else replace(plan, asked=offer.request)))
        if of_kind:
            offer = further(offer, of_kind[-1])
            if offer.kind == "several":
                yield offer
    for shorter in () if offer is None else sequences(replace(plan, asked=offer.request)):
        yield further(offer, shorter)


def further(offer: Offer | None, change: Offer) -> Offer:
    """A change of the question that an offer leads to, as one offer."""
    if offer is None:
        return change
    return Offer(
        kind="several",
        change=f"{offer.change}, and {change.change}",
        patch=merged(offer.patch, change.patch),
        request=change.request,
    )


def adapters(plan: Plan) -> Iterator[Offer]:
    """Adapters on frozen weights in place of all weights."""
    if plan.asked.workload.task != "full_finetuning":
        return
    free = freed(plan.asked)
    for task, words in (
        ("lora", "train LoRA adapters instead of all weights"),
        ("qlora", "train QLoRA adapters on a 4-bit base instead of all weights"),
    ):
        offer = worked(free, "adapters", words, task=task)
        offer = replace(offer, patch=merged(free_patch(plan.asked), offer.patch))
        yield offer
        for smaller in losses(replace(plan, asked=offer.request)):
            yield replace(further(offer, smaller), kind="adapters")


def machines(plan: Plan) -> Iterator[Offer]:
    """As many accelerators with more memory each; then other machines that may hold more."""
    own, precision = plan.choice.request.cluster, plan.asked.workload.precision
    count, usable = own.accelerators_per_node, usable_bytes(own, precision)
    larger = [
        each
        for each in plan.others
        if each.cluster.nodes is not None and may_hold_more(each.cluster, own, precision)
    ]

    def unlike(each: PlanRequest) -> bool:
        cluster = each.cluster
        return cluster.accelerators_per_node != count or usable_bytes(cluster, precision) <= usable

    for other in sorted(larger, key=unlike):
        yield Offer(
            kind="machine",
            change=f"use {machine_in_words(other.cluster)}",
            patch=merged(free_patch(plan.asked), {"cluster": machine_patch(own, other.cluster)}),
            request=freed(other),
        )


def more_machines(plan: Plan) -> Iterator[Offer]:
    """More nodes of another machine, for what neither more of the same nor as many of another hold."""
    own = plan.choice.request.cluster
    precision, nodes = plan.asked.workload.precision, own.nodes or 1
    larger = [
        each for each in plan.others if each.cluster.nodes is not None and each.cluster.mig_profile is None
    ]
    for other in sorted(larger, key=lambda each: -usable_bytes(each.cluster, precision))[:MOST_LARGER]:
        cluster, elsewhere = other.cluster, freed(other)
        most = min(MOST_TIMES_THE_NODES * nodes, MOST_NODES)
        for count in node_counts_that_fit(elsewhere, plan.calibration, least=nodes + 1, most=most):
            counted = replace(cluster, nodes=count)
            yield Offer(
                kind="machine",
                change=f"use {machine_in_words(counted)}",
                patch=merged(free_patch(plan.asked), {"cluster": machine_patch(own, counted)}),
                request=replace(elsewhere, cluster=counted),
            )


def machine_in_words(cluster: Cluster) -> str:
    """``2 x p5e.48xlarge, H200 SXM 141GB``."""
    if cluster.mig_profile is not None:
        return f"a GPU instance of {cluster.mig_profile.profile}"
    chip = cluster.accelerator.name
    return f"{cluster.nodes} x " + (f"{cluster.instance_type}, {chip}" if cluster.instance_type else chip)


def machine_patch(own: Cluster, other: Cluster) -> dict[str, Any]:
    """What turns a request's cluster into the other one."""
    patch: dict[str, Any] = {"nodes": other.nodes}
    if other.instance_type != own.instance_type or other.region != own.region:
        patch |= {
            "instance_type": other.instance_type,
            "region": other.region,
            "purchase": other.purchase,
        }
    if own.instance_type is None and other.instance_type is not None:
        patch |= dict.fromkeys(OF_ACCELERATORS)
    if other.mig_profile != own.mig_profile:
        patch["mig_profile"] = other.mig_profile.profile if other.mig_profile is not None else None
    return patch


def more_nodes(plan: Plan) -> Iterator[Offer]:
    """More of the same machines: the fewest that fit, and the fewest that do so nine times in ten."""
    own = plan.choice.request.cluster.nodes
    if own is None or plan.asked.cluster.mig_profile is not None:
        return
    free = freed(plan.asked)
    most = min(MOST_TIMES_THE_NODES * own, MOST_NODES)
    for count in node_counts_that_fit(free, plan.calibration, least=own + 1, most=most):
        yield Offer(
            kind="nodes",
            change=f"use {count:,} nodes instead of {own:,}",
            patch=merged(free_patch(plan.asked), {"cluster": {"nodes": count}}),
            request=on_nodes(free, count),
        )


#: The kinds in the order in which they are offered (``of_layout`` gives micro-batch, recompute and sharding).
KINDS: tuple[Callable[[Plan], Iterator[Offer]], ...] = (
    of_layout,
    losses,
    sequences,
    bases,
    optimizers,
    offloads,
    freed_layout,
    several,
    adapters,
    machines,
    more_nodes,
)


def worked(request: PlanRequest, kind: RemedyKind, words: str, **fields: Any) -> Offer:
    """The same question with some fields of its workload changed."""
    return Offer(
        kind=kind,
        change=words,
        patch={"workload": fields},
        request=replace(request, workload=replace(request.workload, **fields)),
    )


def freed(request: PlanRequest) -> PlanRequest:
    """The question with its layout and recompute left open."""
    workload = replace(request.workload, activation_recompute="auto")
    return replace(request, layout=LayoutRequest(), workload=workload)


def free_patch(request: PlanRequest) -> dict[str, Any]:
    """What leaves layout and recompute of a request open."""
    patch: dict[str, Any] = {} if request.layout == LayoutRequest() else {"layout": "auto"}
    if request.workload.activation_recompute != "auto":
        patch["workload"] = {"activation_recompute": "auto"}
    return patch


def merged(patch: Patch, further: Patch) -> dict[str, Any]:
    """One merge patch in place of two."""
    both = {**patch}
    for name, value in further.items():
        own = both.get(name)
        both[name] = {**own, **value} if isinstance(own, Mapping) and isinstance(value, Mapping) else value
    return both


def may_hold_more(cluster: Cluster, own: Cluster, precision: str) -> bool:
    """False for fewer ranks with no more memory each.

    They cannot hold what the plan's own machines cannot.
    """
    ranks, own_ranks = ((each.nodes or 1) * ranks_per_node(each) for each in (cluster, own))
    return ranks > own_ranks or usable_bytes(cluster, precision) > usable_bytes(own, precision)


def usable_bytes(cluster: Cluster, precision: str) -> float:
    """Bytes of memory of one rank."""
    return float(cluster_numbers(cluster, precision)["memory_bytes"])
