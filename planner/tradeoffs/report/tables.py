"""The plans behind a report as a table for other programs: CSV and Parquet, one row a plan."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from planner.tradeoffs.points import Point
from planner.web.csv import as_text

COLUMNS = (
    "machine",
    "provider",
    "region",
    "purchase",
    "nodes",
    "accelerators",
    "accelerator",
    "stack",
    "precision",
    "total_s",
    "usd",
    "memory_share",
    "model_flops_utilization",
    "front",
)


def table(points: Sequence[Point]) -> Any:
    """A pandas DataFrame: seconds, dollars (missing: no price), shares, and the layout's fields."""
    import pandas as pd  # half a second that only these files need

    rows = [{**{name: getattr(point, name) for name in COLUMNS}, **point.layout} for point in points]
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *(points[0].layout if points else ())])
    frame["usd"] = frame["usd"].astype("float64")
    return frame


def as_csv(points: Sequence[Point]) -> bytes:
    """With every digit."""
    frame = table(points)
    rows = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    return as_text([list(frame.columns), *rows], line_end="\n").encode()


def as_parquet(points: Sequence[Point]) -> bytes:
    """Types and missing prices kept."""
    buffer = io.BytesIO()
    table(points).to_parquet(buffer, index=False)
    return buffer.getvalue()
