"""Reading searches in the background. Writes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from planner.tradeoffs.jobs.records import JobStatus, State
from planner.tradeoffs.models import SearchJob, SearchPart, SearchState

#: A worker that has not been heard of for so long has ended without a word. It beats every half second.
LOST_AFTER_S = 4.0
#: What a page says of a job that nobody takes.
NO_WORKER_AFTER_S = 10.0


def status(key: str, *, now: datetime | None = None) -> JobStatus | None:
    """Where a search stands; None where there is none of this key."""
    job = SearchJob.objects.filter(pk=key).defer("result").first()
    if job is None:
        return None
    now = now or timezone.now()
    parts = list(job.parts.defer("found").order_by("number"))
    state, problem, remedy = _state(job, parts, now)
    return JobStatus(
        key=key,
        state=state,
        plans=job.plans,
        plans_done=sum(part.plans_done for part in parts),
        parts=len(parts),
        parts_done=sum(part.state == SearchState.DONE for part in parts),
        front=tuple(_joined([row for part in parts for row in part.front])),
        started_at=job.created_at,
        elapsed_s=((job.finished_at or now) - job.created_at).total_seconds(),
        problem=problem,
        remedy=remedy,
    )


def result(key: str) -> dict[str, Any] | None:
    """The contract's response of a search that is done; None until then."""
    found: dict[str, Any] | None = (
        SearchJob.objects.filter(pk=key, state=SearchState.DONE).values_list("result", flat=True).first()
    )
    return found


def lost(part: SearchPart, now: datetime) -> bool:
    """Whether the part's worker has ended without a word."""
    beat = part.heartbeat_at
    return (
        part.state == SearchState.RUNNING
        and beat is not None
        and now - beat > timedelta(seconds=LOST_AFTER_S)
    )


def someone_works(now: datetime) -> bool:
    """Whether any worker has been heard of lately: then a search that waits will have its turn."""
    lately = now - timedelta(seconds=LOST_AFTER_S)
    return SearchPart.objects.filter(state=SearchState.RUNNING, heartbeat_at__gte=lately).exists()


def _state(job: SearchJob, parts: list[SearchPart], now: datetime) -> tuple[State, str, str]:
    """(state, problem, remedy) of a job, with what its workers' silence says."""
    again = "Resume it: what is done is kept."
    if job.state == SearchState.FAILED:
        return "failed", job.problem, again
    if job.state == SearchState.CANCELLED:
        return "cancelled", "The search was cancelled.", again
    if job.state == SearchState.DONE:
        return "done", "", ""
    if any(lost(part, now) for part in parts):
        return "lost", "A worker ended in the middle of this search.", again
    if job.state == SearchState.MERGING:
        merged_by = max((part.heartbeat_at for part in parts if part.heartbeat_at), default=job.created_at)
        # Merging is a few dozen estimates: seconds at most.
        if now - merged_by > timedelta(seconds=NO_WORKER_AFTER_S):
            return "lost", "A worker ended while it put the parts together.", again
        return "merging", "", ""
    if all(part.state == SearchState.WAITING for part in parts):
        if (now - job.created_at).total_seconds() > NO_WORKER_AFTER_S and not someone_works(now):
            return "waiting", "No worker has taken this search yet.", "Wait, or start a worker: make run."
        return "waiting", "", ""
    if _forgotten(job, parts, now):
        return (
            "lost",
            "No worker has gone on with this search: what it was sent was lost with the broker.",
            again,
        )
    return "running", "", ""


def _forgotten(job: SearchJob, parts: list[SearchPart], now: datetime) -> bool:
    """Whether parts wait that nobody will take, as the broker has lost them: none of this search runs, and no
    worker was heard of lately.
    """
    if any(part.state == SearchState.RUNNING for part in parts):
        return False
    heard_of = max((part.heartbeat_at for part in parts if part.heartbeat_at), default=job.created_at)
    return now - heard_of > timedelta(seconds=LOST_AFTER_S) and not someone_works(now)


def _joined(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The front of several fronts, fastest first."""
    found: list[dict[str, Any]] = []
    cheapest = float("inf")
    priced = [row for row in rows if row["usd"] is not None]
    if not priced:
        return sorted(rows, key=lambda row: row["total_s"])[:1]
    for row in sorted(priced, key=lambda row: (row["total_s"], row["usd"])):
        if row["usd"] < cheapest:
            cheapest = row["usd"]
            found.append(row)
    return found
