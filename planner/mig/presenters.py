"""What the partitions page says: verdict, figures, rows to edit, prices of slices; formatted here alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from planner.mig import words
from planner.mig.drawing import Change, changes, present, runs
from planner.mig.exports.kubernetes import device_plugin, dra, gpu_operator
from planner.mig.exports.layouts import afterwards, host_layouts
from planner.mig.exports.layouts import present as as_it_stands
from planner.mig.exports.mig_parted import mig_parted
from planner.mig.exports.slurm import slurm
from planner.mig.placement.chip import Chip
from planner.mig.placement.openness import Fragmentation, fragmentation, offers
from planner.mig.placement.question import Answer, Gpus, Question
from planner.mig.placement.steps import steps
from planner.mig.prices import share, unused_usd_per_hour
from planner.mig.state import Row
from planner.web import formats
from planner.web.numbers import whole
from planner.web.slices import Picture


@dataclass(frozen=True, slots=True)
class Figure:
    """A headline figure with a note."""

    name: str
    value: formats.Quantity | str
    note: str


@dataclass(frozen=True, slots=True)
class DemandRow:
    """What became of one demand."""

    label: str
    count: int
    served: int
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class HostSteps:
    """The steps of one host. text: the commands, to copy."""

    host: str
    slug: str
    lines: tuple[tuple[str, str], ...]
    text: str


@dataclass(frozen=True, slots=True)
class Export:
    """A file of another project."""

    slug: str
    title: str
    note: str
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """The answer on the page."""

    verdict: str
    css: str
    figures: tuple[Figure, ...]
    demands: tuple[DemandRow, ...]
    nearest_change: str
    changes: tuple[Change, ...]
    hidden: int
    hosts: tuple[HostSteps, ...]
    exports: tuple[Export, ...]
    fragmentation: tuple[tuple[str, int, int], ...]


def result(question: Question, answer: Answer) -> Result:
    """Everything that the page shows of an answer."""
    shown, hidden = changes(question.gpus, answer)
    before = fragmentation(as_it_stands(question.gpus))
    after = fragmentation(afterwards(question.gpus, answer))
    return Result(
        verdict=verdict(question, answer),
        css="fits" if not answer.unplaced else "does_not_fit",
        figures=_figures(question, answer, before, after),
        demands=tuple(_demands(question, answer)),
        nearest_change=answer.nearest_change,
        changes=tuple(shown),
        hidden=hidden,
        hosts=tuple(_hosts(question.gpus, answer)),
        exports=_exports(question.gpus, answer),
        fragmentation=before.by_profile,
    )


def verdict(question: Question, answer: Answer) -> str:
    """The answer in a sentence, with what was proven of it."""
    total = sum(gpus.count for gpus in question.gpus)
    wanted = sum(demand.count for demand in question.demands)
    served = "All" if answer.served == wanted else f"{answer.served:,} of"
    sure = {
        "fewest_gpus": "no layout needs fewer",
        "least_cost": "no layout costs less",
        "most_demand": "no layout serves more",
        "fewest_changes": "no layout changes less",
    }[question.objective]
    proof = f"{sure} (proven)" if answer.optimal else f"not proven the best; the bound is {_bound(answer)}"
    return f"{served} {wanted:,} instances have a place, on {answer.gpus_used:,} of {total:,} GPUs: {proof}."


def _bound(answer: Answer) -> str:
    return formats.significant(answer.bound) if answer.bound % 1 else f"{int(answer.bound):,}"


def _figures(
    question: Question, answer: Answer, before: Fragmentation, after: Fragmentation
) -> tuple[Figure, ...]:
    usd = answer.usd_per_hour
    per_hour = formats.dollars_per_hour(usd) if usd is not None else "no price"
    unused = unused_usd_per_hour(question.gpus, answer)
    idle = f"; {formats.dollars_per_hour(unused).text} of it for slices that nothing takes" if unused else ""
    destroyed = len(answer.destroyed)
    return (
        Figure(
            "GPUs that serve",
            f"{answer.gpus_used:,}",
            f"bound {_bound(answer)}, found in {formats.duration(answer.elapsed_s).text}"
            if question.objective == "fewest_gpus"
            else f"found in {formats.duration(answer.elapsed_s).text}",
        ),
        Figure(
            "To be changed",
            f"{answer.created + destroyed:,}",
            f"{answer.created} made, {destroyed} destroyed",
        ),
        Figure("Their price", per_hour, f"of whole GPUs, on demand, at the cheapest instance type{idle}"),
        Figure(
            "Fragmentation",
            formats.percent(before.share),
            "of the room for further instances cannot be used as they stand; "
            f"{after.share * 100:.0f} % afterwards",
        ),
    )


def _demands(question: Question, answer: Answer) -> Iterable[DemandRow]:
    lacking = {each.demand: each for each in answer.unplaced}
    by: dict[int, dict[str, list[int]]] = {}
    for placement in answer.placements:
        if placement.demand is not None:
            by.setdefault(placement.demand, {}).setdefault(placement.place.profile, []).append(placement.gpu)
    for number, demand in enumerate(question.demands):
        missing = lacking.get(number)
        listed = "; ".join(
            f"{len(gpus)} × {profile} on GPU {runs(sorted(set(gpus)))}"
            for profile, gpus in by.get(number, {}).items()
        )
        yield DemandRow(
            label=demand.label,
            count=demand.count,
            served=demand.count - (missing.count if missing else 0),
            by=listed,
            why=missing.reason if missing else "",
        )


def _hosts(groups: Sequence[Gpus], answer: Answer) -> Iterable[HostSteps]:
    by_host: dict[str, list[tuple[str, str]]] = {}
    for step in steps(groups, answer):
        by_host.setdefault(step.host, []).append((step.command, step.words))
    for number, (host, lines) in enumerate(by_host.items()):
        yield HostSteps(host, f"steps-{number}", tuple(lines), "\n".join(command for command, _ in lines))


def _exports(groups: Sequence[Gpus], answer: Answer) -> tuple[Export, ...]:
    layouts = host_layouts(groups, answer)
    if not layouts:
        return ()
    return (
        Export(
            "mig-parted",
            "mig-parted",
            "It says how many, not where: it destroys and makes anew "
            "whatever differs, and stops where an instance is in use. The steps above do neither.",
            mig_parted(layouts),
        ),
        Export(
            "gpu-operator",
            "GPU operator",
            "A config map for its MIG manager, which runs mig-parted.",
            gpu_operator(layouts),
        ),
        Export(
            "device-plugin",
            "Kubernetes device plugin",
            "Its configuration, with the resources that pods then ask for.",
            device_plugin(layouts),
        ),
        Export("dra", "Kubernetes DRA", "A claim template for each profile.", dra(layouts)),
        Export("slurm", "Slurm", "Lines of gres.conf and slurm.conf.", slurm(layouts)),
    )


# --- editing ---


@dataclass(frozen=True, slots=True)
class Offer:
    """A place where an instance could be made. value: as an address writes it."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class EditRow:
    """A row of GPUs to edit. picture, offers, refused: None and empty where the row makes no sense yet."""

    index: int
    row: Row
    picture: Picture | None
    offers: tuple[Offer, ...]
    refused: tuple[tuple[str, str], ...]
    can_split: bool


