"""The fleet's history as tables for Parquet: samples by month, placements, events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inventory.store import selectors
from planner.web.parquet import Table, write_snapshot

MOMENT = "datetime64[us, UTC]"
SAMPLE_FIGURES = {
    "utilization_percent": "float64",
    "utilization_max_percent": "float64",
    "memory_used_bytes": "Int64",
    "memory_used_max_bytes": "Int64",
    "power_w": "float64",
    "temperature_c": "float64",
    "temperature_max_c": "float64",
}


def export_fleet(folder: Path, *, now: datetime) -> Path:
    """Write everything that is known of the fleet's past; the snapshot's folder, named by the moment."""
    tables = [
        Table(
            name="samples",
            columns={
                "gpu": "string", "at": MOMENT, "resolution_s": "Int64", "weight": "Int64", "month": "string",
                **SAMPLE_FIGURES,
            },
            rows=_samples(),
            partition_by=("month",),
        ),
        Table(
            name="placements",
            columns={"gpu": "string", "name": "string", "host": "string", "index": "Int64",
                     "since": MOMENT, "until": MOMENT},
            rows=selectors.placement_values(),
        ),
        Table(
            name="events",
            columns={"kind": "string", "at": MOMENT, "host": "string", "gpu": "string", "text": "string"},
            rows=selectors.event_values(),
        ),
    ]  # fmt: skip
    return write_snapshot(
        folder, now.strftime("%Y-%m-%dT%H%M%SZ"), tables, made_at=now, about={"what": "fleet"}
    )


def _samples() -> Iterator[dict[str, Any]]:
    for row in selectors.sample_values(list(SAMPLE_FIGURES)):
        at = datetime.fromtimestamp(row.pop("at_s"), UTC)
        yield row | {"at": at, "month": at.strftime("%Y-%m")}
