"""Saved scenarios for programs: list, read, save, delete, and what changed since one was saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from planner.accounts.policy import Action
from planner.accounts.rights import needs
from planner.api.answer_schemas import FLAG, NUMBER, TEXT, maybe, page, record, rows
from planner.catalog.selectors import current_catalog
from planner.contract.jsontext import MAX_JSON_BYTES, read_json, too_long
from planner.contract.parse import parse_plan_request
from planner.contract.section import Problems, Section
from planner.engine.question.errors import PlanError, PlanErrors
from planner.plans.answers import answer_plan
from planner.plans.from_question import query_of
from planner.tradeoffs.models import NO_ADDRESS, Scenario, Visibility
from planner.tradeoffs.scenarios import services
from planner.tradeoffs.scenarios.changes import as_json, changes
from planner.tradeoffs.scenarios.selectors import page_of
from planner.tradeoffs.scenarios.snapshot import snapshot
from planner.web.operations import Operation, declare, ref
from planner.web.programs import (
    FORBIDDEN,
    MAX_LIMIT,
    NOT_FOUND,
    Scope,
    answered,
    by_method,
    for_programs,
    paged,
    refused,
    refused_all,
    tag_of,
)

CREATED, NO_CONTENT, CHANGED_MEANWHILE = 201, 204, 412
NAMES = ("name", "question", "note", "labels", "visibility")
LONGEST_NAME, LONGEST_NOTE, LONGEST_LABELS = 120, 4000, 200
#: What is saved is kept for years, so it is shorter than what may be asked.
MOST_SAVED_BYTES = 2**20
FILTERS = {"q": "Words in the name or the note.", "label": "With this label."}
NONE = "There is no such scenario, or it is somebody else's."
Json = dict[str, Any]


@needs(Action.READ)
@for_programs("GET", Scope.SCENARIOS)
def every(request: HttpRequest) -> HttpResponse:
    """Scenarios that one may see, the newest first."""

    def some(offset: int, limit: int | None) -> tuple[list[Json], int]:
        words, label = request.GET.get("q", ""), request.GET.get("label", "")
        found, total = page_of(
            request.user, words=words, label=label, offset=offset, limit=limit or MAX_LIMIT
        )
        return [_row(each) for each in found], total

    return paged(request, "scenarios", some, FILTERS, most=MAX_LIMIT)


@needs(Action.SAVE)
@for_programs("POST", Scope.SAVE, writes=True)
def save(request: HttpRequest) -> HttpResponse:
    """Plan a question and keep it with its answer, its facts and its constants."""
    body = request.read(MAX_JSON_BYTES + 1)
    try:
        if len(body) > MOST_SAVED_BYTES:
            raise too_long()
        saved = _saved(request, read_json(body))
    except PlanErrors as wrong:
        return refused_all(wrong.errors)
    except PlanError as wrong:
        return refused_all([wrong])
    answer = answered(_whole(saved), CREATED)
    answer["Location"] = reverse("planner:api:scenario", args=[saved.key])
    return answer


@needs(Action.READ)
@for_programs("GET", Scope.SCENARIOS)
def one(request: HttpRequest, key: str) -> HttpResponse:
    """One scenario with its question and its answer."""
    found = services.by_key(request.user, key)
    return _none(key) if found is None else answered(_whole(found))


@needs(Action.SAVE)
@for_programs("DELETE", Scope.SAVE, writes=True)
def delete(request: HttpRequest, key: str) -> HttpResponse:
    """Delete one's own scenario; on its page it can be brought back for 30 days."""
    found = services.by_key(request.user, key)
    if found is None:
        return _none(key)
    if not services.may_change(request.user, found):
        return refused("This scenario is somebody else's.", "Ask its owner.", status=FORBIDDEN)
    wanted = request.headers.get("If-Match", "*")
    if wanted != "*" and tag_of(answered(_whole(found)).content) not in wanted.split(", "):
        return refused(
            "The scenario is not what If-Match says it is.", "Read it again.", status=CHANGED_MEANWHILE
        )
    services.delete(found)
    return HttpResponse(status=NO_CONTENT)


@needs(Action.READ)
@for_programs("GET", Scope.SCENARIOS)
def since(request: HttpRequest, key: str) -> HttpResponse:
    """What changed since it was saved, cause by cause: constants, catalog and price."""
    found = services.by_key(request.user, key)
    if found is None:
        return _none(key)
    kept = {"question": found.question, "answer": found.answer, "facts": found.facts}
    return answered(as_json(changes(kept, current_catalog(), today=timezone.localdate())))


def _saved(request: HttpRequest, data: Any) -> Scenario:
    """Raises PlanError, PlanErrors."""
    problems = Problems()
    given = Section(data, "", problems)
    given.only(NAMES)
    name = _line(given, "name", LONGEST_NAME)
    if name is None:
        given.missing("name", "Give the scenario a name.")
    note = _line(given, "note", LONGEST_NOTE) or ""
    visibility = given.choice("visibility", tuple(Visibility.values)) or Visibility.EVERYONE
    labels = _labels(given)
    if not given.has("question"):
        given.missing("question", "Give the question as of estimate.")
    elif not _keepable(given.data["question"]):
        given.fail("question", "It holds the sign zero, or half of a sign.", "Write it in plain Unicode.")
    problems.raise_if_any()
    catalog = current_catalog()
    try:
        asked = parse_plan_request(given.data["question"], catalog, today=timezone.localdate())
        result = answer_plan(asked, catalog)
    except PlanErrors as wrong:
        raise PlanErrors([_within(each) for each in wrong.errors]) from wrong
    address = query_of(given.data["question"], asked, catalog)
    question = {name: value for name, value in given.data["question"].items() if name != "id"}
    return services.save(
        request.user,
        name=name or "",
        note=note,
        labels=labels,
        visibility=visibility,
        query=NO_ADDRESS if address is None else address,
        kept=snapshot(question, asked, result, catalog),
    )


