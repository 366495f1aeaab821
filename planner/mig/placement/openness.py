"""What a layout leaves possible: which places keep the largest later instance, and how fragmented GPUs are.

Schedulers take the first place that fits and so cut free room into pieces in which nothing large can start
(Project-HAMi/HAMi issue 2831, kubernetes-sigs/dra-driver-nvidia-gpu issue 933).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from planner.mig.placement.chip import Chip, Placed
from planner.mig.placement.enumeration import (
    Configuration,
    arrangements,
    multiset,
    next_places,
    room_beside,
)


def further(chip: Chip, name: str, standing: Configuration) -> int:
    """How many more instances of one profile could be made beside what stands."""
    room = room_beside(chip, (name,), standing)
    if room is None or not chip.beside(name, room.beside):
        return 0
    # A profile's places never overlap each other, so that as many fit as are free and what they share allows.
    enough = [room.compute_slices // chip.by_name[name].compute_slices]
    enough += [left // need for left, need in zip(room.engines, chip.scarce_of(name), strict=True) if need]
    return min(*room.left, *enough)


@lru_cache(maxsize=65536)
def openness(chip: Chip, names: tuple[str, ...], standing: Configuration) -> tuple[int, ...]:
    """How much room a layout leaves, to be compared from the left.

    Compute slices and then memory slices of the largest instance that could still be made; memory slices that
    further instances of each profile could take, summed over profiles; places where one could be made now.
    """
    places = next_places(chip, names, standing)
    largest = max(((chip.by_name[p.profile].compute_slices, p.size) for p in places), default=(0, 0))
    room = sum(chip.by_name[name].size * further(chip, name, standing) for name in names)
    return (*largest, room, len(places))


@lru_cache(maxsize=4096)
def most_open(
    chip: Chip, names: tuple[str, ...], standing: Configuration, made: tuple[tuple[str, int], ...]
) -> Configuration:
    """The instances of a multiset placed beside what stands so that the most stays possible afterwards.

    Among equals the one at the highest starts, as the low ones are where the large profiles begin.
    Raises ValueError where the multiset does not fit.
    """
    fitting = arrangements(chip, made, standing)
    if not fitting:
        raise ValueError(f"{made} does not fit beside {standing} on {chip.name}")
    return max(
        fitting,
        key=lambda each: (
            openness(chip, names, tuple(sorted((*standing, *each)))),
            tuple(sorted((place.start for place in each), reverse=True)),
        ),
    )


def best_start(chip: Chip, names: tuple[str, ...], standing: Configuration, name: str) -> Placed | None:
    """Where one more instance is best placed; None where it does not fit."""
    try:
        return most_open(chip, names, standing, ((name, 1),))[0]
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Fragmentation:
    """How much of what GPUs could still hold their instances' places keep from being made.

    share: 1 - now / arranged, 0 where nothing stands in the way.
    now, arranged: memory slices that further instances could take, summed over the profiles, as instances
    stand and as they would stand if each GPU's own instances were placed best.
    by_profile: (profile, further instances now, arranged).
    """

    share: float
    now: int
    arranged: int
    by_profile: tuple[tuple[str, int, int], ...]


@lru_cache(maxsize=4096)
def _rooms(chip: Chip, names: tuple[str, ...], standing: Configuration) -> tuple[tuple[int, int], ...]:
    """Per profile: further instances now, and with the GPU's own instances placed best for that profile.

    Instances of profiles that the chip does not list stay where they are.
    """
    fixed = tuple(instance for instance in standing if instance.profile not in chip.by_name)
    own = multiset(tuple(instance for instance in standing if instance.profile in chip.by_name))
    arranged = arrangements(chip, own, fixed)
    layouts = [tuple(sorted((*fixed, *each))) for each in arranged] or [standing]
    return tuple(
        (further(chip, name, standing), max(further(chip, name, layout) for layout in layouts))
        for name in names
    )


def fragmentation(gpus: Iterable[tuple[Chip, Configuration, int]], which: str = "standard") -> Fragmentation:
    """The fragmentation of GPUs by their chip, what stands on each and how many there are of it.

    which: the profiles that are looked at (``standard``, ``all``).
    """
    totals: dict[str, list[int]] = {}
    now = arranged = 0
    for chip, standing, count in gpus:
        names = chip.named(which)
        for name, (present, best) in zip(names, _rooms(chip, names, standing), strict=True):
            size = chip.by_name[name].size
            now, arranged = now + count * size * present, arranged + count * size * best
            entry = totals.setdefault(name, [0, 0])
            entry[0] += count * present
            entry[1] += count * best
    share = 1 - now / arranged if arranged else 0.0
    return Fragmentation(
        share, now, arranged, tuple((name, pair[0], pair[1]) for name, pair in totals.items())
    )


def offers(chip: Chip, names: Sequence[str], standing: Configuration) -> list[tuple[Placed, str | None]]:
    """Every place of every profile with the reason why nothing can be made there now, None where it can."""
    return [(place, chip.problem((*standing, place))) for name in names for place in chip.places(name)]
