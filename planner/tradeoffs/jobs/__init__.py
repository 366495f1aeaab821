"""Searches for pages and programs: at once where they are quick, in a worker where they are not.

The whole interface of the room; pages need nothing else:

    answered = jobs.answer(question)       # the contract's response, or the status of a job that was started
    jobs.start(question) -> JobStatus      # the job of this question, started where it was not yet
    jobs.status(key) -> JobStatus | None   # progress, the front so far; "lost" within 5 s of a worker's end
    jobs.result(key) -> dict | None        # the contract's response of search once the job is done
    jobs.cancel(key) -> JobStatus | None   # its workers stop within a second; what is done is kept
    jobs.resume(key) -> JobStatus | None   # what a cancelled, failed or lost job has left to do

A question is the contract's request of ``search`` (a dict). The same question on the same day, catalog and
constants has the same key, whoever asks: keep the key in a page's address, and it survives a reload.
"""

from planner.tradeoffs.jobs.records import JobStatus
from planner.tradeoffs.jobs.selectors import result, status
from planner.tradeoffs.jobs.services import answer, cancel, resume, start

__all__ = ["JobStatus", "answer", "cancel", "result", "resume", "start", "status"]
