"""The JSON API: the contract's answers and errors with their status, and nothing else."""

import json
from typing import Any, ClassVar

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from planner.contract.jsontext import MAX_JSON_BYTES
from planner.tradeoffs.models import SearchJob
from planner.tradeoffs.tasks import search_part

pytestmark = pytest.mark.django_db
QUESTION: dict[str, Any] = {
    "id": [1, "two"],
    "model": "llama-3.1-8b",
    "workload": {
        "task": "pretraining",
        "tokens": 1e12,
        "sequence_length": 8192,
        "global_batch_size": 1024,
        "precision": "bf16",
    },
    "cluster": {"instance_type": "p5.48xlarge", "region": "us-east-1", "purchase": "on_demand", "nodes": 16},
    "layout": {"tensor_parallel": 8, "pipeline_parallel": 1, "sharding": "zero1", "micro_batch_size": 1},
}


def ask(client: Client, body: str | bytes, name: str = "estimate") -> Any:
    return client.post(reverse(f"planner:api:{name}"), data=body, content_type="application/json")


def test_addresses_are_the_contracts() -> None:
    assert reverse("planner:api:estimate") == "/api/v1/estimate"
    assert reverse("planner:api:models") == "/api/v1/models"


def test_a_question_is_answered_without_a_csrf_token() -> None:
    answer = ask(Client(enforce_csrf_checks=True), json.dumps(QUESTION))
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    value = answer.json()
    assert value["id"] == [1, "two"]
    assert value["fits"] is True
    parts = value["memory"]["per_accelerator_bytes"]
    assert sum(parts.values()) == pytest.approx(2 * parts["total"], rel=1e-6)
    assert sum(value["time"]["step_breakdown_s"].values()) == pytest.approx(value["time"]["step_s"], rel=1e-6)


def test_layout_and_cluster_sent_back_give_the_same_numbers(client: Client) -> None:
    first = ask(client, json.dumps(QUESTION | {"layout": "auto"})).json()
    again = {**QUESTION, "layout": first["layout"], "cluster": first["cluster"]}
    second = ask(client, json.dumps(again)).json()
    for part in ("memory", "time", "cost", "layout", "parameters"):
        assert second[part] == first[part]


def test_what_makes_no_sense_is_unprocessable(client: Client) -> None:
    answer = ask(client, json.dumps(QUESTION | {"model": "lama-3.1-8b", "nodes": 3}))
    assert answer.status_code == 422
    value = answer.json()
    assert value["id"] == [1, "two"]
    assert [error["field"] for error in value["errors"]] == ["nodes", "model"]
    assert value["error"] == value["errors"][0]
    assert "llama-3.1-8b" in value["errors"][1]["remedy"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"a": 1, "a": 2}', b"\xff", b"[" * 50_000])
def test_what_is_no_json_is_a_bad_request(body: bytes, client: Client) -> None:
    answer = ask(client, body)
    assert answer.status_code == 422
    assert set(answer.json()["error"]) == {"field", "value", "message", "remedy"}


def test_a_long_body_is_refused(client: Client) -> None:
    answer = ask(client, b" " * (MAX_JSON_BYTES + 1))
    assert answer.status_code == 422
    assert "4 MiB" in answer.json()["error"]["message"]


def test_an_address_that_the_api_has_not_is_answered_as_json(client: Client) -> None:
    answer = client.post("/api/v1/estimates", data="{}", content_type="application/json")
    assert answer.status_code == 404
    assert "/api/v1/" in answer.json()["error"]["remedy"]


def test_other_methods_are_refused_as_json(client: Client) -> None:
    answer = client.get(reverse("planner:api:estimate"))
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "POST" in answer.json()["error"]["remedy"]
    assert client.post(reverse("planner:api:models")).status_code == 405


def test_where_pages_ask_for_a_login_so_does_the_api(
    client: Client, admin_client: Client, settings: Any
) -> None:
    settings.LOGIN_REQUIRED = True
    answer = ask(client, json.dumps(QUESTION))
    assert answer.status_code == 401
    assert "login" in answer.json()["error"]["message"]
    assert ask(admin_client, json.dumps(QUESTION)).status_code == 200


