"""Which profile a job needs: its training run estimated on one GPU instance of each profile.

The estimate is the planner's own, so that the Plan page says the same of the same run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.catalog.facts.catalog import Catalog
from planner.contract.section import Section
from planner.contract.workload import LENGTHS
from planner.engine.question.errors import PlanErrors
from planner.engine.question.result import PlanResult
from planner.mig.placement.chip import Chip, Profile
from planner.mig.prices import cheapest, share, shared_out
from planner.plans import answers

#: Stands in where a job does not say how long it trains.
ANY_LENGTH_TOKENS = 1e9


@dataclass(frozen=True, slots=True)
class Sized:
    """A job on one profile.  result: None where the question makes no sense there, ``problem`` says why."""

    profile: Profile
    result: PlanResult | None
    problem: str = ""

    @property
    def chance(self) -> float:
        """The chance that the job's peak stays within the instance's memory."""
        return 0.0 if self.result is None else float(self.result.memory.fit_probability)

    @property
    def tokens_per_s(self) -> float:
        """Tokens a second on one instance, 0 where it cannot run."""
        return 0.0 if self.result is None else float(self.result.time.tokens_per_s)


def on_instance(job: Mapping[str, Any], slug: str, profile: str | None) -> dict[str, Any]:
    """The contract's question of a job alone on one GPU, or on one instance of a profile of it.

    A job need not say how long it trains: its memory and its rate do not turn on that.
    """
    workload = job.get("workload")
    if isinstance(workload, Mapping) and not any(name in workload for name in LENGTHS):
        job = {**job, "workload": {**workload, "tokens": ANY_LENGTH_TOKENS}}
    cluster: dict[str, Any] = {"accelerator": slug, "accelerators_per_node": 1, "nodes": 1}
    if profile is not None:
        cluster["mig_profile"] = profile
    return {**job, "cluster": cluster}


def size(job: Mapping[str, Any], chip: Chip, names: Sequence[str], catalog: Catalog) -> list[Sized]:
    """The job on each of these profiles, the smallest first."""
    found = []
    for profile in sorted((chip.by_name[n] for n in names), key=lambda p: (p.size, p.compute_slices)):
        try:
            result = answers.estimate_plan(on_instance(job, chip.slug, profile.name), catalog)
            found.append(Sized(profile, result))
        except PlanErrors as wrong:
            found.append(Sized(profile, None, wrong.errors[0].message))
    return found


def job_profiles(job: Section, chip: Chip, catalog: Catalog, chance: float) -> tuple[str, ...]:
    """Plain profiles on which a request's job fits with at least this chance, the smallest first.

    What is wrong with the job is noted in the request's problems.
    """
    try:
        answers.estimate_plan(on_instance(job.data, chip.slug, chip.named("standard")[-1]), catalog)
    except PlanErrors as wrong:
        job.problems.take(wrong.errors, job.path)
        return ()
    sized = size(job.data, chip, chip.named("all"), catalog)
    return tuple(
        each.profile.name
        for each in sized
        if each.result is not None and each.result.fits and each.chance >= chance
    )


@dataclass(frozen=True, slots=True)
class Offer:
    """A job on one profile, with what it costs.

    instances: how many such instances a GPU holds.  share, usd_per_hour: the instance's part of the GPU and
    of its price.  unused: the part of the GPU that so many instances leave.
    """

    sized: Sized
    instances: int
    share: float
    usd_per_hour: float | None
    usd_per_million_tokens: float | None
    gpu_tokens_per_s: float
    unused: float = 0.0


@dataclass(frozen=True, slots=True)
class RightSize:
    """A job on every profile of a chip and on the whole GPU.

    best: the smallest profile that it surely fits on.  whole: the estimate on the GPU without MIG.
    shared: the run on the whole GPU as it would run beside others, with the micro-batch of the best profile.
    together: how many of those the whole GPU's memory holds at once.
    """

    chip: Chip
    offers: tuple[Offer, ...]
    whole: PlanResult | None
    usd_per_gpu_hour: float | None
    instance_type: str | None
    best: Offer | None
    shared: PlanResult | None
    together: int


def right_size(job: Mapping[str, Any], chip: Chip, catalog: Catalog, *, sure: float) -> RightSize:
    """A job sized on a chip.  Raises PlanErrors where the job makes no sense on the whole GPU either."""
    whole = answers.estimate_plan(on_instance(job, chip.slug, None), catalog)
    priced = cheapest(catalog, chip.slug)
    usd = None if priced is None else priced[1]
    offers = []
    for each in size(job, chip, chip.named("all"), catalog):
        part = share(chip, each.profile)
        hourly = None if usd is None else usd * part
        tokens = each.tokens_per_s
        offers.append(
            Offer(
                sized=each,
                instances=each.profile.max_instances,
                share=part,
                usd_per_hour=hourly,
                usd_per_million_tokens=hourly / tokens / 3600 * 1e6 if hourly and tokens else None,
                gpu_tokens_per_s=tokens * each.profile.max_instances,
                unused=shared_out(chip, [each.profile.name] * each.profile.max_instances)[1],
            )
        )
    fitting = [
        each
        for each in offers
        if each.sized.result is not None and each.sized.result.fits and each.sized.chance >= sure
    ]
    best = fitting[0] if fitting else None
    shared = _beside_others(job, chip, best, catalog) if best is not None else None
    peak = float(shared.memory.per_accelerator_bytes.total) if shared is not None else 0.0
    return RightSize(
        chip=chip,
        offers=tuple(offers),
        whole=whole,
        usd_per_gpu_hour=usd,
        instance_type=None if priced is None else priced[0],
        best=best,
        shared=shared,
        together=int(float(whole.memory.usable_bytes) // peak) if peak else 0,
    )


def _beside_others(job: Mapping[str, Any], chip: Chip, best: Offer, catalog: Catalog) -> PlanResult | None:
    """The run on the whole GPU with the micro-batch of its smallest profile, as jobs that share have it."""
    result = best.sized.result
    assert result is not None
    layout = {
        "micro_batch_size": result.layout.micro_batch_size,
        "activation_recompute": result.layout.activation_recompute,
    }
    try:
        return answers.estimate_plan(on_instance(job, chip.slug, None) | {"layout": layout}, catalog)
    except PlanErrors:
        return None
