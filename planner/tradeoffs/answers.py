"""Searches for programs: one response, or a stream of progress and fronts that ends with it.

The command searches in its own process. The web server hands what is not quick to a worker and waits for it,
so that no search keeps its threads from answering; what takes the worker longer than anyone waits is answered
with the job, to be asked for again. Only where no worker takes it, it is computed where it was asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from math import inf
from threading import BoundedSemaphore
from time import monotonic, sleep
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from planner.accuracy.calibration import shipped_calibration
from planner.catalog.facts.catalog import Catalog
from planner.contract.render import render_error
from planner.contract.search_answer import render_search
from planner.engine.answer.kept import Kept
from planner.engine.answer.search import answer_of
from planner.engine.answer.searching import search_steps
from planner.engine.question import effort
from planner.engine.question.errors import PlanError
from planner.plans.answers import Answer, answered, answered_each
from planner.tradeoffs.jobs import services
from planner.tradeoffs.jobs.kept_json import render_rows
from planner.tradeoffs.jobs.questions import Question, read_question
from planner.tradeoffs.jobs.records import JobStatus
from planner.tradeoffs.jobs.selectors import result, someone_works, status

log = logging.getLogger(__name__)
_one_here = BoundedSemaphore(1)

#: Seconds between two lines of a stream, and between two looks at a job.
EACH_S = 0.25
#: Seconds that a program is kept waiting for a search that is not streamed; after them it gets the job.
WAITED_S = 20.0
#: A job that nobody has taken for so long is computed where it was asked for.
UNTAKEN_S = 5.0


def nothing() -> None:
    """Where nobody else waits."""


def search_here(data: Any, catalog: Catalog) -> Iterator[Answer]:
    """The lines that answer one JSON value, searched in this process: progress if it asks for a stream, then
    the response, or an ``error``.
    """
    return answered_each(data, lambda: lines_here(read_question(data, catalog, timezone.localdate()), data))


def search_response(
    data: Any, catalog: Catalog, *, waits: Callable[[], None] = nothing, patience_s: float = inf
) -> Answer:
    """The contract's response of ``search`` to one JSON value, by a worker where it is not quick; ``job``
    alone where that takes longer than ``patience_s``.
    """
    return answered(data, lambda: last_line(search_by_worker(data, catalog, waits, patience_s)))


def job_response(key: str) -> Answer | None:
    """The response of a search that was handed to a worker, or ``job`` while it goes on; ``error`` where it
    ended without a response, None where there is no such search.
    """
    job = status(key)
    if job is None:
        return None
    if (found := result(key)) is not None:
        return {**found, "id": None}
    if job.can_resume:
        return render_error(
            PlanError("", key, job.problem, f"{job.remedy} Send the question again to do so.")
        )
    return job_answer(job, None)


def job_answer(job: JobStatus, request_id: Any) -> Answer:
    """A search that goes on in a worker."""
    return {"id": request_id, "job": job.as_json()}


def search_stream(data: Any, catalog: Catalog, *, waits: Callable[[], None] = nothing) -> Iterator[Answer]:
    """As ``search_here``, by a worker where it is not quick."""
    return answered_each(data, lambda: search_by_worker(data, catalog, waits))


def wants_stream(data: Any) -> bool:
    """Whether a question asks for JSON Lines."""
    return isinstance(data, dict) and data.get("stream") is True


def last_line(lines: Iterator[Answer]) -> Answer:
    """The response that ends a stream."""
    *_, last = lines
    return last


def lines_here(question: Question, data: Any) -> Iterator[Answer]:
    """Progress and front every EACH_S, where asked for, then the response."""
    request, calibration = question.request, shipped_calibration()
    began = last = monotonic()
    effort.search_ahead()
    kept = Kept(request.objective, request.limit)
    for progress in search_steps(request, calibration, question.pieces):
        kept = progress.kept
        if wants_stream(data) and monotonic() - last >= EACH_S:
            last = monotonic()
            front = render_rows(kept.front, request)
            yield line(progress.done, progress.plans, last - began, front, request.id)
    yield render_search(
        answer_of(request, calibration, kept), request_id=request.id, elapsed_s=monotonic() - began
    )


def lines_in_turn(question: Question, data: Any) -> Iterator[Answer]:
    """As ``lines_here``, one search at a time: the web server has others to answer. Raises PlanError."""
    if question.quick:
        yield from lines_here(question, data)
        return
    if not _one_here.acquire(timeout=UNTAKEN_S):
        raise PlanError("", None, "No worker takes searches, and one is computed here.", "Come again soon.")
    try:
        yield from lines_here(question, data)
    finally:
        _one_here.release()


def search_by_worker(
    data: Any, catalog: Catalog, waits: Callable[[], None], patience_s: float = inf
) -> Iterator[Answer]:
    """As ``lines_here``; what is not quick is searched by a worker, and this only looks on.

    waits: called once the rest is waiting.  patience_s: after it, the last line is the job as it goes on.
    """
    question = read_question(data, catalog, timezone.localdate())
    job: JobStatus | None = None
    if not question.quick:
        try:
            job = services.start(data)
        except DatabaseError:
            log.warning("A search is computed in the web server: there are no tables for jobs")
    if job is not None:
        waits()
    began = monotonic()
    seen = None
    while job is not None and not job.ended:
        untaken = job.state == "waiting" and monotonic() - began > UNTAKEN_S
        if untaken and not someone_works(timezone.now()):
            log.warning("A search is computed in the web server: no worker has taken it")
            services.cancel(job.key)
            job = None
            break
        if monotonic() - began > patience_s:
            yield job_answer(job, question.request.id)
            return
        if (job.plans_done, job.front) != seen:
            seen = (job.plans_done, job.front)
            yield line(job.plans_done, job.plans, job.elapsed_s, list(job.front), question.request.id)
        sleep(EACH_S)
        job = status(job.key)
    if job is None or job.state == "failed":
        yield from lines_in_turn(question, data)
        return
    found = result(job.key)
    if found is None:
        raise PlanError("", None, job.problem, job.remedy or "Ask again.")
    yield {**found, "id": question.request.id}


def line(done: int, plans: int, elapsed_s: float, front: list[dict[str, Any]], request_id: Any) -> Answer:
    """One line of a stream: how far the search is, and the front so far, fastest first."""
    share = done / plans if plans else 0.0
    return {
        "id": request_id,
        "progress": {"evaluated": done, "plans": plans, "share": share, "elapsed_s": elapsed_s},
        "front": front,
    }


def unreadable(problem: PlanError) -> Iterator[Answer]:
    """The only line of what cannot be read."""
    yield render_error(problem)
