"""Starting, running, cancelling and resuming searches in the background. All that writes is here.

A part has one owner at a time: taking it raises its ``attempt``, and whoever beats with an older number is
told to stop. So a worker that was thought lost and comes back does no harm, and a cancelled one ends by
itself.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, timedelta
from time import monotonic
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from kombu.exceptions import OperationalError

from planner.accuracy.calibration import shipped_calibration
from planner.catalog import selectors as catalog_selectors
from planner.contract.search_answer import render_search
from planner.engine.answer.kept import Kept
from planner.engine.answer.search import answer_of
from planner.engine.answer.searching import EXACT_PLANS, search_steps
from planner.engine.question.errors import PlanErrors
from planner.tradeoffs.jobs import questions, selectors
from planner.tradeoffs.jobs.kept_json import kept_from_json, kept_to_json, render_rows
from planner.tradeoffs.jobs.records import JobStatus
from planner.tradeoffs.models import SearchJob, SearchPart, SearchState

log = logging.getLogger(__name__)

#: Seconds between two signs of life of a worker.
BEAT_S = 0.5
#: Searches that nobody has asked for since are forgotten after so many days.
KEPT_DAYS = 7


def answer(data: Any, *, today: date | None = None) -> dict[str, Any] | JobStatus:
    """The contract's response where the search is quick or known; else the status of its job, started.

    Raises PlanErrors for a question that makes no sense or means too many layouts.
    """
    question = _read(data, today)
    if question.quick:
        return compute(question)
    status = start(data, today=today)
    return (selectors.result(status.key) if status.state == "done" else None) or status


def compute(question: questions.Question) -> dict[str, Any]:
    """The response, computed here and now."""
    began = monotonic()
    request, calibration = question.request, shipped_calibration()
    kept = Kept(request.objective, request.limit)
    for progress in search_steps(request, calibration, question.pieces):
        kept = progress.kept
    found = answer_of(request, calibration, kept)
    return render_search(found, request_id=request.id, elapsed_s=monotonic() - began)


def start(data: Any, *, today: date | None = None) -> JobStatus:
    """The job of this question, started unless it runs or is done already. One that ended otherwise goes on.

    today: the day of the question (None: this one).  Raises PlanErrors as ``answer``.
    """
    question = _read(data, today)
    key = key_of(question)
    with transaction.atomic():
        job, made = SearchJob.objects.get_or_create(
            key=key, defaults={"question": question.data, "today": question.today, "plans": question.plans}
        )
        if made:
            _forget_old()
            SearchPart.objects.bulk_create(
                SearchPart(
                    job=job,
                    number=number,
                    pieces=pieces,
                    plans=sum(question.pieces[piece].evaluated for piece in pieces),
                )
                for number, pieces in enumerate(questions.split(question))
            )
            transaction.on_commit(lambda: _send(key))
        else:
            SearchJob.objects.filter(pk=key).update(asked_at=timezone.now())
    status = selectors.status(key)
    assert status is not None
    return resume(key) or status if status.can_resume else status


def key_of(question: questions.Question) -> str:
    """The key of a question as it stands today."""
    stamp = str(catalog_selectors.catalog_stamp())
    return questions.key_of(question.data, today=question.today, stamp=stamp)


def cancel(key: str) -> JobStatus | None:
    """Stop a search: its workers see it at their next beat. What is done is kept for ``resume``."""
    SearchJob.objects.filter(pk=key, state__in=(SearchState.WAITING, SearchState.RUNNING)).update(
        state=SearchState.CANCELLED, finished_at=timezone.now()
    )
    return selectors.status(key)


def resume(key: str) -> JobStatus | None:
    """Go on with a search that was cancelled, failed, or whose worker was lost; parts that are done stay."""
    status = selectors.status(key)
    if status is None or not status.can_resume:
        return status
    with transaction.atomic():
        SearchJob.objects.filter(pk=key).update(
            state=SearchState.WAITING, created_at=timezone.now(), finished_at=None, problem=""
        )
        SearchPart.objects.filter(job_id=key).exclude(state=SearchState.DONE).update(
            state=SearchState.WAITING, attempt=F("attempt") + 1, plans_done=0, heartbeat_at=None, front=[]
        )
        transaction.on_commit(lambda: _send(key))
    return selectors.status(key)


def _read(data: Any, today: date | None) -> questions.Question:
    return questions.read_question(data, catalog_selectors.current_catalog(), today or timezone.localdate())


def _forget_old() -> None:
    SearchJob.objects.filter(asked_at__lt=timezone.now() - timedelta(days=KEPT_DAYS)).delete()


def _send(key: str) -> None:
    """Put the parts that are to be done into the workers' queue; the last one done merges."""
    from planner.tradeoffs.tasks import search_part  # the task calls this module

    waiting = SearchPart.objects.filter(job_id=key, state=SearchState.WAITING).order_by("number")
    numbers = list(waiting.values_list("pk", flat=True))
    try:
        for number in numbers:
            search_part.delay(number)
    except OperationalError:
        log.warning("A search could not be sent: the broker does not answer")
        _fail(key, "The broker cannot be reached, so no worker can take this search.")
    if not numbers:
        merge_if_done(key)


