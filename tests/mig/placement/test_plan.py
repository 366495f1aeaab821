"""Layouts against an exhaustive search over small fleets, and large ones proven in time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from itertools import combinations, product

import pytest

from planner.mig.placement.chip import Chip
from planner.mig.placement.enumeration import configurations
from planner.mig.placement.plan import plan, quick
from planner.mig.placement.question import Answer, Demand, Gpus, Question, Standing
from tests.mig.asked import asked, chip, standing, wanted

LARGE_S = 5.0


def test_the_contracts_example() -> None:
    of = chip()
    fleet = [Gpus(chip=of, count=4, standing=(standing(of, "3g.20gb", 0, in_use=True),))]
    larger = ("3g.20gb", "4g.20gb", "7g.40gb")
    demands = [wanted(of, "1g.5gb", 6), Demand(count=2, accepts={of.slug: larger})]
    answer = plan(asked(fleet, demands))
    assert (answer.gpus_used, answer.optimal, answer.bound) == (2, True, 2)
    assert [(p.gpu, p.place.profile, p.place.start, p.demand, p.kept) for p in answer.placements[:2]] == [
        (0, "3g.20gb", 0, 1, True),
        (0, "1g.5gb", 4, 0, False),
    ]
    assert not answer.destroyed


def test_980_demands_on_400_gpus_are_proven() -> None:
    of = chip()
    demands = [wanted(of, name, count) for name, count in
               (("1g.5gb", 300), ("2g.10gb", 300), ("3g.20gb", 280), ("4g.20gb", 100))]  # fmt: skip
    answer = plan(asked([Gpus(chip=of, count=400)], demands))
    assert answer.optimal
    assert answer.served == 980
    assert answer.gpus_used == answer.bound == 306
    assert answer.elapsed_s < LARGE_S
    check(asked([Gpus(chip=of, count=400)], demands), answer)


@pytest.mark.parametrize("objective", ["fewest_gpus", "least_cost", "most_demand", "fewest_changes"])
def test_1000_demands_on_400_gpus_of_three_kinds(objective: str) -> None:
    rng = random.Random(18)
    kinds = [chip("a100-sxm-40gb"), chip("h100-sxm"), chip("h200-sxm")]
    fleet = [
        Gpus(chip=of, count=count, usd_per_gpu_hour=usd, per_node=8)
        for of, count, usd in zip(kinds, (200, 120, 80), (2.0, 6.0, 8.0), strict=True)
    ]
    demands = []
    for _ in range(400):
        least, slices = rng.uniform(2e9, 4e10), rng.randint(1, 3)
        accepts = {of.slug: serving(of, least, slices) for of in kinds}
        demands.append(Demand(count=rng.randint(1, 4), accepts=accepts))
    question = asked(fleet, demands, objective=objective)
    answer = plan(question)
    assert answer.optimal
    assert answer.elapsed_s < LARGE_S
    check(question, answer)


def serving(of: Chip, memory_bytes: float, compute_slices: int) -> tuple[str, ...]:
    fits = [
        p
        for p in (of.by_name[name] for name in of.named("standard"))
        if p.memory_bytes >= memory_bytes and p.compute_slices >= compute_slices
    ]
    return tuple(p.name for p in sorted(fits, key=lambda p: (p.size, p.compute_slices)))


# --- small fleets against brute force ---


def random_fleet(rng: random.Random) -> Question:
    """Up to three GPUs in some state, and up to ten instances wanted."""
    kinds = rng.sample([chip("a100-sxm-40gb"), chip("a30"), chip("h100-sxm")], rng.randint(1, 2))
    fleet = []
    for of in kinds:
        present: tuple[Standing, ...] = ()
        if rng.random() < 0.6:
            some = rng.choice(configurations(of, of.named("standard")))[: rng.randint(1, 3)]
            present = tuple(Standing(place, rng.random() < 0.5) for place in some)
        fleet.append(Gpus(chip=of, count=rng.randint(1, 2 if len(kinds) == 1 else 1), standing=present))
    demands = []
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.5:
            of = rng.choice(kinds)
            demands.append(wanted(of, rng.choice(of.named("standard")), rng.randint(1, 4)))
        else:
            least, slices = rng.choice([4e9, 1e10, 1.8e10, 4e10]), rng.randint(1, 3)
            accepts = {of.slug: serving(of, least, slices) for of in kinds}
            demands.append(Demand(count=rng.randint(1, 3), accepts=accepts))
    return asked(fleet, demands, in_use_serves=rng.random() < 0.5)


def holdings(question: Question, gpus: Gpus) -> list[tuple[Counter[str], int]]:
    """What a GPU could hold for use, by profile, with the instances destroyed: every state, no pruning."""
    of = gpus.chip
    names = of.named("standard")
    fixed = [each for each in gpus.standing if each.in_use]
    idle = [each for each in gpus.standing if not each.in_use]
    found: dict[tuple[tuple[tuple[str, int], ...], int], None] = {}
    for gone in range(len(idle) + 1):
        for destroyed in combinations(idle, gone):
            stays = [each for each in gpus.standing if each not in destroyed]
            usable = [s for s in stays if not s.in_use or question.in_use_serves]
            beside = tuple(sorted(each.place for each in stays))
            assert set(fixed) <= set(stays)
            for made in configurations(of, names, beside):
                held = Counter(place.profile for place in (*made, *(s.place for s in usable)))
                found[tuple(sorted(held.items())), gone] = None
    return [(Counter(dict(held)), gone) for held, gone in found]


def most_served(demands: list[tuple[str, ...]], supply: Counter[tuple[str, str]], accepts: list[set]) -> int:  # type: ignore[type-arg]
    """The largest matching of single instances wanted with those held, by augmenting paths."""
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

    return sum(give(want, set()) for want in range(len(demands)))


def brute_force(question: Question, price: Callable[[Gpus], float] = lambda gpus: 1) -> tuple[int, float]:
    """The most instances that can be served, and the fewest GPUs (or least cost) that serve as many."""
    cards = [gpus for gpus in question.gpus for _ in range(gpus.count)]
    accepts = [
        {(slug, name) for slug, names in demand.accepts.items() for name in names}
        for demand in question.demands
        for _ in range(demand.count)
    ]
    wanted_by_one = [("",)] * len(accepts)
    useful = set().union(*accepts)
    options = []
    for gpus in cards:
        each: list[Counter[tuple[str, str]]] = []
        for held, _ in holdings(question, gpus):
            kinds = Counter(
                {(gpus.chip.slug, n): c for n, c in held.items() if (gpus.chip.slug, n) in useful}
            )
            if kinds and not any(kinds <= other for other in each):
                each = [other for other in each if not other <= kinds] + [kinds]
        options.append([None, *each])
    best = (0, 0.0)
    for choice in product(*options):
        used = sum(price(gpus) for gpus, option in zip(cards, choice, strict=True) if option is not None)
        supply: Counter[tuple[str, str]] = Counter()
        for option in choice:
            supply += option or Counter()
        served = most_served(wanted_by_one, supply, accepts)
        best = max(best, (served, -used))
    return best[0], -best[1]


def fewest_changes_by_force(question: Question) -> tuple[int, int]:
    """The most that one GPU can serve, and the fewest instances destroyed and made for as much.

    A largest matching can keep covered what a smaller one covers, so that kept instances are used first.
    """
    (gpus,) = question.gpus
    of = gpus.chip
    accepts = [
        {(slug, name) for slug, names in demand.accepts.items() for name in names}
        for demand in question.demands
        for _ in range(demand.count)
    ]
    idle = [each for each in gpus.standing if not each.in_use]
    best = (0, 0)
    for gone in range(len(idle) + 1):
        for destroyed in combinations(idle, gone):
            stays = [each for each in gpus.standing if each not in destroyed]
            usable = Counter(
                (of.slug, each.place.profile) for each in stays if question.in_use_serves or not each.in_use
            )
            beside = tuple(sorted(each.place for each in stays))
            kept = most_served([("",)] * len(accepts), usable, accepts)
            for made in configurations(of, of.named("standard"), beside):
                new = Counter((of.slug, place.profile) for place in made)
                served = most_served([("",)] * len(accepts), usable + new, accepts)
                best = max(best, (served, -(gone + served - kept)))
    return best[0], -best[1]


@pytest.mark.parametrize("seed", range(60))
def test_fewest_changes_against_brute_force(seed: int) -> None:
    rng = random.Random(5000 + seed)
    of = rng.choice([chip("a100-sxm-40gb"), chip("a30")])
    some = rng.choice(configurations(of, of.named("standard")))[: rng.randint(0, 4)]
    present = tuple(Standing(place, rng.random() < 0.3) for place in some)
    demands = [wanted(of, rng.choice(of.named("standard")), rng.randint(1, 3)) for _ in range(2)]
    question = asked(
        [Gpus(chip=of, count=1, standing=present)],
        demands,
        objective="fewest_changes",
        in_use_serves=rng.random() < 0.5,
    )
    answer = plan(question)
    check(question, answer)
    assert answer.optimal
    assert (answer.served, answer.value) == fewest_changes_by_force(question)
    assert answer.value == answer.created + len(answer.destroyed)


@pytest.mark.parametrize("seed", range(40))
def test_least_cost_against_brute_force(seed: int) -> None:
    rng = random.Random(7000 + seed)
    fleet = [
        Gpus(chip=of, count=rng.randint(1, 2), usd_per_gpu_hour=usd)
        for of, usd in ((chip("a30"), 1.0), (chip("a100-sxm-40gb"), rng.choice([1.5, 2.5, 4.5])))
    ]
    demands = []
    for _ in range(rng.randint(1, 3)):
        least, slices = rng.choice([4e9, 1e10, 1.8e10]), rng.randint(1, 3)
        accepts = {gpus.chip.slug: serving(gpus.chip, least, slices) for gpus in fleet}
        demands.append(Demand(count=rng.randint(1, 3), accepts=accepts))
    question = asked(fleet, demands, objective="least_cost")
    answer = plan(question)
    served, usd = brute_force(question, lambda gpus: gpus.usd_per_gpu_hour or 0.0)
    assert answer.optimal
    assert answer.served == served
    assert answer.value == pytest.approx(usd)
    assert answer.usd_per_hour == pytest.approx(usd)


def check(question: Question, answer: Answer) -> None:
    """The answer is a layout that the driver could hold, serves what it says and destroys nothing in use."""
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
        assert placement.kept == (placement.place in [each.place for each in gpus.standing])
    for number, gpus in by_number.items():
        gone = {each.place for each in answer.destroyed if each.gpu == number}
        for each in gpus.standing:
            assert (each.place in held.get(number, [])) != (each.place in gone)
            assert not (each.in_use and each.place in gone)
    assert answer.gpus_used == len({placement.gpu for placement in answer.placements})


@pytest.mark.parametrize("seed", range(200))
def test_random_fleets_against_brute_force(seed: int) -> None:
    question = random_fleet(random.Random(seed))
    answer = plan(question)
    check(question, answer)
    served, gpus = brute_force(question)
    assert answer.optimal
    assert (answer.served, answer.gpus_used) == (served, gpus)
    assert answer.bound == gpus


@pytest.mark.parametrize("seed", range(20))
def test_the_quick_layout_is_sound_and_never_better(seed: int) -> None:
    question = random_fleet(random.Random(1000 + seed))
    rough, exact = quick(question), plan(question)
    assert rough.served <= exact.served
    assert rough.bound <= exact.gpus_used or exact.unplaced
    assert not rough.destroyed
    check(question, rough)


# --- objectives ---


def test_fewest_changes_keeps_what_serves() -> None:
    of = chip()
    apart = (standing(of, "1g.5gb", 0), standing(of, "1g.5gb", 3))
    fleet = [Gpus(chip=of, count=1, standing=apart), Gpus(chip=of, count=1)]
    demands = [wanted(of, "1g.5gb", 2), wanted(of, "4g.20gb")]
    few = plan(asked(fleet, demands, objective="fewest_changes"))
    assert (few.value, few.created, len(few.destroyed)) == (1, 1, 0)
    packed = plan(asked(fleet[:1], demands, objective="fewest_gpus"))
    assert (packed.gpus_used, packed.created, len(packed.destroyed)) == (1, 3, 2)


def test_least_cost_rents_whole_machines() -> None:
    small, large = chip("a30"), chip("a100-sxm-40gb")
    fleet = [
        Gpus(chip=large, count=8, usd_per_gpu_hour=4.0, per_node=8),
        Gpus(chip=small, count=8, usd_per_gpu_hour=1.0, per_node=1),
    ]
    demands = [Demand(count=8, accepts={small.slug: ("2g.12gb",), large.slug: ("2g.10gb",)})]
    answer = plan(asked(fleet, demands, objective="least_cost"))
    assert answer.value == answer.usd_per_hour == 4.0
    assert {p.place.profile for p in answer.placements} == {"2g.12gb"}


def test_what_finds_no_place_is_named_with_the_nearest_change() -> None:
    of = chip()
    answer = plan(asked([Gpus(chip=of, count=1)], [wanted(of, "3g.20gb", 5), wanted(of, "7g.40gb", 1)]))
    assert answer.served == 2
    assert {(each.demand, each.count) for each in answer.unplaced} == {(0, 3), (1, 1)}
    assert "3 more a100-sxm-40gb" in answer.nearest_change


def test_a_demand_that_no_profile_serves_is_said_to_be_so() -> None:
    of = chip()
    question = asked([Gpus(chip=of, count=1)], [Demand(count=2, accepts={}, label="90 GB")])
    answer = plan(question)
    assert answer.optimal
    assert "gives 90 GB" in answer.unplaced[0].reason


def test_moving_a_running_job_is_offered_where_it_would_help() -> None:
    of = chip()
    fleet = [Gpus(chip=of, count=1, standing=(standing(of, "1g.5gb", 2, in_use=True),))]
    demands = [wanted(of, "4g.20gb")]
    answer = plan(asked(fleet, demands, in_use_serves=False))
    assert answer.served == 0
    assert not answer.destroyed
    allowed = plan(asked(fleet, demands, may_destroy_in_use=True, in_use_serves=False))
    assert allowed.served == 1
    assert [each.in_use for each in allowed.destroyed] == [True]


def test_new_instances_go_to_gpus_that_are_busy_anyway() -> None:
    of = chip()
    busy = Gpus(chip=of, count=1, standing=(standing(of, "3g.20gb", 0, in_use=True),))
    answer = plan(asked([Gpus(chip=of, count=2), busy], [wanted(of, "1g.5gb")], in_use_serves=False))
    assert [placement.gpu for placement in answer.placements] == [2]
