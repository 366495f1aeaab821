"""From patterns to places: which GPU holds which instance, and which demand it serves."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice

from planner.mig.placement.enumeration import Configuration, Multiset, arrangements
from planner.mig.placement.openness import most_open
from planner.mig.placement.optimise import Chosen
from planner.mig.placement.patterns import Pattern
from planner.mig.placement.program import DemandType, Kind
from planner.mig.placement.question import Gpus, Placement, Question, Standing


@dataclass(slots=True)
class Card:
    """One GPU that serves, while the answer is put together.

    serving: the demand of each instance that it keeps for one.  made: demands of new instances, by profile.
    """

    number: int
    gpus: Gpus
    pattern: Pattern
    serving: dict[Standing, int] = field(default_factory=dict)
    made: dict[str, deque[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """placements: what serves a demand.  staying: what stays beside it.  destroyed: what goes."""

    placements: tuple[Placement, ...]
    staying: tuple[Placement, ...]
    destroyed: tuple[Placement, ...]


def assign(question: Question, types: Sequence[DemandType], chosen: Chosen) -> Layout:
    """The layout that a choice of patterns stands for."""
    cards, untouched = _cards(question, chosen)
    kept: dict[Kind, deque[tuple[Card, Standing]]] = defaultdict(deque)
    free: dict[Kind, deque[Card]] = defaultdict(deque)
    for card in cards:
        slug = card.gpus.chip.slug
        for standing in sorted(card.pattern.stays, key=lambda each: not each.in_use):
            if not standing.foreign and (question.in_use_serves or not standing.in_use):
                kept[slug, standing.place.profile].append((card, standing))
        for name, count in card.pattern.made:
            free[slug, name].extend([card] * count)
    for demand, kind in _given(types, chosen):
        if kept[kind]:
            card, standing = kept[kind].popleft()
            card.serving[standing] = demand
        else:
            free[kind].popleft().made.setdefault(kind[1], deque()).append(demand)
    placements: list[Placement] = []
    staying = [
        Placement(number, each.place, None, True, each.in_use)
        for number, gpus in untouched
        for each in gpus.standing
    ]
    destroyed: list[Placement] = []
    placing = _Placing(question)
    for card in cards:
        stays, gone, places = placing.of(card)
        for standing in stays:
            demand_served = card.serving.get(standing)
            there = Placement(card.number, standing.place, demand_served, True, standing.in_use)
            (staying if demand_served is None else placements).append(there)
        placements += [
            Placement(card.number, place, card.made[place.profile].popleft(), False) for place in places
        ]
        destroyed += [Placement(card.number, each.place, None, True, each.in_use) for each in gone]
    placements.sort(key=lambda placement: (placement.gpu, placement.place.start))
    return Layout(tuple(placements), tuple(staying), tuple(destroyed))


def _cards(question: Question, chosen: Chosen) -> tuple[list[Card], list[tuple[int, Gpus]]]:
    """GPUs with a pattern, and those left as they are.

    Those that hold most come first in a group, so that what is left free gathers on few GPUs.
    """
    by_group: dict[int, list[tuple[Pattern, int]]] = defaultdict(list)
    for group, pattern, count in chosen.taken:
        by_group[group].append((pattern, count))
    cards: list[Card] = []
    untouched: list[tuple[int, Gpus]] = []
    for group, gpus in enumerate(question.gpus):
        numbers = iter(gpus.numbers)
        ways = sorted(by_group[group], key=lambda way: (-sum(way[0].capacity.values()), way[0].made))
        cards += [Card(number, gpus, pattern) for pattern, count in ways for number in islice(numbers, count)]
        untouched += [(number, gpus) for number in numbers]
    return cards, untouched


def _given(types: Sequence[DemandType], chosen: Chosen) -> Iterator[tuple[int, Kind]]:
    """Each served instance's demand and kind, demands in their order."""
    for each, served in zip(types, chosen.served, strict=True):
        kinds = (kind for kind, count in sorted(served.items()) for _ in range(count))
        members = (number for number, count in each.members for _ in range(count))
        yield from zip(members, kinds, strict=False)


class _Placing:
    """Where the instances of a GPU go; GPUs that are alike are looked at once."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.names: dict[int, tuple[str, ...]] = {
            id(gpus.chip): question.names(gpus.chip) for gpus in question.gpus
        }
        self.known: dict[
            tuple[int, frozenset[Standing], Multiset],
            tuple[tuple[Standing, ...], tuple[Standing, ...], Configuration],
        ] = {}

    def of(self, card: Card) -> tuple[tuple[Standing, ...], tuple[Standing, ...], Configuration]:
        """What stays, what goes, and where new instances are made."""
        wanted = Counter({name: len(demands) for name, demands in card.made.items()})
        want: Multiset = tuple(sorted(wanted.items()))
        key = (id(card.pattern), frozenset(card.serving), want)
        if key not in self.known:
            stays, gone = self._least_destroyed(card, want)
            beside = tuple(sorted(each.place for each in stays))
            places = most_open(card.gpus.chip, self.names[id(card.gpus.chip)], beside, want) if want else ()
            self.known[key] = stays, gone, places
        return self.known[key]

    def _least_destroyed(
        self, card: Card, want: Multiset
    ) -> tuple[tuple[Standing, ...], tuple[Standing, ...]]:
        """As little goes as makes room for what is really made."""
        standing = card.gpus.standing
        if not want or not card.pattern.destroyed:
            return standing, ()
        movable = [
            each
            for each in standing
            if not each.foreign
            and each not in card.serving
            and (self.question.may_destroy_in_use or not each.in_use)
        ]
        choices = [
            (sum(each.in_use for each in gone), count, gone)
            for count in range(card.pattern.destroyed + 1)
            for gone in combinations(movable, count)
        ]
        for stopped, _, gone in sorted(choices, key=lambda choice: choice[:2]):
            stays = tuple(each for each in standing if each not in gone)
            beside = tuple(sorted(each.place for each in stays))
            if stopped <= card.pattern.stopped and arrangements(card.gpus.chip, want, beside):
                return stays, gone
        raise AssertionError("a pattern's instances fit once its own are destroyed")
