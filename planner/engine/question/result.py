"""The answer: the same names, units and meanings as the JSON contract's response.

One frozen object that the page, the API, the command, the CSV and a saved scenario all read, so that
they show the same digits. Bytes, seconds, dollars; intervals are 80 % prediction intervals (low, high).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, NamedTuple

from planner.engine.question.request import Cluster, Layout
from planner.engine.question.sale import PaymentOption

Verdict = Literal["fits", "tight", "does_not_fit"]
#: Kinds of remedies, in the order in which they cost effort and money: changes of one setting, of the layout,
#: of several settings, of what is trained, and of the machines.
RemedyKind = Literal[
    "micro_batch",
    "recompute",
    "loss",
    "sequence_length",
    "frozen_precision",
    "optimizer",
    "offload",
    "sharding",
    "layout",
    "several",
    "adapters",
    "machine",
    "nodes",
]
#: From this chance on a plan is said to fit; below it, it is tight.
SURE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Parameters of the model: all, those that one token meets, and those that are trained (counts)."""

    total: int
    active: int
    trainable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryParts:
    """Bytes on the fullest accelerator rank at its peak; the parts add up to ``total``."""

    weights: float
    gradients: float
    optimizer_states: float
    activations: float
    logits: float
    temporary: float
    framework: float
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory of the fullest accelerator rank, in bytes.

    resident: between steps.  allocated, reserved: as torch.cuda's counters.  usable: memory that the rank
    has.
    interval: of what nvidia-smi shows; allocated_interval, reserved_interval: of torch's counters, whose
    errors are others.  needed: the least with which the plan runs, the allocator's cache given back.
    worst_stage: index of the pipeline stage that needs most.  fit_probability: the chance, by the errors of
    allocated bytes, that what is needed stays within what is usable.
    host_bytes: what the plan keeps in the memory of one node's CPUs; host_usable_bytes: what that node has,
    None where it is not known.
    """

    per_accelerator_bytes: MemoryParts
    resident_bytes: float
    allocated_bytes: float
    reserved_bytes: float
    usable_bytes: float
    interval_bytes: tuple[float, float]
    worst_stage: int
    fit_probability: float
    host_bytes: float
    host_usable_bytes: float | None
    allocated_interval_bytes: tuple[float, float]
    reserved_interval_bytes: tuple[float, float]
    needed_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBreakdown:
    """Seconds of one optimizer step; the parts add up to the step. Only exposed communication counts.

    The last four are None except in reinforcement learning.
    """

    forward: float
    backward: float
    recompute: float
    pipeline_bubble: float
    tensor_communication: float
    context_communication: float
    expert_communication: float
    pipeline_communication: float
    data_communication: float
    optimizer: float
    other: float
    generation: float | None = None
    scoring: float | None = None
    weight_synchronization: float | None = None
    waiting: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationPool:
    """How a round of reinforcement learning generates: the engine as asked or chosen. Counts, and seconds.

    accelerators: that generate.  concurrent_sequences: decoded together by one replica.  round_s: of a round
    on its own, to its longest answer.  decode_step_s: with all places taken.  idle_s: of the generating
    accelerators in each step where they have training to wait for.
    """

    engine: str
    accelerators: int
    tensor_parallel: int
    pipeline_parallel: int
    replicas: int
    concurrent_sequences: int
    decode_step_s: float
    round_s: float
    idle_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """Seconds of a step and of the run, and the throughput and utilization that follow from them.

    tokens_per_s: that are trained on.  processed_tokens_per_s: that are computed, padding included.

    Utilizations are shares of the dense peak; intervals are 80 % prediction intervals (low, high).
    """

    step_s: float
    step_breakdown_s: StepBreakdown
    step_interval_s: tuple[float, float]
    tokens_per_s: float
    processed_tokens_per_s: float
    tokens_per_s_per_accelerator: float
    model_flops_utilization: float
    hardware_flops_utilization: float
    model_flops_utilization_interval: tuple[float, float]
    steps: int
    total_s: float
    total_interval_s: tuple[float, float]
    samples_per_s: float | None = None
    interruptions: InterruptedTime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptedTime:
    """What a run on machines that are taken back expects.

    expected: interruptions of the whole run.  computing_s: seconds of its steps alone.  lost_s: seconds of
    checkpoints, lost work and restarts, which make up the rest of ``Time.total_s``.
    checkpoint_interval_s: seconds of work between checkpoints.
    """

    expected: float
    computing_s: float
    lost_s: float
    checkpoint_interval_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Dollars of the run as they are billed. purchase: way to pay, None where the price was given.

    usd: what the run costs: whole blocks, or the run's share of a commitment.  billed_usd: what the purchase
    comes to.  billed_hours: of each node, within ``usd``.  idle_usd: part of ``usd`` for time and nodes that
    the run has no use for.  commitment_usd, commitment_years: what one owes, used or not, over how long
    (None: nothing is committed).  upfront_usd: due on the first day.  payment_option: as in ``Sale``.
    blocks, block_days: how many blocks, and how long each (None: not sold by the block).
    price_interval_usd_per_node_hour: 80 % interval of the price paid.
    list_usd_per_node_hour, discount_percent: before a discount, and the discount.  own_price: the buyer's.
    price_note: what the price's source says beside it.
    """

    usd: float
    usd_interval: tuple[float, float]
    price_usd_per_node_hour: float
    price_as_of: date | None
    price_source: str | None
    purchase: str | None
    usd_per_million_tokens: float
    billed_usd: float = 0.0
    billed_hours: float = 0.0
    idle_usd: float = 0.0
    commitment_usd: float | None = None
    commitment_years: float | None = None
    upfront_usd: float = 0.0
    payment_option: PaymentOption | None = None
    blocks: int | None = None
    block_days: float | None = None
    price_interval_usd_per_node_hour: tuple[float, float] = (0.0, 0.0)
    list_usd_per_node_hour: float | None = None
    discount_percent: float | None = None
    own_price: bool = False
    price_note: str = ""


