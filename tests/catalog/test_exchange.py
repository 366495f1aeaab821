"""Imports and exports of the catalog's tables: dry run, a reason for each row, undone like any change, no
formulas."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import tablib
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import CheckConstraint, Q
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from planner.accounts.models import AuditEntry
from planner.catalog.admin import exchange, files_services
from planner.catalog.admin.exchange import RESOURCES
from planner.catalog.admin.known_rows import check_constraints
from planner.catalog.changes import services
from planner.catalog.changes.models import ChangeSet
from planner.catalog.models import Accelerator, Availability, InstanceType, Price

pytestmark = [pytest.mark.usefixtures("shipped_catalog"), pytest.mark.django_db]
HEADERS = ("instance_type", "region", "purchase", "usd_per_hour", "valid_from", "source", "as_of")


def line(**changes: Any) -> tuple[Any, ...]:
    today = timezone.localdate().isoformat()
    given = dict(
        zip(HEADERS, ("p5.48xlarge", "eu-west-9", "on_demand", "61.5", today, "a list", today), strict=True)
    )
    return tuple((given | changes).values())


def imported(*rows: tuple[Any, ...], headers: tuple[str, ...] = HEADERS, dry_run: bool = True) -> Any:
    return RESOURCES[Price]().import_data(
        tablib.Dataset(*rows, headers=headers), dry_run=dry_run, file_name="prices.csv"
    )


def problems(result: Any) -> str:
    rows = [str(error.error) for row in result.rows for error in row.errors]
    invalid = [f"{row.number}: {row.error_dict}" for row in result.invalid_rows]
    return " ".join([*(str(error.error) for error in result.base_errors), *rows, *invalid])


def test_a_good_file_is_dry_run_imported_and_undone() -> None:
    before = Price.objects.count()
    assert imported(line()).totals["new"] == 1
    assert Price.objects.count() == before
    imported(line(), dry_run=False)
    made = Price.objects.get(region="eu-west-9")
    assert made.source == "a list"
    change_set = ChangeSet.objects.get()
    assert (change_set.kind, change_set.title.startswith("Import of prices.csv")) == ("import", True)
    services.undo(change_set.changes.all(), who="ada", why="", now=timezone.now())
    made.refresh_from_db()
    assert made.withdrawn


def test_an_imported_price_ends_the_one_before_it_and_an_older_one_ends_where_that_begins() -> None:
    today = timezone.localdate()
    old = Price.objects.get(
        instance_type_id="p5.48xlarge",
        region="us-east-1",
        purchase="on_demand",
        valid_to=None,
        withdrawn=False,
    )
    imported(
        line(region="us-east-1", usd_per_hour="54"),
        line(region="us-east-1", usd_per_hour="99", valid_from="2024-01-01"),
        dry_run=False,
    )
    ended = Price.objects.get(pk=old.pk)
    assert ended.valid_to == today
    past = Price.objects.get(instance_type_id="p5.48xlarge", usd_per_hour="99", region="us-east-1")
    assert past.valid_to is not None and past.valid_to <= old.valid_from
    outcome = services.undo(ChangeSet.objects.get().changes.all(), who="ada", why="", now=timezone.now())
    assert (outcome.done, outcome.problems) == (2, [])
    assert Price.objects.get(pk=old.pk).valid_to is None


def test_a_wrong_and_a_missing_column_are_named() -> None:
    result = imported(line()[:-1], headers=("instance", *HEADERS[1:-1]))
    assert "Unknown columns: instance" in problems(result)
    assert "Missing columns: instance_type, as_of" in problems(result)


def test_each_bad_row_is_named_with_its_reason() -> None:
    later = (timezone.localdate() + timedelta(days=2)).isoformat()
    result = imported(
        line(), line(), line(region="eu-west-8", valid_from=later), line(region="eu-west-7",
        usd_per_hour="cheap"),
        line(region="eu-west-6", instance_type="p9.huge"), line(region="eu-west-5", usd_per_hour="0"),
    )  # fmt: skip
    words = problems(result)
    for reason in ("Row 2 has the key of row 1", "in the future", "decimal", "p9.huge", "greater than zero"):
        assert reason in words or reason.replace("p9.huge", "does not exist") in words, (reason, words)
    assert Price.objects.filter(region__startswith="eu-west-5").count() == 0


def test_a_file_of_a_million_rows_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MOST_ROWS", 2)
    result = imported(line(), line(region="b"), line(region="c"))
    assert "a page takes at most 2. Split it, or use manage.py import_catalog price FILE" in problems(result)
    assert not result.rows  # none was looked at


def written(folder: Path, *rows: tuple[Any, ...]) -> str:
    file = folder / "prices.csv"
    file.write_text("\n".join(",".join(map(str, row)) for row in (HEADERS, *rows)) + "\n")
    return str(file)


def test_a_long_file_is_read_by_pieces_each_wrong_row_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(files_services, "PIECE", 2)
    rows = [line(region=f"eu-west-{number}") for number in range(10, 15)]
    bad = [
        *rows,
        line(region="eu-west-11"),
        ("p5.48xlarge", "x"),
        line(region="eu-west-20", usd_per_hour="-1"),
    ]
    with pytest.raises(CommandError, match="3 problems; nothing was written"):
        call_command("import_catalog", "price", written(tmp_path, *bad))
    said = capsys.readouterr().out
    assert "Row 6 has the key of row 2" in said
    assert "Row 7: 2 cells, the head has 7" in said
    assert "Row 8" in said and "must be greater than zero" in said
    call_command("import_catalog", "price", written(tmp_path, *rows), dry_run=True)
    assert not ChangeSet.objects.exists()
    call_command("import_catalog", "price", written(tmp_path, *rows))
    made = ChangeSet.objects.get()
    assert made.changes.count() == 5
    assert Price.objects.filter(region__in=[f"eu-west-{n}" for n in range(10, 15)]).count() == 5
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_catalog", "price", str(tmp_path / "none.csv"))


def test_a_dry_run_asks_the_database_no_more_for_more_rows() -> None:
    with CaptureQueriesContext(connection) as asked:
        assert imported(*(line(region=f"r-{number}") for number in range(200))).totals["new"] == 200
    assert len([query for query in asked if "SAVEPOINT" not in query["sql"]]) < 12


@pytest.mark.parametrize("table", list(RESOURCES), ids=lambda table: table.__name__)
def test_rows_are_held_to_the_constraints_of_their_table(table: Any) -> None:
    """Asked in Python as the database would be: every shipped row keeps them, each broken number is found."""
    key = RESOURCES[table].KEY
    row = table.objects.filter(withdrawn=False).first()
    check_constraints(row, key)
    for field in table._meta.concrete_fields:
        if any(str(c.name).endswith(f"_{field.name}_positive") for c in table._meta.constraints):
            before = getattr(row, field.name)
            setattr(row, field.name, 0)
            with pytest.raises(ValidationError, match="greater than zero"):
                check_constraints(row, key)
            setattr(row, field.name, before)


def test_an_update_is_a_change_of_each_field_and_undone() -> None:
    row = InstanceType.objects.get(slug="p5.48xlarge")
    data = tablib.Dataset(
        ("p5.48xlarge", 200, "a list", "2026-11-01"), headers=("slug", "vcpus", "source", "as_of")
    )
    RESOURCES[InstanceType]().import_data(data, dry_run=False, file_name="x.csv")
    change = ChangeSet.objects.get().changes.get()
    assert (change.field, change.before, change.after) == ("vcpus", 192, 200)
    services.undo([change], who="ada", why="", now=timezone.now())
    row.refresh_from_db()
    assert row.vcpus == 192


@pytest.mark.parametrize("table", list(RESOURCES), ids=lambda table: table.__name__)
def test_every_table_comes_back_as_it_went_out(table: Any) -> None:
    resource = RESOURCES[table]()
    held = table.objects.filter(withdrawn=False)[:20]
    data = resource.export(queryset=held)
    result = resource.import_data(tablib.Dataset().load(data.export("json"), format="json"), dry_run=True)
    assert not problems(result)
    assert result.totals["skip"] == len(held)


def test_the_admin_exports_without_formulas(admin_client: Client) -> None:
    chip = Accelerator.objects.get(slug="h100-sxm")
    chip.note = '=cmd|" /C calc"!A0'
    chip.save()
    page = admin_client.get("/admin/planner/accelerator/export/").content.decode()
    assert "csv" in page
    fields = {f"acceleratorresource_{name}": "on" for name in ("slug", "note")}
    answer = admin_client.post(
        "/admin/planner/accelerator/export/", {"format": "0", "resource": "", **fields}
    )
    text = answer.content.decode()
    assert "'=cmd|" in text
    assert ",=cmd" not in text and ',"=cmd' not in text


def test_the_admin_shows_a_dry_run_and_then_imports(admin_client: Client) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    content = json.dumps([dict(zip(HEADERS, line(), strict=True))]).encode()
    page = admin_client.post(
        "/admin/planner/price/import/",
        {"format": "1", "import_file": SimpleUploadedFile("prices.json", content)},
    ).content.decode()
    assert "<ins>eu-west-9</ins>" in page and "style=" not in page.split("<table")[1].split("</table>")[0]
    assert not Price.objects.filter(region="eu-west-9").exists()
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    answer = admin_client.post("/admin/planner/price/process_import/", fields)
    assert answer.status_code == 302
    assert Price.objects.get(region="eu-west-9").usd_per_hour == Decimal("61.5")
    assert AuditEntry.objects.filter(what__contains="eu-west-9").exists()
    assert Availability.objects.exists()


def test_a_condition_that_the_import_does_not_know_is_asked_of_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = Price.objects.filter(region="us-east-1").first()
    assert row is not None
    for start, kept in (("us-", True), ("eu-", False)):
        condition = CheckConstraint(condition=Q(region__startswith=start), name="starts")
        monkeypatch.setattr(Price._meta, "constraints", [condition])
        if kept:
            check_constraints(row, ())
        else:
            with pytest.raises(ValidationError, match="starts"):
                check_constraints(row, ())
