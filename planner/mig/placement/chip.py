"""One kind of GPU as MIG divides it: its profiles, where each may start, which sets of instances can exist.

Memory slices are the places: an instance occupies a run of them from its start. Compute slices, media engines
and the most instances of a profile bound the set as a whole. All of it comes from the catalog's rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

MEMORY_OF_NAME = re.compile(r"^\d+g\.\d+gb")
DRIVER_BRANCH = re.compile(r"^R?(\d+)")
MEDIA_ENGINES: Mapping[str, str] = {
    "decoders": "decoders",
    "encoders": "encoders",
    "jpeg_engines": "JPEG engines",
    "ofa_engines": "optical-flow engines",
}
"""Engines that instances take whole: NVDEC, NVENC, JPEG and optical flow, with their words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A kind of GPU instance.

    size: memory slices that it occupies from its start.  starts: where it may begin, ascending.
    engines: media engines by kind (``MEDIA_ENGINES``); a kind that no source lists is left out.
    number: the driver's profile id, for commands.
    min_driver: the first driver branch that offers it (``R510``), "" where no source says.
    """

    name: str
    number: int
    compute_slices: int
    size: int
    starts: tuple[int, ...]
    max_instances: int
    memory_bytes: int
    engines: Mapping[str, int] = field(default_factory=dict, hash=False)
    copy_engines: int | None = None
    min_driver: str = ""

    @property
    def variant(self) -> str:
        """What stands behind the memory in its name: ``+me``, ``+gfx``, ``-me`` ..., "" for a plain one."""
        return MEMORY_OF_NAME.sub("", self.name)


@dataclass(frozen=True, slots=True, order=True)
class Placed:
    """A GPU instance at its place.  size: memory slices occupied."""

    start: int
    size: int
    profile: str

    def __str__(self) -> str:
        return f"{self.profile} at {self.start}"

    @property
    def mask(self) -> int:
        """The memory slices that it occupies, as bits."""
        return ((1 << self.size) - 1) << self.start


@dataclass(frozen=True, eq=False)
class Chip:
    """An accelerator's profiles, in the order of the catalog.

    Told apart by identity, so that what follows from one can be kept at little cost.

    apart: pairs of profiles that cannot stand on one GPU whatever their places (old drivers).
    resets_for_mode: switching MIG mode needs a GPU reset (Ampere) or takes effect at once (Hopper and later).
    before_mode: what has to be done before the mode can be switched at all, as a sentence; "" where nothing.
    """

    slug: str
    name: str
    profiles: tuple[Profile, ...]
    resets_for_mode: bool = False
    apart: frozenset[frozenset[str]] = frozenset()
    before_mode: str = ""

    @cached_property
    def by_name(self) -> dict[str, Profile]:
        """Profiles by name."""
        return {profile.name: profile for profile in self.profiles}

    @cached_property
    def compute_slices(self) -> int:
        """Compute slices of the whole GPU: those of its largest profile."""
        return max(profile.compute_slices for profile in self.profiles)

    @cached_property
    def memory_slices(self) -> int:
        """Memory slices of the whole GPU."""
        return max(start + profile.size for profile in self.profiles for start in profile.starts)

    @cached_property
    def engines(self) -> Mapping[str, int]:
        """Media engines of the whole GPU, of the kinds that every profile's count is known of."""
        return {
            kind: max(profile.engines[kind] for profile in self.profiles)
            for kind in MEDIA_ENGINES
            if all(kind in profile.engines for profile in self.profiles)
        }

    @cached_property
    def scarce(self) -> tuple[str, ...]:
        """The kinds of engines that can run out before compute slices do."""
        return tuple(
            kind
            for kind, whole in self.engines.items()
            if any(p.engines[kind] * self.compute_slices > whole * p.compute_slices for p in self.profiles)
        )

    def scarce_of(self, name: str) -> tuple[int, ...]:
        """What an instance of a profile takes of each scarce kind of engine."""
        profile = self.by_name[name]
        return tuple(profile.engines[kind] for kind in self.scarce)

    @cached_property
    def double_memory(self) -> frozenset[str]:
        """Plain profiles with more memory than another of the same compute slices (``1g.10gb`` on 40 GB)."""
        plain = [profile for profile in self.profiles if not profile.variant]
        least = {
            compute: min(p.size for p in plain if p.compute_slices == compute)
            for compute in {p.compute_slices for p in plain}
        }
        return frozenset(p.name for p in plain if p.size > least[p.compute_slices])

    def named(self, which: str | Sequence[str]) -> tuple[str, ...]:
        """Names of a choice of profiles: ``standard``, ``all`` (double memory too), or the names given.

        Media and graphics variants lie where their plain profile lies and are in neither.
        """
        if which == "standard":
            return tuple(p.name for p in self.profiles if not p.variant and p.name not in self.double_memory)
        if which == "all":
            return tuple(p.name for p in self.profiles if not p.variant)
        return tuple(name for name in dict.fromkeys(which) if name in self.by_name)

    def places(self, name: str) -> tuple[Placed, ...]:
        """Everywhere that a profile may stand."""
        profile = self.by_name[name]
        return tuple(Placed(start, profile.size, name) for start in profile.starts)

    def beside(self, name: str, others: Iterable[str]) -> bool:
        """Whether a profile may stand on one GPU with these."""
        return not any(frozenset((name, other)) in self.apart for other in others)

    def problem(self, instances: Iterable[Placed]) -> str | None:
        """Why the driver could not hold these instances at once; None where it could.

        Instances of profiles that the chip does not list count by the memory slices that they occupy.
        """
        standing = sorted(instances)
        taken = 0
        for index, instance in enumerate(standing):
            if taken & instance.mask:
                other = next(o for o in standing[:index] if o.mask & instance.mask)
                return f"{other} and {instance} overlap."
            taken |= instance.mask
        known = [self.by_name[i.profile] for i in standing if i.profile in self.by_name]
        for name, count in Counter(profile.name for profile in known).items():
            most = self.by_name[name].max_instances
            if count > most:
                return f"{self.name} holds at most {most} of {name}, not {count}."
        compute = sum(profile.compute_slices for profile in known)
        if compute > self.compute_slices:
            return f"They need {compute} compute slices; {self.name} has {self.compute_slices}."
        for kind in self.scarce:
            wanted = sum(profile.engines[kind] for profile in known)
            if wanted > self.engines[kind]:
                return f"They need {wanted} {MEDIA_ENGINES[kind]}; {self.name} has {self.engines[kind]}."
        names = {profile.name for profile in known}
        for pair in self.apart:
            if pair <= names:
                return f"Drivers before R510 do not hold {' and '.join(sorted(pair))} on one {self.name}."
        return None

    def place_problem(self, name: str, start: int) -> str | None:
        """Why a profile may not start there, whatever else stands; None where it may."""
        profile = self.by_name[name]
        if start in profile.starts:
            return None
        listed = " or ".join([", ".join(map(str, profile.starts[:-1])), str(profile.starts[-1])])
        where = listed if len(profile.starts) > 1 else str(profile.starts[0])
        return f"{name} starts at {where}, not at {start}."


