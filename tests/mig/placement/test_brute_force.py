"""Layouts of small fleets against every choice there is: matching and objectives are written out anew."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, product

import pytest

from planner.mig.placement.chip import Chip
from planner.mig.placement.enumeration import configurations
from planner.mig.placement.nearest import jobs_among_demands
from planner.mig.placement.plan import plan
from planner.mig.placement.question import (
    ADD_GPUS,
    MOVE_JOBS,
    Answer,
    Change,
    Demand,
    Gpus,
    Question,
    Standing,
)
from tests.mig.asked import asked, chip, wanted

OBJECTIVES = ("fewest_gpus", "least_cost", "most_demand", "fewest_changes")
FAST = 30
SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] if seed >= FAST else []) for seed in range(200)]
Kind = tuple[str, str]


@dataclass(frozen=True)
class Use:
    """One thing to do with one GPU. kept, made: what could serve, by kind."""

    used: bool
    kept: tuple[tuple[Kind, int], ...]
    made: tuple[tuple[Kind, int], ...]
    destroyed: int
    stopped: int
    usd: float


@dataclass(frozen=True)
class Sum:
    """What a whole fleet comes to."""

    served: int
    gpus: int
    usd: float
    changes: int
    destroyed: int
    stopped: int


def uses(question: Question, gpus: Gpus) -> Iterator[Use]:
    """Everything that could be done with a GPU: nothing, or any set beside any set that stays."""
    of = gpus.chip
    yield Use(False, (), (), 0, 0, 0.0)
    may_go = [
        each
        for each in gpus.standing
        if not each.foreign and (question.may_destroy_in_use or not each.in_use)
    ]
    for count in range(len(may_go) + 1):
        for gone in combinations(may_go, count):
            stays = [each for each in gpus.standing if each not in gone]
            kept = Counter(
                (of.slug, each.place.profile)
                for each in stays
                if not each.foreign and (question.in_use_serves or not each.in_use)
            )
            for made in configurations(of, question.names(of), tuple(sorted(each.place for each in stays))):
                yield Use(
                    True,
                    tuple(sorted(kept.items())),
                    tuple(sorted(Counter((of.slug, place.profile) for place in made).items())),
                    count,
                    sum(each.in_use for each in gone),
                    gpus.usd_per_gpu_hour or 0.0,
                )


def largest_matching(accepts: list[set[Kind]], supply: Counter[Kind]) -> int:
    """How many wanted instances can be given one each, by augmenting paths."""
    slots = [kind for kind, count in supply.items() for _ in range(count)]
    taken: dict[int, int] = {}

    def give(want: int, seen: set[int]) -> bool:
        for slot, kind in enumerate(slots):
            if kind in accepts[want] and slot not in seen:
                seen.add(slot)
                if slot not in taken or give(taken[slot], seen):
                    taken[slot] = want
                    return True
        return False

    return sum(give(want, set()) for want in range(len(accepts)))


def every_layout(question: Question) -> Iterator[Sum]:
    """The sum of every layout of the fleet; layouts with the same sums may be met once."""
    accepts = [
        {(slug, name) for slug, names in demand.accepts.items() for name in names}
        for demand in question.demands
        for _ in range(demand.count)
    ]
    cards = [gpus for gpus in question.gpus for _ in range(gpus.count)]
    known: dict[tuple[tuple[Kind, int], ...], int] = {}

    def matched(supply: Counter[Kind]) -> int:
        key = tuple(sorted(supply.items()))
        if key not in known:
            known[key] = largest_matching(accepts, supply)
        return known[key]

    for chosen in product(*(set(uses(question, gpus)) for gpus in cards)):
        kept: Counter[Kind] = Counter()
        made: Counter[Kind] = Counter()
        for use in chosen:
            kept.update(dict(use.kept))
            made.update(dict(use.made))
        served = matched(kept + made)
        destroyed = sum(use.destroyed for use in chosen)
        yield Sum(
            served,
            sum(use.used for use in chosen),
            sum(use.usd for use in chosen),
            destroyed + served - matched(kept),  # a largest matching needs no more new ones than that
            destroyed,
            sum(use.stopped for use in chosen),
        )


def value_of(objective: str, each: Sum) -> float:
    values = {"fewest_gpus": each.gpus, "least_cost": each.usd, "fewest_changes": each.changes}
    return values.get(objective, each.gpus)


def best_of(question: Question) -> tuple[int, float, int, int]:
    """The most served, the objective's best, then the fewest in use and the fewest in all destroyed."""
    return min(
        (-each.served, value_of(question.objective, each), each.stopped, each.destroyed)
        for each in every_layout(question)
    )


