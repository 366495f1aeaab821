"""`manage.py export_catalog`: the catalog as of a day as partitioned Parquet with a manifest."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from planner.catalog.history.snapshots import export_catalog
from planner.web.parquet import SnapshotExistsError


class Command(BaseCommand):
    help = "Write the catalog as it was on a day: FOLDER/DAY/TABLE/provider=NAME/..., manifest.json."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument(
            "--as-of", type=date.fromisoformat, help="a day as 2025-05-31; today unless given"
        )

    def handle(self, *args: Any, folder: Path, as_of: date | None = None, **options: Any) -> None:
        try:
            self.stdout.write(str(export_catalog(folder, as_of or timezone.localdate())))
        except (SnapshotExistsError, OSError) as failure:
            raise CommandError(str(failure)) from failure
