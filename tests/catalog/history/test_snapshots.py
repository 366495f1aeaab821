"""Snapshots of the catalog and the fleet: time travel, partitions, a manifest, and DuckDB as another
engine."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from auditlog.models import LogEntry
from django.core.management import CommandError, call_command
from django.utils import timezone

from planner.catalog.changes import services
from planner.catalog.changes.imports_services import record_edition
from planner.catalog.facts.loader import load_shipped_catalog
from planner.catalog.history.selectors import as_it_was, rows_as_of
from planner.catalog.history.snapshots import export_catalog
from planner.catalog.models import Accelerator, InstanceType, TransformerModel
from planner.catalog.services import load_catalog
from planner.web.parquet import SnapshotExistsError, Table, write_snapshot

pytestmark = [pytest.mark.usefixtures("shipped_catalog"), pytest.mark.django_db]


def test_prices_before_and_after_the_cut_read_by_duckdb(tmp_path: Path) -> None:
    for day in (date(2025, 5, 31), date(2025, 6, 1)):
        export_catalog(tmp_path, day)
    found = duckdb.sql(
        f"""select split_part(filename, '/', -4) as day, usd_per_hour
            from read_parquet('{tmp_path}/*/prices/*/*.parquet', hive_partitioning = true, filename = true)
            where instance_type_id = 'p5.48xlarge' and region = 'us-east-1' and purchase = 'on_demand'
              and provider = 'aws' order by day"""
    ).fetchall()
    assert found == [("2025-05-31", 98.32), ("2025-06-01", 55.04)]
    manifest = json.loads((tmp_path / "2025-06-01" / "manifest.json").read_text())
    prices = manifest["tables"]["prices"]
    assert prices["partition_by"] == ["provider"]
    assert prices["schema"]["usd_per_hour"] == "double"
    file = prices["files"][0]
    data = (tmp_path / "2025-06-01" / file["path"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == file["sha256"]
    rows = duckdb.sql(
        f"select count(*) from read_parquet('{tmp_path}/2025-06-01/models/*.parquet')"
    ).fetchall()
    assert rows == [(manifest["tables"]["models"]["rows"],)]
    with pytest.raises(SnapshotExistsError, match="not written over"):
        export_catalog(tmp_path, date(2025, 6, 1))
    with pytest.raises(CommandError, match="not written over"):
        call_command("export_catalog", str(tmp_path), as_of=date(2025, 6, 1))


def test_facts_travel_back_over_logged_changes() -> None:
    today = timezone.localdate()
    row = InstanceType.objects.get(slug="p5.48xlarge")
    row.vcpus = 200
    row.save()
    chip = Accelerator.objects.get(slug="h100-sxm")
    chip.pk, chip.slug = None, "h100-own"
    chip._state.adding = True
    chip.save()

    def vcpus(day: date) -> int:
        return next(r["vcpus"] for r in rows_as_of(InstanceType, day) if r["slug"] == "p5.48xlarge")

    assert (vcpus(today), vcpus(today - timedelta(days=1))) == (200, 192)
    slugs = [{r["slug"] for r in rows_as_of(Accelerator, day)} for day in (today, today - timedelta(days=1))]
    assert slugs[0] - slugs[1] == {"h100-own"}
    assert LogEntry.objects.get_for_object(row).get().changes["vcpus"] == ["192", "200"]


def test_facts_travel_back_over_shipped_editions() -> None:
    """Two editions and an undo of the second: each day has what held then."""
    first, second = (timezone.now() - timedelta(days=days) for days in (20, 10))
    row = InstanceType.objects.get(slug="p5.48xlarge")
    for at, vcpus in ((first, 100), (second, 150)):
        InstanceType.objects.filter(pk=row.pk).update(vcpus=vcpus, shipped={**row.shipped, "vcpus": vcpus})
        made = record_edition(load_catalog(load_shipped_catalog()), now=at)
        assert made is not None
    services.undo(made.changes.all(), who="ada", why="", now=timezone.now())

    def vcpus(days_ago: int) -> int | None:
        then = as_it_was(InstanceType.objects.get(pk=row.pk), timezone.localdate() - timedelta(days=days_ago))
        return then and then.vcpus

    assert [vcpus(days) for days in (25, 15, 5, 0)] == [100, 150, 192, 150]
    day = timezone.localdate() - timedelta(days=25)
    (whole,) = (each for each in rows_as_of(InstanceType, day) if each["slug"] == "p5.48xlarge")
    assert whole["vcpus"] == 100


def test_a_config_travels_back_as_an_object() -> None:
    model = TransformerModel.objects.get(slug="llama-3.1-8b")
    before = dict(model.config)
    model.config = {**before, "num_hidden_layers": 1}
    model.save()
    then = as_it_was(model, timezone.localdate() - timedelta(days=1))
    assert then is not None and then.config == before
    assert model.config["num_hidden_layers"] == 1


def test_columns_may_come_and_go_from_one_snapshot_to_the_next(tmp_path: Path) -> None:
    now = datetime.fromisoformat("2026-11-29T00:00:00+00:00")
    old = Table(name="t", columns={"a": "Int64"}, rows=[{"a": 1}])
    new = Table(
        name="t", columns={"a": "Int64", "b": "string"}, rows=[{"a": 2, "b": "x"}, {"a": None, "b": None}]
    )
    write_snapshot(tmp_path, "1", [old], made_at=now, about={})
    (tmp_path / ".2.draft").mkdir()  # of a run that was killed
    write_snapshot(tmp_path, "2", [new], made_at=now, about={})
    found = duckdb.sql(
        f"select a, b from read_parquet('{tmp_path}/*/t/*.parquet', union_by_name = true) order by a"
    ).fetchall()
    assert found == [(1, None), (2, "x"), (None, None)]
    assert not list(tmp_path.glob(".*"))


def test_the_fleets_history(tmp_path: Path) -> None:
    call_command("export_fleet", str(tmp_path))
    (snapshot,) = tmp_path.iterdir()
    manifest = json.loads((snapshot / "manifest.json").read_text())
    assert set(manifest["tables"]) == {"samples", "placements", "events"}
    assert manifest["tables"]["samples"]["partition_by"] == ["month"]
