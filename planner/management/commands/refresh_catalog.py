"""`manage.py refresh_catalog`: read a source of prices now, in this process."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from planner.catalog.refresh import services
from planner.catalog.refresh.alerts import tell
from planner.catalog.refresh.sources import LISTED, all_sources


class Command(BaseCommand):
    help = "Read prices and facts where they are published; what differs becomes a change set."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", nargs="*", choices=[[], *(slug for slug, _, _ in LISTED)])

    def handle(self, *args: Any, source: list[str], **options: Any) -> None:
        sources = all_sources()
        for slug in source or list(sources):
            run = services.begin(slug, asked_by="manage.py", now=timezone.now())
            if run is None:
                raise CommandError(f"{slug} is being read already.")
            with services.heard(run):
                done = services.refresh(sources[slug], run)
            tell(done)
            self.stdout.write(f"{slug}: {done.get_state_display()}. {done.message}")
