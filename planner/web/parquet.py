"""Tables as partitioned Parquet with a manifest: readable by any engine, each snapshot complete in itself.

A snapshot is a folder ``<snapshot>/<table>/<column>=<value>/part-0-0.parquet`` beside ``manifest.json``,
which says for each table its schema, rows and files with their SHA-256. A snapshot is never written over,
so a table
may gain or lose columns from one to the next without rewriting any; readers join them by the columns'
names, and
travel in time by the folder's. (What Apache Iceberg's table format does with more machinery.)
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

FORMAT_VERSION = 1
#: Rows that are held in memory at a time.
BATCH = 50_000


class SnapshotExistsError(FileExistsError):
    """There is such a snapshot already; they are not written over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What to write: rows as mappings of the columns' names, and the columns whose values become folders.

    columns: name -> pandas type ("string", "float64", "Int64", "boolean", "datetime64[us, UTC]", "date").
    """

    name: str
    columns: Mapping[str, str]
    rows: Iterable[Mapping[str, Any]]
    partition_by: Sequence[str] = ()


def write_snapshot(
    folder: Path, snapshot: str, tables: Iterable[Table], *, made_at: datetime, about: Mapping[str, Any]
) -> Path:
    """Write a snapshot whole or not at all; its folder.  Raises SnapshotExistsError."""
    target, draft = folder / snapshot, folder / f".{snapshot}.draft"
    if target.exists():
        raise SnapshotExistsError(f"{target} exists; a snapshot is not written over.")
    if draft.exists():
        shutil.rmtree(draft)  # of a run that was killed
    draft.mkdir(parents=True)
    manifest = {
        "format_version": FORMAT_VERSION,
        "snapshot": snapshot,
        "made_at": made_at.isoformat(),
        "about": dict(about),
        "tables": {table.name: _write(draft, table) for table in tables},
    }
    text = json.dumps(manifest, indent=1, sort_keys=True)
    (draft / "manifest.json").write_text(text + "\n", encoding="utf-8")
    os.replace(draft, target)
    return target


def _write(draft: Path, table: Table) -> dict[str, Any]:
    # Loaded here: they double the start of processes that write no snapshot.
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset as ds

    def frames() -> Iterable[Any]:
        held: list[Mapping[str, Any]] = []
        for row in table.rows:
            held.append(row)
            if len(held) == BATCH:
                yield frame(held)
                held = []
        yield frame(held)

    def frame(rows: list[Mapping[str, Any]]) -> Any:
        made = pd.DataFrame(rows, columns=list(table.columns))
        plain = {name: kind for name, kind in table.columns.items() if kind != "date"}
        return made.astype(plain)

    schema = pa.schema([(name, _arrow_type(pa, kind)) for name, kind in table.columns.items()])
    where = draft / table.name
    parts = [(name, _arrow_type(pa, table.columns[name])) for name in table.partition_by]
    count = 0
    # Rows are read here and not by Arrow's threads, which have no connection to the database.
    for number, each in enumerate(frames()):
        count += len(each)
        ds.write_dataset(
            pa.Table.from_pandas(each, schema=schema, preserve_index=False),
            where,
            format="parquet",
            partitioning=ds.partitioning(pa.schema(parts), flavor="hive") if parts else None,
            existing_data_behavior="overwrite_or_ignore",
            basename_template=f"part-{number}-{{i}}.parquet",
        )
    files = sorted(where.rglob("*.parquet"))
    return {
        "rows": count,
        "schema": {field.name: str(field.type) for field in schema},
        "partition_by": list(table.partition_by),
        "files": [
            {
                "path": str(file.relative_to(draft)),
                "bytes": file.stat().st_size,
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            }
            for file in files
        ],
    }


def _arrow_type(pa: Any, kind: str) -> Any:
    return {
        "string": pa.string(),
        "float64": pa.float64(),
        "Int64": pa.int64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "datetime64[us, UTC]": pa.timestamp("us", tz="UTC"),
    }[kind]
