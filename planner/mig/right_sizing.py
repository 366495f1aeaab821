"""The right size of a list of jobs as JSON: the smallest profile of each with its chance, and what it costs.

Knows the contract's side alone; ``planner.mig.sizing`` estimates, ``planner.mig.fit`` puts it into words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from planner.catalog.facts.catalog import Catalog
from planner.contract.mig_fields import JOB
from planner.contract.section import Section
from planner.engine.question.errors import PlanErrors
from planner.engine.question.result import PlanResult
from planner.mig import words
from planner.mig.demands import entries
from planner.mig.placement.chip import Chip
from planner.mig.sizing import Offer, RightSize, right_size

Json = dict[str, Any]
NOT_ISOLATED: Mapping[str, str] = {
    "time_slicing": "Jobs take turns; memory and faults are not kept apart, and switching costs time.",
    "mps": "Jobs run at once and share bandwidth and cache; memory limits are by request alone, and a fault "
    "of one can end all.",
}
"""What sharing a GPU without MIG lacks: NVIDIA MIG User Guide, "CUDA concurrency mechanisms"."""

SURE_OF: Mapping[str, str] = {
    "time_slicing": "an upper bound: time lost in switching is not in them",
    "mps": "about right where jobs leave little of the GPU idle; jobs that leave much idle gain",
}
"""What the figures of sharing a GPU without MIG are; neither was measured."""


@dataclass(frozen=True, slots=True)
class RightSizing:
    """A question of what size jobs need on one chip."""

    id: Any
    chip: Chip
    jobs: tuple[Mapping[str, Any], ...]
    chance: float


def read_jobs(section: Section) -> Iterator[Mapping[str, Any]]:
    """The jobs of a question; fields that are none of a job's are noted."""
    for number, entry in enumerate(entries(section, "right_size", '[{"model": "gpt2", "workload": {…}}]')):
        if number == words.MAX_JOBS:
            section.fail("right_size", *words.TOO_MANY_JOBS)
            return
        entry.only(JOB.names)
        yield entry.data


def render_right_sizes(asked: RightSizing, catalog: Catalog) -> Json:
    """Each job on every profile of the chip.  A job that makes no sense has its ``error`` in its place."""
    jobs = []
    for job in asked.jobs:
        try:
            sized = right_size(job, asked.chip, catalog, sure=asked.chance)
        except PlanErrors as wrong:
            jobs.append({"error": wrong.errors[0].as_dict()})
            continue
        jobs.append(_job(sized))
    return {"id": asked.id, "accelerator": asked.chip.slug, "min_chance": asked.chance, "jobs": jobs}


def _job(sized: RightSize) -> Json:
    whole = sized.whole
    alone = None if whole is None else _tokens_per_usd(float(whole.time.tokens_per_s), sized.usd_per_gpu_hour)
    return {
        "smallest": None if sized.best is None else sized.best.sized.profile.name,
        "profiles": [_offer(offer, alone) for offer in sized.offers],
        "whole_gpu": None if whole is None else _whole(whole, sized.usd_per_gpu_hour),
        **{name: _shared(sized, SURE_OF[name], lacks, alone) for name, lacks in NOT_ISOLATED.items()},
        "price_of": sized.instance_type,
    }


def _offer(offer: Offer, alone: float | None) -> Json:
    result = offer.sized.result
    fits = bool(result is not None and result.fits)
    return {
        "profile": offer.sized.profile.name,
        "fits": fits,
        "fit_probability": offer.sized.chance,
        "tokens_per_s": offer.sized.tokens_per_s,
        "instances_per_gpu": offer.instances,
        "tokens_per_s_per_gpu": offer.gpu_tokens_per_s,
        "share_of_gpu": offer.share,
        "unused_share_of_gpu": offer.unused,
        "usd_per_hour": offer.usd_per_hour,
        "usd_per_million_tokens": offer.usd_per_million_tokens if fits else None,
        **_value(offer.sized.tokens_per_s if fits else 0.0, offer.usd_per_hour, alone),
        "problem": offer.sized.problem or None,
    }


def _whole(whole: PlanResult, usd: float | None) -> Json:
    tokens = float(whole.time.tokens_per_s)
    return {
        "fits": bool(whole.fits),
        "fit_probability": float(whole.memory.fit_probability),
        "tokens_per_s": tokens,
        "usd_per_hour": usd,
        "usd_per_million_tokens": usd / tokens / 3600 * 1e6 if usd and tokens else None,
        "tokens_per_usd": _tokens_per_usd(tokens, usd),
    }


def _shared(sized: RightSize, sure: str, lacks: str, alone: float | None) -> Json | None:
    """Jobs that share the GPU without MIG; None where its memory does not hold two of them."""
    if sized.shared is None or sized.together < 2:
        return None
    tokens = float(sized.shared.time.tokens_per_s)
    return {
        "jobs": sized.together,
        "tokens_per_s_per_gpu": tokens,
        **_value(tokens, sized.usd_per_gpu_hour, alone),
        "figures_are": sure,
        "measured": False,
        "isolation": lacks,
    }


def _tokens_per_usd(tokens_per_s: float, usd_per_hour: float | None) -> float | None:
    return tokens_per_s * 3600 / usd_per_hour if usd_per_hour and tokens_per_s else None


def _value(tokens_per_s: float, usd_per_hour: float | None, alone: float | None) -> Json:
    """Throughput per dollar, and against the job alone on the whole GPU."""
    found = _tokens_per_usd(tokens_per_s, usd_per_hour)
    return {"tokens_per_usd": found, "against_whole_gpu": found / alone if found and alone else None}
