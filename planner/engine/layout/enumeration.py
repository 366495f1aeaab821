"""Enumerating layouts: every combination of the open fields of a question that divides evenly, as arrays.

Degrees multiply to ranks: tensor x pipeline x context x data parallel. Layouts that an expert would not try
(stages so uneven that one in seven idles, a pipeline with too few micro-batches to fill it) are left out
where the choice is ours, and kept where they were asked for. Nothing here depends on memory or time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.engine.grid.plan_grid import NO_SHARDING, RECOMPUTES, SHARDINGS, Array
from planner.engine.layout.stacks import CONTEXT, EXPERT, INTERLEAVED, PIPELINE, STACKS, TENSOR
from planner.engine.question import effort
from planner.engine.question.request import (
    Cluster,
    Layout,
    LayoutRequest,
    PlanRequest,
    Recompute,
    Sharding,
)
from planner.engine.question.specs import ModelSpec

Whole = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: Tokens of the largest micro-batch that is tried: beyond it every matmul runs at its full rate.
LARGEST_MICRO_BATCH_TOKENS = 65_536
LARGEST_MICRO_BATCH = 1024
#: A batch that divides by this has enough powers of two for micro-batches on any number of replicas.
MANY_TWOS = 64
#: Context parallel is tried where a rank keeps at least this many tokens of a sequence.
CONTEXT_PARALLEL_TOKENS = 8_192
LARGEST_CONTEXT_PARALLEL = 32
#: Experts are spread over at most this many ranks (DeepSeek-AI 2024, section 3.1: 64).
LARGEST_EXPERT_PARALLEL = 64
#: Stages may have places for at most 15 % more blocks than there are (126 layers on 16 stages: 1.6 %).
UNEVEN_SHARE = 1.15
#: Likewise for the chunks of an interleaved schedule, which are many and small.
UNEVEN_CHUNKS = 1.05
#: Chunks a stage is cut into for the interleaved schedule (Narayanan et al. 2021, section 2.2).
INTERLEAVINGS = (1, 2, 4)

#: The fields of a layout in which candidates may differ, in the order in which their arrays are laid out:
#: recompute varies fastest, so that plans that differ in recompute alone stand side by side.
FIELDS = (
    "tensor_parallel",
    "pipeline_parallel",
    "context_parallel",
    "expert_parallel",
    "interleaved_stages",
    "micro_batch_size",
    "sharding",
    "activation_recompute",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """Values to try for each field of a layout.

    data, accumulation: None where they follow from the others.
    sharding, recompute: as indices into SHARDINGS and RECOMPUTES.
    pipeline_asked: the question names the pipeline degree, so uneven stages are kept.
    """

    tensor: Sequence[int]
    pipeline: Sequence[int]
    context: Sequence[int]
    expert: Sequence[int]
    interleaved: Sequence[int]
    micro: Sequence[int]
    sharding: Sequence[int]
    recompute: Sequence[int]
    data: int | None
    accumulation: int | None
    sharding_group: int | None
    sequence_parallel: bool
    pipeline_asked: bool

    @property
    def open_fields(self) -> tuple[str, ...]:
        """Names of the fields with more than one value to try."""
        values = (
            self.tensor,
            self.pipeline,
            self.context,
            self.expert,
            self.interleaved,
            self.micro,
            self.sharding,
            self.recompute,
        )
        return tuple(name for name, axis in zip(FIELDS, values, strict=True) if len(axis) > 1)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Layouts to choose from: arrays by PlanGrid field name, shape (plans,), and which fields were open.

    kinds: how many recompute kinds were tried. Plans that differ in recompute alone stand side by side in
    runs of this length, so it divides the number of plans.
    looked_at: count of combinations, including those that do not divide.
    """

    arrays: dict[str, Array]
    open_fields: tuple[str, ...]
    kinds: int = 1
    looked_at: int = 0

    def __len__(self) -> int:
        return len(self.arrays["tensor_parallel"])

    def layout(self, index: int) -> Layout:
        """The layout at position ``index``."""
        whole = {name: int(values[index]) for name, values in self.arrays.items()}
        return Layout(
            tensor_parallel=whole["tensor_parallel"],
            sequence_parallel=bool(whole["sequence_parallel"]),
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


def blocks(model: ModelSpec) -> int:
    """Count of the model's blocks, the decoder's included."""
    return model.layers + model.decoder_layers


def ranks_per_node(cluster: Cluster) -> int:
    """Ranks that one node can hold: chips x ranks of a chip, or all its GPU instances of the MIG profile."""
    per_chip = cluster.accelerator.ranks_per_accelerator
    if cluster.mig_profile is not None:
        per_chip = cluster.mig_profile.max_instances
    return cluster.accelerators_per_node * per_chip


def divisors(number: int) -> list[int]:
    """All divisors of ``number``, ascending."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})


def default_sequence_parallel(request: PlanRequest) -> bool:
    """Whether the stack shards the sequence when tensor parallelism is used.

    By the contract Megatron does. torchtitan and NeuronX Distributed do so by default as well; FSDP-style
    tensor parallelism does not.
    """
    return request.workload.framework in ("megatron", "torchtitan", "neuron", "generic")


def is_auto(request: PlanRequest) -> bool:
    """True where the question names no field of the layout, except perhaps recompute."""
    return replace(request.layout, activation_recompute=None) == LayoutRequest()


def axes_of(request: PlanRequest, *, plain: bool = False) -> Axes:
    """What may be tried for each field: the value asked for, or the sensible ones.

    plain: fields that stacks leave at 1 unless told otherwise (context, expert, interleaving) stay at 1.
    """
    asked, cluster, model = request.layout, request.cluster, request.model
    stack = STACKS[request.workload.framework]
    # GPU instances allow replicas only.
    usual = frozenset[str]() if cluster.mig_profile is not None else stack.usual_axes
    split = usual & {TENSOR, PIPELINE} if plain else usual
    return Axes(
        tensor=one_or(asked.tensor_parallel, tensor_choices(request) if TENSOR in split else [1]),
        pipeline=one_or(asked.pipeline_parallel, pipeline_choices(model) if PIPELINE in split else [1]),
        context=one_or(asked.context_parallel, context_choices(request) if CONTEXT in split else [1]),
        expert=one_or(asked.expert_parallel, expert_choices(model) if EXPERT in split else [1]),
        interleaved=one_or(asked.interleaved_stages, list(INTERLEAVINGS) if INTERLEAVED in split else [1]),
        micro=one_or(asked.micro_batch_size, micro_batch_choices(request)),
        sharding=[SHARDINGS.index(kind) for kind in sharding_choices(request)],
        recompute=[RECOMPUTES.index(kind) for kind in recompute_choices(request)],
        data=1 if stack.most_ranks == 1 else asked.data_parallel,
        accumulation=asked.gradient_accumulation,
        sharding_group=asked.sharding_group,
        sequence_parallel=default_sequence_parallel(request)
        if asked.sequence_parallel is None
        else asked.sequence_parallel,
        pipeline_asked=asked.pipeline_parallel is not None,
    )


def one_or(asked: int | None, options: Sequence[int]) -> Sequence[int]:
    """The value asked for as the only option, else ``options``."""
    return options if asked is None else [asked]


def tensor_choices(request: PlanRequest) -> list[int]:
    """Degrees within a node for which heads, key-value heads and MLP all divide or repeat evenly."""
    model, per_node = request.model, ranks_per_node(request.cluster)
    kv = max(model.kv_heads, 1)
    return [
        degree
        for degree in divisors(model.attention_heads)
        if degree <= per_node and per_node % degree == 0 and (kv % degree == 0 or degree % kv == 0)
    ]


def pipeline_choices(model: ModelSpec) -> list[int]:
    """Stage counts that leave the stages nearly even (UNEVEN_SHARE)."""
    layers = blocks(model)
    return [
        degree for degree in range(1, layers + 1) if -(-layers // degree) * degree <= UNEVEN_SHARE * layers
    ]


def context_choices(request: PlanRequest) -> list[int]:
    """Powers of two that leave a rank at least CONTEXT_PARALLEL_TOKENS tokens of a sequence."""
    sequence = request.workload.sequence_length
    if request.model.architecture == "vision_encoder":
        return [1]
    largest = min(LARGEST_CONTEXT_PARALLEL, sequence // CONTEXT_PARALLEL_TOKENS)
    degrees = [1, 2, 4, 8, 16, 32]
    targets = request.workload.decoder_sequence_length
    return [
        degree
        for degree in degrees
        if degree == 1 or (degree <= largest and sequence % degree == 0 and targets % degree == 0)
    ]


def expert_choices(model: ModelSpec) -> list[int]:
    """1, then about one degree in each factor of four up to LARGEST_EXPERT_PARALLEL."""
    if not model.experts:
        return [1]
    chosen = [1]
    for degree in divisors(model.experts):
        if degree >= 4 * chosen[-1] and degree <= LARGEST_EXPERT_PARALLEL:
            chosen.append(degree)
    whole = min(model.experts, LARGEST_EXPERT_PARALLEL)
    return chosen if chosen[-1] == whole or model.experts % whole else [*chosen, whole]


def micro_batch_choices(request: PlanRequest) -> list[int]:
    """Powers of two that divide the batch, up to LARGEST_MICRO_BATCH_TOKENS tokens.

    A batch with few factors of two gets odd divisors as well, about one in each doubling.
    """
    workload = request.workload
    batch, longest = (
        workload.global_batch_size,
        max(workload.sequence_length, workload.decoder_sequence_length),
    )
    largest = max(1, min(LARGEST_MICRO_BATCH, LARGEST_MICRO_BATCH_TOKENS // longest))
    twos = batch & -batch
    powers = [2**power for power in range(twos.bit_length()) if 2**power <= largest]
    odd = [1]
    if twos < MANY_TWOS:
        for size in divisors(batch // twos):
            if 1.5 * odd[-1] <= size <= largest:
                odd.append(size)
    return sorted({*powers, *odd})


def recompute_choices(request: PlanRequest) -> list[Recompute]:
    """The kind of recompute asked for, or all kinds."""
    asked = request.layout.activation_recompute or request.workload.activation_recompute
    has = STACKS[request.workload.framework].recomputes
    return [kind for kind in RECOMPUTES if kind in has] if asked == "auto" else [asked]


def sharding_choices(request: PlanRequest) -> list[Sharding]:
    """What the named stack does. ZeRO-2, which lies between its neighbours, is tried only when asked for."""
    asked = request.layout.sharding
    if asked is not None:
        return [asked]
    if request.cluster.mig_profile is not None:
        return ["none"]
    return list(STACKS[request.workload.framework].usual_shardings)


@dataclass(frozen=True, slots=True)
class Degrees:
    """Sound combinations of the degrees, shape (combinations,); the ranks are their product.

    tried: count of the combinations that were looked at to find them.
    """

    tensor: Whole
    pipeline: Whole
    context: Whole
    data: Whole
    expert: Whole
    interleaved: Whole
    tried: int

    @property
    def ranks(self) -> Whole:
        """Count of ranks of each combination."""
        return self.tensor * self.pipeline * self.context * self.data

    @staticmethod
    def joined(parts: Sequence[Degrees]) -> Degrees:
        """All combinations of the parts, in order."""
        return Degrees(
            tensor=np.concatenate([part.tensor for part in parts]),
            pipeline=np.concatenate([part.pipeline for part in parts]),
            context=np.concatenate([part.context for part in parts]),
            data=np.concatenate([part.data for part in parts]),
            expert=np.concatenate([part.expert for part in parts]),
            interleaved=np.concatenate([part.interleaved for part in parts]),
            tried=sum(part.tried for part in parts),
        )

    def at(self, index: Whole) -> Degrees:
        """The combinations at these positions."""
        return Degrees(
            self.tensor[index],
            self.pipeline[index],
            self.context[index],
            self.data[index],
            self.expert[index],
            self.interleaved[index],
            self.tried,
        )


def mesh(*axes: Sequence[int] | Whole) -> tuple[Whole, ...]:
    """All combinations of the axes' values, one flat array per axis; the last axis varies fastest.

    Raises PlanErrors where the question's budget does not reach (``effort``).
    """
    values = [np.asarray(axis, dtype=np.int64) for axis in axes]
    shape = tuple(value.size for value in values)
    effort.combinations_ahead(math.prod(shape))
    found = []
    for place, value in enumerate(values):
        # As numpy.meshgrid, which takes ten times as long for axes as short as these.
        grid = np.empty(shape, dtype=np.int64)
        grid[...] = value.reshape((-1,) + (1,) * (len(values) - place - 1))
        found.append(grid.ravel())
    return tuple(found)


def degrees_on(axes: Axes, request: PlanRequest, ranks: int) -> Degrees:
    """Degrees that multiply to exactly ``ranks``."""
    tensor = [degree for degree in axes.tensor if ranks % degree == 0]
    pipeline = [degree for degree in axes.pipeline if ranks % degree == 0]
    context = [degree for degree in axes.context if ranks % degree == 0]
    t, p, c, e, v = mesh(tensor, pipeline, context, axes.expert, axes.interleaved)
    model_ranks = t * p * c
    data = np.where(ranks % model_ranks == 0, ranks // model_ranks, 0)
    if axes.data is not None:
        data = np.where(data == axes.data, data, 0)
    found = Degrees(t, p, c, data, e, v, len(t))
    return found.at(np.flatnonzero(sound_degrees(axes, request, found)))


def degrees_of_any_size(axes: Axes, request: PlanRequest, most_ranks: int) -> Degrees:
    """Degrees whose product is at most ``most_ranks``; the replicas are divisors of the batch."""
    replicas = divisors(request.workload.global_batch_size) if axes.data is None else [axes.data]
    t, p, c, d, e, v = mesh(axes.tensor, axes.pipeline, axes.context, replicas, axes.expert, axes.interleaved)
    found = Degrees(t, p, c, d, e, v, len(t))
    sound = sound_degrees(axes, request, found) & (found.ranks <= most_ranks)
    return found.at(np.flatnonzero(sound))


def sound_degrees(axes: Axes, request: PlanRequest, found: Degrees) -> Mask:
    """Flags, shape (combinations,): combinations that divide evenly and that an expert would try."""
    batch, layers = request.workload.global_batch_size, blocks(request.model)
    data = np.maximum(found.data, 1)
    pipeline, chunks = found.pipeline, found.interleaved
    sound: Mask = (found.data > 0) & (batch % data == 0) & (pipeline <= layers)
    sound &= (chunks == 1) | (pipeline > 1)
    if len(axes.interleaved) > 1:
        # Only nearly equal chunks are tried (Llama 3 spread 126 layers over 128 places). A question may name
        # others.
        places = pipeline * chunks
        sound &= (chunks == 1) | (-(-layers // places) * places <= UNEVEN_CHUNKS * layers)
    # Experts lie on the data- and context-parallel ranks, or on the tensor-parallel ones as well.
    sound &= (found.expert == 1) | ((data * found.context * found.tensor) % found.expert == 0)
    if len(axes.expert) > 1 or (request.workload.moe is not None and request.workload.moe.split_experts):
        sound &= (data * found.context) % found.expert == 0
    if not axes.pipeline_asked:
        # A pipeline is filled by at least as many micro-batches as it has stages.
        sound &= (pipeline == 1) | (batch // data >= pipeline)
    return sound


def candidates_on(axes: Axes, request: PlanRequest, degrees: Degrees) -> Candidates:
    """All layouts with these degrees: micro-batches, sharding and recompute kinds that divide evenly."""
    batch = request.workload.global_batch_size
    count = len(degrees.tensor)
    kinds = len(axes.recompute)
    row, micro, sharding, recompute = mesh(np.arange(count), axes.micro, axes.sharding, axes.recompute)
    data, context = degrees.data[row], degrees.context[row]
    pipeline, chunks = degrees.pipeline[row], degrees.interleaved[row]
    replica = batch // np.maximum(data, 1)
    if axes.accumulation is not None and len(axes.micro) > 1:
        # The micro-batch follows from the accumulation: only the first value of the axis is used, to hold it.
        first = micro == axes.micro[0]
        micro = np.where(
            first & (replica % axes.accumulation == 0), replica // axes.accumulation, replica + 1
        )
    steps = replica // micro
    keep = replica % micro == 0
    if axes.accumulation is not None:
        keep &= steps == axes.accumulation
    if not axes.pipeline_asked:
        keep &= (pipeline == 1) | (steps >= pipeline)
    if len(axes.interleaved) > 1:
        keep &= (chunks == 1) | (steps % np.maximum(pipeline, 1) == 0)
    shared = data * context
    if request.layout.sharding is None:
        # A single rank has no other to share with, so only the first value of the axis is used, for "none".
        keep &= (shared > 1) | (sharding == axes.sharding[0])
        sharding = np.where(shared > 1, sharding, NO_SHARDING)
    if axes.sharding_group is not None:
        keep &= shared % axes.sharding_group == 0
    index = np.flatnonzero(keep)
    group = shared if axes.sharding_group is None else np.full_like(shared, axes.sharding_group)
    tensor = degrees.tensor[row]
    arrays = {
        "tensor_parallel": tensor,
        "sequence_parallel": (tensor > 1) & axes.sequence_parallel,
        "pipeline_parallel": pipeline,
        "interleaved_stages": chunks,
        "context_parallel": context,
        "expert_parallel": degrees.expert[row],
        "data_parallel": data,
        "sharding": sharding,
        "sharding_group": group,
        "micro_batch_size": micro,
        "gradient_accumulation": steps,
        "recompute": recompute,
    }
    return Candidates(
        {name: values[index].astype(float) for name, values in arrays.items()},
        axes.open_fields,
        kinds,
        degrees.tried * len(axes.micro) * len(axes.sharding) * kinds,
    )
