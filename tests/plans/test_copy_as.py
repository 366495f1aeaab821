"""A plan's question as curl and as Python: asked again, it is the same question, whatever its text holds."""

import json
import shlex

import pytest
from django.test import Client

from planner.plans.copy_as import as_curl, as_python

NASTY = {"id": "it's $(rm) `x` \"q\" \\ é\n'''", "model": {"name": "'); import os #"}}


def test_a_shell_reads_back_the_question() -> None:
    words = shlex.split(as_curl(NASTY, "http://localhost:8000"))
    assert words[2] == "http://localhost:8000/api/v1/estimate"
    assert json.loads(words[-1]) == NASTY


def test_python_reads_back_the_question() -> None:
    text = as_python(NASTY, "http://localhost:8000").split("\n\n", 1)[1].split("\nanswer =")[0]
    names: dict[str, object] = {}
    exec(text, names)
    assert names["question"] == NASTY


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["", "?preset=lora", "?goal=deadline&deadline=30"])
def test_what_the_page_shows_asks_for_what_it_shows(client: Client, query: str) -> None:
    page = client.get(f"/{query}")
    assert page.status_code == 200
    question = json.loads(shlex.split(page.context["copy_as"]["curl"])[-1])
    answer = client.post("/api/v1/estimate", question, content_type="application/json")
    assert answer.status_code == 200, answer.content
    shown = client.get(f"/plan.json{query}").json()
    assert answer.json()["time"] == shown["time"]
    assert answer.json()["cost"] == shown["cost"]
