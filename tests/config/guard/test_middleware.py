"""How often, how many at once, how much each: what is turned away, and that health is always answered."""

import json
import threading
from typing import Any

import pytest
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory, override_settings

from config.guard.middleware import Budget, Crowd, Rates, client_of
from planner.engine.question import effort
from planner.web.costs import large_question

QUESTION = {
    "model": "gpt2",
    "workload": {
        "task": "pretraining", "tokens": 1e9, "sequence_length": 1024, "global_batch_size": 64,
        "precision": "bf16",
    },
    "cluster": {"instance_type": "p5.48xlarge", "nodes": 1},
}  # fmt: skip


def ask(client: Client, name: str, question: dict[str, Any]) -> Any:
    return client.post(f"/api/v1/{name}", json.dumps(question), content_type="application/json")


@pytest.mark.django_db
def test_a_question_beyond_the_budget_is_refused_with_a_remedy(client: Client) -> None:
    with override_settings(MOST_PLANS=500):
        answer = ask(client, "estimate", QUESTION)
    assert answer.status_code == 422
    assert "more work" in answer.json()["error"]["message"]
    assert "manage.py" in answer.json()["error"]["remedy"]
    assert ask(client, "estimate", QUESTION).status_code == 200


@pytest.mark.django_db
def test_a_page_beyond_the_budget_says_so(client: Client) -> None:
    with override_settings(MOST_PLANS=500):
        answer = client.get("/")
    assert answer.status_code == 422
    assert "more work" in answer.content.decode()


@pytest.mark.django_db
def test_a_search_has_a_wider_budget(client: Client) -> None:
    machines = [QUESTION["cluster"], {"instance_type": "p4d.24xlarge", "nodes": 2}]
    question = QUESTION | {"cluster": machines, "objective": "cost"}
    with override_settings(MOST_PLANS=500):
        assert ask(client, "search", question).status_code == 200


@pytest.mark.django_db
def test_a_goal_is_a_search_and_may_cost_as_much(client: Client) -> None:
    with override_settings(MOST_PLANS=20_000):
        assert client.get("/?by=goal&budget=300k&deadline=30").status_code == 200
    with override_settings(MOST_PLANS=100):
        assert client.get("/?nodes=auto").status_code == 422


def test_large_questions_wait_for_each_other_and_not_for_ever() -> None:
    started, go_on = threading.Event(), threading.Event()

    @large_question
    def view(request: HttpRequest) -> HttpResponse:
        started.set()
        assert go_on.wait(10)
        return HttpResponse("done")

    def through(middleware: Budget, request: HttpRequest) -> HttpResponse:
        return middleware(request)

    def get_response(request: HttpRequest) -> HttpResponse:
        return middleware.process_view(request, view, (), {}) or view(request)

    with override_settings(LARGE_QUESTIONS_AT_ONCE=1, LARGE_QUESTION_WAIT_S=0.05):
        middleware = Budget(get_response)
        first: list[HttpResponse] = []
        thread = threading.Thread(
            target=lambda: first.append(through(middleware, RequestFactory().get("/a")))
        )
        thread.start()
        assert started.wait(10)
        second = middleware(RequestFactory().get("/api/b"))
        assert second.status_code == 503 and second["Retry-After"]
        go_on.set()
        thread.join(10)
        assert first[0].status_code == 200
        assert middleware(RequestFactory().get("/a")).status_code == 200


@pytest.mark.django_db
def test_a_streamed_answer_keeps_its_turn_until_it_is_sent() -> None:
    @large_question
    def view(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(iter([b"a", b"b"]))

    def get_response(request: HttpRequest) -> Any:
        return middleware.process_view(request, view, (), {}) or view(request)

    with override_settings(LARGE_QUESTIONS_AT_ONCE=1, LARGE_QUESTION_WAIT_S=0.01):
        middleware = Budget(get_response)
        first = middleware(RequestFactory().get("/a"))
        assert middleware(RequestFactory().get("/a")).status_code == 503
        first.close()
        assert middleware(RequestFactory().get("/a")).status_code == 200


def test_health_is_answered_while_every_other_place_is_taken() -> None:
    inside, go_on = threading.Barrier(3), threading.Event()

    def get_response(request: HttpRequest) -> HttpResponse:
        if request.path != "/healthz":
            inside.wait(10)
            go_on.wait(10)
        return HttpResponse("ok")

    with override_settings(WEB_THREADS=4):
        crowd = Crowd(get_response)
        threads = [threading.Thread(target=crowd, args=(RequestFactory().get("/"),)) for _ in range(2)]
        for thread in threads:
            thread.start()
        inside.wait(10)
        assert crowd(RequestFactory().get("/")).status_code == 503
        assert crowd(RequestFactory().get("/healthz")).status_code == 200
        go_on.set()
        for thread in threads:
            thread.join(10)
        inside.reset()


def test_a_client_has_so_many_requests_a_minute() -> None:
    cache.clear()
    with override_settings(REQUESTS_A_MINUTE=2):
        rates = Rates(lambda request: HttpResponse("ok"))
        answers = [rates(RequestFactory().get("/api/v1/models", REMOTE_ADDR="192.0.2.1")) for _ in range(3)]
        other = rates(RequestFactory().get("/api/v1/models", REMOTE_ADDR="192.0.2.2"))
        health = rates(RequestFactory().get("/healthz", REMOTE_ADDR="192.0.2.1"))
    # A minute may end between them.
    assert [answer.status_code for answer in answers] in ([200, 200, 429], [200, 200, 200])
    if answers[2].status_code == 429:
        assert 0 < int(answers[2]["Retry-After"]) <= 60
        assert json.loads(answers[2].content)["error"]["remedy"]
    assert answers[0]["RateLimit-Remaining"] == "1"
    assert other.status_code == health.status_code == 200


def test_a_client_of_ipv6_is_its_network() -> None:
    one = RequestFactory().get("/", REMOTE_ADDR="2001:db8::1")
    two = RequestFactory().get("/", REMOTE_ADDR="2001:db8::ffff")
    assert client_of(one) == client_of(two) == "2001:db8::/64"


def test_no_budget_is_left_open_for_the_next_request_of_the_thread() -> None:
    Budget(lambda request: HttpResponse("ok"))(RequestFactory().get("/"))
    effort.plans_ahead(10**12)
