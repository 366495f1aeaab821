"""What lengths that vary leave in the allocator's cache, and how much a run needs beyond what is allocated.

    python -m planner.accuracy.allocator.study      simulate and write the data file (some ten minutes)

Several ways to train, each with and without expandable segments, with lengths from equal to widely spread.
Written are, as shares of the bytes that come and go within a step: what is reserved beside the allocated
bytes if memory is unlimited, and the least that has to be free beside them for the run to get through,
found by halving the limit. A published pair is simulated beside it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.allocator.caching import CachingAllocator, OutOfMemoryError
from planner.accuracy.allocator.traces import Setup, Training, row_lengths
from planner.accuracy.calibration import DATA_DIRECTORY

ALLOCATOR_FILE = DATA_DIRECTORY / "allocator.json"
#: Standard deviation of the lengths over their mean; those of instruction data lie between 0.5 and 1 by our
#: estimate.
SPREADS = (0.0, 0.25, 0.5, 1.0)
MICRO_BATCHES = 100
#: For the least memory that a run gets through with, which takes several runs.
MICRO_BATCHES_LIMITED = 24
HALVINGS = 5
ROW = {"at_once": 4, "mean": 1000.0, "longest": 8192.0}
SETUPS: dict[str, Setup] = {
    "recompute, whole logits": Setup(),
    "no recompute, whole logits": Setup(recompute=False),
    "recompute, fused loss": Setup(whole_logits=False),
    "no recompute, fused loss": Setup(recompute=False, whole_logits=False),
    "recompute, 4 micro-batches a step": Setup(accumulation=4),
    "8 shards, whole logits": Setup(shards=8),
    "8 shards, fused loss": Setup(shards=8, whole_logits=False),
    "8 shards, no recompute": Setup(shards=8, recompute=False),
    "adapters": Setup(adapters=0.01),
    "adapters, 4-bit base": Setup(adapters=0.01, frozen_bytes=0.56),
}
#: Llama 3 8B, QLoRA, one A100: 16.39 GiB without and 10.83 GiB with expandable segments at step 20. Rows of
#: two samples of Alpaca padded to the longer, 16 micro-batches a step by its configuration; mean and spread
#: of the lengths are our estimate (instruction, answer and template).
PUBLISHED = {
    "source": "pytorch/torchtune issue 1185, 2024-07-16",
    "reserved_gib": 16.39,
    "expandable_reserved_gib": 10.83,
}
PUBLISHED_SETUP = Setup(
    layers=32,
    hidden=4096,
    ffn=14336,
    heads=32,
    kv_heads=8,
    head_dim=128,
    adapters=0.003,
    frozen_bytes=0.56,
)
PUBLISHED_ROW = {"at_once": 2, "mean": 130.0, "longest": 1024.0}
PUBLISHED_MICRO_BATCHES = 320
#: What runs that failed for memory said of themselves: allocated and reserved but unallocated, GiB.
FAILURES = [
    {"source": "NovaSky-AI/SkyRL pull 1470, 2026-04-07", "allocated_gib": 124.24, "unusable_gib": 15.50},
]
GIB = 2.0**30


@dataclass(frozen=True, slots=True)
class Outcome:
    """Bytes of one run. persistent: what stays between steps."""

    allocated: float
    reserved: float
    persistent: float


def run(
    setup: Setup, lengths: NDArray[np.float64], *, expandable: bool, limit: float = float("inf")
) -> Outcome:
    """Train over micro-batches of these lengths, tokens. Raises OutOfMemoryError beyond the limit, bytes."""
    allocator = CachingAllocator(expandable=expandable, limit=limit)
    training = Training(setup, allocator)
    for first in range(0, len(lengths), setup.accumulation):
        training.step(lengths[first : first + setup.accumulation])
    return Outcome(allocator.highest_allocated, allocator.highest_reserved, training.persistent_bytes)


def least_bytes(setup: Setup, lengths: NDArray[np.float64], *, expandable: bool) -> float:
    """The least memory that the run gets through with, bytes, to a thirty-second of the cache."""
    free = run(setup, lengths, expandable=expandable)
    low, high = free.allocated, free.reserved
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        try:
            run(setup, lengths, expandable=expandable, limit=middle)
            high = middle
        except OutOfMemoryError:
            low = middle
    return high


def case(name: str, *, spread: float, expandable: bool, padded: bool) -> dict[str, Any]:
    """One row of the table: shares of the bytes that come and go."""
    setup = SETUPS[name]
    rows = {**ROW, "spread": spread, "padded": padded}
    free = run(setup, row_lengths(rows=MICRO_BATCHES, **rows), expandable=expandable)  # type: ignore[arg-type]
    short = row_lengths(rows=MICRO_BATCHES_LIMITED, **rows)  # type: ignore[arg-type]
    limited = run(setup, short, expandable=expandable)
    least = least_bytes(setup, short, expandable=expandable)
    moving, moving_short = free.allocated - free.persistent, limited.allocated - limited.persistent
    return {
        "setup": name,
        "spread": spread,
        "expandable": expandable,
        "padded": padded,
        "cache_share": round((free.reserved - free.allocated) / moving, 3),
        "least_share": round((least - limited.allocated) / moving_short, 3),
        "least_of_allocated": round(least / limited.allocated - 1.0, 4),
    }


def summary(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians and the upper tenth over the setups, by spread and kind of segment."""
    table = []
    for expandable in (False, True):
        for spread in SPREADS:
            own = [each for each in cases if each["expandable"] == expandable and each["spread"] == spread]
            row: dict[str, Any] = {"expandable": expandable, "spread": spread}
            for name in ("cache_share", "least_share", "least_of_allocated"):
                values = [each[name] for each in own]
                row[name] = round(float(np.median(values)), 4)
                row[f"{name}_high"] = round(float(np.quantile(values, 0.9)), 4)
            table.append(row)
    return table


