"""What each GPU holds in the end, gathered for files that list counts by GPU."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from planner.mig.placement.chip import Chip, Placed
from planner.mig.placement.enumeration import Configuration
from planner.mig.placement.question import Answer, Gpus


@dataclass(frozen=True, slots=True)
class HostLayout:
    """GPUs of one host with the same instances.

    counts: by profile, in the chip's order; instances that serve no demand too.
    alone: no other GPU of the host, as far as the question names them, holds nothing.
    """

    host: str
    indices: tuple[int, ...]
    slug: str
    counts: tuple[tuple[str, int], ...]
    alone: bool = True


def host_layouts(groups: Sequence[Gpus], answer: Answer) -> list[HostLayout]:
    """The layouts of all GPUs that hold something, by host; GPUs that hold nothing are left out."""
    held: dict[int, Counter[str]] = defaultdict(Counter)
    for placement in (*answer.placements, *answer.staying):
        held[placement.gpu][placement.place.profile] += 1
    empty = {group.host_of(number)[0] for group in groups for number in group.numbers if number not in held}
    together: dict[tuple[str, str, tuple[tuple[str, int], ...]], list[int]] = defaultdict(list)
    for group in groups:
        order = {profile.name: number for number, profile in enumerate(group.chip.profiles)}
        for number in group.numbers:
            if number not in held:
                continue
            counts = tuple(sorted(held[number].items(), key=lambda pair: (order.get(pair[0], 99), pair[0])))
            host, index = group.host_of(number)
            together[host, group.chip.slug, counts].append(index)
    return [
        HostLayout(host, tuple(indices), slug, counts, host not in empty)
        for (host, slug, counts), indices in sorted(together.items(), key=lambda each: (each[0][0], each[1]))
    ]


def present(groups: Sequence[Gpus]) -> list[tuple[Chip, Configuration, int]]:
    """What stands on GPUs now, and on how many of them."""
    return [
        (group.chip, tuple(sorted(each.place for each in group.standing)), group.count) for group in groups
    ]


def afterwards(groups: Sequence[Gpus], answer: Answer) -> list[tuple[Chip, Configuration, int]]:
    """What stands on GPUs in the end, and on how many of them."""
    held: dict[int, list[Placed]] = defaultdict(list)
    for placement in (*answer.placements, *answer.staying):
        held[placement.gpu].append(placement.place)
    found: list[tuple[Chip, Configuration, int]] = []
    for group in groups:
        alike = Counter(tuple(sorted(held.get(number, ()))) for number in group.numbers)
        found += [(group.chip, standing, count) for standing, count in alike.items()]
    return found
