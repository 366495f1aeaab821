"""How many accelerators generate, where nobody said so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.accuracy.calibration import shipped_calibration
from planner.engine.answer.estimate import estimate
from planner.engine.choose.plan import choose, evaluate_choice
from planner.engine.layout.pools import training_sizes
from planner.engine.question.request import LayoutRequest, PlanRequest
from tests.engine.layout.test_pools import asked

CALIBRATION = shipped_calibration()


def step_s(request: PlanRequest) -> float:
    return estimate(request, CALIBRATION).time.step_s


def generating(request: PlanRequest) -> int:
    ppo = choose(request, CALIBRATION).request.workload.ppo
    assert ppo is not None and ppo.generation.accelerators is not None
    return ppo.generation.accelerators


@pytest.mark.parametrize("tokens", [64, 900])
def test_no_other_number_is_clearly_faster(tokens: int) -> None:
    """An expert's plainer plan may be taken for a few per cent."""
    request = asked(staleness_steps=1, rollout_tokens=tokens)
    best = step_s(request)
    for size in training_sizes(request, 64):
        other = asked(staleness_steps=1, rollout_tokens=tokens, generation={"accelerators": 64 - size})
        assert best <= step_s(other) * 1.15


def test_longer_answers_want_more_accelerators() -> None:
    short, long = (asked(staleness_steps=1, rollout_tokens=tokens) for tokens in (16, 1000))
    assert generating(long) > generating(short)


def test_the_answer_can_be_asked_again() -> None:
    request = asked(staleness_steps=1)
    found = estimate(request, CALIBRATION)
    layout = LayoutRequest(**{name: getattr(found.layout, name) for name in LayoutRequest.__slots__})
    again = estimate(replace(request, layout=layout), CALIBRATION)
    assert again.time.step_s == found.time.step_s


def test_open_nodes_are_chosen_for_both_pools() -> None:
    request = asked(staleness_steps=1)
    choice = choose(replace(request, cluster=replace(request.cluster, nodes=None)), CALIBRATION)
    assert choice.request.cluster.nodes is not None and choice.request.cluster.nodes >= 2
    assert evaluate_choice(choice, CALIBRATION).fits
