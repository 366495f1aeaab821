"""Printed commands, carried out on the placement model, arrive at the layout that was planned."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.mig.placement.chip import Placed
from planner.mig.placement.enumeration import configurations
from planner.mig.placement.plan import plan
from planner.mig.placement.question import Answer, Demand, Gpus, Question, Standing
from planner.mig.placement.simulate import Machines, RefusedError
from planner.mig.placement.steps import CREATE, DESTROY, ENABLE, steps
from tests.mig.asked import asked, chip, standing, wanted

CHIPS = ("a100-sxm-40gb", "a30", "h100-sxm", "rtx-pro-6000")


@st.composite
def fleets(draw: st.DrawFn) -> Question:
    groups, demands = [], []
    first = 0
    for slug in draw(st.lists(st.sampled_from(CHIPS), min_size=1, max_size=2, unique=True)):
        of = chip(slug)
        place = draw(st.sampled_from(configurations(of, of.named("standard"))))
        numbers = draw(st.permutations(range(1, 15)))
        known = draw(st.booleans())
        present = tuple(
            Standing(each, draw(st.booleans()), numbers[index] if known else None)
            for index, each in enumerate(place)
        )
        count = draw(st.integers(1, 3))
        hosts = tuple((f"node-{slug}", index) for index in range(count)) if draw(st.booleans()) else ()
        mode = True if present else draw(st.booleans())
        groups.append(Gpus(chip=of, count=count, first=first, standing=present, mig_mode=mode, hosts=hosts))
        first += count
        demands += [
            wanted(of, draw(st.sampled_from(of.named("standard"))), draw(st.integers(1, 4)))
            for _ in range(draw(st.integers(1, 2)))
        ]
    objective = draw(st.sampled_from(["fewest_gpus", "most_demand", "fewest_changes"]))
    return Question(gpus=groups, demands=demands, objective=objective, in_use_serves=draw(st.booleans()))


def arrived(question: Question, answer: Answer) -> bool:
    """Whether the commands lead from the present layout to the planned one."""
    machines = Machines(question.gpus)
    for step in steps(question.gpus, answer):
        machines.run(step.host, [step.command])
    target: dict[int, list[Placed]] = defaultdict(list)
    for placement in (*answer.placements, *answer.staying):
        target[placement.gpu].append(placement.place)
    return all(
        machines.layout(*gpus.host_of(number)) == tuple(sorted(target[number]))
        for gpus in question.gpus
        for number in gpus.numbers
    )


@settings(max_examples=60, deadline=None)
@given(fleets())
def test_commands_arrive_at_the_plan(question: Question) -> None:
    answer = plan(question)
    assert arrived(question, answer)
    assert not any(each.in_use for each in answer.destroyed)


def test_steps_of_gpus_that_are_alike_are_one_command() -> None:
    of = chip()
    question = asked([Gpus(chip=of, count=3)], [wanted(of, "3g.20gb", 6)])
    way = steps(question.gpus, plan(question))
    assert [step.command for step in way] == ["nvidia-smi mig -i 0,1,2 -cgi 9:0,9:4 -C"]


def test_instances_of_the_same_number_go_in_one_command() -> None:
    of = chip()
    present = (standing(of, "1g.5gb", 3, number=9),)
    question = asked([Gpus(chip=of, count=3, standing=present)], [wanted(of, "4g.20gb", 3)])
    answer = plan(question)
    destroying = [step.command for step in steps(question.gpus, answer) if step.kind == DESTROY]
    assert destroying == ["nvidia-smi mig -i 0,1,2 -dci -gi 9", "nvidia-smi mig -i 0,1,2 -dgi -gi 9"]
    assert arrived(question, answer)


def test_known_numbers_are_used_and_unknown_ones_looked_up() -> None:
    of = chip()
    for number, shown in ((5, "-gi 5"), (None, "awk")):
        present = (standing(of, "1g.5gb", 3, number=number),)
        question = asked([Gpus(chip=of, count=1, standing=present)], [wanted(of, "4g.20gb")])
        destroying = [step for step in steps(question.gpus, plan(question)) if step.kind == DESTROY]
        assert [shown in step.command for step in destroying] == [True, True]
        assert "-dci" in destroying[0].command
        assert "-dgi" in destroying[1].command


@pytest.mark.parametrize(("slug", "reset"), [("a100-sxm-40gb", True), ("a30", True), ("h100-sxm", False)])
def test_switching_the_mode_says_what_it_costs(slug: str, *, reset: bool) -> None:
    """Ampere needs a reset, in some machines a reboot (NVIDIA/gpu-operator issue 1606); Hopper does not."""
    of = chip(slug)
    question = asked([Gpus(chip=of, count=2, mig_mode=False)], [wanted(of, of.named("standard")[0])])
    way = steps(question.gpus, plan(question))
    assert [step.kind for step in way] == [ENABLE, CREATE]
    assert way[0].command == "nvidia-smi -i 0 -mig 1"
    assert ("rebooted" in way[0].words) is reset


def test_the_model_refuses_what_the_driver_would() -> None:
    of = chip()
    machines = Machines(
        [Gpus(chip=of, count=1, standing=(standing(of, "3g.20gb", 0, in_use=True, number=1),))]
    )
    for command in (
        "nvidia-smi mig -i 0 -dgi -gi 1",
        "nvidia-smi mig -i 0 -dci -gi 1",
        "nvidia-smi mig -i 0 -cgi 5:0 -C",
        "nvidia-smi mig -i 0 -cgi 9:3 -C",
        "nvidia-smi mig -i 0 -dgi -gi 7",
        "rm -rf /",
    ):
        with pytest.raises(RefusedError):
            machines.run("", [command])


def test_a_foreign_instance_is_never_touched() -> None:
    of = chip()
    stranger = Standing(Placed(4, 2, "2g.12gb"), foreign=True)
    question = asked(
        [Gpus(chip=of, count=1, standing=(stranger,))], [Demand(count=2, accepts={of.slug: ("3g.20gb",)})]
    )
    answer = plan(question)
    assert answer.served == 1
    assert [each.place for each in answer.staying] == [stranger.place]
    assert arrived(question, answer)


def test_gpus_in_the_same_state_keep_their_own_numbers() -> None:
    of = chip()
    groups = [
        Gpus(chip=of, count=1, standing=(standing(of, "1g.5gb", 2, number=number),), hosts=(("n", index),))
        for index, number in enumerate((5, 9, 11))
    ]
    question = asked(groups, [wanted(of, "4g.20gb", 3)])
    answer = plan(question)
    assert answer.served == 3
    numbers = {step.indices[0]: step.command.split()[-1] for step in steps(question.gpus, answer)
               if step.kind == DESTROY}  # fmt: skip
    assert numbers == {0: "5", 1: "9", 2: "11"}
    assert arrived(question, answer)
