"""Changes that would make a plan fit, the cheapest kind first, each with what it would take and cost.

Knows the order in which people try things; whether a change fits is computed as any plan is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from planner.engine.answer.records import cost_of, memory_of, one_plan, time_of, work_of
from planner.engine.choose.plan import Choice, choose, evaluate_choice
from planner.engine.choose.remedies import freed, small_changes, usable_bytes
from planner.engine.grid.recipe import memory_recipe
from planner.engine.layout.enumeration import is_auto
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import Cluster, LayoutRequest, PlanRequest
from planner.engine.question.result import Remedy
from planner.engine.sure.calibration import Calibration
from planner.engine.sure.intervals import what_is_far

#: As many as one reads before choosing.
MOST_REMEDIES = 5
#: A sequence is shortened to a half, a quarter, an eighth; below that it is another task.
SHORTENED = (2, 4, 8)

Patch = Mapping[str, Any]
Offer = tuple[str, Patch, PlanRequest]


def remedies(
    request: PlanRequest, calibration: Calibration, alternatives: Sequence[Cluster] = ()
) -> tuple[Remedy, ...]:
    """Up to five changes that fit, one of a kind, in the order in which they cost effort and money.

    alternatives: other machines, in the order in which they are to be looked at.  Raises PlanErrors for a
    question that makes no sense.
    """
    choice = choose(request, calibration)
    found: list[Remedy] = []
    for kind in (layouts(choice), losses, sequences, bases, optimizers, offloads, larger_cards, nodes):
        offers = kind if isinstance(kind, Iterator) else kind(choice.request, alternatives)
        fitting = (remedy for offer in offers if (remedy := tried(offer, calibration)) is not None)
        first = next(fitting, None)
        if first is not None:
            found.append(first)
        if len(found) == MOST_REMEDIES:
            break
    return tuple(found)


def tried(offer: Offer, calibration: Calibration) -> Remedy | None:
    """The change with its chance, seconds and dollars; None where it makes no sense or does not fit."""
    words, patch, request = offer
    try:
        choice = choose(request, calibration)
    except (PlanError, PlanErrors):
        return None
    plan = one_plan(evaluate_choice(choice, calibration))
    if not bool(plan.fits):
        return None
    far = what_is_far(plan.grid, calibration.intervals, ppo=request.workload.ppo is not None)
    time = time_of(plan, choice.request, work=work_of(choice, plan), far=far, calibration=calibration)
    cost = cost_of(plan, choice.request, time)
    return Remedy(
        change=words,
        request_patch=patch,
        fit_probability=memory_of(plan, choice.request, far=far, calibration=calibration).fit_probability,
        total_s=time.total_s,
        usd=None if cost is None else cost.usd,
    )


def layouts(choice: Choice) -> Iterator[Offer]:
    """Of a layout that was asked for: more recompute, smaller micro-batches, more sharding."""
    if is_auto(choice.request):
        return
    for words, layout in small_changes(choice):
        asked = LayoutRequest(**asdict(layout))
        yield words, {"layout": asdict(layout)}, replace(choice.request, layout=asked)
    free = freed(choice.request)
    yield "leave the layout to Headroom", {"layout": "auto"}, free


def losses(request: PlanRequest, _: Sequence[Cluster]) -> Iterator[Offer]:
    """A loss that never holds all logits."""
    kinds = {"whole": ("chunked", "fused"), "chunked": ("fused",)}
    for loss in kinds.get(memory_recipe(request.workload).loss, ()):
        words = "compute the loss in chunks" if loss == "chunked" else "fuse the loss with the output head"
        yield from worked(request, words, loss=loss)


def sequences(request: PlanRequest, _: Sequence[Cluster]) -> Iterator[Offer]:
    """Shorter sequences, as many tokens a step as before."""
    workload = request.workload
    if workload.ppo is not None or request.model.architecture == "vision_encoder":
        return
    for part in SHORTENED:
        if workload.sequence_length % part == 0:
            length, batch = workload.sequence_length // part, workload.global_batch_size * part
            words = f"sequences of {length:,} tokens instead of {workload.sequence_length:,}"
            yield from worked(request, words, sequence_length=length, global_batch_size=batch)


def bases(request: PlanRequest, _: Sequence[Cluster]) -> Iterator[Offer]:
    """A frozen base in fewer bits."""
    if request.workload.task == "lora":
        yield from worked(request, "keep the frozen base in 8 bit", frozen_precision="int8")
        yield from worked(
            request, "QLoRA: keep the frozen base in 4 bit", task="qlora", frozen_precision="nf4"
        )


def optimizers(request: PlanRequest, _: Sequence[Cluster]) -> Iterator[Offer]:
    """Optimizer states in 8 bit."""
    if request.workload.optimizer == "adamw" and request.workload.optimizer_state_precision is None:
        yield from worked(request, "keep the optimizer's states in 8 bit", optimizer="adamw_8bit")


def offloads(request: PlanRequest, _: Sequence[Cluster]) -> Iterator[Offer]:
    """Optimizer states in the host's memory."""
    if "optimizer" not in request.workload.offload:
        moved = (*request.workload.offload, "optimizer")
        yield from worked(request, "move the optimizer to the host's memory", offload=moved)


def larger_cards(request: PlanRequest, alternatives: Sequence[Cluster]) -> Iterator[Offer]:
    """As many accelerators with more memory each; then other machines."""
    own = request.cluster
    count = own.accelerators_per_node
    precision = request.workload.precision
    larger = [each for each in alternatives if usable_bytes(each, precision) > usable_bytes(own, precision)]
    for cluster in sorted(larger, key=lambda each: each.accelerators_per_node != count):
        name = cluster.instance_type or cluster.accelerator.name
        patch = {
            "cluster": {
                "instance_type": cluster.instance_type,
                "region": cluster.region,
                "nodes": cluster.nodes,
            },
            "layout": "auto",
        }
        words = f"use {cluster.nodes} x {name}, {cluster.accelerator.name}"
        yield words, patch, replace(freed(request), cluster=cluster)


def nodes(request: PlanRequest, _: Sequence[Cluster]) -> Iterator[Offer]:
    """More of the same machines: the fewest that fit."""
    own = request.cluster.nodes
    if own is None or request.cluster.mig_profile is not None:
        return
    free = freed(request)
    for count in (2 * own, 4 * own, 8 * own, 16 * own):
        patch = {"cluster": {"nodes": count}, "layout": "auto"}
        words = f"use {count} nodes instead of {own}"
        yield words, patch, replace(free, cluster=replace(free.cluster, nodes=count))


def worked(request: PlanRequest, words: str, **fields: Any) -> Iterator[Offer]:
    """The same question with some fields of its workload changed."""
    yield words, {"workload": fields}, replace(request, workload=replace(request.workload, **fields))