def _line(given: Section, name: str, longest: int) -> str | None:
    said = given.text(name)
    if said is None:
        return None
    if len(said.strip()) > longest or not _keepable(said):
        given.fail(name, f"It is longer than {longest} characters, or holds half a sign.", "Shorten it.")
        return None
    return said.strip()


def _labels(given: Section) -> str:
    said = given.data.get("labels") or []
    plain = isinstance(said, list) and all(isinstance(each, str) and _keepable(each) for each in said)
    words = [each.strip() for each in said] if plain else []
    if not plain or any("," in word for word in words) or len(", ".join(words)) > LONGEST_LABELS:
        message = f"Labels are a list of words without commas, {LONGEST_LABELS} characters together."
        given.fail("labels", message, 'Give such as ["spring", "draft"].')
    return ", ".join(words)


def _keepable(value: Any) -> bool:
    """Whether every database takes this value: none takes the sign zero or half of a surrogate pair."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\\u0000" not in text


def _within(problem: PlanError) -> PlanError:
    """A problem of the question, told as one of the whole request."""
    field = f"question.{problem.field}" if problem.field else "question"
    return PlanError(field, problem.value, problem.message, problem.remedy)


def _none(key: str) -> HttpResponse:
    return refused(NONE, "GET /api/v1/scenarios lists them.", field="key", value=key[:60], status=NOT_FOUND)


def _row(scenario: Scenario) -> Json:
    answer: Mapping[str, Any] = scenario.answer
    cost = answer["cost"]
    return {
        "key": scenario.key,
        "name": scenario.name,
        "note": scenario.note,
        "labels": [word for word in scenario.labels.split(", ") if word],
        "visibility": str(scenario.visibility),
        "owner": scenario.owner.get_username() if scenario.owner else None,
        "saved_at": scenario.saved_at.isoformat(),
        "prices_as_of": scenario.prices_as_of.isoformat() if scenario.prices_as_of else None,
        "fits": answer["fits"],
        "total_s": answer["time"]["total_s"],
        "usd": None if cost is None else cost["usd"],
        "memory_total_bytes": answer["memory"]["per_accelerator_bytes"]["total"],
    }


def _whole(scenario: Scenario) -> Json:
    return _row(scenario) | {
        "question": scenario.question,
        "answer": scenario.answer,
        "constants": scenario.constants,
        "page": reverse("planner:scenario", args=[scenario.key]),
    }


KEY = TEXT | {"description": "Names it in addresses."}
ROW = {
    "key": KEY,
    "name": TEXT,
    "note": TEXT,
    "labels": rows(TEXT),
    "visibility": {"enum": list(Visibility.values)},
    "owner": maybe(TEXT),
    "saved_at": TEXT | {"format": "date-time"},
    "prices_as_of": maybe(TEXT | {"format": "date"}),
    "fits": FLAG,
    "total_s": NUMBER,
    "usd": maybe(NUMBER),
    "memory_total_bytes": NUMBER,
}
SAVED = record(
    "A scenario as it was saved.",
    **ROW,
    question={"type": "object"},
    answer={"type": "object"},
    constants={"type": "object"},
    page=TEXT,
)
TAKES = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "question"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME},
        "question": ref("estimate"),
        "note": {"type": "string", "maxLength": LONGEST_NOTE},
        "labels": {"type": "array", "items": {"type": "string"}, "description": "Words without commas."},
        "visibility": {"enum": list(Visibility.values), "default": str(Visibility.EVERYONE)},
    },
}
CHANGES = record(
    "The figures then and now, and what each cause did; now is null where it cannot be run today.",
    saved={"type": "object"},
    now=maybe({"type": "object"}),
    steps=rows({"type": "object"}),
    gone=rows(TEXT),
    problem=TEXT,
)


def declare_scenarios(question: Json) -> None:
    """Declare the operations. question: the example."""
    example = {"name": "GPT-2 on one machine", "question": question, "labels": ["draft"]}
    reads, saves, path = Scope.SCENARIOS, Scope.SAVE, "scenarios/{key}"
    declare(
        Operation(
            "scenarios", "GET", "scenarios", reads, "Scenarios that you may see, the newest first.",
            page("scenarios", record("In short.", **ROW)), parameters=FILTERS, lists=True,
        ),
        Operation(
            "save_scenario", "POST", "scenarios", saves, "Plan a question and keep it as it was.", SAVED,
            takes=TAKES, example=example, writes=True, success=CREATED,
        ),
        Operation(
            "scenario", "GET", path, reads, "One scenario with its question and answer.", SAVED, missing=NONE
        ),
        Operation(
            "delete_scenario", "DELETE", path, saves, "Delete your own; its page brings it back for 30 days.",
            {}, writes=True, missing=NONE, success=NO_CONTENT,
        ),
        Operation(
            "scenario_changes", "GET", f"{path}/changes", reads, "What changed since it was saved, by cause.",
            CHANGES, missing=NONE,
        ),
    )  # fmt: skip


scenarios = by_method(GET=every, POST=save)
scenario = by_method(GET=one, DELETE=delete)
