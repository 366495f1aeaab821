"""The demands of a question: by profile, by the least memory and compute, or a job that is sized here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from planner.contract.mig_fields import DEMAND, DEMANDED_BY, JOB
from planner.contract.section import Section, near, suggestion
from planner.mig import words
from planner.mig.placement.chip import Chip
from planner.mig.placement.question import Demand

Sizer = Callable[[Section, Chip, float], tuple[str, ...]]
"""What says which profiles of a chip a job fits on, the smallest first, with at least some chance."""
Others = Callable[[], Iterable[Chip]]
"""Every chip that MIG divides: looked at where those of the question do not serve a demand."""


def entries(section: Section, name: str, example: str, least: str = "") -> Iterator[Section]:
    """Each entry of a list that a request has to hold; what is wrong with the list is noted.

    least: what is said of a list that is too long beside its length.
    """
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
            f"{len(given):,} entries are too many to read one by one{least}.",
            f"Give equal ones once with their count; at most {words.MAX_GROUPS:,} entries are read.",
        )
        return
    for number, entry in enumerate(given):
        yield Section(entry, f"{section.at(name)}.{number}", section.problems)


def read_demands(
    section: Section, chips: list[Chip], profiles: str | tuple[str, ...], sizer: Sizer, others: Others
) -> Iterator[Demand]:
    """The demands of a question, each with the profiles that serve it."""
    least = _least_words(section.data.get("demands"), chips)
    for entry in entries(section, "demands", '[{"profile": "1g.5gb", "count": 6}]', least):
        entry.only(DEMAND.names)
        count = entry.read(DEMAND["count"])
        label = entry.text("label")
        found = _accepted(entry, chips, profiles, sizer, others)
        if found is not None:
            yield Demand(
                count=count,
                accepts=found.accepts,
                label=label or found.label,
                wider=found.wider,
                elsewhere=found.elsewhere,
            )


def _least_words(given: Any, chips: list[Chip]) -> str:
    """How many GPUs a list that is too long needs at the least: each entry takes a smallest instance."""
    if not isinstance(given, list) or len(given) <= words.MAX_GROUPS or not chips:
        return ""
    share = min(
        max(p.compute_slices / chip.compute_slices, p.size / chip.memory_slices)
        for chip in chips
        for p in chip.profiles
    )
    return f"; they need at least {math.ceil(len(given) * share - 1e-9):,} of these GPUs"


NAMED_ELSEWHERE = 3
"""How many other chips are named that have what these have not."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What serves a demand and what it is called, as in ``Demand``."""

    accepts: Mapping[str, tuple[str, ...]]
    label: str
    wider: Mapping[str, tuple[str, ...]] | None = None
    elsewhere: tuple[tuple[str, str], ...] = ()


def _accepted(
    entry: Section, chips: list[Chip], profiles: str | tuple[str, ...], sizer: Sizer, others: Others
) -> Accepted | None:
    profile, *least_of, job = DEMANDED_BY
    kinds = [name for name in (profile, job) if entry.has(name)]
    least = any(map(entry.has, least_of))
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
    return _by_least(entry, chips, profiles, others)


def _by_profile(entry: Section, chips: list[Chip]) -> Accepted | None:
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
    return Accepted(accepts, name)


def _by_least(
    entry: Section, chips: list[Chip], profiles: str | tuple[str, ...], others: Others
) -> Accepted | None:
    memory = entry.read(DEMAND["min_memory_bytes"])
    compute = entry.read(DEMAND["min_compute_slices"])

    def serving(chip: Chip, which: str | tuple[str, ...]) -> tuple[str, ...]:
        found = [
            profile
            for profile in (chip.by_name[name] for name in chip.named(which))
            if profile.memory_bytes >= (memory or 0) and profile.compute_slices >= (compute or 0)
        ]
        return tuple(
            p.name for p in sorted(found, key=lambda profile: (profile.size, profile.compute_slices))
        )

    parts = [
        f"{_gigabytes(memory)} GB" if memory else "",
        f"{compute} compute slice{'s' if compute > 1 else ''}" if compute else "",
    ]
    label = " and ".join(part for part in parts if part) or "an instance"
    accepts = {chip.slug: names for chip in chips if (names := serving(chip, profiles))}
    wider = {chip.slug: names for chip in chips if (names := serving(chip, "all"))}
    elsewhere = []
    if not accepts and entry.ok("min_memory_bytes" if memory else "min_compute_slices"):
        able = [(chip, names[0]) for chip in others() if (names := serving(chip, "standard"))]
        able.sort(key=lambda each: max(p.memory_bytes for p in each[0].profiles))  # the smallest GPU first
        elsewhere = [(chip.slug, name) for chip, name in able[:NAMED_ELSEWHERE]]
    more = wider if profiles == "standard" and wider != accepts else None
    return Accepted(accepts, label, more, tuple(elsewhere))


def _gigabytes(number_of_bytes: float) -> str:
    gigabytes = number_of_bytes / 1e9
    return f"{gigabytes:,.0f}" if gigabytes >= 100 else f"{gigabytes:.3g}"


def _by_job(
    entry: Section, chips: list[Chip], profiles: str | tuple[str, ...], sizer: Sizer
) -> Accepted | None:
    job = Section(entry.data["job"], entry.at("job"), entry.problems)
    job.only(JOB.names, JOB.hints)
    chance = entry.read(DEMAND["min_chance"])
    if not job.sound:
        return None
    accepts, wider = {}, {}
    for chip in chips:
        if names := sizer(job, chip, chance):
            chosen = set(chip.named(profiles))
            accepts[chip.slug] = tuple(name for name in names if name in chosen)
            wider[chip.slug] = names
    model = job.data.get("model")
    label = model if isinstance(model, str) else "this job"
    return Accepted(accepts, label, wider if profiles == "standard" and wider != accepts else None)
