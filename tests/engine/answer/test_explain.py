"""Templates and records: each placeholder is one record's field, no two records share a name."""

import re
import string
from collections.abc import Iterator
from typing import Any

import pytest

from planner.engine.answer.explain import GRID_FIELDS, TEMPLATES, records_of
from planner.engine.answer.records import figures_of, one_plan
from planner.engine.choose.plan import choose, evaluate_choice
from planner.engine.memory.explain import MEMORY_TEMPLATES
from planner.engine.rl.explain import PPO_TEMPLATES
from planner.engine.sure.calibration import Calibration
from planner.engine.trace import TermTemplate
from tests.engine.questions import question

PPO = {"critic": "gpt2", "reference": "llama-2-7b", "reward": "gpt2", "rollout_tokens": 1024}
OF_PPO = ("generation", "scoring", *(template.name for template in PPO_TEMPLATES))


@pytest.fixture(scope="module", params=["pretraining", "ppo"])
def records(request: pytest.FixtureRequest, calibration: Calibration) -> dict[str, Any]:
    asked = question(task="ppo", ppo=PPO) if request.param == "ppo" else question()
    choice = choose(asked, calibration)
    plan = one_plan(evaluate_choice(choice, calibration))
    found = records_of(figures_of(choice, plan, calibration), asked.workload)
    return {**found, "task": request.param}


def places(template: TermTemplate) -> Iterator[str]:
    for _, name, _, _ in string.Formatter().parse(template.formula):
        if name is not None:
            yield name


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_each_placeholder_is_one_records_field(template: TermTemplate, records: dict[str, Any]) -> None:
    if template.name in OF_PPO and records["task"] != "ppo":
        pytest.skip("a phase of PPO")
    for place in (template.value, *places(template)):
        assert re.fullmatch(r"\w+\.\w+(\[\w+\])?", place), f"{place} names no record"
        shown: Any = string.Formatter().get_field(place, (), records)[0]
        assert isinstance(shown, int | float | str), place
    assert template.value_in(records) == string.Formatter().get_field(template.value, (), records)[0]


def test_no_name_is_explained_twice() -> None:
    names = [template.name for template in TEMPLATES]
    assert len(names) == len(set(names))


def test_memory_is_explained_from_the_grid_and_memory_alone() -> None:
    shown = {place.partition(".")[0] for each in MEMORY_TEMPLATES for place in (each.value, *places(each))}
    assert shown == {"grid", "memory"}


def test_recompute_and_framework_are_seconds_and_bytes_not_choices(records: dict[str, Any]) -> None:
    """Names that the grid uses for a choice and another record for a quantity."""
    of = {template.name: template.value for template in TEMPLATES}
    assert of["recompute"] == "step.recompute" and of["framework"] == "memory.framework"
    assert not {"recompute", "framework"} & set(GRID_FIELDS)


def test_a_value_that_is_no_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        TermTemplate(name="lost", value="somewhere", unit="s", formula="", source="")
