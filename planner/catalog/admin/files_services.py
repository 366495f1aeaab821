"""A file of any length into a table of the catalog, by pieces: looked through to its end, then written."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import tablib
from django.core.exceptions import ValidationError
from django.utils import timezone

from planner.catalog.admin.exchange import RESOURCES
from planner.catalog.changes.imports_services import open_import
from planner.catalog.changes.models import ChangeSet
from planner.catalog.models import CatalogRow

#: Rows of a piece: some megabytes, and a second of writing.
PIECE = 1000


def problems_of(table: type[CatalogRow], file: Path) -> Iterator[str]:
    """Everything that is wrong with a CSV file, row by row; nothing is written.

    Raises OSError where it cannot be read.
    """
    for result in _pieces(table, file, dry_run=True, into=None):
        yield from result


def write_file(table: type[CatalogRow], file: Path, *, who: str) -> ChangeSet:
    """Import a file that has no problem; each piece is whole or not there, and all are one change set.

    Raises ValidationError where a row has become wrong since; the pieces before it stay and can be undone.
    """
    made = open_import(file.name, timezone.now())
    for problems in _pieces(table, file, dry_run=False, into=made, user=_Named(who)):
        if problems:
            raise ValidationError(problems)
    return made


class _Named:
    def __init__(self, name: str) -> None:
        self.name = name

    def get_username(self) -> str:
        return self.name


def _pieces(
    table: type[CatalogRow], file: Path, *, dry_run: bool, into: ChangeSet | None, **kwargs: Any
) -> Iterator[list[str]]:
    """The problems of each piece."""
    resource = RESOURCES[table]()
    met: dict[int, int] = {}
    with file.open(encoding="utf-8-sig", newline="") as text:
        lines = csv.reader(text)
        headers = next(lines, [])
        before = 0
        while True:
            piece = list(islice(lines, PIECE))
            if not piece and before:
                return
            # A line of another length is filled up, so that the rows after it keep their numbers.
            ragged = {number: len(line) for number, line in enumerate(piece, 1) if len(line) != len(headers)}
            whole = [(line + [""] * len(headers))[: len(headers)] for line in piece]
            result = resource.import_data(
                tablib.Dataset(*whole, headers=headers), dry_run=dry_run, met=met, rows_before=before,
                file_name=file.name, into=into, use_transactions=True, **kwargs,
            )  # fmt: skip
            yield [
                *(str(error.error) for error in result.base_errors),
                *(
                    f"Row {before + number}: {cells} cells, the head has {len(headers)}."
                    for number, cells in ragged.items()
                ),
                *_by_row(result, before, set(ragged)),
            ]
            before += len(piece)
            if result.base_errors or not piece:
                return


def _by_row(result: Any, before: int, ragged: set[int]) -> Iterator[str]:
    """The problems of single rows, but of those that have been named already."""
    for row in result.rows:
        for error in row.errors:
            if error.number not in ragged:
                yield f"Row {before + error.number}: {error.error}"
    for row in result.invalid_rows:
        for name, words in row.error_dict.items() if row.number not in ragged else ():
            said = " ".join(words)
            of = "" if name.startswith("__") else f", {name}"
            yield said if said.startswith("Row ") else f"Row {before + row.number}{of}: {said}"
