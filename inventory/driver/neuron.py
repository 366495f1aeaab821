"""AWS Neuron devices (Trainium, Inferentia) as snapshot records, from the vendor's own tools.

`neuron-ls --json-output` lists the devices; one report of `neuron-monitor` adds utilisation,
memory in use and error counts. Neither tool need exist: without them a host has no Neuron
devices. Standard library only. Shapes: AWS Neuron documentation, "Neuron LS" and "Neuron
Monitor" user guides (v2.28), and recorded outputs of trn1.2xlarge and trn2.48xlarge in public
repositories (read in November 2026). A bare list and an object around one are both understood.
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

from inventory.wire.snapshot import Affinity, Ecc, Gpu, Memory, Missing, Pci, Process, Utilization

TOOLS = "/opt/aws/neuron/bin"
Json = Any


def read_devices(*, deadline_s: float) -> tuple[Gpu, ...]:
    """The Neuron devices of this host; () where the tools are absent or print nothing."""
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
    rows = sorted(_rows(listing), key=lambda row: int(row.get("neuron_device", 0)))
    busy, used, errors = _core_utilization(report), _core_bytes(report), _ecc_errors(report)
    product = _product(rows, listing, report)
    found, first_core = [], 0
    for row in rows:
        # Tools before 2.2x do not number the cores; numbers continue from one device to the next.
        count = int(row.get("nc_count", 0))
        cores = [int(core) for core in row.get("neuroncore_ids") or range(first_core, first_core + count)]
        first_core += count
        found.append(
            _device(
                row,
                product=product,
                busy=[busy[core] for core in cores if core in busy] if report else [],
                used=None if used is None else sum(used.get(core, 0) for core in cores),
                errors=errors,
            )
        )
    return tuple(found)


def _device(
    row: Mapping[str, Json],
    *,
    product: str | Missing,
    busy: list[float],
    used: int | None,
    errors: dict[int, tuple[int, int]],
) -> Gpu:
    index = int(row.get("neuron_device", 0))
    unknown, none = Missing("no_monitor"), Missing("not_supported")
    bus_id = str(row["bdf"]) if row.get("bdf") else Missing("not_reported")
    total = int(row["memory_size"]) if row.get("memory_size") else Missing("not_reported")
    free = total - used if isinstance(total, int) and used is not None else unknown
    corrected, uncorrected = errors.get(index, (unknown, unknown))
    return Gpu(
        index=index,
        kind="neuron",
        # Neuron devices carry no UUID; the service names them by host and bus address.
        uuid=none,
        name=product,
        pci=Pci(bus_id=bus_id, device_id=none, subsystem_id=none),
        memory=Memory(total, unknown if used is None else used, free, none),
        utilization=Utilization(
            # The report lists only cores that a runtime uses, so an absent core is not busy.
            gpu_percent=round(sum(busy) / max(int(row.get("nc_count", 0)), len(busy), 1))
            if used is not None
            else unknown,
            memory_percent=none,
            encoder_percent=none,
            decoder_percent=none,
        ),
        ecc=Ecc(none, none, none, none, corrected, uncorrected),
        affinity=_affinity(row),
        processes=tuple(_processes(row.get("neuron_processes") or [])),
    )


def _affinity(row: Mapping[str, Json]) -> Affinity:
    """NUMA node and CPUs, which newer tools give as text; -1 is a machine without NUMA."""
    cpus, node = row.get("cpu_affinity"), str(row.get("numa_node", ""))
    return Affinity(
        numa_node=int(node) if node.isdigit() else Missing("no_numa" if node == "-1" else "not_reported"),
        cpus=str(cpus) if cpus else Missing("not_reported"),
    )


def _rows(listing: Json) -> list[Mapping[str, Json]]:
    if isinstance(listing, Mapping):
        lists = [value for value in listing.values() if isinstance(value, list)]
        listing = next((rows for rows in lists if rows and isinstance(rows[0], Mapping)), [])
    return [row for row in listing or [] if isinstance(row, Mapping)]


FAMILIES = {
    **dict.fromkeys(("trn1", "trn1n"), "AWS Trainium1"),
    **dict.fromkeys(("trn2", "trn2n", "trn2u"), "AWS Trainium2"),
    "inf1": "AWS Inferentia",
    "inf2": "AWS Inferentia2",
}


def _product(rows: list[Mapping[str, Json]], listing: Json, report: Json) -> str | Missing:
    """The chip, by the instance type that either tool names."""
    named = [(report or {}).get("instance_info", {}).get("instance_type")]
    named += [row.get("instance_type") for row in rows]
    if isinstance(listing, Mapping):
        named.append(listing.get("instance_type"))
    family = next((str(name).partition(".")[0] for name in named if name), "")
    return FAMILIES.get(family, Missing("not_reported"))


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


def _core_bytes(report: Json) -> dict[int, int] | None:
    """Device memory in use by core, all runtimes together; None where the report does not break it down."""
    if report is None:
        return None
    found: dict[int, int] = {}
    for runtime in _reports(report):
        used = runtime.get("memory_used", {}).get("neuron_runtime_used_bytes", {})
        by_core = used.get("usage_breakdown", {}).get("neuroncore_memory_usage")
        if by_core is None and used.get("neuron_device"):
            return None
        for core, parts in (by_core or {}).items():
            found[int(core)] = found.get(int(core), 0) + sum(int(part) for part in parts.values())
    return found


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
    """The first line of a tool that never ends; it is killed as soon as the line has been read."""
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
