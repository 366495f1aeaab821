"""One host and one GPU in words: readings, MIG drawn to scale, processes, topology.

Like `inventory.pages.fleet_presenters`: an unknown value says why it is unknown.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any

from inventory.pages.badges import Cell, cell
from inventory.pages.words import UNKNOWN, ago, memory, shown
from inventory.store.models import Gpu
from inventory.wire import health
from inventory.wire.snapshot import Gpu as GpuReading
from inventory.wire.snapshot import HostSnapshot, Missing, NvLink, Process, Reading
from planner.web import formats
from planner.web.slices import Block, Picture, columns_for, with_free_slices


@dataclass(frozen=True, slots=True)
class GpuRow:
    """One GPU in its host's list."""

    index: int
    cell: Cell
    name: str
    memory: str
    power: str
    temperature: str
    idle_since: datetime | None


def gpu_row(gpu: Gpu) -> GpuRow:
    """One GPU in its host's list."""
    return GpuRow(
        index=gpu.index,
        cell=cell(gpu),
        name=gpu.name,
        memory=f"{memory(gpu.memory_used_bytes)} of {memory(gpu.memory_total_bytes)}",
        power=UNKNOWN if gpu.power_w is None else f"{gpu.power_w:.0f} W",
        temperature=UNKNOWN if gpu.temperature_c is None else f"{gpu.temperature_c} °C",
        idle_since=gpu.idle_since,
    )


# --- one GPU's state in a sentence ---


def gpu_state(gpu: Gpu, now: datetime) -> str:
    """``Idle for 3 d in node-07, number 2; last seen 20 s ago.``"""
    seen = f"last seen {ago(gpu.last_seen_at, now)}"
    if gpu.host is None:
        return f"No longer in a known host; {seen}."
    where = f"in {gpu.host.name}, number {gpu.index}"
    if gpu.state == Gpu.State.LOST:
        return f"Lost by the driver {where}; {seen}."
    if gpu.idle_since is not None:
        return f"Idle since {ago(gpu.idle_since, now)} {where}; {seen}."
    if gpu.utilization_percent is None:
        return f"Present {where}, utilisation not measurable; {seen}."
    return f"Busy {where}, {gpu.utilization_percent} %; {seen}."


# --- MIG ---


@dataclass(frozen=True, slots=True)
class MigDrawing:
    """The MIG instances of one GPU, drawn to scale."""

    index: int
    uuid: str
    picture: Picture
    words: str


