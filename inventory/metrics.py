"""The fleet for Prometheus, in names that dashboards of NVIDIA's DCGM exporter know.

A reading that is unknown has no sample: a gap in a graph, not a zero. Units are DCGM's own
(MiB, watts, degrees, percent); names that DCGM has nothing for begin with ``headroom_``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from inventory import selectors
from inventory.models import Gpu, Host

MEBIBYTE = 2**20

LABELS = ("gpu", "UUID", "device", "modelName", "Hostname")

# name -> (help, reading)
GPU_METRICS: dict[str, tuple[str, Callable[[Gpu], float | None]]] = {
    "DCGM_FI_DEV_GPU_UTIL": ("GPU utilization (in %).", lambda g: g.utilization_percent),
    "DCGM_FI_DEV_FB_USED": ("Framebuffer memory used (in MiB).", lambda g: _mebibytes(g.memory_used_bytes)),
    "DCGM_FI_DEV_FB_TOTAL": ("Framebuffer memory (in MiB).", lambda g: _mebibytes(g.memory_total_bytes)),
    "DCGM_FI_DEV_GPU_TEMP": ("GPU temperature (in C).", lambda g: g.temperature_c),
    "DCGM_FI_DEV_POWER_USAGE": ("Power draw (in W).", lambda g: g.power_w),
    "DCGM_FI_DEV_ECC_SBE_AGG_TOTAL": ("Corrected memory errors, aggregate.", lambda g: g.ecc_corrected),
    "DCGM_FI_DEV_ECC_DBE_AGG_TOTAL": ("Uncorrected memory errors, aggregate.", lambda g: g.ecc_uncorrected),
    "headroom_gpu_lost": ("Whether the driver has lost the GPU.", lambda g: float(g.state == Gpu.State.LOST)),
    "headroom_gpu_faults": ("Known faults of the GPU.", lambda g: float(len(g.faults.split()))),
    "headroom_gpu_last_seen_timestamp_seconds": (
        "When the readings were taken.",
        lambda g: g.last_seen_at.timestamp(),
    ),
}


def _mebibytes(amount: int | None) -> float | None:
    return None if amount is None else amount / MEBIBYTE


def exposition(*, now: datetime, day_ago: datetime) -> bytes:
    """Everything in Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Fleet(now, day_ago))
    return generate_latest(registry)


class _Fleet(Collector):
    """Reads the tables once, when asked."""

    def __init__(self, now: datetime, day_ago: datetime) -> None:
        self.now = now
        self.day_ago = day_ago

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from _gpu_families(list(selectors.all_gpus()))
        yield from _host_families(list(Host.objects.all()), self.now)
        yield _family(
            "headroom_refused_deliveries_24h",
            "Deliveries refused in the last day.",
            ("kind",),
            _refused(self.day_ago),
        )


def _gpu_families(gpus: list[Gpu]) -> Iterator[Metric]:
    labelled = [(gpu, _labels(gpu)) for gpu in gpus]
    for name, (words, read) in GPU_METRICS.items():
        known = ((labels, value) for gpu, labels in labelled if (value := read(gpu)) is not None)
        yield _family(name, words, LABELS, known)


def _labels(gpu: Gpu) -> tuple[str, ...]:
    host = gpu.host.name if gpu.host else ""
    return (str(gpu.index), gpu.uuid, f"{gpu.kind}{gpu.index}", gpu.name, host)


def _host_families(hosts: list[Host], now: datetime) -> Iterator[Metric]:
    def by_host(read: Callable[[Host], float | None]) -> Iterator[tuple[tuple[str, ...], float]]:
        return (((host.name,), value) for host in hosts if (value := read(host)) is not None)

    yield _family(
        "headroom_host_last_good_probe_timestamp_seconds",
        "When the host was last probed without a failure.",
        ("Hostname",),
        by_host(lambda h: h.last_good_probe_at.timestamp() if h.last_good_probe_at else None),
    )
    yield _family(
        "headroom_host_stale",
        "Whether too long has passed since then.",
        ("Hostname",),
        by_host(lambda h: float(h.stale_at is None or h.stale_at <= now)),
    )
    yield _family(
        "headroom_host_failed_probes",
        "Failed probes since the last good one.",
        ("Hostname",),
        by_host(lambda h: float(h.failures)),
    )


def _refused(day_ago: datetime) -> Iterator[tuple[tuple[str, ...], float]]:
    return (((kind,), float(count)) for kind, count in selectors.refusals_since(day_ago).items())


def _family(
    name: str, words: str, labels: tuple[str, ...], samples: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    family = GaugeMetricFamily(name, words, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family
