"""One doorway: page, API and command answer the same question with the same digits, warnings and remedies."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from planner.contract.fields import ESTIMATE

pytestmark = pytest.mark.django_db
RUN = {"task": "pretraining", "tokens": 3e11, "sequence_length": 2048, "global_batch_size": 256}
TUNING = {"task": "full_finetuning", "epochs": 3, "dataset_tokens": 1e8} | {
    name: RUN[name] for name in ("sequence_length", "global_batch_size")
}
#: Chips with and without bf16, one that stands alone and fleets, what fits and what does not.
MACHINES: tuple[dict[str, Any], ...] = (
    {"instance_type": "p5.48xlarge", "nodes": 2},
    {"instance_type": "p3.16xlarge", "nodes": 1},
    {"instance_type": "p3dn.24xlarge", "nodes": 2, "purchase": "spot"},
    {"instance_type": "g4dn.12xlarge", "nodes": 1},
    {"instance_type": "g5.xlarge", "nodes": 1},
    {"instance_type": "a2-highgpu-8g", "nodes": "auto"},
    {"instance_type": "p4d.24xlarge", "nodes": 4, "price_as_of": "2025-06-05"},
    {
        "accelerator": "t4",
        "accelerators_per_node": 4,
        "nodes": 2,
        "internode_gbps_per_node": 50,
        "usd_per_node_hour": 4.5,
    },
)
RUNS: tuple[dict[str, Any], ...] = (
    {"model": "llama-3.1-8b", "workload": RUN},
    {
        "model": "gpt2",
        "workload": RUN | {"optimizer": "lion", "framework": "megatron"},
        "layout": {"tensor_parallel": 2},
    },
    {"model": "llama-2-7b", "workload": TUNING | {"framework": "fsdp", "gradient_precision": "fp32"}},
    {
        "model": "llama-3.1-70b",
        "workload": TUNING | {"task": "qlora", "lora_rank": 32, "lora_targets": ["q_proj", "v_proj"]},
    },
    {"model": "bert-large-uncased", "workload": RUN | {"sequence_length": 4096, "precision": "fp16"}},
)
QUESTIONS = [run | {"cluster": machines} for run in RUNS for machines in MACHINES]


def address(question: dict[str, Any]) -> dict[str, str]:
    """The address that a reader would write for a question: every part under its short name."""
    found: dict[str, str] = {}
    for table in ESTIMATE:
        part = question
        for step in filter(None, table.section.split(".")):
            inner = part.get(step) if isinstance(part, dict) else None
            part = inner if isinstance(inner, dict) else {}
        for field in table.fields:
            if field.query and field.name in part and not isinstance(part[field.name], dict):
                found[field.query] = as_text(part[field.name])
    if "dataset_tokens" in question["workload"]:
        found["tokens"] = as_text(question["workload"]["dataset_tokens"])
    return found


def as_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def commanded(questions: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    lines = "\n".join(json.dumps(question) for question in questions).encode()
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": io.BytesIO(lines)})())
    out = io.StringIO()
    with suppress(SystemExit):  # its status where some line was an error
        call_command("estimate", stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    "questions",
    [pytest.param(QUESTIONS[::3], id="a third"), pytest.param(QUESTIONS, marks=pytest.mark.slow, id="all")],
)
def test_every_question_has_one_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch, questions: list[dict[str, Any]]
) -> None:
    by_command = commanded(questions, monkeypatch)
    seen: dict[str, int] = {"fits": 0, "nearest_fit": 0, "assumed_precision": 0, "error": 0}
    for question, line in zip(questions, by_command, strict=True):
        by_api = client.post(
            reverse("planner:api:estimate"), data=json.dumps(question), content_type="application/json"
        ).json()
        by_page = client.get(reverse("planner:plan_json"), address(question)).json()
        # The page's file holds the question too, and what was assumed.
        by_page = {name: value for name, value in by_page.items() if name not in ("asked", "assumptions")}
        assert by_api == line, question
        assert by_page == by_api, question
        seen["error"] += "error" in by_api
        seen["fits"] += by_api.get("fits", False)
        seen["nearest_fit"] += by_api.get("nearest_fit") is not None
        codes = [warning["code"] for warning in by_api.get("warnings", ())]
        seen["assumed_precision"] += "assumed_precision" in codes
    assert all(seen.values()), seen


def test_a_warning_of_the_answer_stands_on_the_page(client: Client) -> None:
    text = client.get("/", {"instance": "p3.16xlarge", "nodes": "1", "model": "gpt2"}).content.decode()
    assert "No precision was named" in text


def test_what_makes_no_sense_is_told_in_one_shape(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    question = QUESTIONS[0] | {"cluster": {"instance_type": "p5.48xlarge", "nodes": 0}}
    by_api = client.post(
        reverse("planner:api:estimate"), data=json.dumps(question), content_type="application/json"
    ).json()
    assert by_api == client.get(reverse("planner:plan_json"), address(question)).json()
    assert [by_api] == commanded([question], monkeypatch)
    refused = [
        client.get("/api/v1/nowhere").json(),
        client.post("/fleet/api/v1/snapshots", data="{}", content_type="application/json").json(),
        client.get("/fleet/api/v1/snapshots").json(),
        by_api,
    ]
    for answer in refused:
        assert answer["errors"][0] == answer["error"]
        assert {"field", "value", "message", "remedy"} <= set(answer["error"])
        assert answer["error"]["message"] and answer["error"]["remedy"]
