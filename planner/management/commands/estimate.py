"""`manage.py estimate`: JSON Lines in, one answer a line out."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from planner import selectors, services
from planner.json_lines import answer_lines

EXIT_WITH_ERRORS = 2


class Command(BaseCommand):
    help = (
        "Answer plan requests: one JSON object a line on standard input or in --file, one answer a line out, "
        "in the same order. Exit status 0 if every line had a result, 2 if any was an error."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--file", type=Path, help="read requests from this file instead of standard input"
        )

    def handle(self, *args: Any, file: Path | None = None, **options: Any) -> None:
        answer = partial(services.estimate_text, catalog=selectors.current_catalog())
        try:
            with file.open("rb") if file is not None else sys.stdin.buffer as source:
                sound = answer_lines(source, self._say, lambda line: answer(line))
        except OSError as problem:
            raise CommandError(f"{file}: {problem.strerror}", returncode=EXIT_WITH_ERRORS) from problem
        if not sound:
            sys.exit(EXIT_WITH_ERRORS)

    def _say(self, line: str) -> None:
        self.stdout.write(line, ending="")
        self.stdout.flush()
