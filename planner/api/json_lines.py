"""JSON Lines for the commands: a request a line in, an answer a line out, in the same order.

Knows bytes, lines and exit statuses; what a line asks is the command's to say.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from planner.contract.jsontext import MAX_JSON_BYTES, too_long, write_json
from planner.contract.render import render_error

Answer = dict[str, Any]
EXIT_WITH_ERRORS = 2


class JsonLinesCommand(BaseCommand, ABC):
    """A command that answers one JSON object a line, from standard input or a file."""

    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--file", type=Path, help="read requests from this file instead of standard input"
        )

    def handle(self, *args: Any, file: Path | None = None, **options: Any) -> None:
        answer = self.answerer()
        try:
            with file.open("rb") if file is not None else sys.stdin.buffer as source:
                sound = answer_lines(source, self._say, answer)
        except BrokenPipeError:  # whoever read the answers has gone: nothing is left to be said
            sys.stderr.close()
            sys.exit(EXIT_WITH_ERRORS)
        except OSError as problem:
            raise CommandError(f"{file}: {problem.strerror}", returncode=EXIT_WITH_ERRORS) from problem
        if not sound:
            sys.exit(EXIT_WITH_ERRORS)

    @abstractmethod
    def answerer(self) -> Callable[[bytes], Answer | Iterable[Answer]]:
        """What answers one line, by one line or several; called once, so that what all share is read once."""

    def _say(self, line: str) -> None:
        self.stdout.write(line, ending="")
        self.stdout.flush()


def answer_lines(
    source: IO[bytes], sink: Callable[[str], None], answer: Callable[[bytes], Answer | Iterable[Answer]]
) -> bool:
    """Answer every line that is not blank; true where none of the answers was an error.

    An answer of several lines is a stream: progress, then the response.

    ``sink`` gets one line at a time and is to pass it on at once.
    """
    sound = True
    for line in bounded_lines(source):
        answered = render_error(too_long()) if line is None else answer(line)
        for each in (answered,) if isinstance(answered, dict) else answered:
            sound = sound and "error" not in each
            sink(write_json(each) + "\n")
    return sound


def bounded_lines(source: IO[bytes]) -> Iterator[bytes | None]:
    """Lines that are not blank, without their ending; None for one that is longer than a request may be.

    Never holds more than one request's length in memory, however long a line is.
    """
    while chunk := source.readline(MAX_JSON_BYTES + 2):
        if len(chunk.rstrip(b"\r\n")) > MAX_JSON_BYTES:
            while chunk and not chunk.endswith(b"\n"):
                chunk = source.readline(MAX_JSON_BYTES)
            yield None
        elif chunk.strip():
            yield chunk.strip()
