"""From a plan's result to the texts of its page: sentences, headline figures, the trace of each number.

Reads the same ``PlanResult`` as the API and the exports, and computes nothing itself. Templates print these
records unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from planner.contract.card_fields import CARD
from planner.contract.fields import CLUSTER, LAYOUT
from planner.contract.workload_fields import WORKLOAD
from planner.engine.answer.remarks import PARTS_OF_THE_PLAN
from planner.engine.question.request import Cluster, Layout, PlanRequest
from planner.engine.question.result import SURE, PlanResult
from planner.engine.question.result import Remedy as Change
from planner.engine.question.result import Verdict as VerdictKind
from planner.engine.question.words import RECOMPUTES, SHARDINGS
from planner.launch import LaunchTable, launch_tables
from planner.plans.bills import PriceNote, limits, price_note
from planner.plans.evidence import Note, notes
from planner.plans.room import in_cases, room
from planner.plans.variations import FOLLOWING
from planner.web import formats
from planner.web.formats import Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer in one sentence. detail: what does not fit, or how narrowly it fits.  gist: its shortest
    form.
    """

    kind: VerdictKind
    subject: str
    sentence: str
    detail: str
    gist: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """One of the four figures. key: its trace's anchor.  term: glossary entry of its name, if it has one.

    evidence: what was measured near it.
    """

    key: str
    label: str
    value: Quantity | None
    range: Quantity | None
    note: str = ""
    term: str = ""
    evidence: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A change that makes the plan fit, and the form fields that make it."""

    text: str
    changes: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPage:
    """Everything that the plan page says about one result, except charts."""

    verdict: Verdict
    headlines: tuple[Headline, ...]
    remedies: tuple[Remedy, ...]
    price: PriceNote | None
    layout: str
    layout_chosen: str
    chosen: str
    launch: tuple[LaunchTable, ...]
    facts: tuple[tuple[str, Quantity | str], ...]
    warnings: tuple[str, ...]


def present_plan(request: PlanRequest, result: PlanResult, *, today: date) -> PlanPage:
    """Everything that the plan page says about one result, except charts. today: for the age of prices."""
    return PlanPage(
        verdict=verdict(request, result),
        headlines=with_evidence(headlines(result), notes(request, result)),
        remedies=remedies(result),
        price=price_note(result, today=today),
        layout=layout_in_words(result.layout, result.cluster),
        layout_chosen=", ".join(name.replace("_", " ") for name in result.layout_chosen),
        chosen=chosen_fields(result.layout),
        launch=launch_tables(request, result),
        facts=facts(request, result),
        warnings=tuple(warning.message for warning in result.warnings if warning.code not in SAID_ELSEWHERE),
    )


def machines(cluster: Cluster) -> str:
    """16 × p5.48xlarge, or 4 × (8 × H100 SXM) for a user's own machines."""
    kind = cluster.instance_type or f"({cluster.accelerators_per_node} × {cluster.accelerator.name})"
    if cluster.mig_profile is not None:
        kind = f"{kind} in {cluster.mig_profile.profile} slices"
    return f"{cluster.nodes or 1:,} × {kind}"


def model_name(request: PlanRequest) -> str:
    """The model's name; one that was pasted or described without a name is the reader's."""
    return "Your model" if request.model.name == NAMELESS else request.model.name


def verdict(request: PlanRequest, result: PlanResult) -> Verdict:
    """Llama 3.1 8B on 16 × p5.48xlarge: fits with 21 GiB to spare; 31 days (28 to 35); $655k (...)."""
    memory = result.memory
    if result.verdict == "fits":
        fit = f"fits with {room(result)}"
    elif result.verdict == "tight":
        fit = f"tight, {in_cases(memory.fit_probability)}"
    else:
        fit = f"does not fit, {room(result)}"
    total = formats.duration(result.time.total_s)
    time = f"{total} ({formats.duration_ends(*result.time.total_interval_s, result.time.total_s)})"
    cost = gist_cost = ""
    if result.cost is not None:
        gist_cost = f", {formats.dollars(result.cost.usd)}"
        cost = f"; {formats.dollars(result.cost.usd)} ({formats.dollar_range(*result.cost.usd_interval)})"
    asked = limits(request, result)
    if asked.missed:
        fit = f"{fit}, but {' and '.join(asked.missed)}"
    kept = f"; {asked.kept}" if asked.kept else ""
    detail = ""
    high, usable = formats.gib(memory.interval_bytes[1]), formats.gib(memory.usable_bytes)
    if result.verdict == "tight":
        detail = (
            f"It may run out of memory: it leaves {room(result)} of {usable},"
            f" and the 80 % range of its need reaches {high}."
        )
    elif not result.fits:
        detail = _lack(result)
    return Verdict(
        # What fits and misses what was asked for is no green tick.
        kind="tight" if result.fits and asked.missed else result.verdict,
        subject=f"{model_name(request)} on {machines(result.cluster)}",
        sentence=f"{fit}; {time}{cost}{kept}" if result.fits else f"{fit} on each {unit_of(result.cluster)}",
        detail=" ".join(part for part in (detail, result.unavailable) if part),
        gist=f"{asked.gist or GISTS[result.verdict]}: {total}{gist_cost}"
        if result.fits
        else f"Does not fit: {room(result)}",
    )


