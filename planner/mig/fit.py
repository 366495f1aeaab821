"""The right size of a planned run: on each profile of a chip, against the whole GPU, time-slicing and MPS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

from django.forms.boundfield import BoundField
from django.http import QueryDict

from planner.catalog.facts.catalog import Catalog
from planner.contract.section import Problems, Section
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.result import PlanResult
from planner.mig import words
from planner.mig.chips import chip_of, divisible
from planner.mig.placement.chip import Chip
from planner.mig.sizing import Offer, RightSize, right_size
from planner.mig.state import PLAN, Wanted, read_state
from planner.plans.choices import CHOICES
from planner.plans.form import ScenarioForm
from planner.web import formats

USUAL_CHIP = "a100-sxm-80gb"
RUN_FIELDS = ("model", "task", "seq", "batch")
"""What of a run decides its size most, and can be changed beside it."""


@dataclass(frozen=True, slots=True)
class FitRow:
    """The run on one way to have a part of a GPU, in words and figures."""

    name: str
    memory: str
    chance: str
    css: str
    speed: str
    jobs: int
    usd: str
    per_million: str
    against_whole: str
    note: str


def fit_context(query: QueryDict, catalog: Catalog) -> dict[str, Any]:
    """What the page of the right size shows.

    ``fit_chip`` in the address names the chip, ``for`` is the address of partitions that the run is to join.
    """
    given = query.copy()
    wanted = given.pop("fit_chip", [""])[-1]
    partitions = given.pop("for", [""])[-1]
    form = ScenarioForm.of_query(given, catalog)
    hidden = [pair for pair in given.items() if pair[0] not in RUN_FIELDS]
    context: dict[str, Any] = {
        "plan_query": given.urlencode(),
        "hidden": [*hidden, ("for", partitions)] if partitions else hidden,
        "partitions": partitions,
        "form": form,
        "tasks": CHOICES["task"],
        "models": [record.slug for record in catalog.models()],
        "problems": [],
        "rows": [],
        "line": "",
        "chips": [(chip.slug, chip.name) for chip in divisible(catalog)],
    }
    try:
        asked = form.request()
    except PlanError as one:
        form.add_plan_errors([one])
        return context | {"problems": [one], "fields": _run_fields(form)}
    chip = _chip(wanted or _chip_of(partitions), asked, catalog)
    context |= {"chip": chip.name, "slug": chip.slug}
    job: dict[str, Any] = {name: asked[name] for name in ("model", "workload") if name in asked}
    try:
        sized = right_size(job, chip, catalog, sure=words.SURE_CHANCE)
    except PlanErrors as wrong:
        form.add_plan_errors(wrong.errors)
        return context | {"problems": wrong.errors, "fields": _run_fields(form)}
    return context | {
        "fields": _run_fields(form),
        "rows": rows(sized),
        "line": line(sized),
        "partition_query": partition_query(given.urlencode(), chip, partitions),
        "subject": asked.get("model") if isinstance(asked.get("model"), str) else "The run",
    }


def _run_fields(form: ScenarioForm) -> list[BoundField]:
    return [form[name] for name in RUN_FIELDS]


def _chip_of(partitions: str) -> str:
    """The first chip of the partitions page's address, "" where there is none."""
    return parse_qs(partitions).get("chip", [""])[0]


def _chip(wanted: str, asked: dict[str, Any], catalog: Catalog) -> Chip:
    """The chip asked for, else the plan's own where MIG divides it, else an A100."""
    able = {chip.slug: chip for chip in divisible(catalog)}
    if wanted in able:
        return able[wanted]
    cluster = Section(asked.get("cluster"), "cluster", Problems())
    slug = cluster.data.get("accelerator")
    instance = cluster.data.get("instance_type")
    if isinstance(instance, str) and instance in {record.slug for record in catalog.instances()}:
        slug = catalog.instance(instance).spec.accelerator.slug
    if isinstance(slug, str) and slug in able:
        return able[slug]
    usual = chip_of(catalog, USUAL_CHIP)
    return usual if usual is not None else next(iter(able.values()))


def partition_query(plan_query: str, chip: Chip, partitions: str = "") -> str:
    """The partitions page with this run as a further demand; without one, on one empty GPU."""
    if partitions:
        state = read_state(parse_qs(partitions, keep_blank_values=True))
        return state.query(demands=(*state.demands, Wanted(f"{PLAN}{plan_query}", "1")))
    return urlencode(
        [
            ("chip", chip.slug),
            ("n", "1"),
            ("on", ""),
            ("at", ""),
            ("want", f"{PLAN}{plan_query}"),
            ("count", "1"),
        ]
    )


def line(sized: RightSize) -> str:
    """What the Plan page says of it: "fits a 3g.40gb: $1.72/h rather than $3.43/h".

    Nothing where only an instance of the whole GPU holds it, which saves nothing.
    """
    best = sized.best
    if best is None:
        return f"No instance of {sized.chip.name} surely holds this run alone."
    name = best.sized.profile.name
    if best.usd_per_hour is None or sized.usd_per_gpu_hour is None:
        return f"It fits a {name} of {sized.chip.name}."
    if best.usd_per_hour >= sized.usd_per_gpu_hour:
        return ""
    return (
        f"It fits a {name} of {sized.chip.name}: {formats.dollars_per_hour(best.usd_per_hour).text} rather "
        f"than {formats.dollars_per_hour(sized.usd_per_gpu_hour).text} for the GPU, at "
        f"{_part_of_speed(best, sized)} of its speed."
    )


