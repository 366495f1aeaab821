"""Scenarios for programs: saved once, read by who may, deleted by their owner, and what changed since."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from planner.api import services
from planner.api.operations import ESTIMATE_EXAMPLE
from planner.tradeoffs.models import NO_ADDRESS, Scenario

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/scenarios"
SOUND = {"name": "one", "question": ESTIMATE_EXAMPLE, "labels": ["spring", "draft"], "note": "why"}
#: No field of the form holds another actor than the model.
UNFORMED: dict[str, Any] = {
    **ESTIMATE_EXAMPLE,
    "workload": {
        **ESTIMATE_EXAMPLE["workload"],
        "task": "ppo",
        "sequence_length": 1024,
        "ppo": {
            "actor": "gpt2",
            "critic": None,
            "reward": None,
            "reference": "distilgpt2",
            "rollout_tokens": 64,
        },
    },
}


def program(name: str, *scopes: str, role: str = "planner") -> Client:
    """Somebody's program with a token of these scopes."""
    user, made = User.objects.get_or_create(username=name)
    if made and role:
        user.groups.add(Group.objects.get(name=role))
    _, token = services.make_token(user, name="t", scopes=scopes, days=1, now=timezone.now())
    return Client(headers={"Authorization": f"Bearer {token}"})


def post(ask: Client, value: Any, **heads: str) -> Any:
    return ask.post(ROOT, json.dumps(value), content_type="application/json", headers=heads)


def test_a_scenario_is_saved_read_and_deleted() -> None:
    ask = program("ada", "scenarios", "save")
    made = post(ask, SOUND)
    assert made.status_code == 201, made.text
    whole = made.json()
    assert made["Location"] == f"{ROOT}/{whole['key']}"
    assert whole["labels"] == ["spring", "draft"] and whole["owner"] == "ada"
    plain = (
        Client()
        .post("/api/v1/estimate", json.dumps(ESTIMATE_EXAMPLE), content_type="application/json")
        .json()
    )
    assert (whole["total_s"], whole["usd"]) == (plain["time"]["total_s"], plain["cost"]["usd"])
    assert ask.get(made["Location"]).json() == whole
    assert ask.get(f"{ROOT}?label=draft&q=ONE").json()["scenarios"][0]["key"] == whole["key"]
    since = ask.get(f"{made['Location']}/changes").json()
    assert [step["cause"] for step in since["steps"]] == ["constants", "catalog", "price"]
    assert since["now"] == since["saved"]
    assert ask.delete(made["Location"]).status_code == 204
    assert ask.get(made["Location"]).status_code == 404
    assert Scenario.objects.get().deleted_at, "it can be brought back on its page"


def test_the_page_of_a_saved_one_plans_the_same_run(client: Client) -> None:
    whole = post(program("ada", "save"), SOUND).json()
    saved = Scenario.objects.get()
    assert saved.query != NO_ADDRESS
    again = client.get(f"/plan.json?{saved.query}").json()
    assert again["time"]["total_s"] == whole["total_s"]
    assert "Plan it anew" in client.get(whole["page"]).text


def test_what_no_form_can_ask_has_a_page_without_a_form(client: Client) -> None:
    made = post(program("ada", "save"), {"name": "round", "question": UNFORMED})
    assert made.status_code == 201, made.text
    assert Scenario.objects.get().query == NO_ADDRESS
    assert "Plan it anew" not in client.get(made.json()["page"]).text


def test_pages_of_a_list_and_what_has_not_changed() -> None:
    ask = program("ada", "scenarios", "save")
    for number in range(3):
        post(ask, SOUND | {"name": f"run {number}"})
    first = ask.get(f"{ROOT}?limit=2").json()
    assert [each["name"] for each in first["scenarios"]] == ["run 2", "run 1"] and first["total"] == 3
    assert [each["name"] for each in ask.get(first["next"]).json()["scenarios"]] == ["run 0"]
    tag = ask.get(ROOT)["ETag"]
    assert ask.get(ROOT, headers={"If-None-Match": tag}).status_code == 304
    assert ask.get(f"{ROOT}?size=2").status_code == 422


def test_sent_again_with_its_key_it_is_saved_once() -> None:
    ask = program("ada", "save")
    first, again = (post(ask, SOUND, **{"Idempotency-Key": "k1"}) for _ in range(2))
    assert first.json() == again.json() and again["Idempotent-Replayed"] == "true"
    assert Scenario.objects.count() == 1
    assert post(ask, SOUND | {"name": "other"}, **{"Idempotency-Key": "k1"}).status_code == 422


def test_it_is_deleted_only_as_it_was_read() -> None:
    ask = program("ada", "scenarios", "save")
    address = post(ask, SOUND)["Location"]
    tag = ask.get(address)["ETag"]
    Scenario.objects.update(note="edited meanwhile")
    assert ask.delete(address, headers={"If-Match": tag}).status_code == 412
    assert ask.delete(address, headers={"If-Match": ask.get(address)["ETag"]}).status_code == 204


def test_scopes_roles_and_owners() -> None:
    ada = program("ada", "scenarios", "save")
    shared = post(ada, SOUND)["Location"]
    own = post(ada, SOUND | {"visibility": "private"})["Location"]
    reads = program("eve", "scenarios")
    assert post(reads, SOUND).status_code == 403
    assert reads.get(shared).status_code == 200
    assert reads.get(own).status_code == 404
    assert program("eve", "save").get(shared).status_code == 403
    assert program("eve", "save").delete(shared).status_code == 403
    assert program("eve", "save").delete(own).status_code == 404
    assert post(program("vic", "save", role="viewer"), SOUND).status_code == 403
    assert post(Client(), SOUND).status_code == 401
    assert Client().put(shared).status_code == 405
    assert Scenario.objects.filter(deleted_at=None).count() == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"nmae": "x"}, "nmae"),
        ({"labels": ["a,b"]}, "labels"),
        ({"labels": "draft"}, "labels"),
        ({"visibility": "all"}, "visibility"),
        ({"question": None}, "question"),
        ({"question": 7}, "question"),
        ({"question": ESTIMATE_EXAMPLE | {"model": "gtp2"}}, "question.model"),
        ({"question": ESTIMATE_EXAMPLE | {"id": "\ud800"}}, "question"),
        ({"question": ESTIMATE_EXAMPLE | {"id": "\x00"}}, "question"),
    ],
)
def test_what_is_wrong_is_told_by_field(change: dict[str, Any], field: str) -> None:
    answer = post(program("ada", "save"), SOUND | change)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field
    assert answer.json()["error"]["remedy"]
    assert not Scenario.objects.exists()


@pytest.mark.parametrize("body", ["[]", "null", "{", '"x"', "[" * 900])
def test_what_is_no_object(body: str) -> None:
    answer = program("ada", "save").post(ROOT, body, content_type="application/json")
    assert answer.status_code == 422
