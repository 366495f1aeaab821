"""`manage.py load_catalog`: bring the database's catalog up to date with the shipped one."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from planner.catalog.changes.imports_services import record_edition
from planner.catalog.facts.loader import load_shipped_catalog
from planner.catalog.services import TableChanges, load_catalog

LISTED = 20


class Command(BaseCommand):
    help = "Load the shipped catalog. Safe to repeat: what people have edited stays, and is reported."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would change, and change nothing"
        )

    def handle(self, *args: Any, dry_run: bool = False, verbosity: int = 1, **options: Any) -> None:
        everything = load_catalog(load_shipped_catalog(), dry_run=dry_run)
        if not dry_run:
            record_edition(everything, now=timezone.now())
        for table, changes in everything.items():
            self._say(table, changes, verbosity)
        if not any(everything.values()):
            self.stdout.write("The catalog is up to date.")
        if dry_run:
            self.stdout.write("Nothing was written (--dry-run).")

    def _say(self, table: str, changes: TableChanges, verbosity: int) -> None:
        if changes:
            self.stdout.write(
                f"{table}: {len(changes.added)} added, {len(changes.updated)} updated, "
                f"{len(changes.withdrawn)} withdrawn, {len(changes.kept)} edits kept, "
                f"{changes.unchanged} unchanged"
            )
        listed = [*changes.updated, *changes.withdrawn]
        if verbosity > 1:
            listed = [*(f"{name}: added" for name in changes.added), *listed]
        shown = listed if verbosity > 1 else listed[:LISTED]
        for line in [*shown, *changes.kept]:
            self.stdout.write(f"  {line}")
        if len(shown) < len(listed):
            self.stdout.write(f"  and {len(listed) - len(shown)} more (--verbosity 2 lists them)")
