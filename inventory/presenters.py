"""How the fleet's figures are put into words. One way for each unit; templates compute nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from inventory import health
from inventory.snapshot import Gpu, HostSnapshot, Missing, Reading

GIBIBYTE = 2**30
UNKNOWN = "–"


def gibibytes(amount: float | None) -> str:
    """``31.2 GiB``; three significant digits, and a dash where unknown."""
    if amount is None:
        return UNKNOWN
    return f"{significant(amount / GIBIBYTE)} GiB"


def significant(value: float) -> str:
    """Three significant digits without an exponent: 0.0123, 1.23, 12.3, 1,230."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.4f}"


def percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0f} %"


def watts(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0f} W"


def celsius(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0f} °C"


def dollars(value: float | None) -> str:
    """``$1.23k``: three significant digits."""
    if value is None:
        return UNKNOWN
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"${significant(value / size)}{letter}"
    return f"${significant(value)}"


def duration(seconds: float) -> str:
    """The largest sensible unit: ``40 s``, ``12 min``, ``5 h``, ``3 d``."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def ago(moment: datetime | None, now: datetime) -> str:
    return "never" if moment is None else f"{duration((now - moment).total_seconds())} ago"


def reason_words(slug: str) -> str:
    """A reason for an absent value, in words: ``not supported``."""
    return slug.replace("_", " ")


def shown(reading: Reading[object]) -> str:
    """A reading as text; a missing one says why it is missing."""
    if isinstance(reading, Missing):
        return reason_words(reading.reason)
    if isinstance(reading, bool):
        return "on" if reading else "off"
    if isinstance(reading, tuple):
        return ", ".join(str(item).replace("_", " ") for item in reading) or "none"
    return str(reading)


def snapshot_lines(snapshot: HostSnapshot) -> Iterator[str]:
    """A snapshot as a few lines for a terminal."""
    host = snapshot.host
    yield f"{host.hostname}: {snapshot.status.replace('_', ' ')}. {snapshot.reason}".rstrip()
    if isinstance(host.driver_version, str):
        yield f"driver {host.driver_version}, CUDA {shown(host.cuda_version)}"
    for gpu in snapshot.gpus:
        yield _gpu_line(gpu)


def _gpu_line(gpu: Gpu) -> str:
    used, total = gpu.memory.used_bytes, gpu.memory.total_bytes
    memory = "memory " + (
        f"{gibibytes(used)} of {gibibytes(total)}"
        if isinstance(used, int) and isinstance(total, int)
        else shown(used)
    )
    busy = gpu.utilization.gpu_percent
    use = f"busy {busy} %" if isinstance(busy, int) else f"utilisation {shown(busy)}"
    faults = "; ".join(health.FAULT_WORDS[slug] for slug in health.faults(gpu))
    return f"GPU {gpu.index}  {shown(gpu.name)}  {memory}  {use}  {faults}".rstrip()