def with_driver(chip: Chip, driver: str) -> Chip:
    """The chip as a driver version offers it (``470.82.01`` or ``R470``); unchanged where none is given.

    Profiles that came later are left out. Before R510 a 4g and a 3g could not stand on one GPU, so that the
    drawings of that time show 18 of the 19 maximal configurations: NVIDIA MIG User Guide (version 580,
    "Partitioning", a note); configurations published since use the pair (NVIDIA/gpu-operator issue 622).
    """
    found = DRIVER_BRANCH.match(driver)
    if not found:
        return chip
    branch = int(found[1])

    def offered(profile: Profile) -> bool:
        since = DRIVER_BRANCH.match(profile.min_driver)
        return since is None or int(since[1]) <= branch

    profiles = tuple(profile for profile in chip.profiles if offered(profile))
    apart: frozenset[frozenset[str]] = frozenset()
    if branch < FIRST_DRIVER_WITH_4G_AND_3G and chip.compute_slices == A100_COMPUTE_SLICES:
        fours = {p.name for p in profiles if p.compute_slices == 4}
        threes = {p.name for p in profiles if p.compute_slices == 3}
        apart = frozenset(frozenset((four, three)) for four in fours for three in threes)
    return replace(chip, profiles=profiles, apart=apart)


FIRST_DRIVER_WITH_4G_AND_3G = 510
A100_COMPUTE_SLICES = 7
