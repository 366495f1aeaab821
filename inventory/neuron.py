"""AWS Neuron devices (Trainium, Inferentia) as snapshot records, from the vendor's own tools.

`neuron-ls --json-output` lists the devices; one report of `neuron-monitor` adds utilisation,
memory in use and error counts. Neither tool need exist: without them a host has no Neuron
devices. Standard library only. Shapes: AWS Neuron documentation, "Neuron LS" and "Neuron
Monitor" user guides (v2.28, read in November 2026); both the bare list of older versions
and the object around it of newer ones are understood.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from typing import Any

from inventory.snapshot import Ecc, Gpu, Memory, Missing, Pci, Process, Utilization

TOOLS = "/opt/aws/neuron/bin"
Json = Any


def read_devices(*, deadline_s: float) -> tuple[Gpu, ...]:
    """The Neuron devices of this host, or () where the tools are absent or silent."""
    lister = _tool("neuron-ls")
    if lister is None:
        return ()
    until = time.monotonic() + deadline_s
    listing = _listing([lister, "--json-output"], deadline_s)
    monitor = _tool("neuron-monitor")
    report = _first_report([monitor], until) if listing and monitor else None
    return devices(listing, report)


def devices(listing: Json, report: Json) -> tuple[Gpu, ...]:
    """Records from the JSON of the two tools; `report` may be None."""
    rows = _rows(listing)
    cores = _core_utilization(report)
    used = _used_bytes(report)
    errors = _ecc_errors(report)
    product = _product(listing, report)
    first_core = 0
    found = []
    for position, row in enumerate(sorted(rows, key=lambda r: int(r.get("neuron_device", 0)))):
        count = int(row.get("nc_count", 0))
        busy = [cores[core] for core in range(first_core, first_core + count) if core in cores]
        first_core += count
        found.append(_device(row, position, product, busy, used, errors))
    return tuple(found)


def _device(
    row: Mapping[str, Json],
    position: int,
    product: str | Missing,
    busy: list[float],
    used: dict[int, int] | None,
    errors: dict[int, tuple[int, int]],
) -> Gpu:
    index = int(row.get("neuron_device", position))
    bus_id = str(row["bdf"]) if row.get("bdf") else Missing("not_reported")
    memory = int(row["memory_size"]) if row.get("memory_size") else Missing("not_reported")
    in_use = Missing("no_monitor") if used is None else used.get(index, 0)
    free = memory - in_use if isinstance(memory, int) and isinstance(in_use, int) else Missing("no_monitor")
    no_counts = Missing("no_monitor")
    corrected, uncorrected = errors.get(index, (no_counts, no_counts))
    none = Missing("not_supported")
    return Gpu(
        index=index,
        kind="neuron",
        # Neuron devices carry no UUID; the service names them by host and bus address.
        uuid=none,
        name=product,
        pci=Pci(bus_id=bus_id, device_id=none, subsystem_id=none),
        memory=Memory(memory, in_use, free, none),
        utilization=Utilization(
            gpu_percent=round(sum(busy) / len(busy)) if busy else Missing("no_monitor"),
            memory_percent=none,
            encoder_percent=none,
            decoder_percent=none,
        ),
        ecc=Ecc(none, none, none, none, corrected, uncorrected),
        processes=tuple(_processes(row.get("neuron_processes") or [])),
    )


def _rows(listing: Json) -> list[Mapping[str, Json]]:
    if isinstance(listing, Mapping):
        lists = [value for value in listing.values() if isinstance(value, list)]
        listing = next((rows for rows in lists if rows and isinstance(rows[0], Mapping)), [])
    return [row for row in listing or [] if isinstance(row, Mapping)]


def _product(listing: Json, report: Json) -> str | Missing:
    instance = (report or {}).get("instance_info", {}).get("instance_type")
    if not instance and isinstance(listing, Mapping):
        instance = listing.get("instance_type") or listing.get("instance-type")
    family = {
        "trn1": "AWS Trainium1",
        "trn1n": "AWS Trainium1",
        "trn2": "AWS Trainium2",
        "trn2n": "AWS Trainium2",
    }
    family |= {"trn2u": "AWS Trainium2", "inf1": "AWS Inferentia", "inf2": "AWS Inferentia2"}
    return family.get(str(instance).partition(".")[0], Missing("not_reported"))


def _reports(report: Json) -> Iterable[Mapping[str, Json]]:
    for runtime in (report or {}).get("neuron_runtime_data", []):
        yield runtime.get("report", {})


def _core_utilization(report: Json) -> dict[int, float]:
    found: dict[int, float] = {}
    for runtime in _reports(report):
        cores = runtime.get("neuroncore_counters", {}).get("neuroncores_in_use", {})
        for core, values in cores.items():
            found[int(core)] = found.get(int(core), 0.0) + float(values.get("neuroncore_utilization", 0.0))
    return found


def _used_bytes(report: Json) -> dict[int, int] | None:
    """Device memory in use by device. Only reports that break it down by device are believed."""
    if report is None:
        return None
    found: dict[int, int] = {}
    for runtime in _reports(report):
        used = runtime.get("memory_used", {}).get("neuron_runtime_used_bytes", {})
        by_device = used.get("usage_breakdown", {}).get("neuron_device_memory", {})
        for device, amount in by_device.items():
            if str(device).isdigit() and isinstance(amount, int):
                found[int(device)] = found.get(int(device), 0) + amount
    anything = any("memory_used" in runtime for runtime in _reports(report))
    return found if found or not anything else None


def _ecc_errors(report: Json) -> dict[int, tuple[int, int]]:
    counters = (report or {}).get("system_data", {}).get("neuron_hw_counters", {}).get("neuron_devices") or []
    return {
        int(row["neuron_device_index"]): (
            int(row.get("mem_ecc_corrected", 0)) + int(row.get("sram_ecc_corrected", 0)),
            int(row.get("mem_ecc_uncorrected", 0)) + int(row.get("sram_ecc_uncorrected", 0)),
        )
        for row in counters
        if "neuron_device_index" in row
    }


def _processes(rows: Iterable[Mapping[str, Json]]) -> Iterable[Process]:
    none = Missing("not_supported")
    for row in rows:
        # The command line may hold secrets; only the program's name is kept.
        words = str(row.get("command", "")).split()
        yield Process(
            pid=int(row["pid"]),
            kind="compute",
            name=words[0] if words else Missing("not_reported"),
            user=none,
            memory_bytes=none,
            gpu_instance_id=none,
            compute_instance_id=none,
        )


def _tool(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=TOOLS)


def _listing(command: list[str], deadline_s: float) -> Json:
    try:
        done = subprocess.run(command, capture_output=True, timeout=deadline_s, check=True)
        return json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _first_report(command: list[str], until: float) -> Json:
    """The first line of a tool that goes on for ever; it is ended as soon as the line is there."""
    try:
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
    except OSError:
        return None
    assert child.stdout is not None
    buffer = b""
    try:
        while b"\n" not in buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([child.stdout], [], [], left)[0]:
                return None
            chunk = os.read(child.stdout.fileno(), 65536)
            if not chunk:
                break
            buffer += chunk
        return json.loads(buffer.partition(b"\n")[0])
    except ValueError:
        return None
    finally:
        child.kill()
        child.stdout.close()
        child.wait(timeout=5)
