"""Texts for a plan on owned hosts, and for what one host could train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inventory.need.match import Match
from inventory.need.pools import Pool
from inventory.need.trainable import Trainable
from inventory.pages.badges import Badge
from inventory.pages.words import UNKNOWN, hosts_words
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.question.words import TASKS
from planner.plans.room import in_ten
from planner.web import formats


@dataclass(frozen=True, slots=True)
class MatchRow:
    """One pool in the list."""

    title: str
    badge: Badge
    needed: str
    free: str
    missing: str
    time: formats.Quantity | str
    memory: str
    layout: str
    hosts: str
    note: str
    remedy: str
    warnings: tuple[str, ...]


def subject(request: PlanRequest) -> str:
    """What is to be run, in words."""
    return f"{request.model.name}, {TASKS[request.workload.task].label}"


def match_verdict(matches: Sequence[Match], hosts: int) -> str:
    """The answer in a sentence."""
    if not hosts:
        return "There are no hosts in the fleet yet."
    ready = [match for match in matches if match.fits_now]
    if ready:
        best = ready[0]
        return f"You can start now on {hosts_words(best.needed or 0)} of {_pool(best.pool)}."
    later = [match for match in matches if match.fits_owned]
    if later:
        best = min(later, key=lambda match: match.missing_now)
        waiting = hosts_words(best.missing_now)
        return f"Your {_pool(best.pool)} hosts can run it; {waiting} must become free first."
    return "None of the hosts you have can run it."


def match_row(match: Match) -> MatchRow:
    """One pool in the list."""
    pool, result = match.pool, match.result
    tight = match.result is not None and match.result.verdict == "tight"
    if match.fits_owned and tight and match.result is not None:
        when = "now" if match.fits_now else "when free"
        badge = Badge("warn", f"tight {when}: about {in_ten(match.result.memory.fit_probability)} of 10")
    elif match.fits_now:
        badge = Badge("good", "fits now")
    elif match.fits_owned:
        badge = Badge("warn", "fits when free")
    else:
        badge = Badge("bad", "does not fit")
    names = ", ".join(host.name for host in pool.free[: match.needed or 0][:8])
    shown_result = result if match.needed is not None else None
    assumed = "" if pool.instance is None else f"network as in {pool.instance.slug}"
    if pool.instance is None:
        assumed = "network between hosts unknown: plans across hosts assume none"
    elif pool.assumed_instance:
        assumed += ", which is assumed; set the host's instance type to be exact"
    return MatchRow(
        title=_pool(pool),
        badge=badge,
        needed=hosts_words(match.needed) if match.needed is not None else UNKNOWN,
        free=f"{len(pool.free)} of {len(pool.hosts)}",
        missing=hosts_words(match.missing_now) if match.missing_now else UNKNOWN,
        time=formats.duration(shown_result.time.total_s) if shown_result else UNKNOWN,
        memory=_room(result) if result else UNKNOWN,
        layout=_layout_words(shown_result) if shown_result else UNKNOWN,
        hosts=names,
        note=match.problem or assumed,
        remedy=_remedy(result),
        warnings=() if result is None else tuple(warning.message for warning in result.warnings),
    )


def _pool(pool: Pool) -> str:
    return f"{pool.gpus_per_host} × {pool.accelerator}"


def _remedy(result: PlanResult | None) -> str:
    nearest = None if result is None or result.fits else result.nearest_fit
    return "" if nearest is None else f"Would fit with: {nearest.change}."


def _room(result: PlanResult) -> str:
    total, usable = result.memory.per_accelerator_bytes.total, result.memory.usable_bytes
    return f"{formats.gib(total)} of {formats.gib(usable)}"


def _layout_words(result: PlanResult) -> str:
    layout = result.layout
    degrees = (
        ("tensor", layout.tensor_parallel),
        ("pipeline", layout.pipeline_parallel),
        ("context", layout.context_parallel),
        ("expert", layout.expert_parallel),
        ("data", layout.data_parallel),
    )
    words = [f"{name} {degree}" for name, degree in degrees if degree > 1]
    return ", ".join([*words, layout.sharding]) if words else layout.sharding


@dataclass(frozen=True, slots=True)
class TrainableRow:
    """One model, with a (class, text, title) per kind of run."""

    model: str
    cells: tuple[tuple[str, str, str], ...]


def trainable_rows(found: Sequence[Trainable]) -> list[TrainableRow]:
    """Per model and kind of run: whether it fits, and how full the fullest GPU would be."""
    return [
        TrainableRow(entry.model, tuple(_trainable_cell(answer) for answer in entry.answers.values()))
        for entry in found
    ]


def _trainable_cell(result: PlanResult | None) -> tuple[str, str, str]:
    if result is None:
        return "", UNKNOWN, "not possible on this chip"
    share = result.memory.per_accelerator_bytes.total / result.memory.usable_bytes
    title = f"{_room(result)} on the fullest GPU"
    if result.verdict == "tight":
        return (
            "tight",
            f"! {formats.percent(share)} full, {in_ten(result.memory.fit_probability)} of 10",
            title,
        )
    if result.fits:
        return "yes", f"✓ {formats.percent(share)} full", title
    return "no", f"✗ {formats.percent(share)} of usable memory", title
