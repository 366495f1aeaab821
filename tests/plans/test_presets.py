"""Presets: the workload that a button fills in, and the machines that it is begun on."""

from __future__ import annotations

from datetime import date

import pytest

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.engine.question.result import PlanResult
from planner.plans.answers import answer_each
from planner.plans.presets import MACHINES, PRESET_BUTTONS, PRESETS, preset_state
from planner.plans.state import FormState, contract_request

TODAY = date(2026, 11, 29)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_shipped_catalog()


def pressed(name: str, catalog: Catalog, **fields: str) -> FormState:
    return preset_state({"preset": name, **fields}, catalog, today=TODAY)


def test_every_button_has_its_workload_and_machines() -> None:
    assert [button.name for button in PRESET_BUTTONS] == list(PRESETS) == list(MACHINES)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("model", ["llama-3.1-8b", "gpt2", "llama-3.1-70b"])
def test_a_preset_begins_on_machines_on_which_it_fits(name: str, model: str, catalog: Catalog) -> None:
    state = pressed(name, catalog, model=model)
    request = parse_plan_request(contract_request(state), catalog, today=TODAY)
    assert request.workload.task == name
    (answer,) = answer_each([request])
    assert isinstance(answer, PlanResult)
    assert answer.fits


def test_adapters_do_not_begin_on_a_cluster(catalog: Catalog) -> None:
    for name in ("lora", "qlora"):
        values = pressed(name, catalog).values
        assert (values["instance"], values["nodes"]) == ("g6e.xlarge", "1")


def test_a_larger_model_takes_larger_machines(catalog: Catalog) -> None:
    order = [instance for instance, _ in MACHINES["lora"]]
    small, large = (
        order.index(pressed("lora", catalog, model=model).values["instance"])
        for model in ("llama-3.1-8b", "llama-3.1-70b")
    )
    assert large > small


def test_the_layout_of_the_last_machines_is_left_behind(catalog: Catalog) -> None:
    values = pressed("lora", catalog, tp="8", region="us-east-2", mig="3g.40gb").values
    assert (values["tp"], values["region"], values["mig"]) == ("", "", "")


def test_ones_own_machines_and_a_goal_stay(catalog: Catalog) -> None:
    own = pressed("lora", catalog, chip="h100-sxm", nodes="2").values
    assert (own["chip"], own["nodes"]) == ("h100-sxm", "2")
    goal = pressed("lora", catalog, by="goal", budget="2k").values
    assert (goal["by"], goal["budget"]) == ("goal", "2k")


def test_a_model_that_makes_no_sense_takes_the_first_machine(catalog: Catalog) -> None:
    values = pressed("lora", catalog, model="no such model").values
    assert (values["model"], values["instance"]) == ("no such model", "g6e.xlarge")
