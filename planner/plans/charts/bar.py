"""The memory of the fullest accelerator as a bar beside its figure, drawn by the page without a script."""

from __future__ import annotations

from dataclasses import dataclass

from planner.engine.question.result import PlanResult
from planner.plans.charts.plan import MEMORY_PARTS
from planner.web import formats

#: The bar's width in its own units.
WIDTH = 1000.0
#: Room on the right, so that the usable line does not stand at the edge.
SPARE_SHARE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBar:
    """parts: (name, colour class, start, width).  usable: where the usable line stands.

    low, span: start and width of the 80 % range.  words: the same, for who cannot see it.
    """

    parts: tuple[tuple[str, str, str, str], ...]
    usable: str
    low: str
    span: str
    words: str


def memory_bar(result: PlanResult) -> MemoryBar:
    """The bar of one result, in shares of WIDTH."""
    memory = result.memory
    total, usable = float(memory.per_accelerator_bytes.total), float(memory.usable_bytes)
    low, high = memory.interval_bytes
    unit = WIDTH / (max(total, usable, high) * (1 + SPARE_SHARE))
    parts: list[tuple[str, str, str, str]] = []
    start = 0.0
    for name, label, colour, _ in MEMORY_PARTS:
        value = float(getattr(memory.per_accelerator_bytes, name)) * unit
        if value > 0:
            spoken = f"{label}: {formats.gib(value / unit)}"
            parts.append((spoken, colour.removeprefix("token:"), f"{start:.1f}", f"{value:.1f}"))
            start += value
    return MemoryBar(
        parts=tuple(parts),
        usable=f"{usable * unit:.1f}",
        low=f"{low * unit:.1f}",
        span=f"{(high - low) * unit:.1f}",
        words=f"{formats.gib(total)} of {formats.gib(usable)} usable; "
        f"80 % range {formats.gib_range(low, high)}",
    )
