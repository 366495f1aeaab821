"""Every set of GPU instances that a chip can hold: counted, listed, and grown from what stands already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import gt, sub

from planner.mig.placement.chip import Chip, Placed

Configuration = tuple[Placed, ...]
"""Instances in order of their start; the order in which they were made does not matter."""
Multiset = tuple[tuple[str, int], ...]
"""Profiles with their counts, by name."""


@dataclass(frozen=True, slots=True)
class Count:
    """valid: sets that the driver could hold, not empty.  maximal: those in which nothing more can be made.

    maximal_multisets: different counts of profiles among the maximal ones.
    """

    valid: int
    maximal: int
    maximal_multisets: int


def configurations(
    chip: Chip, names: tuple[str, ...], standing: Configuration = ()
) -> tuple[Configuration, ...]:
    """Sets of further instances of these profiles that fit beside what stands, the empty set among them."""
    room = room_beside(chip, names, standing)
    return () if room is None else _in_room(chip, names, room)


def maximal(chip: Chip, names: tuple[str, ...], standing: Configuration = ()) -> tuple[Configuration, ...]:
    """The sets beside which nothing more of these profiles can be made."""
    room = room_beside(chip, names, standing)
    return () if room is None else maximal_in_room(chip, names, room)


def arrangements(chip: Chip, wanted: Multiset, standing: Configuration = ()) -> tuple[Configuration, ...]:
    """Every way to place just these instances beside what stands."""
    room = room_beside(chip, tuple(name for name, _ in wanted), standing)
    return () if room is None else _arranged(chip, wanted, room)


@dataclass(frozen=True, slots=True)
class Room:
    """What is left on a GPU: all that decides which further instances fit.

    taken: memory slices that are not free, as bits.  engines: those left of each scarce kind.
    left: further instances of each profile, at most.
    beside: profiles that stand, where some must not stand together.
    """

    taken: int
    compute_slices: int
    engines: tuple[int, ...]
    left: tuple[int, ...]
    beside: frozenset[str] = frozenset()


@lru_cache(maxsize=65536)
def room_beside(chip: Chip, names: tuple[str, ...], standing: Configuration) -> Room | None:
    """The room that is left for profiles beside what stands; None where that cannot exist."""
    if chip.problem(standing) is not None:
        return None
    known = [chip.by_name[instance.profile] for instance in standing if instance.profile in chip.by_name]
    used = Counter(profile.name for profile in known)
    taken = 0
    for instance in standing:
        taken |= instance.mask
    left = []
    for name in names:
        free = sum(not place.mask & taken for place in chip.places(name))
        left.append(min(free, chip.by_name[name].max_instances - used[name]))
    return Room(
        taken,
        chip.compute_slices - sum(profile.compute_slices for profile in known),
        tuple(chip.engines[kind] - sum(profile.engines[kind] for profile in known) for kind in chip.scarce),
        tuple(left),
        frozenset(used) if chip.apart else frozenset(),
    )


@lru_cache(maxsize=8192)
def _in_room(chip: Chip, names: tuple[str, ...], room: Room) -> tuple[Configuration, ...]:
    return tuple(_grown(chip, names, room))


@lru_cache(maxsize=8192)
def maximal_in_room(chip: Chip, names: tuple[str, ...], room: Room) -> tuple[Configuration, ...]:
    """The sets that fit in some room and beside which nothing more does."""
    found = _in_room(chip, names, room)
    known = {frozenset(each) for each in found}
    places = [place for name in names for place in chip.places(name) if not place.mask & room.taken]
    chosen = []
    for each in found:
        taken = 0
        for instance in each:
            taken |= instance.mask
        open_places = (place for place in places if not place.mask & taken)
        if not any(frozenset((*each, place)) in known for place in open_places):
            chosen.append(each)
    return tuple(chosen)


@lru_cache(maxsize=8192)
def _arranged(chip: Chip, wanted: Multiset, room: Room) -> tuple[Configuration, ...]:
    counts = tuple(count for _, count in wanted)
    left = tuple(min(most, count) for most, count in zip(room.left, counts, strict=True))
    bounded = Room(room.taken, room.compute_slices, room.engines, left, room.beside)
    whole = sum(counts)
    names = tuple(name for name, _ in wanted)
    return tuple(each for each in _grown(chip, names, bounded) if len(each) == whole)


def _grown(chip: Chip, names: tuple[str, ...], room: Room) -> Iterator[Configuration]:
    """Depth first over places in one order, each standing or not, so that each set is met once."""
    places = [place for name in names for place in chip.places(name) if not place.mask & room.taken]
    masks = [place.mask for place in places]
    profiles = [chip.by_name[place.profile] for place in places]
    needs = [chip.scarce_of(place.profile) for place in places]
    left = dict(zip(names, room.left, strict=True))
    chosen: list[Placed] = []

    def grow(first: int, taken: int, compute: int, engines: tuple[int, ...]) -> Iterator[Configuration]:
        yield tuple(sorted(chosen))
        for index in range(first, len(places)):
            profile = profiles[index]
            if (
                masks[index] & taken
                or profile.compute_slices > compute
                or left[profile.name] < 1
                or any(map(gt, needs[index], engines))
                or (
                    chip.apart and not chip.beside(profile.name, room.beside.union(p.profile for p in chosen))
                )
            ):
                continue
            chosen.append(places[index])
            left[profile.name] -= 1
            yield from grow(
                index + 1,
                taken | masks[index],
                compute - profile.compute_slices,
                tuple(map(sub, engines, needs[index])),
            )
            left[profile.name] += 1
            chosen.pop()

    return grow(0, room.taken, room.compute_slices, room.engines)


def next_places(chip: Chip, names: tuple[str, ...], standing: Configuration) -> list[Placed]:
    """Every single instance that could be made now."""
    return [
        place for name in names for place in chip.places(name) if chip.problem((*standing, place)) is None
    ]


def multiset(configuration: Configuration) -> Multiset:
    """How many instances of each profile."""
    return tuple(sorted(Counter(instance.profile for instance in configuration).items()))


@lru_cache(maxsize=256)
def count(chip: Chip, names: tuple[str, ...]) -> Count:
    """How many configurations there are."""
    largest = maximal(chip, names)
    return Count(
        valid=len(configurations(chip, names)) - 1,
        maximal=len([each for each in largest if each]),
        maximal_multisets=len({multiset(each) for each in largest if each}),
    )


def compute_instances(compute_slices: int) -> tuple[Configuration, ...]:
    """Ways to divide one GPU instance's compute slices among compute instances, as placed sets, not empty.

    A compute instance takes 1, 2, 3, 4 or 7 slices and starts at a multiple of its width, a width of 3 at 0
    or 4; 3 of 4 is not offered (NVIDIA/go-nvml mock tables of A100, commit 6d52bb3; 4 of 7 from the device
    types of NVIDIA/mig-parted, commit bd7160f4). The GPU instance's memory stays shared among them.
    """
    widths = [width for width in COMPUTE_WIDTHS if _offered(width, compute_slices)]
    places = [
        Placed(start, width, f"{width}c")
        for width in widths
        for start in _compute_starts(width, compute_slices)
    ]

    def grow(first: int, taken: int, chosen: Configuration) -> Iterator[Configuration]:
        if chosen:
            yield chosen
        for index in range(first, len(places)):
            if not places[index].mask & taken:
                yield from grow(index + 1, taken | places[index].mask, (*chosen, places[index]))

    return tuple(tuple(sorted(each)) for each in grow(0, 0, ()))


@lru_cache(maxsize=64)
def count_compute(compute_slices: int) -> Count:
    """How many ways there are to divide a GPU instance among compute instances, counted as GPUs are."""
    found = compute_instances(compute_slices)
    known = {frozenset(each) for each in found}
    singles = [each[0] for each in found if len(each) == 1]
    largest = [
        each
        for each in found
        if not any(one not in each and frozenset((*each, one)) in known for one in singles)
    ]
    return Count(len(found), len(largest), len({multiset(each) for each in largest}))


COMPUTE_WIDTHS = (1, 2, 3, 4, 7)


def _offered(width: int, compute_slices: int) -> bool:
    return width == compute_slices or (width, compute_slices) in PARTS


#: Widths that are parts of a GPU instance, as (width, of); sources as above.
PARTS = frozenset({(1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (1, 7), (2, 7), (3, 7), (4, 7)})


def _compute_starts(width: int, compute_slices: int) -> range:
    step = 4 if width == 3 else width
    return range(0, compute_slices - width + 1, step)