def random_fleet(rng: random.Random) -> Question:
    """One to three GPUs of one or two kinds and drivers, in some state, and up to eight instances wanted."""
    names = rng.sample(["a100-sxm-40gb", "a30", "h100-sxm", "rtx-pro-6000"], rng.randint(1, 2))
    kinds = [chip(name, rng.choice(["", "", "R470" if name.startswith("a") else "R580"])) for name in names]
    fleet = []
    for of in kinds:
        present: tuple[Standing, ...] = ()
        if rng.random() < 0.7:
            some = rng.choice(configurations(of, of.named("standard")))[: rng.randint(1, 3)]
            present = tuple(Standing(place, rng.random() < 0.5) for place in some)
        many = rng.randint(1, 3) if of.compute_slices == 4 and len(kinds) == 1 else 1
        price = rng.choice([1.0, 1.5, 2.5])
        fleet.append(Gpus(chip=of, count=many, standing=present, usd_per_gpu_hour=price))
    if len(kinds) == 1 and kinds[0].compute_slices == 7 and rng.random() < 0.3:
        fleet.append(Gpus(chip=kinds[0], count=1, usd_per_gpu_hour=1.0))
    demands = []
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.5:
            of = rng.choice(kinds)
            demands.append(wanted(of, rng.choice(of.named("standard")), rng.randint(1, 3)))
        else:
            least, slices = rng.choice([4e9, 1e10, 1.8e10, 4e10]), rng.randint(1, 3)
            accepts = {of.slug: serving(of, least, slices) for of in kinds}
            demands.append(Demand(count=rng.randint(1, 3), accepts=accepts))
    return asked(
        fleet,
        demands,
        objective=rng.choice(OBJECTIVES),
        in_use_serves=rng.random() < 0.5,
        may_destroy_in_use=rng.random() < 0.4,
    )


def serving(of: Chip, memory_bytes: float, compute_slices: int) -> tuple[str, ...]:
    """The profiles that give at least so much, the smallest first."""
    fits = [
        p
        for p in (of.by_name[name] for name in of.named("standard"))
        if p.memory_bytes >= memory_bytes and p.compute_slices >= compute_slices
    ]
    return tuple(p.name for p in sorted(fits, key=lambda p: (p.size, p.compute_slices)))


def check(question: Question, answer: Answer) -> None:
    """The driver could hold the layout, it serves what it says, and destroys nothing that it may not."""
    held: dict[int, list] = {}  # type: ignore[type-arg]
    for placement in (*answer.placements, *answer.staying):
        held.setdefault(placement.gpu, []).append(placement.place)
    served = Counter(placement.demand for placement in answer.placements)
    lacking = {each.demand: each.count for each in answer.unplaced}
    for number, demand in enumerate(question.demands):
        assert served[number] + lacking.get(number, 0) == demand.count
    by_number = {number: gpus for gpus in question.gpus for number in gpus.numbers}
    for number, places in held.items():
        assert by_number[number].chip.problem(places) is None
    for placement in answer.placements:
        gpus = by_number[placement.gpu]
        assert placement.demand is not None
        assert placement.place.profile in question.demands[placement.demand].accepts[gpus.chip.slug]
        if placement.kept:
            assert placement.place in [each.place for each in gpus.standing]
    made = {(each.gpu, each.place) for each in answer.placements if not each.kept}
    for number, gpus in by_number.items():
        gone = {each.place for each in answer.destroyed if each.gpu == number}
        for each in gpus.standing:
            if (number, each.place) in made:  # made anew in the same place, for another than what ran in it
                assert each.in_use
                assert each.place in gone
            else:
                assert (each.place in held.get(number, [])) != (each.place in gone)
            assert question.may_destroy_in_use or not (each.in_use and each.place in gone)
            assert not (each.foreign and each.place in gone)
    assert answer.gpus_used == len({placement.gpu for placement in answer.placements})


