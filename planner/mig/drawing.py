"""GPUs drawn as slices to scale: which columns each instance takes, and what it is in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from planner.mig.placement.chip import Chip, Placed
from planner.mig.placement.question import Answer, Gpus
from planner.web.slices import Block, Picture, with_free_slices

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
    return (
        f"{compute} of {chip.compute_slices} compute and {memory} of {chip.memory_slices} memory slices free"
    )


def present(group: Gpus) -> Picture:
    """A group as it stands."""
    states = [
        (each.place, "foreign" if each.foreign else "in_use" if each.in_use else "idle")
        for each in group.standing
    ]
    places = [place for place, _ in states]
    return Picture(
        title(group, group.numbers),
        group.chip.memory_slices,
        blocks(group.chip, states),
        unused(group.chip, places),
    )


def title(group: Gpus, numbers: Sequence[int]) -> str:
    """Which GPUs a picture is of: by host and index where they have one, else by number."""
    hosts: dict[str, list[int]] = {}
    for number in numbers:
        host, index = group.host_of(number)
        hosts.setdefault(host, []).append(index)
    named = "; ".join(
        f"{f'{host} ' if host else ''}GPU {runs(indices)}" for host, indices in list(hosts.items())[:4]
    )
    more = f" and on {len(hosts) - 4} more hosts" if len(hosts) > 4 else ""
    count = f"{len(numbers)} × " if len(numbers) > 1 else ""
    return f"{count}{group.chip.name}, {named}{more}"


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
    found: list[Change] = []
    for group in groups:
        foreign = {each.place for each in group.standing if each.foreign}
        alike: dict[tuple[tuple[Placed, str], ...], list[int]] = {}
        for number in group.numbers:
            there = [
                (place, "foreign" if place in foreign else state) for place, state in after.get(number, ())
            ]
            there += [(place, "destroyed") for place in gone.get(number, ())]
            alike.setdefault(tuple(sorted(there)), []).append(number)
        for there_then, numbers in alike.items():
            found.append(_change(group, there_then, numbers))
    found.sort(key=lambda change: not change.changed)
    return found[:SHOWN], max(0, len(found) - SHOWN)


def _change(group: Gpus, there: Sequence[tuple[Placed, str]], numbers: Sequence[int]) -> Change:
    chip, named = group.chip, title(group, numbers)
    gone = {place for place, state in there if state == "destroyed"}
    before = [
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
    then = [(place, state) for place, state in there if state != "destroyed"]
    return Change(
        Picture(named, chip.memory_slices, blocks(chip, before), unused(chip, [p for p, _ in before])),
        Picture(named, chip.memory_slices, blocks(chip, then), unused(chip, [p for p, _ in then])),
        any(state in ("created", "destroyed") for _, state in there),
    )
