"""Which layouts make sense: checking what was asked, deriving what is unique, enumerating what is open.

Degrees multiply to ranks: tensor x pipeline x context x data parallel; expert parallel divides the ranks of
one pipeline stage. Impossible questions are refused here; a layout that merely does not fit is not its concern.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from planner.engine.errors import PlanError, PlanErrors
from planner.engine.grid import RECOMPUTES, SHARDINGS, Array
from planner.engine.request import Cluster, Layout, LayoutRequest, PlanRequest, Recompute, Sharding
from planner.engine.specs import ModelSpec

#: Largest power of two tried as a micro-batch when it is open.
LARGEST_MICRO_BATCH = 64
#: Context parallel is tried only where a sequence is long enough to be worth splitting.
CONTEXT_PARALLEL_FROM_TOKENS = 16_384


def total_ranks(cluster: Cluster, nodes: int) -> int:
    return nodes * cluster.accelerators_per_node * cluster.accelerator.ranks_per_accelerator


def blocks(model: ModelSpec) -> int:
    return model.layers + model.decoder_layers


def divisors(number: int) -> list[int]:
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})


def is_auto(layout: LayoutRequest) -> bool:
    """True where nothing but the recompute kind was asked for."""
    return all(
        getattr(layout, item.name) is None for item in fields(layout) if item.name != "activation_recompute"
    )


def check_layout(request: PlanRequest, ranks: int) -> None:
    """Raise PlanErrors for a layout that cannot exist on ``ranks`` ranks, whatever the open degrees become."""
    asked, model, workload = request.layout, request.model, request.workload
    errors: list[PlanError] = []

    def refuse(field: str, value: object, message: str, remedy: str) -> None:
        errors.append(PlanError(f"layout.{field}", value, message, remedy))

    tensor = asked.tensor_parallel
    if tensor is not None and model.attention_heads % tensor:
        options = ", ".join(str(d) for d in divisors(model.attention_heads) if d <= 64)
        refuse(
            "tensor_parallel",
            tensor,
            f"{model.attention_heads} attention heads do not divide by it.",
            f"Use one of {options}.",
        )
    pipeline, interleaved = asked.pipeline_parallel, asked.interleaved_stages
    if pipeline is not None and pipeline > blocks(model):
        refuse(
            "pipeline_parallel",
            pipeline,
            f"there are more stages than the {blocks(model)} layers.",
            f"Use at most {blocks(model)}.",
        )
    elif interleaved is not None and interleaved > 1:
        if pipeline == 1:
            refuse(
                "interleaved_stages",
                interleaved,
                "interleaving needs more than one pipeline stage.",
                "Use 1, or raise pipeline_parallel.",
            )
        elif interleaved > blocks(model):
            refuse(
                "interleaved_stages",
                interleaved,
                f"there are more chunks than the {blocks(model)} layers.",
                f"Use at most {blocks(model)}.",
            )
    context = asked.context_parallel
    if context is not None and workload.sequence_length % context:
        refuse(
            "context_parallel",
            context,
            f"the sequence of {workload.sequence_length} tokens does not divide by it.",
            "Use a divisor of sequence_length.",
        )
    expert = asked.expert_parallel
    if expert is not None and expert > 1:
        if not model.experts:
            refuse("expert_parallel", expert, "the model has no experts.", "Use 1.")
        elif model.experts % expert:
            refuse(
                "expert_parallel",
                expert,
                f"{model.experts} experts do not divide by it.",
                "Use a divisor of the number of experts.",
            )
    degrees = [asked.tensor_parallel, asked.pipeline_parallel, asked.context_parallel, asked.data_parallel]
    known = math.prod(degree for degree in degrees if degree is not None)
    if ranks % known or (None not in degrees and known != ranks):
        given = " x ".join(str(degree) for degree in degrees if degree is not None)
        name = next(
            field
            for field, degree in zip(
                ("tensor_parallel", "pipeline_parallel", "context_parallel", "data_parallel"),
                degrees,
                strict=True,
            )
            if degree is not None
        )
        refuse(
            name,
            getattr(asked, name),
            f"the degrees {given} = {known} do not multiply to the {ranks} ranks of the cluster.",
            f"Choose degrees whose product is {ranks}, or leave data_parallel out.",
        )
    elif not errors:
        check_batch(request, ranks, refuse)
    if errors:
        raise PlanErrors(errors)


def check_batch(request: PlanRequest, ranks: int, refuse: object) -> None:
    """The batch must divide over replicas, micro-batches and accumulation, as far as these are known."""
    asked, batch = request.layout, request.workload.global_batch_size
    assert callable(refuse)
    data = asked.data_parallel
    if data is None and asked.tensor_parallel is not None and asked.pipeline_parallel is not None:
        data = ranks // (asked.tensor_parallel * asked.pipeline_parallel * (asked.context_parallel or 1))
    if data is None:
        return
    if (
        asked.expert_parallel
        and (data * (asked.context_parallel or 1) * (asked.tensor_parallel or 1)) % asked.expert_parallel
    ):
        refuse(
            "expert_parallel",
            asked.expert_parallel,
            f"it does not divide the {data * (asked.context_parallel or 1)} data- and context-parallel ranks of a stage.",
            "Use a divisor of data_parallel x context_parallel.",
        )
    micro, steps = asked.micro_batch_size, asked.gradient_accumulation
    if batch % data:
        field, value = (
            ("data_parallel", data)
            if asked.data_parallel is not None
            else ("tensor_parallel", asked.tensor_parallel)
        )
        refuse(
            field,
            value,
            f"the global batch of {batch} sequences does not divide over {data} replicas.",
            f"Use a global_batch_size that is a multiple of {data} (for example {max(1, round(batch / data)) * data}), or other degrees.",
        )
        return
    replica = batch // data
    if micro is not None and micro > replica:
        refuse(
            "micro_batch_size",
            micro,
            f"each of the {data} replicas has a batch of only {replica} sequences.",
            f"Use at most {replica}.",
        )
    elif micro is not None and replica % micro:
        refuse(
            "micro_batch_size",
            micro,
            f"the replica's batch of {replica} sequences does not divide by it.",
            f"Use one of {', '.join(str(d) for d in divisors(replica)[:12])}.",
        )
    elif steps is not None and (replica % steps or (micro is not None and micro * steps != replica)):
        refuse(
            "gradient_accumulation",
            steps,
            f"micro-batch x accumulation does not give the replica's batch of {replica} sequences.",
            f"Use {replica // (micro or 1)}, or leave it out.",
        )


@dataclass(frozen=True, slots=True)
class Candidates:
    """Layouts to choose from: arrays by PlanGrid field name, shape (plans,), and which fields were open."""

    arrays: dict[str, Array]
    open_fields: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.arrays["tensor_parallel"])

    def layout(self, index: int) -> Layout:
        row = {name: values[index] for name, values in self.arrays.items()}
        whole = {name: int(value) for name, value in row.items()}
        return Layout(
            tensor_parallel=whole["tensor_parallel"],
            sequence_parallel=bool(row["sequence_parallel"]),
            pipeline_parallel=whole["pipeline_parallel"],
            interleaved_stages=whole["interleaved_stages"],
            context_parallel=whole["context_parallel"],
            expert_parallel=whole["expert_parallel"],
            data_parallel=whole["data_parallel"],
            sharding=SHARDINGS[whole["sharding"]],
            sharding_group=whole["sharding_group"],
            micro_batch_size=whole["micro_batch_size"],
            gradient_accumulation=whole["gradient_accumulation"],
            activation_recompute=RECOMPUTES[whole["recompute"]],
        )


def recompute_choices(request: PlanRequest) -> list[Recompute]:
    asked = request.layout.activation_recompute or request.workload.activation_recompute
    return list(RECOMPUTES) if asked == "auto" else [asked]  # type: ignore[list-item]


def sharding_choices(request: PlanRequest, auto: bool) -> list[Sharding]:
    """What the named stack can do; ZeRO-2 is left to those who ask for it (it is between its neighbours)."""
    if request.layout.sharding is not None:
        return [request.layout.sharding]
    framework = request.workload.framework
    if framework in ("fsdp", "torchtitan"):
        return ["zero3"] if not auto else ["none", "zero3"]
    if framework in ("megatron", "neuron"):
        return ["zero1"]
    return ["none", "zero1", "zero3"]


def degree_choices(asked: int | None, options: list[int]) -> list[int]:
    return options if asked is None else [asked]


def enumerate_layouts(request: PlanRequest, ranks: int, *, thorough: bool = False) -> Candidates:
    """All layouts of ``request`` on exactly ``ranks`` ranks that divide evenly; may be empty.

    An object layout keeps what it names. What it leaves open: data parallel takes the ranks that are left;
    context parallel and interleaving stay 1 unless the layout is "auto"; the rest is enumerated.
    thorough: every divisor rather than the usual powers.
    """
    asked, model, workload, cluster = request.layout, request.model, request.workload, request.cluster
    auto = is_auto(asked)
    per_node = cluster.accelerators_per_node * cluster.accelerator.ranks_per_accelerator
    tensor = [d for d in divisors(math.gcd(model.attention_heads, ranks)) if d <= max(per_node, 1)]
    pipeline = [d for d in divisors(ranks) if d <= blocks(model)]
    context = [1]
    if auto and workload.sequence_length >= CONTEXT_PARALLEL_FROM_TOKENS:
        context = [d for d in (1, 2, 4, 8) if workload.sequence_length % d == 0]
    if cluster.mig_profile is not None:
        tensor = pipeline = context = [1]
    expert = divisors(model.experts) if model.experts else [1]
    interleaved = [1, 2, 4] if auto and workload.framework in ("megatron", "generic") else [1]
    micro = [2**k for k in range(int(math.log2(LARGEST_MICRO_BATCH)) + 1)]
    if thorough:
        micro = sorted({*micro, 3, 6, 12, 24, 48})
    axes = [
        degree_choices(asked.tensor_parallel, tensor),
        degree_choices(asked.pipeline_parallel, pipeline),
        degree_choices(asked.context_parallel, context),
        degree_choices(asked.expert_parallel, expert),
        degree_choices(asked.interleaved_stages, interleaved),
        [SHARDINGS.index(kind) for kind in sharding_choices(request, auto)],
        [0]
        if asked.micro_batch_size is None and asked.gradient_accumulation is not None
        else degree_choices(asked.micro_batch_size, micro),
        [RECOMPUTES.index(kind) for kind in recompute_choices(request)],
    ]
    mesh = np.meshgrid(*[np.array(axis, dtype=np.int64) for axis in axes], indexing="ij")
    t, p, c, e, v, sharding, b, recompute = (axis.ravel() for axis in mesh)
    data = np.where(ranks % (t * p * c) == 0, ranks // (t * p * c), 0)
    if asked.data_parallel is not None:
        data = np.where(data == asked.data_parallel, data, 0)
    batch = workload.global_batch_size
    safe = np.maximum(data, 1)
    replica = batch // safe
    if asked.micro_batch_size is None and asked.gradient_accumulation is not None:
        b = np.where(replica % asked.gradient_accumulation == 0, replica // asked.gradient_accumulation, 0)
    micro_batch = np.maximum(b, 1)
    steps = replica // micro_batch
    layers = blocks(model)
    sound = (
        (data > 0)
        & (b > 0)
        & (batch % safe == 0)
        & (replica % micro_batch == 0)
        & (p <= layers)
        & ((v == 1) | (p > 1))
        & ((e == 1) | ((safe * c * t) % e == 0))
    )
    if auto:
        # A pipeline is worth trying where its stages are even and it has work enough to fill.
        sound &= (layers % (p * v) == 0) | (p == 1)
        sound &= (p == 1) | (steps >= p)
    if asked.sharding is None:
        sound &= (sharding == 0) | (safe * c > 1)
    if asked.gradient_accumulation is not None:
        sound &= steps == asked.gradient_accumulation
    keep = np.flatnonzero(sound)
    sequence = asked.sequence_parallel
    arrays = {
        "tensor_parallel": t,
        "pipeline_parallel": p,
        "context_parallel": c,
        "expert_parallel": e,
        "interleaved_stages": v,
        "data_parallel": safe,
        "sharding": sharding,
        "sharding_group": np.minimum(asked.sharding_group or ranks, safe * c),
        "micro_batch_size": micro_batch,
        "gradient_accumulation": steps,
        "recompute": recompute,
        "sequence_parallel": (t > 1) & (default_sequence_parallel(request) if sequence is None else sequence),
    }
    open_fields = [
        name
        for name, axis in zip(
            (
                "tensor_parallel",
                "pipeline_parallel",
                "context_parallel",
                "expert_parallel",
                "interleaved_stages",
                "sharding",
                "micro_batch_size",
                "activation_recompute",
            ),
            axes,
            strict=True,
        )
        if len(axis) > 1
    ]
    return Candidates(
        {name: np.asarray(values, dtype=float)[keep] for name, values in arrays.items()}, tuple(open_fields)
    )


def default_sequence_parallel(request: PlanRequest) -> bool:
    """Contract: true with Megatron when tensor parallel is used; the other stacks that shard the sequence
    do so by default as well (torchtitan, NeuronX Distributed), FSDP-style tensor parallel does not."""
    return request.workload.framework in ("megatron", "torchtitan", "neuron", "generic")
