"""`manage.py import_catalog`: a CSV file of any length into a table of the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from planner.catalog.admin.exchange import RESOURCES
from planner.catalog.admin.files_services import problems_of, write_file

TABLES = {str(table._meta.model_name): table for table in RESOURCES}


class Command(BaseCommand):
    help = "Import a CSV file: every row is looked at first, and nothing is written where one is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("table", choices=TABLES)
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="name each wrong row, and write nothing")

    def handle(self, *args: Any, table: str, file: Path, dry_run: bool, **options: Any) -> None:
        wrong = 0
        try:
            for problem in problems_of(TABLES[table], file):
                wrong += 1
                self.stdout.write(problem)
        except (OSError, UnicodeDecodeError) as failure:
            raise CommandError(f"{file} cannot be read: {failure}") from failure
        if wrong:
            raise CommandError(f"{wrong:,} problems; nothing was written.")
        if dry_run:
            self.stdout.write("No problem found; nothing was written (--dry-run).")
            return
        made = write_file(TABLES[table], file, who="manage.py")
        self.stdout.write(f"{made.title}: {made.changes.count():,} changes.")