#: What a model is called that nobody gave a name.
NAMELESS = "custom"
#: Warnings that the verdict or the note on the price says in its own words.
SAID_ELSEWHERE = ("price_stale", "no_price", "budget_missed", "unavailable")
GISTS: dict[VerdictKind, str] = {"fits": "Fits", "tight": "Tight", "does_not_fit": "Does not fit"}


def _lack(result: PlanResult) -> str:
    """What the plan needs and has where it lacks most, and the largest part of the need."""
    parts, usable = result.memory.per_accelerator_bytes, result.memory.usable_bytes
    where = _stage(result).removeprefix(", on ") or f"each {unit_of(result.cluster)}"
    largest = max(PARTS_OF_THE_PLAN, key=lambda name: float(getattr(parts, name)))
    return (
        f"{_sentence(where)} needs {formats.gib(parts.total)} and has {formats.gib(usable)};"
        f" the largest part is {largest.replace('_', ' ')} with {formats.gib(getattr(parts, largest))}."
    )


def unit_of(cluster: Cluster) -> str:
    """What one rank runs on, in words."""
    if cluster.mig_profile is not None:
        return "GPU instance"
    if cluster.accelerator.ranks_per_accelerator > 1:
        return "NeuronCore"
    return "GPU" if cluster.accelerator.vendor.lower() in ("nvidia", "amd") else "accelerator"


def with_evidence(
    figures: tuple[Headline, ...], found: Mapping[str, tuple[Note, ...]]
) -> tuple[Headline, ...]:
    """The figures with what was measured near each of them."""
    return tuple(replace(figure, evidence=found.get(figure.key, ())) for figure in figures)


def headlines(result: PlanResult) -> tuple[Headline, ...]:
    """Time, cost, memory and MFU, each with its 80 % range."""
    time, memory, cost = result.time, result.memory, result.cost
    would = "" if result.fits else "if it did fit; "
    return (
        Headline(
            key="time",
            label="Time",
            value=formats.duration(time.total_s),
            range=formats.duration_range(*time.total_interval_s, time.total_s),
            note=f"{would}{formats.count(time.steps)} steps of {formats.duration(time.step_s)}",
        ),
        Headline(
            key="cost",
            label="Cost",
            value=None if cost is None else formats.dollars(cost.usd),
            range=None if cost is None else formats.dollar_range(*cost.usd_interval),
            note="No price is known for these machines here"
            if cost is None
            else f"{would}{formats.dollars(cost.usd_per_million_tokens)} per million tokens",
        ),
        Headline(
            key="memory",
            label=f"Memory per {unit_of(result.cluster)}",
            value=formats.gib(memory.per_accelerator_bytes.total),
            range=formats.gib_range(*memory.interval_bytes),
            note=f"of {formats.gib(memory.usable_bytes)} usable{_stage(result)}",
        ),
        Headline(
            key="mfu",
            label="MFU",
            term="mfu",
            value=formats.percent(time.model_flops_utilization),
            range=formats.percent_range(*time.model_flops_utilization_interval),
            note=f"{formats.count(time.tokens_per_s_per_accelerator)} tokens/s per {unit_of(result.cluster)}"
            if result.cluster.accelerator.ranks_per_accelerator == 1
            else f"{formats.count(time.tokens_per_s_per_accelerator)} tokens/s per chip",
        ),
    )


def _stage(result: PlanResult) -> str:
    stages = result.layout.pipeline_parallel
    return f", on stage {result.memory.worst_stage + 1} of {stages}" if stages > 1 else ""


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def remedies(result: PlanResult) -> tuple[Remedy, ...]:
    """The changes that make the plan fit, each with its chance, time and cost."""
    return tuple(
        Remedy(text=_remedy_words(found), changes=patched_fields(found.request_patch))
        for found in result.remedies
    )


def _remedy_words(found: Change) -> str:
    cost = "" if found.usd is None else f", {formats.dollars(found.usd)}"
    chance = _chance(found.fit_probability)
    return f"{_sentence(found.change)}: {chance}, {formats.duration(found.total_s)}{cost}"