def edit_rows(
    rows: Sequence[Row], groups: Sequence[Gpus] | None, which: str | tuple[str, ...]
) -> list[EditRow]:
    """Every row with what could be made in it next, and what could not and why."""
    found = []
    for index, row in enumerate(rows):
        group = groups[index] if groups is not None else None
        several = (whole(row.count) or 1) > 1
        if group is None:
            found.append(EditRow(index, row, None, (), (), several))
            continue
        chip = group.chip
        standing = tuple(sorted(each.place for each in group.standing))
        names = chip.named(which)
        able, refused = [], []
        for place, problem in offers(chip, names, standing):
            if problem is None:
                able.append(Offer(f"{place.profile}@{place.start}", f"{place.profile} at {place.start}"))
            else:
                refused.append((str(place), problem))
        found.append(EditRow(index, row, present(group), tuple(able), tuple(refused), several))
    return found


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


def price_rows(chip: Chip, usd_per_gpu_hour: float | None, which: str | tuple[str, ...]) -> list[PriceRow]:
    """What an instance of each profile costs when a machine is shared out, and what stays unused."""
    found = []
    for name in chip.named(which):
        profile = chip.by_name[name]
        part = share(chip, profile)
        compute = chip.compute_slices - profile.max_instances * profile.compute_slices
        memory = chip.memory_slices - profile.max_instances * profile.size
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
            )
        )
    return found


def objective_choices() -> list[tuple[str, str]]:
    """Objectives with their labels."""
    return list(words.OBJECTIVES.items())
