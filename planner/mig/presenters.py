"""What the partitions page says of an answer: verdict, figures, remedies, prices; formatted here alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from planner.mig import files, words
from planner.mig.drawing import Change, changes, where
from planner.mig.exports.layouts import afterwards
from planner.mig.exports.layouts import present as as_it_stands
from planner.mig.fixes import Fix, fixes
from planner.mig.placement.chip import Chip
from planner.mig.placement.openness import Fragmentation, fragmentation
from planner.mig.placement.question import Answer, Question
from planner.mig.prices import share, unused_usd_per_hour
from planner.mig.state import State
from planner.web import formats


@dataclass(frozen=True, slots=True)
class Figure:
    """A headline figure with a note."""

    name: str
    value: formats.Quantity | str
    note: str


@dataclass(frozen=True, slots=True)
class DemandRow:
    """What became of one demand. want: what each needs, where its label does not say so."""

    label: str
    want: str
    count: int
    served: int
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Result:
    """The answer on the page. longer: whether more time might better it."""

    verdict: str
    css: str
    figures: tuple[Figure, ...]
    demands: tuple[DemandRow, ...]
    fixes: tuple[Fix, ...]
    changes: tuple[Change, ...]
    hidden: int
    hosts: tuple[files.HostSteps, ...]
    exports: tuple[files.Export, ...]
    longer: bool


def result(question: Question, answer: Answer, state: State, known: Mapping[str, Chip]) -> Result:
    """Everything that the page shows of an answer.

    known: every chip that MIG divides, by slug.
    """
    shown, hidden = changes(question.gpus, answer)
    before = fragmentation(as_it_stands(question.gpus))
    after = fragmentation(afterwards(question.gpus, answer))
    return Result(
        verdict=verdict(question, answer),
        css="fits" if not answer.unplaced else "does_not_fit",
        figures=_figures(question, answer, before, after),
        demands=tuple(_demands(question, answer, state)),
        fixes=tuple(fixes(question, answer, state, known)),
        changes=tuple(shown),
        hidden=hidden,
        hosts=tuple(files.hosts(question.gpus, answer)),
        exports=files.exports(question.gpus, answer),
        longer=not answer.optimal and not state.longer,
    )


def verdict(question: Question, answer: Answer) -> str:
    """The answer in a sentence, with what was proven of it."""
    total = sum(gpus.count for gpus in question.gpus)
    wanted = sum(demand.count for demand in question.demands)
    if answer.served == wanted:
        served = "The one instance has" if wanted == 1 else f"All {wanted:,} instances have"
    else:
        served = f"{answer.served:,} of {wanted:,} instances have"
    return f"{served} a place, on {answer.gpus_used:,} of {total:,} GPUs: {_sure(question, answer)}."


def _sure(question: Question, answer: Answer) -> str:
    best = {
        "fewest_gpus": "no layout needs fewer",
        "least_cost": "no layout costs less",
        "most_demand": "no layout serves more",
        "fewest_changes": "no layout changes less",
    }[question.objective]
    if answer.optimal and answer.unplaced:
        return "no layout serves more (proven)"
    if answer.optimal:
        return f"{best} (proven)"
    bound = _bound(question, answer)
    limit = {
        "fewest_gpus": f"no layout needs fewer than {bound}",
        "least_cost": f"no layout costs less than {bound}",
        "most_demand": f"no layout serves more than {bound}",
        "fewest_changes": f"no layout makes or destroys fewer than {bound} instances",
    }[question.objective]
    return f"the best found so far, not proven the best; {limit}"


def _bound(question: Question, answer: Answer) -> str:
    if question.objective == "least_cost":
        return formats.dollars_per_hour(answer.bound).text
    return formats.significant(answer.bound) if answer.bound % 1 else f"{int(answer.bound):,}"


def _figures(
    question: Question, answer: Answer, before: Fragmentation, after: Fragmentation
) -> tuple[Figure, ...]:
    usd = answer.usd_per_hour
    per_hour = formats.dollars_per_hour(usd) if usd is not None else "no price"
    unused = unused_usd_per_hour(question.gpus, answer)
    idle = f"; {formats.dollars_per_hour(unused).text} of it for slices that nothing takes" if unused else ""
    destroyed = len(answer.destroyed)
    found = f"found in {formats.duration(answer.elapsed_s).text}"
    total = sum(gpus.count for gpus in question.gpus)
    return (
        Figure("GPUs that serve", f"{answer.gpus_used:,}", f"of {total:,}; {found}"),
        Figure(
            "Instances changed",
            f"{answer.created + destroyed:,}",
            f"{answer.created:,} made, {destroyed:,} destroyed",
        ),
        Figure("Their price", per_hour, f"of whole GPUs, on demand, at the cheapest instance type{idle}"),
        Figure(
            "Fragmentation",
            formats.percent(before.share),
            "of the room for further instances cannot be used as instances stand; "
            f"{after.share * 100:.0f} % after these steps",
        ),
    )


def _demands(question: Question, answer: Answer, state: State) -> Iterable[DemandRow]:
    lacking = {each.demand: each for each in answer.unplaced}
    places = {number: group.host_of(number) for group in question.gpus for number in group.numbers}
    by: dict[int, dict[str, list[int]]] = {}
    for placement in answer.placements:
        if placement.demand is not None:
            by.setdefault(placement.demand, {}).setdefault(placement.place.profile, []).append(placement.gpu)
    for number, demand in enumerate(question.demands):
        missing = lacking.get(number)
        listed = "; ".join(
            f"{len(gpus):,} × {profile} on {where(places[gpu] for gpu in gpus)}"
            for profile, gpus in by.get(number, {}).items()
        )
        wanted = state.demands[state.asked[number]]
        yield DemandRow(
            label=demand.label,
            want="" if wanted.plan_query or wanted.want == demand.label or not wanted.label else wanted.want,
            count=demand.count,
            served=demand.count - (missing.count if missing else 0),
            by=listed,
            why=missing.reason if missing else "",
        )


# --- prices ---


@dataclass(frozen=True, slots=True)
class PriceRow:
    """A profile of a chip with its part of the GPU's price."""

    profile: str
    memory: formats.Quantity
    share: formats.Quantity
    most: int
    usd: formats.Quantity | str
    unused: str
    unused_usd: formats.Quantity | str


def price_rows(chip: Chip, usd_per_gpu_hour: float | None, which: str | tuple[str, ...]) -> list[PriceRow]:
    """What an instance of each profile costs when a machine is shared out, and what stays unused."""
    found = []
    for name in chip.named(which):
        profile = chip.by_name[name]
        part = share(chip, profile)
        compute = chip.compute_slices - profile.max_instances * profile.compute_slices
        memory = chip.memory_slices - profile.max_instances * profile.size
        idle = max(0.0, 1.0 - profile.max_instances * part)
        found.append(
            PriceRow(
                profile=name,
                memory=formats.gib(profile.memory_bytes),
                share=formats.percent(part),
                most=profile.max_instances,
                usd="no price"
                if usd_per_gpu_hour is None
                else formats.dollars_per_hour(usd_per_gpu_hour * part),
                unused=f"{compute} compute, {memory} memory",
                unused_usd=""
                if usd_per_gpu_hour is None or not idle
                else formats.dollars_per_hour(usd_per_gpu_hour * idle),
            )
        )
    return found


def objective_choices() -> list[tuple[str, str]]:
    """Aims with their labels."""
    return list(words.OBJECTIVES.items())
