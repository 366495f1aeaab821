"""The whole catalog as of a day, as Parquet: prices by provider, everything else in one file a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import models
from django.utils import timezone

from planner.catalog.history.selectors import TABLES, columns, providers_of_machines, rows_as_of
from planner.catalog.models import CatalogRow, Price
from planner.catalog.selectors import catalog_stamp
from planner.web.parquet import Table, write_snapshot

KINDS: tuple[tuple[type[models.Field[Any, Any]], str], ...] = (
    (models.BooleanField, "boolean"),
    (models.IntegerField, "Int64"),
    (models.FloatField, "float64"),
    (models.DecimalField, "float64"),
    (models.DateField, "date"),
)


def export_catalog(folder: Path, day: date) -> Path:
    """Write the catalog as it was on a day; the snapshot's folder, named by the day."""
    providers = providers_of_machines()
    tables = [_table(table, day, providers) for table in TABLES]
    stamp = catalog_stamp()
    return write_snapshot(
        folder,
        day.isoformat(),
        tables,
        made_at=timezone.now(),
        about={"what": "catalog", "as_of": day.isoformat(), "stamp": None if stamp is None else str(stamp)},
    )


def _table(table: type[CatalogRow], day: date, providers: Mapping[str, str]) -> Table:
    kinds = {field.attname: _kind(field) for field in table._meta.concrete_fields}
    shown = {name: kinds[name] for name in columns(table)}
    if table is Price:
        shown["provider"] = "string"
    return Table(
        name=str(table._meta.verbose_name_plural).replace(" ", "_"),
        columns=shown,
        rows=_plain_rows(table, day, providers),
        partition_by=("provider",) if "provider" in shown else (),
    )


def _plain_rows(table: type[CatalogRow], day: date, providers: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for row in rows_as_of(table, day):
        if table is Price:
            row["provider"] = providers.get(row["instance_type_id"], "unknown")
        yield {name: _plain(value) for name, value in row.items()}


def _kind(field: models.Field[Any, Any]) -> str:
    return next((kind for known, kind in KINDS if isinstance(field, known)), "string")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