def _chance(chance: float) -> str:
    return "fits" if chance >= SURE else in_cases(chance)


def patched_fields(patch: Mapping[str, Any]) -> dict[str, str]:
    """A merge patch of the request as form fields. Replicas and accumulation follow from the others."""
    written: dict[str, str] = {}
    for name, section in (("workload", WORKLOAD), ("cluster", CLUSTER), ("layout", LAYOUT)):
        values = patch.get(name, {})
        if values == "auto":
            values = dict.fromkeys(field.name for field in LAYOUT.fields)
        for key, value in values.items():
            query = section[key].query
            if key == "activation_recompute":
                written[WORKLOAD[key].query] = value or "auto"
            elif key == "samples":
                written |= {WORKLOAD["tokens"].query: f"{value:.15g}", WORKLOAD["epochs"].query: "1"}
            elif query:
                flag = {True: "on", False: "", None: ""}
                plain = flag[value] if value is None or isinstance(value, bool) else str(value)
                plain = ",".join(value) if isinstance(value, list | tuple) else plain
                written[query] = "" if key in FOLLOWING else plain
    if "instance" in written:
        written |= dict.fromkeys(("chip", *(field.query for field in CARD.fields)), "")
    return written


def layout_in_words(layout: Layout, cluster: Cluster) -> str:
    """8-way tensor parallel inside each node with sequence parallel, 16 replicas, ZeRO-1, ..."""
    per_node = cluster.accelerators_per_node * cluster.accelerator.ranks_per_accelerator
    parts = []
    if layout.tensor_parallel > 1:
        inside = "inside each node" if layout.tensor_parallel <= per_node else "across nodes"
        sequence = " with sequence parallel" if layout.sequence_parallel else ""
        parts.append(f"{layout.tensor_parallel}-way tensor parallel {inside}{sequence}")
    if layout.pipeline_parallel > 1:
        chunks = (
            f" of {layout.interleaved_stages} interleaved chunks each"
            if layout.interleaved_stages > 1
            else ""
        )
        parts.append(f"{layout.pipeline_parallel} pipeline stages{chunks}")
    if layout.context_parallel > 1:
        parts.append(f"{layout.context_parallel}-way context parallel")
    if layout.expert_parallel > 1:
        parts.append(f"{layout.expert_parallel}-way expert parallel")
    replicas = layout.data_parallel
    parts.append("one replica" if replicas == 1 else f"{replicas:,} replicas (data parallel)")
    parts.append(SHARDINGS[layout.sharding].in_sentence())
    batch = f"micro-batches of {layout.micro_batch_size}"
    if layout.gradient_accumulation > 1:
        batch += f", {layout.gradient_accumulation:,} accumulated per step"
    parts.append(batch)
    parts.append(RECOMPUTES[layout.activation_recompute].in_sentence())
    return _sentence("; ".join(parts)) + "."


def chosen_fields(layout: Layout) -> str:
    """The layout as form fields, "tp=8 pp=1": the values that empty fields stand for, shown in grey."""
    degrees = (field for field in LAYOUT.fields if field.kind == "whole")
    return " ".join(f"{field.query}={getattr(layout, field.name)}" for field in degrees)


def facts(request: PlanRequest, result: PlanResult) -> tuple[tuple[str, Quantity | str], ...]:
    """The numbers behind the figures, in pairs of name and value."""
    parameters, time, memory, cluster = result.parameters, result.time, result.memory, result.cluster
    rows: list[tuple[str, Quantity | str]] = [("Parameters", formats.count(parameters.total))]
    if parameters.active != parameters.total:
        rows.append(("Active per token", formats.count(parameters.active)))
    if parameters.trainable != parameters.total:
        rows.append(("Trained", formats.count(parameters.trainable)))
    workload = request.workload
    batch_tokens = workload.global_batch_size * workload.sequence_length
    rows += [
        ("Run", formats.count(request.workload.tokens, "tokens")),
        (
            "Batch",
            f"{workload.global_batch_size:,} × {workload.sequence_length:,} = "
            f"{formats.count(batch_tokens)} tokens",
        ),
        ("Machines", f"{machines(cluster)}, {result.accelerators:,} × {cluster.accelerator.name}"),
        ("Throughput", formats.count(time.tokens_per_s, "tokens/s")),
        ("Step", formats.duration(time.step_s)),
        ("Hardware FLOPs used", formats.percent(time.hardware_flops_utilization)),
        ("Kept between steps", formats.gib(memory.resident_bytes)),
        ("Allocated, as PyTorch reports it", formats.gib(memory.allocated_bytes)),
        ("Reserved, as PyTorch reports it", formats.gib(memory.reserved_bytes)),
    ]
    return tuple(rows)
