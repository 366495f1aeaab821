"""`manage.py restore FILE`: put a backup in the place of what is here, while nothing runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from planner.upkeep import backup


class Command(BaseCommand):
    """Restore a backup and bring it up to date with this program."""

    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=Path, help="a file that `manage.py backup` wrote")

    def handle(self, *args: Any, source: Path, **options: Any) -> None:
        try:
            manifest = backup.restore(source)
        except (backup.BackupError, OSError) as refusal:
            raise CommandError(str(refusal)) from refusal
        call_command("migrate", verbosity=0, interactive=False)
        self.stdout.write(f"Restored the state of {manifest['taken_at']}.")
