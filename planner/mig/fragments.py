"""Fragmentation for the eye: further instances now and arranged, and the GPUs that lose the most by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from planner.mig.drawing import as_it_stands, picture, title
from planner.mig.placement.enumeration import multiset
from planner.mig.placement.openness import Fragmentation, fragmentation, most_open
from planner.mig.placement.question import Gpus
from planner.web.slices import Picture

SHOWN = 3
BAR = 120
"""Units that the longest bar of a drawing is wide."""


@dataclass(frozen=True, slots=True)
class Further:
    """Further instances of one profile, as GPUs stand and arranged; the bars are to one scale."""

    profile: str
    now: int
    arranged: int
    now_width: int
    arranged_width: int


@dataclass(frozen=True, slots=True)
class Split:
    """GPUs whose instances stand in the way: as they stand, and the same where they leave most room."""

    now: Picture
    arranged: Picture
    share: float


def further(found: Fragmentation) -> list[Further]:
    """A row a profile."""
    most = max((arranged for _, _, arranged in found.by_profile), default=0) or 1
    return [
        Further(name, now, arranged, round(BAR * now / most), round(BAR * arranged / most))
        for name, now, arranged in found.by_profile
    ]


def worst(groups: Sequence[Gpus]) -> list[Split]:
    """The kinds of GPUs that lose the most room by where their instances stand, the worst first."""
    found: list[tuple[int, Split]] = []
    for group in groups:
        standing = tuple(sorted(each.place for each in group.standing))
        if not standing:
            continue
        lost = fragmentation([(group.chip, standing, group.count)])
        if lost.arranged <= lost.now:
            continue
        found.append((lost.arranged - lost.now, _split(group, lost.share)))
    found.sort(key=lambda each: -each[0])
    return [split for _, split in found[:SHOWN]]


def _split(group: Gpus, share: float) -> Split:
    chip = group.chip
    fixed = tuple(sorted(each.place for each in group.standing if each.foreign))
    own = tuple(sorted(each.place for each in group.standing if not each.foreign))
    arranged = most_open(chip, chip.named("standard"), fixed, multiset(own))
    named = title(group, group.numbers)
    states = [(place, "foreign") for place in fixed] + [(place, "idle") for place in arranged]
    now = [(place, "idle" if state != "foreign" else state) for place, state in as_it_stands(group)]
    return Split(picture(named, chip, now), picture(named, chip, states), share)
