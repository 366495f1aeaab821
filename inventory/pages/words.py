"""Short texts of the fleet's pages: ages, amounts, readings.

An unknown value is a dash or its reason, never a zero.
"""

from __future__ import annotations

from datetime import datetime

from inventory.wire.snapshot import Missing, Reading
from planner.web import formats

UNKNOWN = "–"


def ago(moment: datetime | None, now: datetime) -> str:
    """``5 min ago``; rounded down to a whole unit."""
    if moment is None:
        return "never"
    seconds = max(0.0, (now - moment).total_seconds())
    for size, unit in ((formats.DAY_S, "d"), (formats.HOUR_S, "h"), (formats.MINUTE_S, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def memory(amount: int | None) -> formats.Quantity | str:
    """An amount of memory, or a dash. amount: bytes."""
    return UNKNOWN if amount is None else formats.gib(amount)


def shown(reading: Reading[object]) -> str:
    """A reading as text; a missing one says why it is missing."""
    if isinstance(reading, Missing):
        return reading.reason.replace("_", " ")
    if isinstance(reading, bool):
        return "on" if reading else "off"
    if isinstance(reading, tuple):
        return ", ".join(str(item).replace("_", " ") for item in reading) or "none"
    return str(reading)


def hosts_words(count: int) -> str:
    """A count of hosts: ``1 host``, ``2 hosts``."""
    return f"{count:,} host{'' if count == 1 else 's'}"


def gpus_words(count: int) -> str:
    """A count of GPUs: ``1 GPU``, ``2 GPUs``."""
    return f"{count:,} GPU{'' if count == 1 else 's'}"
