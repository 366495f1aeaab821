"""`manage.py export_fleet`: the fleet's history as partitioned Parquet with a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from inventory.pages.history import export_fleet


class Command(BaseCommand):
    help = "Write samples by month, placements and events: FOLDER/MOMENT/TABLE/..., manifest.json."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        try:
            self.stdout.write(str(export_fleet(folder, now=timezone.now())))
        except OSError as failure:
            raise CommandError(str(failure)) from failure
