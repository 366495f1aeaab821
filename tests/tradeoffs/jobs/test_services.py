"""Searches in the background: shared by their key, seen as they go, cancelled, resumed, and found lost."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import timezone

from planner.engine.question.errors import PlanErrors
from planner.tradeoffs import jobs
from planner.tradeoffs.jobs import selectors, services
from planner.tradeoffs.jobs.records import JobStatus
from planner.tradeoffs.jobs.selectors import LOST_AFTER_S
from planner.tradeoffs.models import SearchJob, SearchPart, SearchState
from planner.tradeoffs.tasks import search_part

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 29)
QUESTION: dict[str, Any] = {
    "id": "mine",
    "model": "llama-2-7b",
    "workload": {"task": "pretraining", "tokens": 1e10, "sequence_length": 4096, "global_batch_size": 256},
    "cluster": [
        {"instance_type": "p4d.24xlarge", "nodes": 2},
        {"instance_type": "p5.48xlarge", "nodes": 2},
        {"instance_type": "g5.48xlarge", "nodes": 2},
    ],
}


@pytest.fixture
def unsent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The parts put into the queue, which no worker reads."""
    sent: list[int] = []
    monkeypatch.setattr(search_part, "delay", sent.append)
    return sent


@pytest.fixture
def started(unsent: list[int], django_capture_on_commit_callbacks: Any) -> JobStatus:
    """A job whose parts wait in the queue."""
    with django_capture_on_commit_callbacks(execute=True):
        return jobs.start(QUESTION, today=TODAY)


def without_time(response: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in response.items() if name not in ("elapsed_s", "id")}


def test_a_quick_question_is_answered_at_once() -> None:
    answered = jobs.answer(QUESTION, today=TODAY)
    assert isinstance(answered, dict)
    assert answered["id"] == "mine"
    assert answered["best"]["fits"]
    assert not SearchJob.objects.exists()


def test_a_slow_question_becomes_a_job(monkeypatch: pytest.MonkeyPatch, unsent: list[int]) -> None:
    monkeypatch.setattr("planner.tradeoffs.jobs.questions.QUICK_S", 0.0)
    answered = jobs.answer(QUESTION, today=TODAY)
    assert isinstance(answered, JobStatus)
    assert (answered.state, answered.share) == ("waiting", 0.0)


def test_the_parts_together_say_what_one_search_says(started: JobStatus, unsent: list[int]) -> None:
    assert len(unsent) == started.parts == 3
    for part in unsent:
        assert services.run_part(part) == "done"
    status = jobs.status(started.key)
    assert status is not None
    assert (status.state, status.share, status.parts_done) == ("done", 1.0, 3)
    whole = jobs.answer(QUESTION, today=TODAY)
    assert isinstance(whole, dict)
    found = jobs.result(started.key)
    assert found is not None
    assert without_time(found)["pareto"] == whole["pareto"]
    assert without_time(found)["top"] == whole["top"]
    assert found["rejected"] == whole["rejected"]
    assert [row["usd"] for row in status.front] == [row["usd"] for row in whole["pareto"]]


def test_the_same_question_is_the_same_job(started: JobStatus, unsent: list[int]) -> None:
    again = jobs.start({**QUESTION, "id": "another's"}, today=TODAY)
    assert again.key == started.key
    assert len(unsent) == 3
    assert jobs.start(QUESTION, today=TODAY + timedelta(days=1)).key != started.key
    assert jobs.start({**QUESTION, "objective": "time"}, today=TODAY).key != started.key


def test_progress_and_front_are_seen_while_it_runs(started: JobStatus, unsent: list[int]) -> None:
    owned = services.take(unsent[0])
    assert owned is not None
    front = [{"cluster": {}, "layout": {}, "total_s": 2.0, "usd": 3.0}]
    assert services.beat(owned.part, 10, front)
    status = jobs.status(started.key)
    assert status is not None
    assert (status.state, status.plans_done, list(status.front)) == ("running", 10, front)
    assert 0.0 < status.share < 1.0


