"""What was measured near a plan, in words under its figures, each with a link to the runs."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from planner.accuracy.whole_runs import whole_runs
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import Measured, PlanResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One line. query: the filters of the validation page that show the runs, empty where there are none.

    anchor: the part of that page.
    """

    text: str
    query: str
    anchor: str = "runs"


#: Kinds of runs on the validation page, by task; encoders stand apart.
KINDS = {"pretraining": "pretraining", "ppo": "rlhf"}


def notes(request: PlanRequest, result: PlanResult) -> dict[str, tuple[Note, ...]]:
    """By headline: what stands behind its figure. Cost and MFU follow from the time."""
    found = result.evidence
    if found is None:
        return {}
    beyond = beyond_steps(request)
    chip = result.cluster.accelerator
    encoder = request.model.architecture == "encoder" and request.workload.task == "pretraining"
    kind = "encoder" if encoder else KINDS.get(request.workload.task, "finetuning")

    def note(measured: Measured, what: str) -> Note:
        filters = {"accelerator": chip.slug, "kind": kind} if measured.runs else {"accelerator": chip.slug}
        return Note(
            text=in_words(measured, chip.name, what),
            query=urlencode(filters) if measured.runs_on_accelerator else "",
        )

    timed = (note(found.time, "timed"), *([beyond] if beyond else []))
    return {"time": timed, "memory": (note(found.memory, "measured"),)}


def beyond_steps(request: PlanRequest) -> Note | None:
    """How much longer whole runs took than their steps; None where the question says what its own lose."""
    published = whole_runs()
    interruptions = request.cluster.sale.interruptions
    said = interruptions is not None and "goodput" in interruptions.given
    if published is None or said or request.workload.task == "ppo":
        return None
    return Note(
        text=f"steps alone: {published.runs} public runs took {published.median:.2f} × as long (half of"
        f" them {published.low:.2f} to {published.high:.2f})",
        query="kind=",
        anchor="chart-bills",
    )


def in_words(measured: Measured, chip: str, what: str) -> str:
    """``timed on 130 H100 runs, 4 % off unseen``. what: was done to the runs."""
    error = measured.error_on_unseen
    off = "" if error is None else f"{100 * error:.0f} % off unseen"
    if measured.runs:
        runs = "run" if measured.runs == 1 else "runs"
        return f"{what} on {measured.runs:,} {chip} {runs} near this one" + (f", {off}" if off else "")
    elsewhere = f" (such runs elsewhere: {off})" if off else ""
    if measured.runs_on_accelerator:
        return f"no run like this {what} on {chip}, {measured.runs_on_accelerator:,} others{elsewhere}"
    return f"no run {what} on this chip: from its data sheet{elsewhere}"
