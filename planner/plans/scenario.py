"""The scenario that a page is about: from an address to its form, its question and its answer."""

from __future__ import annotations

import json
from datetime import date
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from planner.catalog import selectors
from planner.contract.model import read_model
from planner.contract.parse import parse_plan_request
from planner.contract.render import render_error
from planner.contract.section import Problems
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.shape.parameters import count_parameters
from planner.plans import answers, picker
from planner.plans.choices import GOAL, GROUPS, WAY
from planner.plans.form import ScenarioForm, sentence, valid_day
from planner.plans.goal import Found, find_machines
from planner.plans.presets import PRESET_BUTTONS, preset_state
from planner.plans.state import form_state


def read_form(request: HttpRequest) -> ScenarioForm:
    """The scenario in the address, or in the posted form."""
    given = request.POST if request.method == "POST" else request.GET
    catalog = selectors.current_catalog()
    if "preset" in given:
        fields = {name: given.get(name, "") for name in given}
        return ScenarioForm(preset_state(fields, catalog, today=today()), catalog)
    return ScenarioForm.of_query(given, catalog, changed_fields(request))


def names_a_goal(request: HttpRequest) -> bool:
    """Whether machines are looked for in the whole catalog, which is a search and may take as long."""
    return GOAL in (request.GET.get(WAY), request.POST.get(WAY))


def form_with(form: ScenarioForm, **changes: str) -> ScenarioForm:
    """The same scenario with other values of some fields."""
    return ScenarioForm(form_state({**form.values, **changes}, form.catalog), form.catalog)


def changed_fields(request: HttpRequest) -> set[str]:
    """The fields that a person changed since the last answer, as the page's script tells."""
    return set(request.headers.get("X-Changed", "").split(","))


def today() -> date:
    return timezone.localdate()


def question_of(form: ScenarioForm) -> PlanRequest:
    """The form's question.  Raises PlanErrors where it makes no sense."""
    try:
        return parse_plan_request(form.request(), form.catalog, today=today())
    except PlanError as one:
        raise PlanErrors([one]) from one


def answer(form: ScenarioForm) -> tuple[PlanRequest, PlanResult]:
    """The form's question and its answer, with a goal those of the machines that meet it best.

    Raises PlanErrors where it makes no sense.
    """
    found = found_by_goal(form)
    question = question_of(form) if found is None else found.offers[0].question
    return question, answers.answer_plan(question, form.catalog)


def found_by_goal(form: ScenarioForm) -> Found | None:
    """What meets the form's goal, None where the form names its machines. Raises PlanErrors."""
    if not form.by_goal:
        return None
    try:
        return find_machines(form.state, form.catalog, today=today())
    except PlanError as one:
        raise PlanErrors([one]) from one


def plan_context(form: ScenarioForm) -> dict[str, Any]:
    """What the form shows, whatever the answer. Functions are called where a template shows their value."""
    values, catalog = form.values, form.catalog
    sale = picker.Sale(region=values["region"], purchase=values["buy"], as_of=valid_day(values["price_on"]))
    return {
        "form": form,
        "models": [record.slug for record in catalog.models()],
        "card": partial(model_card, form),
        "presets": PRESET_BUTTONS,
        "machine": partial(picker.chosen_machine, catalog, values["instance"], sale),
        "machines": [
            *(each.slug for each in catalog.instances()),
            *(each.slug for each in catalog.accelerators()),
        ],
        "own": bool(form.state.chip) or any(values[name] for name in GROUPS["card"]),
    }


def model_card(form: ScenarioForm) -> picker.ModelCard | None:
    """What the form's model is made of, None where it cannot be read."""
    try:
        shape = read_model(form.state.model, "model", form.catalog, Problems())
    except PlanError:
        return None
    if shape is None:
        return None
    count = count_parameters(shape)
    return picker.model_card(shape, count.total, count.active)


def problems(wrong: PlanErrors) -> list[dict[str, str]]:
    """Each problem with the label and anchor of the form field that it is about."""
    found = []
    for error in wrong.errors:
        name = ScenarioForm.field_of(error.field, error.value)
        value = "" if error.value in (None, "") or isinstance(error.value, dict) else str(error.value)[:80]
        found.append(
            {
                "anchor": f"id_{name}",
                "label": str(ScenarioForm.base_fields[name].label or name),
                "value": value,
                "message": sentence(error.message),
                "remedy": sentence(error.remedy),
            }
        )
    return found


def plain_problems(wrong: PlanErrors) -> HttpResponse:
    return HttpResponse(
        json.dumps(render_error(wrong), indent=2), content_type="application/json", status=422
    )