def test_a_part_is_taken_once(started: JobStatus, unsent: list[int]) -> None:
    assert services.take(unsent[0]) is not None
    assert services.take(unsent[0]) is None


def test_cancel_stops_the_worker_at_its_next_beat(
    started: JobStatus, unsent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "BEAT_S", 0.0)
    seen = []

    def cancelling(part: SearchPart, done: int, front: Any) -> bool:
        seen.append(done)
        if len(seen) == 2:
            jobs.cancel(started.key)
        return beat(part, done, front)

    beat = services.beat
    monkeypatch.setattr(services, "beat", cancelling)
    assert services.run_part(unsent[0]) == "stopped"
    assert len(seen) == 2
    assert services.run_part(unsent[1]) == "nothing to do"
    status = jobs.status(started.key)
    assert status is not None
    assert (status.state, status.can_resume) == ("cancelled", True)


def test_a_lost_worker_is_noticed_and_its_part_done_again(
    started: JobStatus, unsent: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    assert services.run_part(unsent[0]) == "done"
    owned = services.take(unsent[1])
    assert owned is not None
    silent = timezone.now() - timedelta(seconds=LOST_AFTER_S + 0.1)
    SearchPart.objects.filter(pk=unsent[1]).update(heartbeat_at=silent)
    status = jobs.status(started.key)
    assert status is not None
    assert (status.state, status.can_resume) == ("lost", True)
    with django_capture_on_commit_callbacks(execute=True):
        resumed = jobs.resume(started.key)
    assert resumed is not None
    assert resumed.state in ("waiting", "running")
    assert unsent[3:] == unsent[1:3]  # what is done is not done again
    assert not services.beat(owned.part, 1, [])  # the one that was lost comes back, and is told to stop
    for part in unsent[3:]:
        assert services.run_part(part) == "done"
    assert jobs.result(started.key) is not None


def test_parts_that_a_broker_lost_are_noticed_and_sent_again(
    started: JobStatus, unsent: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    """The worker has done one part; the messages of the others went with the broker."""
    assert services.run_part(unsent[0]) == "done"
    assert jobs.status(started.key).state == "running"  # type: ignore[union-attr]
    later = timezone.now() + timedelta(seconds=LOST_AFTER_S + 0.1)
    status = selectors.status(started.key, now=later)
    assert status is not None
    assert (status.state, status.can_resume) == ("lost", True)
    # Another search that a worker goes on with: this one will have its turn.
    owned = services.take(unsent[1])
    assert owned is not None
    SearchPart.objects.filter(pk=unsent[1]).update(heartbeat_at=later)
    assert selectors.status(started.key, now=later).state == "running"  # type: ignore[union-attr]
    SearchPart.objects.filter(pk=unsent[1]).update(heartbeat_at=timezone.now() - timedelta(seconds=60))
    with django_capture_on_commit_callbacks(execute=True):
        jobs.resume(started.key)
    assert unsent[3:] == unsent[1:3]


def test_a_catalog_that_changed_meanwhile_ends_the_search(
    started: JobStatus, unsent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "key_of", lambda question: "another")
    assert services.run_part(unsent[0]) == "nothing to do"
    status = jobs.status(started.key)
    assert status is not None
    assert status.state == "failed"
    assert "changed" in status.problem


def test_a_question_that_makes_no_sense_starts_nothing() -> None:
    with pytest.raises(PlanErrors):
        jobs.start({**QUESTION, "model": "no-such-model"}, today=TODAY)
    assert not SearchJob.objects.exists()
    assert jobs.status("unknown") is None
    assert jobs.cancel("unknown") is None
    assert jobs.resume("unknown") is None


def test_old_searches_are_forgotten(started: JobStatus) -> None:
    ago = timezone.now() - timedelta(days=services.KEPT_DAYS + 1)
    SearchJob.objects.update(asked_at=ago, state=SearchState.DONE)
    jobs.start({**QUESTION, "objective": "time"}, today=TODAY)
    assert jobs.status(started.key) is None