def mig_drawing(gpu: GpuReading, slices: int | None, listed: Container[str]) -> MigDrawing | None:
    """The GPU's memory slices and its instances; None where MIG is off or cannot be read.

    slices: how many the whole GPU has; where that is not known, as many as its instances reach.
    listed: profiles that the catalog has of it; an instance of another one is marked.
    """
    if gpu.mig.mode is not True or isinstance(gpu.mig.instances, Missing):
        return None
    ends = [
        instance.start + instance.size
        for instance in gpu.mig.instances
        if isinstance(instance.start, int) and isinstance(instance.size, int)
    ]
    slices = max([slices or 1, *ends])
    placed, unplaced = [], []
    for instance in gpu.mig.instances:
        name, start, size = shown(instance.profile), instance.start, instance.size
        if isinstance(start, int) and isinstance(size, int):
            known = instance.profile in listed
            strange = "" if known else ", a profile that the catalog does not have"
            words = f"{name}, memory slices {start} to {start + size - 1}, {shown(instance.uuid)}{strange}"
            css = "empty" if isinstance(instance.uuid, Missing) else "made" if known else "foreign"
            placed.append(Block(start + 1, size, name, words, css))
        else:
            unplaced.append(name)
    described = "; ".join(block.words for block in placed) or "no instances"
    hidden = f"; placement unknown: {', '.join(unplaced)}" if unplaced else ""
    return MigDrawing(
        index=gpu.index,
        uuid=gpu.uuid if isinstance(gpu.uuid, str) else "",
        picture=Picture(f"GPU {gpu.index}", columns_for(slices), with_free_slices(placed, slices)),
        words=f"GPU {gpu.index}: {described}{hidden}.",
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One reading: its name, its value, and whether it is missing."""

    name: str
    value: str
    missing: bool


SHORT_WORDS = {
    **{word: word.upper() for word in ("uuid", "pci", "ecc", "vbios", "gpu", "numa", "id", "mig", "sm")},
    "pcie": "PCIe",
    "cpus": "CPUs",
    "inforom": "InfoROM",
}

UNITS = {
    "_bytes": "bytes",
    "_percent": "%",
    "_mhz": "MHz",
    "_w": "W",
    "_j": "J",
    "_c": "°C",
}


def reading_groups(gpu: GpuReading) -> list[tuple[str, list[Line]]]:
    """Every reading of a GPU by group, in the record's order; lists are shown elsewhere."""
    loose: list[Line] = []
    groups: list[tuple[str, list[Line]]] = [("Identity and state", loose)]
    for entry in fields(gpu):
        value = getattr(gpu, entry.name)
        if entry.name in ("nvlinks", "processes", "mig", "index", "kind"):
            continue
        if is_dataclass(value) and not isinstance(value, Missing):
            title = _words(entry.name)
            groups.append((title, [_line(f.name, getattr(value, f.name)) for f in fields(value)]))
        else:
            loose.append(_line(entry.name, value))
    mig = gpu.mig
    groups.append(("MIG", [_line("mode", mig.mode), _line("pending_mode", mig.pending_mode)]))
    return groups


def _line(name: str, value: Any) -> Line:
    suffix = next((suffix for suffix in UNITS if name.endswith(suffix)), "")
    label = _words(name.removesuffix(suffix))
    if isinstance(value, Missing):
        return Line(label, shown(value), True)
    if suffix == "_bytes":
        return Line(label, str(formats.gib(value)), False)
    if name in ("device_id", "subsystem_id"):
        return Line(label, f"0x{value:08X}", False)
    if name == "xid_errors":
        return Line(
            label, "; ".join(f"{error.code} at {shown(error.at)}" for error in value) or "none", False
        )
    text = shown(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        text = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    return Line(label, f"{text} {UNITS[suffix]}" if suffix else text, False)


def _words(name: str) -> str:
    words = " ".join(SHORT_WORDS.get(word, word) for word in name.split("_"))
    return words[:1].upper() + words[1:]


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process that uses a GPU."""

    gpu: int
    pid: int
    name: str
    user: str
    memory: str
    instance: str


def process_rows(gpus: Sequence[GpuReading]) -> list[ProcessRow]:
    """The processes of all GPUs."""
    return [
        _process_row(gpu, process)
        for gpu in gpus
        if isinstance(gpu.processes, tuple)
        for process in gpu.processes
    ]


def _process_row(gpu: GpuReading, process: Process) -> ProcessRow:
    used = process.memory_bytes
    inside = process.gpu_instance_id
    return ProcessRow(
        gpu=gpu.index,
        pid=process.pid,
        name=shown(process.name),
        user=shown(process.user),
        memory=str(formats.gib(used)) if isinstance(used, int) else shown(used),
        instance="whole GPU" if isinstance(inside, Missing) else f"GPU instance {inside}",
    )


def unreadable_processes(gpus: Sequence[GpuReading]) -> list[str]:
    """Why some GPUs' processes are not listed, since an empty table would mean that nothing runs."""
    return [f"GPU {gpu.index}: {shown(gpu.processes)}" for gpu in gpus if isinstance(gpu.processes, Missing)]


def link_summary(links: Reading[tuple[NvLink, ...]]) -> str:
    """``12 of 12 links up at 25.8 GB/s each way to switch``, or why not."""
    if isinstance(links, Missing):
        return shown(links)
    up = [link for link in links if link.active is True]
    if not links:
        return "none"
    speeds = sorted({link.speed_mb_per_s for link in up if isinstance(link.speed_mb_per_s, int)})
    speed = " or ".join(formats.rate(value * 1e6).text for value in speeds)
    remotes = sorted({str(link.remote_type) for link in up if isinstance(link.remote_type, str)})
    text = f"{len(up)} of {len(links)} links up"
    if speed:
        text += f" at {speed} each way"
    return f"{text} to {' and '.join(remotes)}" if remotes else text


# --- topology ---

# nvidia-smi's names for the connection between two GPUs, and what they mean.
PATHS = {
    "self": ("–", "itself"),
    "internal": ("INT", "on one board"),
    "single": ("PIX", "one PCIe switch"),
    "multiple": ("PXB", "several PCIe switches"),
    "hostbridge": ("PHB", "a PCIe host bridge"),
    "node": ("NODE", "host bridges of one NUMA node"),
    "system": ("SYS", "between NUMA nodes"),
}


def topology_rows(snapshot: HostSnapshot) -> list[tuple[int, list[tuple[str, str]]]]:
    """(index, cells of short name and meaning) by GPU; empty where the driver does not say."""
    if isinstance(snapshot.topology, Missing):
        return []
    return [
        (index, [PATHS.get(path, (path.replace("_", " "), path.replace("_", " "))) for path in row])
        for index, row in enumerate(snapshot.topology)
    ]


# --- terminal ---


def snapshot_lines(snapshot: HostSnapshot) -> Iterator[str]:
    """A snapshot as a few lines for a terminal."""
    host = snapshot.host
    yield f"{host.hostname}: {snapshot.status.replace('_', ' ')}. {snapshot.reason}".rstrip()
    if isinstance(host.driver_version, str):
        yield f"driver {host.driver_version}, CUDA {shown(host.cuda_version)}"
    for gpu in snapshot.gpus:
        yield _gpu_line(gpu)


def _gpu_line(gpu: GpuReading) -> str:
    used, total = gpu.memory.used_bytes, gpu.memory.total_bytes
    known = isinstance(used, int) and isinstance(total, int)
    filled = f"{formats.gib(used)} of {formats.gib(total)}" if known else shown(used)  # type: ignore[arg-type]
    busy = gpu.utilization.gpu_percent
    use = f"busy {busy} %" if isinstance(busy, int) else f"utilisation {shown(busy)}"
    faults = "; ".join(health.FAULT_WORDS[slug] for slug in health.faults(gpu))
    return f"GPU {gpu.index}  {shown(gpu.name)}  memory {filled}  {use}  {faults}".rstrip()
