"""A question of partitions from its JSON: read once, every problem named with field, value and remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from planner.catalog.facts.catalog import Catalog, UnknownSlugError
from planner.contract.jsontext import not_finite
from planner.contract.mig_fields import ENUMERATE, EXISTING, EXPORTS, GPUS, LAYOUT, RIGHT_SIZE
from planner.contract.section import Problems, Section, near, suggestion
from planner.mig import words
from planner.mig.chips import chip_of, divisible
from planner.mig.demands import Sizer, entries, read_demands
from planner.mig.placement.chip import Chip, Placed
from planner.mig.placement.plan import least_gpus
from planner.mig.placement.question import Demand, Gpus, Question, Standing
from planner.mig.prices import instance_usd_per_gpu_hour, usd_per_gpu_hour
from planner.mig.right_sizing import RightSizing, read_jobs


@dataclass(frozen=True, slots=True)
class Enumeration:
    """A question of how many configurations a chip has."""

    id: Any
    chip: Chip
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Planning:
    """A question of a layout.  exports: further files.  stream: layouts are asked for as they get better."""

    id: Any
    question: Question
    exports: tuple[str, ...] = ()
    stream: bool = False


def read_request(data: Any, catalog: Catalog, sizer: Sizer) -> Enumeration | Planning | RightSizing:
    """The question that one JSON value holds.  Raises PlanErrors with every problem."""
    problems = Problems()
    section = Section(data, "", problems)
    for path, value in not_finite(data)[:1]:
        problems.add(path, value, f"{value} is not a finite number.", "Give a finite number.")
    problems.raise_if_any()
    found: Enumeration | Planning | RightSizing | None
    if section.has("enumerate") or ("enumerate" in section.data and not section.has("gpus")):
        found = _enumeration(section, catalog)
    elif section.has("right_size"):
        found = _right_sizing(section, catalog)
    else:
        found = _planning(section, catalog, sizer)
    problems.raise_if_any()
    assert found is not None
    return found


# --- counting ---


def _enumeration(section: Section, catalog: Catalog) -> Enumeration | None:
    section.only(ENUMERATE.names)
    chip = _chip(section, "enumerate", catalog, _driver(section))
    names = _profiles(section, [chip] if chip else [])
    if chip is None:
        return None
    return Enumeration(section.data.get("id"), chip, chip.named(names))


def _driver(section: Section) -> str:
    text = section.text("driver") or ""
    if text and not text.removeprefix("R")[:1].isdigit():
        section.fail("driver", f'"{text}" is no driver version.', "Give it as 550.90.07 or R550.")
        return ""
    return text


def _chip(section: Section, name: str, catalog: Catalog, driver: str) -> Chip | None:
    slug = section.text(name)
    if slug is None:
        if not section.has(name):
            section.missing(name, "Name an accelerator, for example a100-sxm-40gb.")
        return None
    try:
        chip = chip_of(catalog, slug, driver)
    except UnknownSlugError as unknown:
        able = [each.slug for each in divisible(catalog)]
        section.fail(
            name,
            "The catalog has no accelerator of this name.",
            suggestion(near(slug, able) or unknown.suggestions, f"Choose one of {', '.join(able)}."),
        )
        return None
    if chip is None or not chip.profiles:
        able = [each.slug for each in divisible(catalog)]
        why = "No MIG profile of it is offered by this driver." if chip else "It cannot be divided by MIG."
        section.fail(name, why, f"Choose one of {', '.join(able)}.")
        return None
    return chip


def _profiles(section: Section, chips: list[Chip]) -> str | tuple[str, ...]:
    given = section.data.get("profiles")
    if given is None:
        return "standard"
    if isinstance(given, str):
        if given in words.PROFILES:
            return given
        section.fail(
            "profiles",
            f'"{given[:60]}" is not a choice of profiles.',
            "Give standard, all, or a list of names.",
        )
        return "standard"
    if given == []:
        section.fail("profiles", "The list names no profile.", "Give standard, all, or a list of names.")
        return "standard"
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        section.fail("profiles", "Expected a choice of profiles.", "Give standard, all, or a list of names.")
        return "standard"
    known = list(dict.fromkeys(profile.name for chip in chips for profile in chip.profiles))
    for name in given:
        if chips and name not in known:
            section.fail(
                "profiles",
                f"{' and '.join(dict.fromkeys(chip.name for chip in chips))} has no profile {name[:40]}.",
                suggestion(near(name, known), f"It has {', '.join(known)}."),
            )
    return tuple(dict.fromkeys(given))


def _right_sizing(section: Section, catalog: Catalog) -> RightSizing | None:
    section.only(RIGHT_SIZE.names)
    chip = _chip(section, "accelerator", catalog, _driver(section))
    chance = section.read(RIGHT_SIZE["min_chance"])
    jobs = tuple(read_jobs(section))
    return None if chip is None else RightSizing(section.data.get("id"), chip, jobs, chance)


# --- planning ---


def _planning(section: Section, catalog: Catalog, sizer: Sizer) -> Planning | None:
    section.only(LAYOUT.names)
    gpus = list(_groups(section, catalog))
    chips = list({each.chip.slug: each.chip for each in gpus}.values())
    profiles = _profiles(section, chips)
    objective = section.read(LAYOUT["objective"])
    if objective == "least_cost":
        for number, each in enumerate(gpus):
            if each.usd_per_gpu_hour is None:
                section.problems.add(
                    f"gpus.{number}.usd_per_gpu_hour",
                    None,
                    f"No price of {each.chip.slug} is known.",
                    "Give its price an hour, or choose another objective.",
                )
    demands = list(read_demands(section, chips, profiles, sizer, cache(partial(divisible, catalog))))
    names = ("time_limit_s", "in_use_serves_demands", "may_destroy_in_use", "stream")
    seconds, serves, destroys, stream = (section.read(LAYOUT[name]) for name in names)
    exports = _exports(section)
    if section.problems.errors:
        return None
    _bounded(section, gpus, demands)
    question = Question(
        gpus=gpus,
        demands=demands,
        objective=objective,
        profiles=profiles,
        in_use_serves=serves,
        may_destroy_in_use=destroys,
        time_limit_s=seconds,
    )
    return Planning(section.data.get("id"), question, exports, stream)


def _exports(section: Section) -> tuple[str, ...]:
    given = section.data.get("exports")
    if given is None:
        return ()
    if isinstance(given, list) and all(isinstance(n, str) and n in EXPORTS for n in given):
        return tuple(given)
    section.fail("exports", "Not a list of known exports.", f"Choose from {', '.join(EXPORTS)}.")
    return ()


def _groups(section: Section, catalog: Catalog) -> Iterator[Gpus]:
    first = 0
    machines: Counter[str] = Counter()
    price = cache(partial(usd_per_gpu_hour, catalog))
    for entry in entries(section, "gpus", '[{"accelerator": "a100-sxm-40gb", "count": 4}]'):
        found = _group(entry, catalog, first, price, machines)
        if found is not None:
            first += found.count
            yield found


def _group(
    entry: Section,
    catalog: Catalog,
    first: int,
    usual_price: Callable[[str], float | None],
    machines: Counter[str],
) -> Gpus | None:
    """One group.  machines: how many of each instance type came before, by which they are named."""
    entry.only(GPUS.names)
    driver = _driver(entry)
    count = entry.read(GPUS["count"])
    usd = _usd(entry)
    mode = entry.flag("mig_mode")
    per_node = 1
    if entry.has("instance_type"):
        if entry.has("accelerator"):
            entry.fail("accelerator", "Both an accelerator and an instance type are given.", "Keep one.")
            return None
        found = _bought(entry, catalog, driver)
        if found is None:
            return None
        chip, per_node, price = found
        count *= per_node
    else:
        chip_found = _chip(entry, "accelerator", catalog, driver)
        if chip_found is None:
            return None
        chip, price = chip_found, usual_price(chip_found.slug)
    standing = tuple(sorted(_existing(entry, chip)))
    if mode is None:  # a machine that is bought comes without; otherwise whoever asks has it on
        mode = bool(standing) or not entry.has("instance_type")
    if not mode and standing:
        entry.fail("mig_mode", "MIG mode is off, yet instances exist.", "Leave out one of the two.")
    return Gpus(
        chip=chip,
        count=count,
        first=first,
        standing=standing,
        mig_mode=mode,
        hosts=_machines(entry, count, per_node, machines),
        usd_per_gpu_hour=price if usd is None else usd,
        per_node=per_node,
    )


def _usd(entry: Section) -> float | None:
    if entry.data.get("usd_per_gpu_hour") == 0 and entry.data["usd_per_gpu_hour"] is not False:
        return 0.0
    found: float | None = entry.read(GPUS["usd_per_gpu_hour"])
    return found


def _bought(entry: Section, catalog: Catalog, driver: str) -> tuple[Chip, int, float | None] | None:
    slug = entry.text("instance_type")
    if slug is None:
        return None
    try:
        spec = catalog.instance(slug).spec
    except UnknownSlugError as unknown:
        known = [record.slug for record in catalog.instances()]
        entry.fail(
            "instance_type",
            "The catalog has no instance type of this name.",
            suggestion(unknown.suggestions, f"Use for example {known[0]}."),
        )
        return None
    chip = chip_of(catalog, spec.accelerator.slug, driver)
    if chip is None or not chip.profiles:
        entry.fail(
            "instance_type",
            f"Its {spec.accelerator.name} cannot be divided by MIG.",
            "Choose one with A30, A100, H100 or later.",
        )
        return None
    price = instance_usd_per_gpu_hour(catalog, spec, entry.text("region"), entry.read(GPUS["purchase"]))
    return chip, spec.accelerators_per_node, price


def _machines(
    entry: Section, count: int, per_node: int, machines: Counter[str]
) -> tuple[tuple[str, int], ...]:
    """Host and index of each GPU; machines that are bought are numbered by type where they have no name."""
    if entry.has("host") or entry.has("indices") or not entry.has("instance_type"):
        if entry.has("instance_type") and count > per_node:
            entry.fail("host", "One host is one machine.", "Give each machine as a group of its own.")
            return ()
        return _hosts(entry, count)
    name = str(entry.data["instance_type"])
    began = machines[name]
    machines[name] += count // per_node
    return tuple((f"{name}-{began + each // per_node + 1}", each % per_node) for each in range(count))


def _hosts(entry: Section, count: int) -> tuple[tuple[str, int], ...]:
    host = entry.text("host")
    given = entry.data.get("indices")
    if host is None:
        if given is not None:
            entry.fail("indices", "Indices need the host that they are of.", "Give host too.")
        return ()
    if given is None:
        return tuple((host, index) for index in range(count))
    most = GPUS["indices"].limit
    whole = isinstance(given, list) and all(type(each) is int and 0 <= each <= most for each in given)
    if not whole or len(set(given)) != count:
        entry.fail("indices", "Not the index of each GPU once.", f"Give {count} different whole numbers.")
        return ()
    return tuple((host, index) for index in given)


def _existing(entry: Section, chip: Chip) -> Iterator[Standing]:
    given = entry.data.get("existing")
    if given is None:
        return
    if not isinstance(given, list):
        example = '[{"profile": "3g.20gb", "start": 0}]'
        entry.fail("existing", "Expected a list.", f"Give a list such as {example}.")
        return
    if len(given) > chip.memory_slices:
        entry.fail(
            "existing",
            f"{len(given)} instances are more than {chip.name} has memory slices.",
            f"Give at most {chip.memory_slices}.",
        )
        return
    standing: list[Placed] = []
    numbers: set[int] = set()
    for number, each in enumerate(given):
        part = Section(each, f"{entry.at('existing')}.{number}", entry.problems)
        found = _instance(part, chip)
        if found is None:
            continue
        problem = chip.problem((*standing, found.place))
        if problem is not None:
            part.fail("start", problem, "Give instances that can exist at once.")
            continue
        if found.gpu_instance_id is not None:
            if found.gpu_instance_id in numbers:
                remedy = "Give each the number that nvidia-smi mig -lgi shows."
                part.fail("gpu_instance_id", "Another instance of this GPU has the same number.", remedy)
                continue
            numbers.add(found.gpu_instance_id)
        standing.append(found.place)
        yield found


FAR_START = 10**9


def _instance(part: Section, chip: Chip) -> Standing | None:
    part.only(EXISTING.names)
    name = part.text("profile")
    in_use = part.flag("in_use")
    number = part.read(EXISTING["gpu_instance_id"])
    size = part.optional_whole("size", maximum=chip.memory_slices)
    # Of a profile that is known its own starts are said, however far off the one given is.
    far = FAR_START if name in chip.by_name else chip.memory_slices - 1
    start = part.optional_whole("start", maximum=far, minimum=-FAR_START if far == FAR_START else 0)
    if not part.has("profile"):
        part.missing("profile", f"Name a profile of {chip.name}: {', '.join(chip.by_name)}.")
    if not part.has("start"):
        part.missing("start", "Give the memory slice at which it begins.")
    if name is None:
        return None
    if name not in chip.by_name and size is None:
        part.fail(
            "profile",
            f"{chip.name} has no profile of this name.",
            f"{suggestion(near(name, chip.by_name), '')} It has {', '.join(chip.by_name)}; an instance of "
            "another kind is kept where its size in memory slices is given.".strip(),
        )
        return None
    if start is None:
        return None
    if name in chip.by_name:
        problem = chip.place_problem(name, start)
        if problem is not None:
            part.fail("start", problem, f"Choose one of {', '.join(map(str, chip.by_name[name].starts))}.")
            return None
        return Standing(Placed(start, chip.by_name[name].size, name), bool(in_use), number)
    assert size is not None
    if start + size > chip.memory_slices:
        part.fail("size", f"It would end beyond {chip.memory_slices} memory slices.", "Give a smaller size.")
        return None
    return Standing(Placed(start, size, name), bool(in_use), number, foreign=True)


# --- how much ---


def _bounded(section: Section, gpus: list[Gpus], demands: list[Demand]) -> None:
    """Refuse what is too much to place one by one, with the GPUs that it would need at the least."""
    total = sum(group.count for group in gpus)
    if total > words.MAX_GPUS:
        most = f"Give at most {words.MAX_GPUS:,}."
        section.problems.add("gpus", total, f"{total:,} GPUs are too many.", most)
    wanted = sum(demand.count for demand in demands)
    holds = sum(group.count * max(p.max_instances for p in group.chip.profiles) for group in gpus)
    if min(wanted, holds) > words.MAX_PLACED:
        section.problems.add(
            "demands",
            wanted,
            f"{wanted:,} instances are too many to place one by one; they need at least "
            f"{least_gpus(gpus, demands):,} of these GPUs.",
            f"Ask for at most {words.MAX_PLACED:,}, or plan a part of it.",
        )
