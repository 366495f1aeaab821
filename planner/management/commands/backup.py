"""`manage.py backup FILE-OR-FOLDER`: one file with all that an installation is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from planner.upkeep import backup


class Command(BaseCommand):
    """Back up the database and the secret key, while everything runs."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("target", type=Path, help="the file to write, or a folder to write it into")

    def handle(self, *args: Any, target: Path, **options: Any) -> None:
        try:
            written = backup.take(target)
        except (backup.BackupError, OSError) as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(str(written))