class Term(NamedTuple):
    """One line of the explanation: a named number, the formula with its numbers put in, and its source.

    parent: the name of the term it is part of (None for a headline); children of one parent that are
    marked ``part`` add up to it.
    """

    name: str
    value: float
    unit: str
    formula: str
    source: str
    parent: str | None = None
    part: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Warning:
    """Something the reader should know about the answer. code: stable name for programs."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A change that makes a plan fit. kind: one of RemedyKind.  change: in words.

    request_patch: what to put over the request, as a JSON merge patch (RFC 7396: objects are merged, null
    removes).  fit_probability: chance that the changed plan fits.  total_s: seconds of the changed run.  usd:
    dollars, None where no price is known.  layout (complete), nodes, instance_type and accelerator are those
    of the changed plan; memory_total_bytes and usable_bytes those of its fullest rank.
    """

    kind: RemedyKind
    change: str
    request_patch: Mapping[str, Any]
    fit_probability: float
    total_s: float
    usd: float | None
    layout: Layout
    nodes: int
    instance_type: str | None
    accelerator: str
    memory_total_bytes: float
    usable_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How much of a quantity was measured near a plan. runs, sources: counts.  nearest: ids of runs.

    error_on_unseen: mean |predicted / measured - 1| of these runs with their source left out of the fit (of
    the class of task where there is none near), None where not known.  runs_on_accelerator: of any kind, on
    the plan's accelerator.
    """

    runs: int
    sources: int
    nearest: tuple[str, ...]
    error_on_unseen: float | None
    runs_on_accelerator: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was measured near a plan: of step times, and of memory."""

    time: Measured
    memory: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanResult:
    """The whole answer to one question. layout_chosen: names of the layout fields that the engine chose.

    model_read_as: what was recognised of the model, in one line.
    unavailable: why these machines cannot be bought so, "" where they can.
    meets_deadline, meets_budget: whether the run keeps within what was asked for, None where nothing was.
    remedies: of a plan that does not fit or is tight, the changes that make it fit, the cheapest first.
    evidence: what was measured near the plan; None where only figures were asked for.
    """

    id: Any
    fits: bool
    reason: str | None
    layout: Layout
    layout_chosen: tuple[str, ...]
    cluster: Cluster
    accelerators: int
    parameters: Parameters
    memory: Memory
    time: Time
    cost: Cost | None
    explanation: tuple[Term, ...]
    warnings: tuple[Warning, ...]
    remedies: tuple[Remedy, ...] = ()
    model_read_as: str = ""
    unavailable: str = ""
    meets_deadline: bool | None = None
    meets_budget: bool | None = None
    evidence: Evidence | None = None
    generation: GenerationPool | None = None

    @property
    def verdict(self) -> Verdict:
        """``tight``: it fits, and the chance that it does in practice is under nine in ten."""
        if not self.fits:
            return "does_not_fit"
        return "tight" if self.memory.fit_probability < SURE else "fits"

    @property
    def nearest_fit(self) -> Remedy | None:
        """The first of the remedies of a plan that does not fit."""
        return None if self.fits or not self.remedies else self.remedies[0]
