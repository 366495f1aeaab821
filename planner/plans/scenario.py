"""The scenario that a page is about: from an address to its form, its question and its answer."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from planner.catalog import selectors
from planner.contract.parse import parse_plan_request
from planner.contract.render import render_error
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.plans import answers, picker
from planner.plans.choices import DEFAULTS, GROUPS, PRESET_BUTTONS
from planner.plans.form import ScenarioForm, sentence, valid_day


def read_form(request: HttpRequest) -> ScenarioForm:
    """The scenario in the address, or in the posted form."""
    given = request.POST if request.method == "POST" else request.GET
    return ScenarioForm.of_query(given, selectors.current_catalog(), changed_fields(request))


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
    """The form's question and its answer.  Raises PlanErrors where it makes no sense."""
    question = question_of(form)
    return question, answers.answer_plan(question, form.catalog)


def plan_context(form: ScenarioForm) -> dict[str, Any]:
    """What the form shows, whatever the answer."""
    values, catalog = form.values, form.catalog
    sale = picker.Sale(region=values["region"], purchase=values["buy"], as_of=valid_day(values["price_on"]))
    return {
        "form": form,
        "models": picker.model_options(catalog),
        "presets": PRESET_BUTTONS,
        "machine": picker.chosen_machine(catalog, values["instance"], sale),
        "machine_groups": picker.machine_groups(catalog, sale),
        "own": bool(values["chip"]) or any(values[name] for name in GROUPS["card"]),
        "open": {
            "own": bool(values["chip"]),
            "price": not form.state.changed.isdisjoint(GROUPS["price"]),
            "card": any(values[name] for name in GROUPS["card"]),
            "round": any(values[name] != DEFAULTS[name] for name in GROUPS["round"] + GROUPS["engine"]),
            "layout": not form.state.changed.isdisjoint(GROUPS["layout"]),
            "advanced": not form.state.changed.isdisjoint(GROUPS["advanced"]),
        },
    }


def problems(wrong: PlanErrors) -> list[dict[str, str]]:
    """Each problem with the label and anchor of the form field that it is about."""
    found = []
    for error in wrong.errors:
        name = ScenarioForm.field_of(error.field, error.value)
        value = "" if error.value in (None, "") or isinstance(error.value, dict) else str(error.value)[:80]
        found.append(
            {
                "anchor": f"id_{name}" if name != "instance" else "instance-filter",
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
