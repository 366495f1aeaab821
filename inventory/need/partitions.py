"""The fleet's GPUs as the partitions page takes them: their present instances, and which are free."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inventory.pages.prices import Pricing
from inventory.wire.snapshot import Gpu, HostSnapshot, Missing, value_or_none
from planner.catalog.facts.catalog import Catalog
from planner.engine.question.errors import PlanErrors
from planner.mig.chips import chip_of
from planner.mig.placement.chip import Chip
from planner.mig.sizing import on_instance
from planner.mig.state import OFF, PLAN, UNLISTED, Instance, Row, State, Wanted
from planner.plans import answers

LONGEST_ADDRESS = 6000
"""Characters of an address; web servers read about 8,000."""
NAMED = 6
"""Hosts that are named of GPUs that were left out."""


@dataclass(frozen=True, slots=True)
class LiveGpu:
    """A GPU that MIG divides, as its host last reported it.

    chip: None where the catalog lacks it.  instances: None where the driver did not show their places.
    taken_at: when it was seen, as the host wrote it.
    """

    host: str
    index: int
    name: str
    chip: Chip | None
    mode: bool
    instances: tuple[Instance, ...] | None
    taken_at: str = ""

    @property
    def slug(self) -> str:
        """The chip as the partitions page's address has it; one that the catalog lacks by its name."""
        return f"{UNLISTED}{self.name}" if self.chip is None else self.chip.slug


def live_gpus(snapshots: Iterable[HostSnapshot], pricing: Pricing) -> list[LiveGpu]:
    """Every GPU of these hosts that the catalog says MIG divides, or that is divided whatever it says."""
    found = []
    for snapshot in snapshots:
        for gpu in snapshot.gpus:
            name = value_or_none(gpu.name) or ""
            slug = pricing.slug_of(name) if name else None
            chip = chip_of(pricing.catalog, slug) if slug is not None else None
            mode = value_or_none(gpu.mig.mode) is True
            if chip is None and not mode:
                continue
            host = snapshot.host
            shown_name = name or "GPU without a name"
            found.append(
                LiveGpu(
                    host.hostname, gpu.index, shown_name, chip, mode, _instances(gpu, chip), host.taken_at
                )
            )
    return found


def _instances(gpu: Gpu, chip: Chip | None) -> tuple[Instance, ...] | None:
    """The GPU instances that exist; an instance of a profile that the catalog lacks has its size with it."""
    if value_or_none(gpu.mig.mode) is not True:
        return ()
    if isinstance(gpu.mig.instances, Missing):
        return None
    by_number: dict[int, Instance] = {}
    for each in gpu.mig.instances:
        number, start, size = each.gpu_instance_id, each.start, each.size
        if not (isinstance(number, int) and isinstance(start, int) and isinstance(size, int)):
            return None
        profile = value_or_none(each.profile) or "unknown"
        known = chip.by_name.get(profile) if chip is not None else None
        fits = known is not None and known.size == size and start in known.starts
        by_number[number] = Instance(
            profile if fits else _foreign_name(profile, known is not None),
            start,
            _in_use(gpu, number),
            None if fits else size,
            number,
        )
    return tuple(sorted(by_number.values(), key=lambda instance: instance.start))


def _foreign_name(profile: str, listed: bool) -> str:
    """A name for an instance that the catalog does not place like this; one listed elsewhere is marked."""
    plain = "".join(letter if letter.isalnum() or letter in ".+-" else "-" for letter in profile)
    return f"{plain}-here" if listed else plain


def _in_use(gpu: Gpu, number: int) -> bool:
    """Whether something runs in a GPU instance; where processes cannot be read, that is to be feared."""
    if isinstance(gpu.processes, Missing):
        return True
    return any(process.gpu_instance_id == number for process in gpu.processes)


def partitions_address(gpus: Sequence[LiveGpu], run: str = "") -> str:
    """The partitions page's query for these GPUs; ``left`` names those that do not fit into an address.

    run: the address of a planned run that is to have a place.  No other demand is invented: without one the
    page shows the GPUs and what could still be made of them.
    """
    alike: dict[tuple[str, str, tuple[str, ...], bool], list[LiveGpu]] = defaultdict(list)
    left: list[LiveGpu] = []
    for gpu in gpus:
        if gpu.instances is None:
            left.append(gpu)
            continue
        layout = tuple(str(_without_number(instance)) for instance in gpu.instances)
        alike[gpu.host, gpu.slug, layout, gpu.mode].append(gpu)
    rows: list[Row] = []
    length = 0
    by_place = sorted(alike.items(), key=lambda each: (each[0][0], each[1][0].index))
    for (host, slug, _, mode), members in by_place:
        instances = members[0].instances or ()
        if len(members) > 1:
            instances = tuple(_without_number(instance) for instance in instances)
        at = f"{host}/{','.join(str(gpu.index) for gpu in members)}"
        row = Row(slug, str(len(members)), instances, at, () if mode else (OFF,))
        length += len(row.layout) * 2 + len(at) + 60
        if length > LONGEST_ADDRESS:
            left += members
            continue
        rows.append(row)
    taken = min((gpu.taken_at for gpu in gpus if gpu.taken_at), default="")
    demands = (Wanted(f"{PLAN}{run}", "1"),) if run else ()
    seen = f"{taken[:16].replace('T', ' ')} UTC" if taken else ""
    return State(rows=tuple(rows), demands=demands, seen=seen, left=_named(left)).query()


def _named(gpus: Sequence[LiveGpu]) -> str:
    """``3 GPUs (node-1/0,1; node-2/0)``; "" for none."""
    if not gpus:
        return ""
    hosts: dict[str, list[str]] = defaultdict(list)
    for gpu in gpus:
        hosts[gpu.host].append(str(gpu.index))
    listed = [f"{host}/{','.join(indices)}" for host, indices in list(hosts.items())[:NAMED]]
    more = [f"{len(hosts) - NAMED} more hosts"] if len(hosts) > NAMED else []
    return f"{len(gpus)} GPU{'s' if len(gpus) > 1 else ''} ({'; '.join(listed + more)})"


def _without_number(instance: Instance) -> Instance:
    return Instance(instance.profile, instance.start, instance.in_use, instance.size)


@dataclass(frozen=True, slots=True)
class FreeInstances:
    """Free instances of one profile that hold a run, with their chance. where: host and GPU of each."""

    chip: str
    profile: str
    chance: float
    where: tuple[str, ...]


def free_instances(gpus: Iterable[LiveGpu], job: Mapping[str, Any], catalog: Catalog) -> list[FreeInstances]:
    """Instances in which nothing runs and on which the run fits alone, the smallest profile first."""
    places: dict[tuple[Chip, str], list[str]] = defaultdict(list)
    for gpu in gpus:
        for instance in gpu.instances or ():
            if gpu.chip is not None and not instance.in_use and instance.profile in gpu.chip.by_name:
                there = f"{gpu.host} GPU {gpu.index} at {instance.start}"
                places[gpu.chip, instance.profile].append(there)
    found = []
    by_size = sorted(places.items(), key=lambda each: each[0][0].by_name[each[0][1]].memory_bytes)
    for (chip, profile), where in by_size:
        try:
            result = answers.estimate_plan(on_instance(job, chip.slug, profile), catalog)
        except PlanErrors:
            continue
        if result.fits:
            chance = float(result.memory.fit_probability)
            found.append(FreeInstances(chip.name, profile, chance, tuple(where)))
    return found
