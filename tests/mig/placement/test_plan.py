"""Objectives one by one, large fleets proven in time, and layouts shown before the proof."""

from __future__ import annotations

import random
from itertools import pairwise
from time import process_time

import pytest

from planner.mig.placement.enumeration import configurations
from planner.mig.placement.plan import improving, plan, quick
from planner.mig.placement.question import Demand, Gpus, Standing
from tests.mig.asked import asked, chip, standing, wanted
from tests.mig.placement.test_brute_force import OBJECTIVES, check, random_fleet, serving

LARGE_S = 5.0
"""Processor time; by the clock a machine that is busy with other things takes longer."""


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
    began = process_time()
    answer = plan(asked([Gpus(chip=of, count=400)], demands))
    assert process_time() - began < LARGE_S
    assert answer.optimal
    assert answer.served == 980
    assert answer.gpus_used == answer.bound == 306
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
    began = process_time()
    answer = plan(question)
    assert process_time() - began < LARGE_S
    assert answer.optimal
    check(question, answer)


@pytest.mark.parametrize(
    ("states", "objective"),
    [
        (30, "fewest_gpus"),
        *(pytest.param(400, objective, marks=pytest.mark.slow) for objective in OBJECTIVES),
    ],
)
def test_1000_demands_on_400_gpus_in_their_present_states(states: int, objective: str) -> None:
    """Three kinds, up to as many states as GPUs, half of the instances in use; not all finds a place."""
    rng = random.Random(19)
    fleet = []
    for of, usd in ((chip("a100-sxm-40gb"), 2.0), (chip("h100-sxm"), 6.0), (chip("a30"), 1.0)):
        possible = configurations(of, of.named("standard"))
        for _ in range(states // 3):
            present = tuple(Standing(place, rng.random() < 0.5) for place in rng.choice(possible))
            fleet.append(Gpus(chip=of, count=400 // states, standing=present, usd_per_gpu_hour=usd))
    demands = []
    for _ in range(100):
        least, slices = rng.choice([4e9, 9e9, 1.8e10, 3.5e10]), rng.randint(1, 3)
        accepts = {gpus.chip.slug: serving(gpus.chip, least, slices) for gpus in fleet}
        demands.append(Demand(count=10, accepts=accepts))
    question = asked(fleet, demands, objective=objective, in_use_serves=False)
    began = process_time()
    answer = plan(question)
    assert process_time() - began < LARGE_S
    assert answer.optimal
    assert answer.fewest_destroyed
    assert answer.nearest_changes
    check(question, answer)


@pytest.mark.parametrize("seed", range(20))
def test_the_quick_layout_is_sound_and_never_better(seed: int) -> None:
    question = random_fleet(random.Random(1000 + seed))
    rough, exact = quick(question), plan(question)
    assert rough.served <= exact.served
    if question.objective == "most_demand":
        assert rough.bound >= exact.value
    else:
        assert rough.bound <= exact.value
    assert not rough.destroyed
    check(question, rough)


@pytest.mark.parametrize("seed", range(10))
def test_answers_get_better_until_they_are_the_plans(seed: int) -> None:
    question = random_fleet(random.Random(2000 + seed))
    shown = list(improving(question))
    assert len(shown) >= 2
    for answer in shown:
        check(question, answer)
    for earlier, later in pairwise(shown):
        assert later.served >= earlier.served
        assert later.optimal >= earlier.optimal
    exact = plan(question)
    assert shown[-1].optimal
    assert (shown[-1].served, shown[-1].value, shown[-1].bound) == (exact.served, exact.value, exact.bound)
    assert shown[-1].nearest_changes == exact.nearest_changes


def test_a_short_limit_gives_what_was_found_with_its_bound() -> None:
    of = chip()
    question = asked([Gpus(chip=of, count=400)], [wanted(of, "1g.5gb", 2000)], time_limit_s=1e-9)
    answer = plan(question)
    check(question, answer)
    assert answer.bound <= 286 <= answer.value
    assert answer.optimal == (answer.value == answer.bound)


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
    assert "enough for 90 GB" in answer.unplaced[0].reason


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


def test_two_idle_instances_go_before_one_that_is_in_use() -> None:
    of = chip()
    fleet = [
        Gpus(chip=of, count=1, standing=(standing(of, "3g.20gb", 0, in_use=True),)),
        Gpus(chip=of, count=1, standing=(standing(of, "3g.20gb", 0), standing(of, "3g.20gb", 4))),
    ]
    answer = plan(asked(fleet, [wanted(of, "7g.40gb", 1)], may_destroy_in_use=True))
    assert [(p.gpu, p.place.profile) for p in answer.placements if p.demand is not None] == [(1, "7g.40gb")]
    assert [p.gpu for p in answer.destroyed] == [1, 1]
