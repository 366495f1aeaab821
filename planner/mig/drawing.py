"""GPUs drawn as slices to scale: which columns each instance takes, and what it is in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from planner.mig.placement.chip import Chip, Placed
from planner.mig.placement.question import Answer, Gpus
from planner.mig.state import Instance
from planner.web.slices import COMPUTE_COLUMNS, Block, Picture, columns_for, packed, with_free_slices

SHOWN = 24
"""Pictures on a page; a fleet has more GPUs than anybody looks at."""
STATES: Mapping[str, str] = {
    "in_use": "in use, stays",
    "kept": "kept",
    "idle": "stays, serves no demand",
    "created": "to be made",
    "destroyed": "to be destroyed",
    "foreign": "unknown to the catalog, stays",
    "free": "free",
}


def unlisted(name: str, instances: Sequence[Instance]) -> Picture:
    """A GPU that the catalog lacks with what is known of its instances: as many slices as they reach."""
    placed = [(each, each.size or 1) for each in instances]
    slices = columns_for(max((each.start + size for each, size in placed), default=1))
    found = [
        Block(
            each.start + 1,
            size,
            each.profile,
            f"{each.profile}, memory slices {each.start} to {each.start + size - 1}"
            f"{', in use' if each.in_use else ''}",
            "foreign",
        )
        for each, size in placed
        if each.start + size <= slices
    ]
    return Picture(name, slices, with_free_slices(found, slices))


def blocks(chip: Chip, instances: Sequence[tuple[Placed, str]]) -> tuple[Block, ...]:
    """Instances with their states, and the free memory slices between them."""
    found = [
        Block(
            place.start + 1,
            place.size,
            place.profile,
            f"{place.profile}, memory slices {place.start} to {place.start + place.size - 1}: "
            f"{STATES[state]}",
            state,
        )
        for place, state in instances
    ]
    return with_free_slices(found, chip.memory_slices)


def unused(chip: Chip, places: Sequence[Placed]) -> str:
    """What nothing takes: two 3g of an A100 use all memory and leave a compute slice idle."""
    compute = chip.compute_slices - sum(
        chip.by_name[place.profile].compute_slices for place in places if place.profile in chip.by_name
    )
    memory = chip.memory_slices - sum(place.size for place in places)
    at_most = "at most " if any(place.profile not in chip.by_name for place in places) else ""
    return (
        f"{at_most}{compute} of {chip.compute_slices} compute and {memory} of {chip.memory_slices} memory "
        "slices free"
    )


def picture(named: str, chip: Chip, instances: Sequence[tuple[Placed, str]]) -> Picture:
    """Instances with their states as one GPU: memory slices at their places, compute slices as many.

    How many an instance takes that the catalog lacks is not known, so that no compute slices are drawn then.
    """
    known = [(place, state) for place, state in sorted(instances) if place.profile in chip.by_name]
    spans = []
    for place, state in known:
        slices = chip.by_name[place.profile].compute_slices
        words = f"{place.profile}: {slices} compute slice{'s' if slices > 1 else ''}"
        spans.append((slices, str(slices), words, state))
    return Picture(
        named,
        columns_for(chip.memory_slices),
        blocks(chip, instances),
        unused(chip, [place for place, _ in instances]),
        packed(spans, chip.compute_slices) if len(known) == len(instances) else (),
        columns_for(chip.compute_slices, COMPUTE_COLUMNS),
    )


def present(group: Gpus) -> Picture:
    """A group as it stands."""
    drawn = picture(title(group, group.numbers), group.chip, as_it_stands(group))
    return drawn if group.mig_mode else replace(drawn, unused=f"MIG mode is off; {drawn.unused} with it on")


def as_it_stands(group: Gpus, gone: Collection[Placed] = ()) -> list[tuple[Placed, str]]:
    """The group's instances with their states; gone: those that are to be destroyed."""
    return [
        (
            each.place,
            "destroyed"
            if each.place in gone
            else "foreign"
            if each.foreign
            else "in_use"
            if each.in_use
            else "idle",
        )
        for each in group.standing
    ]


