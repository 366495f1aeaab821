"""A quick layout to show while the exact one is sought: largest demands first, each where it fits best."""

from __future__ import annotations

from time import monotonic

from planner.mig.placement.assign import Layout
from planner.mig.placement.openness import best_start
from planner.mig.placement.question import Gpus, Placement, Question, Standing

INSTANCES_A_LOOK = 64


def first_fit(question: Question, *, until: float) -> tuple[Layout, dict[int, int]]:
    """A layout without destroying anything, and how many of each demand it leaves without a place.

    until: the monotonic time after which no more is placed.
    """
    names = {id(gpus.chip): question.names(gpus.chip) for gpus in question.gpus}
    cards = [_Open(number, gpus, names[id(gpus.chip)]) for gpus in question.gpus for number in gpus.numbers]
    # GPUs on which something runs are filled first, then those that hold something, then empty ones.
    cards.sort(key=lambda card: (not card.gpus.in_use, not card.gpus.standing, card.number))
    placements: list[Placement] = []
    lacking: dict[int, int] = {}
    for number in sorted(range(len(question.demands)), key=lambda n: -_slices(question, n)):
        demand = question.demands[number]
        first = 0
        for done in range(demand.count):
            late = done % INSTANCES_A_LOOK == 0 and monotonic() > until
            found = None if late else _place(question, cards, first, number)
            if found is None:
                lacking[number] = demand.count - done
                break
            first, placement = found
            placements.append(placement)
    serving = {(p.gpu, p.place) for p in placements if p.kept}
    staying = [
        Placement(card.number, each.place, None, True, each.in_use)
        for card in cards
        for each in card.gpus.standing
        if (card.number, each.place) not in serving
    ]
    placements.sort(key=lambda placement: (placement.gpu, placement.place))
    return Layout(tuple(placements), tuple(staying), ()), lacking


class _Open:
    """A GPU that is being filled.  names: the profiles whose later placement counts."""

    def __init__(self, number: int, gpus: Gpus, names: tuple[str, ...]) -> None:
        self.number, self.gpus, self.names = number, gpus, names
        self.standing = tuple(sorted(each.place for each in gpus.standing))
        self.spare: list[Standing] = [each for each in gpus.standing if not each.foreign]


def _slices(question: Question, number: int) -> int:
    """Memory slices of the smallest profile that serves a demand."""
    accepts = question.demands[number].accepts
    sizes = [
        gpus.chip.by_name[name].size
        for gpus in question.gpus
        for name in accepts.get(gpus.chip.slug, ())
        if name in gpus.chip.by_name
    ]
    return min(sizes, default=0)


def _place(question: Question, cards: list[_Open], first: int, demand: int) -> tuple[int, Placement] | None:
    accepts = question.demands[demand].accepts
    for index in range(first, len(cards)):
        card = cards[index]
        names = accepts.get(card.gpus.chip.slug, ())
        for each in card.spare:
            if each.place.profile in names and (question.in_use_serves or not each.in_use):
                card.spare.remove(each)
                return index, Placement(card.number, each.place, demand, True, each.in_use)
        for name in names:
            if name not in card.gpus.chip.by_name:
                continue
            chip = card.gpus.chip
            place = best_start(chip, card.names, card.standing, name)
            if place is not None:
                card.standing = tuple(sorted((*card.standing, place)))
                return index, Placement(card.number, place, demand, False)
    return None