def _part_of_speed(offer: Offer, sized: RightSize) -> str:
    whole = sized.whole.time.tokens_per_s if sized.whole else 0
    return f"{offer.sized.tokens_per_s / whole * 100:.0f} %" if whole else "a part"


def rows(sized: RightSize) -> list[FitRow]:
    """A row a profile, the smallest first; then the whole GPU, and the two ways to share it without MIG."""
    found = [_profile_row(offer, sized) for offer in sized.offers]
    whole = sized.whole
    if whole is None:
        return found
    tokens = float(whole.time.tokens_per_s)
    usd = sized.usd_per_gpu_hour
    usable = formats.gib(float(whole.memory.usable_bytes)).text
    per_million = None if usd is None or not tokens else usd / tokens / 3600 * 1e6
    chance, css = _chance(whole.fits, float(whole.memory.fit_probability))
    found.append(
        FitRow(
            "Whole GPU",
            usable,
            chance,
            css,
            _speed(tokens),
            1,
            _usd(usd),
            _per_million(per_million),
            "1 ×",
            "MIG off; the run has the GPU to itself.",
        )
    )
    if sized.shared is not None and sized.together > 1:
        found += _without_mig(sized, sized.shared, usable)
    return found


def _without_mig(sized: RightSize, shared: PlanResult, usable: str) -> list[FitRow]:
    """Several such runs on one GPU by time-slicing and by MPS: what is sure of them, and what they lack."""
    jobs, usd = sized.together, sized.usd_per_gpu_hour
    whole = float(sized.whole.time.tokens_per_s) if sized.whole else 0.0
    total = float(shared.time.tokens_per_s)
    part = None if usd is None else usd / jobs
    per_million = None if usd is None or not total else usd / total / 3600 * 1e6
    against = f"{total / whole:.2f} ×" if whole else ""
    common: dict[str, Any] = {
        "memory": usable,
        "chance": "memory is shared",
        "css": "tight",
        "jobs": jobs,
        "usd": _usd(part),
    }
    return [
        FitRow(
            name=f"Time-slicing, {jobs} jobs",
            speed=f"at most {_speed(total / jobs)}",
            per_million=f"{_per_million(per_million)} or more",
            against_whole=f"at most {against}",
            note="They take turns. Memory and faults are not kept apart: one job that grows or fails takes "
            "the others along. Time lost in switching is not in these figures.",
            **common,
        ),
        FitRow(
            name=f"MPS, {jobs} jobs",
            speed=f"about {_speed(total / jobs)}",
            per_million=f"about {_per_million(per_million)}",
            against_whole="not measured",
            note="They run at once and share bandwidth and cache; jobs that leave the GPU idle in part gain. "
            "Memory limits are by request alone, and a fault of one can end all.",
            **common,
        ),
    ]


def _profile_row(offer: Offer, sized: RightSize) -> FitRow:
    sized_here = offer.sized
    result = sized_here.result
    if result is None:
        return FitRow(
            sized_here.profile.name,
            formats.gib(sized_here.profile.memory_bytes).text,
            "cannot run",
            "no",
            "",
            offer.instances,
            _usd(offer.usd_per_hour),
            "",
            "",
            sized_here.problem,
        )
    chance, css = _chance(result.fits, sized_here.chance)
    whole = float(sized.whole.time.tokens_per_s) if sized.whole else 0.0
    total = offer.gpu_tokens_per_s / whole if whole else 0.0
    fits = bool(result.fits)
    note = "" if fits else (result.reason or "")
    if sized.best is offer:
        note = "The smallest that surely holds it."
    return FitRow(
        name=sized_here.profile.name,
        memory=formats.gib(float(result.memory.usable_bytes)).text,
        chance=chance,
        css=css,
        speed=_speed(sized_here.tokens_per_s) if fits else "",
        jobs=offer.instances,
        usd=_usd(offer.usd_per_hour),
        per_million=_per_million(offer.usd_per_million_tokens) if fits else "",
        against_whole=f"{total:.2f} × with {offer.instances} at once" if fits else "",
        note=note,
    )


def _chance(fits: bool, chance: float) -> tuple[str, str]:
    words_of_chance = f"{min(max(chance, 0.01), 0.99) * 100:.0f} %"
    if not fits:
        return f"does not fit ({words_of_chance})", "no"
    return (
        (f"fits ({words_of_chance})", "yes")
        if chance >= words.SURE_CHANCE
        else (f"tight ({words_of_chance})", "tight")
    )


def _speed(tokens_per_s: float) -> str:
    return formats.count(tokens_per_s, "tokens/s").text


def _usd(usd: float | None) -> str:
    return "no price" if usd is None else formats.dollars_per_hour(usd).text


def _per_million(usd: float | None) -> str:
    return "no price" if usd is None else f"${formats.significant(usd)}"