def test_a_fault_of_ours_is_said_without_a_trace(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("planner.plans.answers.estimate", broken)
    answer = ask(client, json.dumps(QUESTION))
    assert answer.status_code == 422
    assert "secret" not in answer.content.decode()
    assert answer.json()["error"]["message"]


def test_lists_hold_what_questions_choose_from(client: Client, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(3):
        models = client.get(reverse("planner:api:models")).json()["models"]
        instances = client.get(reverse("planner:api:instances")).json()["instances"]
        accelerators = client.get(reverse("planner:api:accelerators")).json()["accelerators"]
    by_slug = {model["slug"]: model for model in models}
    assert by_slug["gpt2"]["parameters"]["total"] == 124_439_808
    assert all(model["parameters"] for model in models)
    p5 = next(instance for instance in instances if instance["slug"] == "p5.48xlarge")
    assert {"region": "us-east-1", "usd_per_hour": 55.04}.items() <= p5["prices"][0].items()
    a100 = next(chip for chip in accelerators if chip["slug"] == "a100-sxm-40gb")
    assert a100["dense_flops_per_s"]["bf16"] == 312e12
    assert a100["dense_flops_per_s"]["fp8"] is None


def test_a_search_says_of_its_plans_what_estimate_says(client: Client) -> None:
    question = {name: value for name, value in QUESTION.items() if name != "layout"} | {
        "cluster": {
            "any": {"providers": ["aws"], "accelerators": ["h100-sxm", "a100-sxm-80gb"], "nodes": [2, 4]}
        },
        "objective": "time",
        "limit": 3,
    }
    answer = ask(client, json.dumps(question), "search")
    assert answer.status_code == 200, answer.json()
    found = answer.json()
    assert found["id"] == [1, "two"]
    assert found["evaluated"] >= found["fitting"] > 0
    assert len(found["top"]) == 3
    assert set(found["rejected"]) == {
        "memory",
        "divisibility",
        "deadline",
        "budget",
        "unavailable",
        "bound",
    }
    summaries = [*found["top"], *found["pareto"]]
    for summary in summaries:
        asked = QUESTION | {"cluster": summary["cluster"], "layout": summary["layout"]}
        estimate = ask(client, json.dumps(asked)).json()
        assert summary["total_s"] == estimate["time"]["total_s"]
        assert summary["usd"] == estimate["cost"]["usd"]
        assert summary["memory_total_bytes"] == estimate["memory"]["per_accelerator_bytes"]["total"]
        assert summary["model_flops_utilization"] == estimate["time"]["model_flops_utilization"]
        assert summary["tokens_per_s"] == estimate["time"]["tokens_per_s"]
        assert (summary["cluster"], summary["layout"]) == (estimate["cluster"], estimate["layout"])
    assert found["best"]["time"]["total_s"] == found["top"][0]["total_s"]


def test_a_search_that_makes_no_sense_is_unprocessable(client: Client) -> None:
    answer = ask(client, json.dumps(QUESTION), "search")
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "layout"


class TestStreams:
    QUESTION: ClassVar[dict[str, Any]] = {
        "id": 7,
        "model": "llama-2-7b",
        "workload": QUESTION["workload"],
        "cluster": [
            {"instance_type": "p4d.24xlarge", "nodes": 4},
            {"instance_type": "p5.48xlarge", "nodes": 2},
        ],
        "stream": True,
    }

    def test_progress_and_fronts_come_before_the_response(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("planner.tradeoffs.answers.EACH_S", 0.0)
        answer = ask(client, json.dumps(self.QUESTION), "search")
        assert answer["Content-Type"] == "application/x-ndjson"
        *progress, last = [json.loads(line) for line in answer.getvalue().splitlines()]
        assert progress
        shares = [line["progress"]["share"] for line in progress]
        assert shares == sorted(shares)
        assert {line["id"] for line in progress} == {7} == {last["id"]}
        assert progress[-1]["front"][0]["total_s"] == last["pareto"][0]["total_s"]
        whole = ask(client, json.dumps(self.QUESTION | {"stream": False}), "search").json()
        assert (last["top"], last["pareto"]) == (whole["top"], whole["pareto"])

    def test_what_is_not_quick_is_searched_by_a_worker(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
    ) -> None:
        monkeypatch.setattr("planner.tradeoffs.jobs.questions.QUICK_S", 0.0)
        monkeypatch.setattr("planner.tradeoffs.answers.EACH_S", 0.01)
        # The test's transaction never commits, so the parts are sent by hand when they are asked for.
        monkeypatch.setattr(transaction, "on_commit", lambda send: send())
        quick = ask(client, json.dumps(self.QUESTION | {"stream": False}), "search").json()
        assert SearchJob.objects.get().state == "done"
        assert quick["id"] == 7
        *_, last = ask(client, json.dumps(self.QUESTION), "search").getvalue().splitlines()
        assert json.loads(last) == quick

    def test_without_a_worker_it_is_computed_where_it_was_asked(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("planner.tradeoffs.jobs.questions.QUICK_S", 0.0)
        monkeypatch.setattr("planner.tradeoffs.answers.EACH_S", 0.01)
        monkeypatch.setattr("planner.tradeoffs.answers.UNTAKEN_S", 0.0)
        found = ask(client, json.dumps(self.QUESTION | {"stream": False}), "search").json()
        assert found["best"]["fits"]
        assert SearchJob.objects.get().state == "cancelled"

    def test_what_a_worker_takes_long_for_is_answered_with_its_job(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
    ) -> None:
        monkeypatch.setattr("planner.tradeoffs.jobs.questions.QUICK_S", 0.0)
        sent: list[int] = []
        monkeypatch.setattr(search_part, "delay", sent.append)
        with django_capture_on_commit_callbacks(execute=True):
            later = client.post(
                "/api/v1/search",
                json.dumps(self.QUESTION | {"stream": False}),
                content_type="application/json",
                headers={"Prefer": "respond-async"},
            )
        assert later.status_code == 202
        assert (later.json()["id"], later.json()["job"]["state"]) == (7, "waiting")
        assert client.get(later["Location"]).status_code == 202
        for part in sent:
            search_part(part)
        found = client.get(later["Location"])
        assert found.status_code == 200
        assert found.json()["best"]["fits"]
        monkeypatch.setattr("planner.tradeoffs.jobs.questions.QUICK_S", 60.0)
        here = ask(client, json.dumps(self.QUESTION | {"stream": False}), "search").json()
        assert (found.json()["top"], found.json()["pareto"]) == (here["top"], here["pareto"])

    def test_a_job_is_cancelled_by_its_address(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("planner.tradeoffs.jobs.questions.QUICK_S", 0.0)
        headers = {"Prefer": "respond-async"}
        question = json.dumps(self.QUESTION | {"stream": False})
        later = client.post("/api/v1/search", question, content_type="application/json", headers=headers)
        stopped = client.post(f"{later['Location']}/cancel", content_type="application/json")
        assert stopped.json()["job"]["state"] == "cancelled"
        ended = client.get(later["Location"])
        assert ended.status_code == 422
        assert "again" in ended.json()["error"]["remedy"]
        assert client.get("/api/v1/search/unknown").status_code == 404

    def test_a_stream_computed_here_stays_within_the_budget(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
    ) -> None:
        settings.MOST_PLANS = settings.MOST_PLANS_OF_A_SEARCH = 10
        *_, last = ask(client, json.dumps(self.QUESTION), "search").getvalue().splitlines()
        assert "more work" in json.loads(last)["error"]["message"]

    def test_a_stream_that_makes_no_sense_is_refused_at_once(self, client: Client) -> None:
        answer = ask(client, json.dumps(self.QUESTION | {"objective": "fun"}), "search")
        assert answer.status_code == 422
        assert answer.json()["error"]["field"] == "objective"