@pytest.mark.parametrize("seed", SEEDS)
def test_random_fleets(seed: int) -> None:
    question = random_fleet(random.Random(seed))
    answer = plan(question)
    check(question, answer)
    lacking, value, stopped, destroyed = best_of(question)
    assert answer.optimal
    assert answer.fewest_destroyed
    assert answer.served == -lacking
    assert sum(each.count for each in answer.unplaced) == sum(d.count for d in question.demands) + lacking
    if question.objective == "most_demand":
        assert answer.value == answer.bound == answer.served
    else:
        assert answer.value == pytest.approx(value)
        assert answer.bound == pytest.approx(value, abs=1e-4)
    reached = {
        "least_cost": answer.usd_per_hour,
        "fewest_changes": answer.created + len(answer.destroyed),
    }.get(question.objective, answer.gpus_used)
    assert reached == pytest.approx(value)
    assert (sum(each.in_use for each in answer.destroyed), len(answer.destroyed)) == (stopped, destroyed)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_nearest_change_serves_all_and_no_smaller_one_does(seed: int) -> None:
    question = random_fleet(random.Random(10_000 + seed))
    answer = plan(question)
    chips = {gpus.chip.slug for gpus in question.gpus}
    servable = replace(
        question, demands=[d for d in question.demands if any(d.accepts.get(slug) for slug in chips)]
    )
    lacks = bool(servable.demands) and bool(plan(servable).unplaced)
    by_kind = {change.kind: change for change in answer.nearest_changes}
    assert (ADD_GPUS in by_kind) == lacks
    assert all(change.proven for change in answer.nearest_changes)
    if not lacks:
        return
    assert not plan(widened(servable, dict(by_kind[ADD_GPUS].gpus))).unplaced
    for fewer in distributions(sorted(chips), by_kind[ADD_GPUS].count - 1):
        assert plan(widened(servable, fewer)).unplaced
    moved = jobs_among_demands(servable)
    served_all = sum(demand.count for demand in moved.demands)
    stopped = [each.stopped for each in every_layout(moved) if each.served == served_all]
    change = by_kind.get(MOVE_JOBS)
    if question.may_destroy_in_use or not stopped or not min(stopped):
        assert change is None
    else:
        assert change == Change(MOVE_JOBS, min(stopped))


def widened(question: Question, more: dict[str, int]) -> Question:
    """The question with further, empty GPUs by slug."""
    like = {gpus.chip.slug: gpus for gpus in question.gpus}
    extra = [replace(like[slug], count=count, standing=()) for slug, count in more.items() if count]
    return asked(
        [*question.gpus, *extra],
        list(question.demands),
        objective="most_demand",
        in_use_serves=question.in_use_serves,
        may_destroy_in_use=question.may_destroy_in_use,
    )


def distributions(slugs: list[str], total: int) -> Iterator[dict[str, int]]:
    """Every way to have so many GPUs of these kinds."""
    if len(slugs) == 1:
        yield {slugs[0]: total}
        return
    for count in range(total + 1):
        for rest in distributions(slugs[1:], total - count):
            yield {slugs[0]: count, **rest}
