"""`manage.py worker`: join the fleet as a GPU host, with the token that `add_host --worker` printed."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inventory.store import services


class Command(BaseCommand):
    """Becomes a Celery worker that reads this host's queue and no other."""

    help = "Run the worker that probes this host. The token comes from `manage.py add_host NAME --worker`."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--token", default=os.environ.get("HEADROOM_TOKEN", ""), help="or HEADROOM_TOKEN")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            host = services.host_of_token(options["token"])
        except services.DeliveryError as error:
            raise CommandError(f"{error.reason} Make one with `manage.py add_host NAME --worker`.") from None
        os.environ["HEADROOM_HOSTNAME"] = host.name
        command = [sys.executable, "-m", "celery", "--quiet", "-A", "config", "worker"]
        command += ["--queues", host.queue, "--concurrency", "1", "--hostname", f"gpu@{host.name}"]
        command += ["--without-gossip", "--without-mingle", "--loglevel", "info"]
        os.execv(sys.executable, command)
