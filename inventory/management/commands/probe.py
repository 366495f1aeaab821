"""`manage.py probe`: look at this host once, print it, and add what was seen to the fleet."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from inventory.driver.probing import DEFAULT_DEADLINE_S, read_snapshot
from inventory.pages.machine_presenters import snapshot_lines
from inventory.store import services
from inventory.wire.snapshot import HostSnapshot
from inventory.wire.snapshot_json import to_json


class Command(BaseCommand):
    """Prints one snapshot; exit status 0 whenever there is one, also where there is no GPU."""

    help = "Probe this host: print what its driver says, and add it to the fleet."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the snapshot as one JSON object")
        parser.add_argument("--no-save", action="store_true", help="do not touch the database")
        parser.add_argument(
            "--deadline",
            type=float,
            default=DEFAULT_DEADLINE_S,
            help="seconds to wait for the driver (default 20)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        snapshot = read_snapshot(deadline_s=options["deadline"])
        if options["json"]:
            self.stdout.write(json.dumps(to_json(snapshot), ensure_ascii=False))
        else:
            self.stdout.write("\n".join(snapshot_lines(snapshot)))
        if not options["no_save"]:
            self._save(snapshot)

    def _save(self, snapshot: HostSnapshot) -> None:
        try:
            host = services.join_by_worker(snapshot.host.hostname, now=timezone.now())
            taken = services.Taken(uuid4(), host.pk, snapshot, timezone.now(), "command")
            services.record_snapshot(taken, now=timezone.now())
        except ValidationError as error:
            self.stderr.write(f"Not saved: {'; '.join(error.messages)} Set HEADROOM_HOSTNAME.")
        except DatabaseError as error:
            self.stderr.write(f"Not saved: {error}. Run `make install` first, or add --no-save.")