@dataclass(frozen=True, slots=True)
class Owned:
    """A part that a worker has taken, and the question it belongs to."""

    part: SearchPart
    question: questions.Question

    @property
    def pieces(self) -> list[Any]:
        """The pieces to search."""
        return [self.question.pieces[number] for number in self.part.pieces]


def take(part_id: int) -> Owned | None:
    """Take a part that waits; None where it was taken, cancelled or forgotten, or its question has
    changed.
    """
    taken = SearchPart.objects.filter(
        pk=part_id, state=SearchState.WAITING, job__state__in=(SearchState.WAITING, SearchState.RUNNING)
    ).update(state=SearchState.RUNNING, attempt=F("attempt") + 1, heartbeat_at=timezone.now())
    if not taken:
        return None
    part = SearchPart.objects.select_related("job").get(pk=part_id)
    SearchJob.objects.filter(pk=part.job_id, state=SearchState.WAITING).update(state=SearchState.RUNNING)
    question = _read(part.job.question, part.job.today)
    if key_of(question) != part.job_id:
        _fail(part.job_id, "The catalog or the constants have changed since this search was asked for.")
        return None
    return Owned(part, question)


def run_part(part_id: int) -> str:
    """Search one part, with a sign of life every BEAT_S; says how it ended."""
    try:
        owned = take(part_id)
        if owned is None:
            return "nothing to do"
        return _search(owned)
    except Exception as fault:
        key = SearchPart.objects.filter(pk=part_id).values_list("job_id", flat=True).first()
        if isinstance(fault, PlanErrors):
            problem = str(fault.errors[0].message)
        else:
            log.exception("A search failed")
            problem = "This search could not be finished; the fault is ours."
        if key:
            _fail(key, problem)
        return "failed"


def _search(owned: Owned) -> str:
    part, request = owned.part, owned.question.request
    kept = Kept(request.objective, request.limit)
    exact = None if owned.question.request.exact else owned.question.plans <= EXACT_PLANS
    last = monotonic()
    rivals = _found_by_others(owned)
    for progress in search_steps(request, shipped_calibration(), owned.pieces, rivals=rivals, exact=exact):
        kept = progress.kept
        if monotonic() - last >= BEAT_S:
            if not beat(part, progress.done, render_rows(kept.front, request)):
                return "stopped"
            last = monotonic()
    if not _finish(part, kept, render_rows(kept.front, request)):
        return "stopped"
    merge_if_done(part.job_id)
    return "done"


def _found_by_others(owned: Owned) -> Kept:
    """What the parts that are done have kept: a plan that they beat need not be looked at."""
    request = owned.question.request
    rivals = Kept(request.objective, request.limit)
    done = SearchPart.objects.filter(job_id=owned.part.job_id, state=SearchState.DONE)
    for found in done.order_by("number").values_list("found", flat=True):
        rivals.join(kept_from_json(found or {}, request))
    return rivals


def beat(part: SearchPart, done: int, front: list[dict[str, Any]]) -> bool:
    """A sign of life; false where the worker is to stop, as the part is another's or the job was stopped."""
    return bool(
        SearchPart.objects.filter(
            pk=part.pk, attempt=part.attempt, state=SearchState.RUNNING, job__state=SearchState.RUNNING
        ).update(heartbeat_at=timezone.now(), plans_done=done, front=front)
    )


def _finish(part: SearchPart, kept: Kept, front: list[dict[str, Any]]) -> bool:
    return bool(
        SearchPart.objects.filter(
            pk=part.pk, attempt=part.attempt, state=SearchState.RUNNING, job__state=SearchState.RUNNING
        ).update(
            state=SearchState.DONE,
            heartbeat_at=timezone.now(),
            plans_done=part.plans,
            front=front,
            found=kept_to_json(kept),
        )
    )


def merge_if_done(key: str) -> None:
    """Put the parts together once all are done; whoever finishes the last one does it, once."""
    if SearchPart.objects.filter(job_id=key).exclude(state=SearchState.DONE).exists():
        return
    if not SearchJob.objects.filter(pk=key, state__in=(SearchState.WAITING, SearchState.RUNNING)).update(
        state=SearchState.MERGING
    ):
        return
    job = SearchJob.objects.get(pk=key)
    question = _read(job.question, job.today)
    kept = Kept(question.request.objective, question.request.limit)
    for part in job.parts.order_by("number"):
        kept.join(kept_from_json(part.found or {}, question.request))
    answered = answer_of(question.request, shipped_calibration(), kept)
    now = timezone.now()
    job.result = render_search(answered, elapsed_s=(now - job.created_at).total_seconds())
    job.state, job.finished_at = SearchState.DONE, now
    job.save(update_fields=["result", "state", "finished_at"])


def _fail(key: str, problem: str) -> None:
    SearchJob.objects.filter(pk=key).exclude(state=SearchState.DONE).update(
        state=SearchState.FAILED, problem=problem, finished_at=timezone.now()
    )
