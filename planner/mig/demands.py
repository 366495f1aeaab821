"""The demands of a question: by profile, by the least memory and compute, or a job that is sized here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from planner.contract.section import Section, near, suggestion
from planner.mig import words
from planner.mig.placement.chip import Chip
from planner.mig.placement.question import Demand

Sizer = Callable[[Section, Chip, float], tuple[str, ...]]
"""What says which profiles of a chip a job fits on, the smallest first, with at least some chance."""


def entries(section: Section, name: str, example: str) -> Iterator[Section]:
    """Each entry of a list that a request has to hold; what is wrong with the list is noted."""
    given = section.data.get(name)
    if given is None:
        section.missing(name, f"Give a list such as {example}.")
        return
    if not isinstance(given, list) or not given:
        section.fail(name, "Expected a list with at least one entry.", f"Give a list such as {example}.")
        return
    if len(given) > words.MAX_GROUPS:
        section.problems.add(
            section.at(name),
            len(given),
            f"{len(given):,} entries are too many.",
            f"Give equal ones once with their count; at most {words.MAX_GROUPS:,} entries are read.",
        )
        return
    for number, entry in enumerate(given):
        yield Section(entry, f"{section.at(name)}.{number}", section.problems)


def read_demands(
    section: Section, chips: list[Chip], profiles: str | tuple[str, ...], sizer: Sizer
) -> Iterator[Demand]:
    """The demands of a question, each with the profiles that serve it."""
    for entry in entries(section, "demands", '[{"profile": "1g.5gb", "count": 6}]'):
        entry.only(words.DEMAND_FIELDS)
        count = entry.optional_whole("count", maximum=10**9)
        label = entry.text("label")
        found = _accepted(entry, chips, profiles, sizer)
        if found is None:
            continue
        accepts, described = found
        yield Demand(count=1 if count is None else count, accepts=accepts, label=label or described)


def _accepted(
    entry: Section, chips: list[Chip], profiles: str | tuple[str, ...], sizer: Sizer
) -> tuple[dict[str, tuple[str, ...]], str] | None:
    kinds = [name for name in ("profile", "job") if entry.has(name)]
    least = entry.has("min_memory_bytes") or entry.has("min_compute_slices")
    if len(kinds) + least != 1:
        if entry.sound:
            entry.problems.add(
                entry.path,
                entry.data,
                "It is to say one thing: a profile, the least memory and compute, or a job.",
                'Give for example {"profile": "1g.5gb", "count": 6}.',
            )
        return None
    if entry.has("profile"):
        return _by_profile(entry, chips)
    if entry.has("job"):
        return _by_job(entry, chips, profiles, sizer)
    return _by_least(entry, chips, profiles)


def _by_profile(entry: Section, chips: list[Chip]) -> tuple[dict[str, tuple[str, ...]], str] | None:
    name = entry.text("profile")
    if name is None:
        return None
    accepts: dict[str, tuple[str, ...]] = {chip.slug: (name,) for chip in chips if name in chip.by_name}
    if not accepts and chips:
        known = list(dict.fromkeys(profile for chip in chips for profile in chip.by_name))
        entry.fail(
            "profile",
            f"None of these GPUs has a profile of this name ({', '.join(chip.slug for chip in chips)}).",
            suggestion(near(name, known), f"They have {', '.join(known)}."),
        )
        return None
    return accepts, name


def _by_least(
    entry: Section, chips: list[Chip], profiles: str | tuple[str, ...]
) -> tuple[dict[str, tuple[str, ...]], str] | None:
    memory = entry.positive("min_memory_bytes", maximum=1e15)
    compute = entry.optional_whole("min_compute_slices", maximum=64)
    accepts = {}
    for chip in chips:
        serving = [
            profile
            for profile in (chip.by_name[name] for name in chip.named(profiles))
            if profile.memory_bytes >= (memory or 0) and profile.compute_slices >= (compute or 0)
        ]
        serving.sort(key=lambda profile: (profile.size, profile.compute_slices))
        if serving:
            accepts[chip.slug] = tuple(profile.name for profile in serving)
    parts = [f"{memory / 1e9:.3g} GB" if memory else "", f"{compute} compute slices" if compute else ""]
    return accepts, " and ".join(part for part in parts if part) or "an instance"


def _by_job(
    entry: Section, chips: list[Chip], profiles: str | tuple[str, ...], sizer: Sizer
) -> tuple[dict[str, tuple[str, ...]], str] | None:
    job = Section(entry.data["job"], entry.at("job"), entry.problems)
    job.only(words.JOB_FIELDS, {"cluster": "Leave it out: the GPUs of this question take its place."})
    chance = entry.positive("min_chance", maximum=1.0) or words.SURE_CHANCE
    if not job.sound:
        return None
    accepts = {}
    for chip in chips:
        if names := sizer(job, chip, chance):
            chosen = set(chip.named(profiles))
            accepts[chip.slug] = tuple(name for name in names if name in chosen)
    model = job.data.get("model")
    return accepts, model if isinstance(model, str) else "this job"
