"""The fleet for Prometheus, under the metric names of NVIDIA's DCGM exporter, which dashboards know.

An unknown reading has no sample: a gap in a graph, not a zero. Units are DCGM's own (MiB, watts, degrees,
percent); metrics that DCGM does not have begin with ``headroom_``.

Written by hand, since a fleet of 10,000 GPUs means 100,000 lines at every scrape, for which a client
library's registry takes seconds; the tests read the result with that library's own parser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from inventory.store import selectors
from inventory.store.models import Gpu, Host

MEBIBYTE = 2**20

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


def exposition(*, now: datetime, day_ago: datetime) -> str:
    """Everything in Prometheus's text format, version 0.0.4."""
    lines = [
        *_gpu_lines(list(selectors.all_gpus())),
        *_host_lines(selectors.all_hosts(), now),
        *_refusal_lines(day_ago),
    ]
    return "\n".join([*lines, ""])


def _gpu_lines(gpus: list[Gpu]) -> Iterator[str]:
    labelled = [(gpu, _labels(gpu)) for gpu in gpus]
    for name, (words, read) in GPU_METRICS.items():
        yield from _head(name, words)
        for gpu, labels in labelled:
            value = read(gpu)
            if value is not None:
                yield f"{name}{labels} {_number(value)}"


def _labels(gpu: Gpu) -> str:
    return _label_text(
        {
            "gpu": str(gpu.index),
            "UUID": gpu.uuid,
            "device": f"{gpu.kind}{gpu.index}",
            "modelName": gpu.name,
            "Hostname": gpu.host.name if gpu.host else "",
        }
    )


# name -> (help, reading)
HOST_METRICS: dict[str, tuple[str, Callable[[Host, datetime], float | None]]] = {
    "headroom_host_last_good_probe_timestamp_seconds": (
        "When the host was last probed without a failure.",
        lambda host, now: host.last_good_probe_at.timestamp() if host.last_good_probe_at else None,
    ),
    "headroom_host_stale": (
        "Whether too long has passed since then.",
        lambda host, now: float(host.stale_at is None or host.stale_at <= now),
    ),
    "headroom_host_failed_probes": (
        "Failed probes since the last good one.",
        lambda host, now: float(host.failures),
    ),
}


def _host_lines(hosts: list[Host], now: datetime) -> Iterator[str]:
    for name, (words, read) in HOST_METRICS.items():
        yield from _head(name, words)
        for host in hosts:
            value = read(host, now)
            if value is not None:
                yield f"{name}{_label_text({'Hostname': host.name})} {_number(value)}"


def _refusal_lines(day_ago: datetime) -> Iterator[str]:
    name = "headroom_refused_deliveries_24h"
    yield from _head(name, "Deliveries refused in the last day.")
    for kind, count in selectors.refusals_since(day_ago).items():
        yield f"{name}{_label_text({'kind': kind})} {count}"


def _head(name: str, words: str) -> tuple[str, str]:
    return f"# HELP {name} {words}", f"# TYPE {name} gauge"


def _label_text(labels: dict[str, str]) -> str:
    """Labels in braces; backslashes, quotes and line ends escaped as the format asks."""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return repr(float(value))
