"""The fleet as CSV and JSON: exact values, null or empty where unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from inventory.store.models import Gpu, Host, Sample
from inventory.store.selectors import FleetThen

GPU_COLUMNS = (
    "uuid", "kind", "name", "serial", "index", "state", "memory_total_bytes", "memory_used_bytes",
    "utilization_percent", "temperature_c", "power_w", "mig_mode", "ecc_corrected", "ecc_uncorrected",
    "faults", "throttled", "idle_since", "first_seen_at", "last_seen_at",
)  # fmt: skip
SAMPLE_COLUMNS = (
    "resolution_s", "weight", "utilization_percent", "utilization_max_percent", "memory_used_bytes",
    "memory_used_max_bytes", "power_w", "temperature_c", "temperature_max_c",
)  # fmt: skip


def gpu_rows(hosts: Iterable[Host]) -> Iterator[Sequence[Any]]:
    """One line per GPU, with its host."""
    yield ("host", *GPU_COLUMNS)
    for host in hosts:
        for gpu in host.gpus.all():
            yield (host.name, *(getattr(gpu, column) for column in GPU_COLUMNS))


def sample_rows(samples: Iterable[Sample]) -> Iterator[Sequence[Any]]:
    """One line per sample; `resolution_s` is 0 for a single reading, else the length of the period."""
    yield ("at", *SAMPLE_COLUMNS)
    for sample in samples:
        at = datetime.fromtimestamp(sample.at_s, UTC).isoformat()
        yield (at, *(getattr(sample, column) for column in SAMPLE_COLUMNS))


def hosts_json(hosts: Iterable[Host]) -> list[dict[str, Any]]:
    """The hosts with their GPUs."""
    return [_host(host) for host in hosts]


def _host(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "status": host.status,
        "reason": host.reason,
        "driver_version": host.driver_version,
        "cuda_version": host.cuda_version,
        "last_probe_at": _time(host.last_probe_at),
        "last_good_probe_at": _time(host.last_good_probe_at),
        "stale_at": _time(host.stale_at),
        "gpus": [_gpu(gpu) for gpu in host.gpus.all()],
    }


def _gpu(gpu: Gpu) -> dict[str, Any]:
    values = {column: getattr(gpu, column) for column in GPU_COLUMNS}
    values |= {name: _time(value) for name, value in values.items() if isinstance(value, datetime)}
    return values | {"faults": gpu.faults.split(), "throttled": gpu.throttled.split()}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def fleet_then_json(then: FleetThen) -> dict[str, Any]:
    """The fleet at a moment; `sample` is the last reading before it, or null."""
    return {
        "at": then.at.isoformat(),
        "drivers": then.drivers,
        "gpus": [
            {
                "uuid": gpu.uuid,
                "name": gpu.name,
                "host": gpu.host,
                "index": gpu.index,
                "since": gpu.since.isoformat(),
                "mig": list(gpu.mig),
                "sample": None
                if gpu.sample is None
                else {"at_s": gpu.sample.at_s, **{c: getattr(gpu.sample, c) for c in SAMPLE_COLUMNS}},
            }
            for gpu in then.gpus
        ],
    }
