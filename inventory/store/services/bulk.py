"""The two statements that run for every probe of every GPU, made cheap.

A fleet of 10,000 GPUs probed every 60 s writes these most often: the present readings of each GPU, and one
sample. Django's `bulk_create` prepares each cell by its field, which would be most of the cost; here whole
columns are sent as arrays (PostgreSQL), or rows unchanged (SQLite).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from inventory.store.models import Gpu, Sample

# (column, type in PostgreSQL)
READING_COLUMNS = (
    ("utilization_percent", "smallint"),
    ("memory_used_bytes", "bigint"),
    ("temperature_c", "smallint"),
    ("power_w", "double precision"),
    ("last_seen_at", "timestamptz"),
)
SAMPLE_COLUMNS = (
    ("gpu_id", "bigint"),
    ("resolution_s", "integer"),
    ("at_s", "bigint"),
    ("weight", "integer"),
    ("utilization_percent", "double precision"),
    ("utilization_max_percent", "double precision"),
    ("memory_used_bytes", "bigint"),
    ("memory_used_max_bytes", "bigint"),
    ("power_w", "double precision"),
    ("temperature_c", "double precision"),
    ("temperature_max_c", "double precision"),
)


def update_readings(rows: Sequence[Gpu]) -> None:
    """Write the readings of GPUs of which nothing else has changed."""
    if not rows:
        return
    table = connection.ops.quote_name(Gpu._meta.db_table)
    names = [name for name, _ in READING_COLUMNS]
    values = [(row.pk, *(getattr(row, name) for name in names)) for row in rows]
    if connection.vendor == "postgresql":
        assignments = ", ".join(f"{name} = given.{name}" for name in names)
        source = _arrays((("id", "bigint"), *READING_COLUMNS))
        sql = f"UPDATE {table} AS gpu SET {assignments} FROM {source} AS given WHERE gpu.id = given.id"
        _execute(sql, _columns(values))
    else:
        assignments = ", ".join(f"{name} = %s" for name in names)
        sql = f"UPDATE {table} SET {assignments} WHERE id = %s"
        _execute_many(sql, [(*(_plain(cell) for cell in cells), pk) for pk, *cells in values])


def insert_samples(rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert samples, with cells in the order of `SAMPLE_COLUMNS`; existing ones are kept."""
    if not rows:
        return
    table = connection.ops.quote_name(Sample._meta.db_table)
    names = ", ".join(name for name, _ in SAMPLE_COLUMNS)
    if connection.vendor == "postgresql":
        sql = f"INSERT INTO {table} ({names}) SELECT {names} FROM {_arrays(SAMPLE_COLUMNS)} AS given"
        _execute(f"{sql} ON CONFLICT DO NOTHING", _columns(rows))
    else:
        marks = ", ".join(["%s"] * len(SAMPLE_COLUMNS))
        _execute_many(f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING", rows)


def _arrays(columns: Sequence[tuple[str, str]]) -> str:
    """Columns as a derived table of arrays, one parameter each."""
    picked = ", ".join(f"unnest(%s::{kind}[]) AS {name}" for name, kind in columns)
    return f"(SELECT {picked})"


def _columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _plain(cell: Any) -> Any:
    return connection.ops.adapt_datetimefield_value(cell) if isinstance(cell, datetime) else cell


def _execute(sql: str, parameters: Sequence[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def _execute_many(sql: str, rows: Sequence[Sequence[Any]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(sql, rows)