def published() -> dict[str, Any]:
    """The published pair beside its simulation, GiB reserved."""
    rows = row_lengths(rows=PUBLISHED_MICRO_BATCHES, spread=0.7, padded=True, **PUBLISHED_ROW)  # type: ignore[arg-type]
    found = {
        name: round(run(PUBLISHED_SETUP, rows, expandable=expandable).reserved / GIB, 2)
        for name, expandable in (("simulated_gib", False), ("expandable_simulated_gib", True))
    }
    return {**PUBLISHED, **found}


def study() -> dict[str, Any]:
    """Everything, as the data file holds it."""
    cases = []
    for name in SETUPS:
        for expandable in (False, True):
            for spread in SPREADS:
                for padded in (True, False) if spread else (True,):
                    cases.append(case(name, spread=spread, expandable=expandable, padded=padded))
                    print(json.dumps(cases[-1]), flush=True)
    growth = [
        {
            "micro_batches": count,
            "cache_share": round(_cache_share(SETUPS["recompute, whole logits"], count), 3),
        }
        for count in (10, 40, 160, 640)
    ]
    return {
        "provenance": {
            "command": "python -m planner.accuracy.allocator.study",
            "simulated_on": date.today().isoformat(),
            "micro_batches": MICRO_BATCHES,
            "row": ROW,
            "setups": {name: asdict(replace(setup)) for name, setup in SETUPS.items()},
        },
        "summary": summary(cases),
        "growth": growth,
        "published": published(),
        "failures": FAILURES,
        "cases": cases,
    }


def _cache_share(setup: Setup, count: int) -> float:
    found = run(setup, row_lengths(rows=count, spread=0.5, padded=True, **ROW), expandable=False)  # type: ignore[arg-type]
    return (found.reserved - found.allocated) / (found.allocated - found.persistent)


def main() -> None:
    """Simulate and write."""
    ALLOCATOR_FILE.write_text(json.dumps(study(), indent=1) + "\n", encoding="utf-8")
    print(f"wrote {ALLOCATOR_FILE.name}")


if __name__ == "__main__":
    main()
