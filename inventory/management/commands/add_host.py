"""`manage.py add_host NAME`: let a host deliver its snapshots; prints what to run there."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from inventory.store import selectors, services
from inventory.store.models import Host


class Command(BaseCommand):
    """Prints the token once; it is kept nowhere."""

    help = "Add a GPU host: makes its token and prints the one command to run there."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what the host calls itself (its hostname)")
        parser.add_argument(
            "--server", default="http://localhost:8000", help="address of this server, for the agent"
        )
        parser.add_argument(
            "--worker", action="store_true", help="the host will run a Celery worker, not the agent"
        )
        parser.add_argument("--revoke", action="store_true", help="make the tokens it has worthless first")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        feed = Host.Feed.WORKER if options["worker"] else Host.Feed.AGENT
        try:
            if options["revoke"] and (known := selectors.host_named(options["name"])):
                services.revoke_tokens(known, now=now)
            host, token = services.add_host(options["name"], now=now, feed=feed)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        self.stdout.write(f"On {host.name} run (the token is shown this once):\n")
        if options["worker"]:
            self.stdout.write(f"  HEADROOM_TOKEN={token} python manage.py worker")
        else:
            self.stdout.write(
                f"  HEADROOM_TOKEN={token} python -m headroom_agent --server {options['server']}"
            )