def title(group: Gpus, numbers: Sequence[int]) -> str:
    """Which GPUs a picture is of: by host and index where they have one, else by number."""
    return _named(group.chip, [group.host_of(number) for number in numbers])


def _named(chip: Chip, places: Sequence[tuple[str, int]]) -> str:
    count = f"{len(places):,} × " if len(places) > 1 else ""
    return f"{count}{chip.name}, {where(places)}"


def where(found: Iterable[tuple[str, int]]) -> str:
    """GPUs by host and index: ``node-1 GPU 0 to 2; node-2 GPU 5``."""
    hosts: dict[str, set[int]] = {}
    for host, index in found:
        hosts.setdefault(host, set()).add(index)
    named = "; ".join(
        f"{f'{host} ' if host else ''}GPU {runs(sorted(indices))}"
        for host, indices in list(hosts.items())[:4]
    )
    return named + (f" and on {len(hosts) - 4} more hosts" if len(hosts) > 4 else "")


def runs(numbers: Sequence[int]) -> str:
    """0, 1, 2, 5 as ``0 to 2, 5``."""
    parts: list[str] = []
    ordered = sorted(numbers)
    first = previous = None
    for number in [*ordered, None]:
        if previous is not None and number == previous + 1:
            previous = number
            continue
        if first is not None:
            parts.append(str(first) if first == previous else f"{first} to {previous}")
        first = previous = number
    return ", ".join(parts[:8]) + (" …" if len(parts) > 8 else "")


@dataclass(frozen=True, slots=True)
class Change:
    """GPUs that are alike, before and after."""

    before: Picture
    after: Picture
    changed: bool


_Kind = tuple[str, tuple[tuple[Placed, bool], ...], bool, tuple[tuple[Placed, str], ...]]
"""What GPUs that are drawn once have in common: chip, instances before, MIG mode, instances after."""


def changes(groups: Sequence[Gpus], answer: Answer) -> tuple[list[Change], int]:
    """Before and after of every kind of GPU, those that change first, and how many are not shown."""
    after: dict[int, list[tuple[Placed, str]]] = {}
    gone: dict[int, list[Placed]] = {}
    for placement in answer.placements:
        state = "created" if not placement.kept else "in_use" if placement.in_use else "kept"
        after.setdefault(placement.gpu, []).append((placement.place, state))
    for placement in answer.staying:
        after.setdefault(placement.gpu, []).append(
            (placement.place, "in_use" if placement.in_use else "idle")
        )
    for placement in answer.destroyed:
        gone.setdefault(placement.gpu, []).append(placement.place)
    alike: dict[_Kind, list[tuple[Gpus, int]]] = {}
    for group in groups:
        foreign = {each.place for each in group.standing if each.foreign}
        before = tuple(sorted((each.place, each.in_use) for each in group.standing))
        for number in group.numbers:
            there = [
                (place, "foreign" if place in foreign else state) for place, state in after.get(number, ())
            ]
            there += [(place, "destroyed") for place in gone.get(number, ())]
            key = group.chip.slug, before, group.mig_mode, tuple(sorted(there))
            alike.setdefault(key, []).append((group, number))
    found = [_change(key[-1], members) for key, members in alike.items()]
    found.sort(key=lambda change: not change.changed)
    return found[:SHOWN], max(0, len(found) - SHOWN)


def _change(there: Sequence[tuple[Placed, str]], members: Sequence[tuple[Gpus, int]]) -> Change:
    group = members[0][0]
    named = _named(group.chip, [each.host_of(number) for each, number in members])
    gone = {place for place, state in there if state == "destroyed"}
    then = [(place, state) for place, state in there if state != "destroyed"]
    return Change(
        picture(named, group.chip, as_it_stands(group, gone)),
        picture(named, group.chip, then),
        any(state in ("created", "destroyed") for _, state in there),
    )
