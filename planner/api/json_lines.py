"""JSON Lines for the commands: a request a line in, an answer a line out, in the same order.

Knows bytes, lines and exit statuses; what a line asks is the command's to say.
"""

from __future__ import annotations

import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from planner.contract.jsontext import MAX_JSON_BYTES, too_long, write_json
from planner.contract.render import render_error
from planner.engine.question.errors import PlanError, PlanErrors

Answer = dict[str, Any]

log = logging.getLogger(__name__)
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
        answered = iter((render_error(too_long()),)) if line is None else _survived(answer, line)
        for each in answered:
            text, answerable = _as_text(each)
            sound = sound and answerable
            sink(text + "\n")
    return sound


def _as_text(answered: Answer) -> tuple[str, bool]:
    """One line of an answer as JSON, and whether it is no error."""
    try:
        return write_json(answered), "error" not in answered
    except (ValueError, RecursionError, TypeError):
        log.exception("An answer could not be written")
        return write_json(_our_fault()), False


def _survived(answer: Callable[[bytes], Answer | Iterable[Answer]], line: bytes) -> Iterator[Answer]:
    """The lines of the answer; what goes wrong with one line is that line's answer, and the next ones are
    answered.
    """
    try:
        answered = answer(line)
        yield from (answered,) if isinstance(answered, dict) else answered
    except PlanErrors as problems:
        yield render_error(problems)
    except Exception:  # the doorway: the rest of the lines must not be lost
        log.exception("A line could not be answered")
        yield _our_fault()


def _our_fault() -> Answer:
    return render_error(
        PlanError("", None, "This line could not be answered; the fault is ours.", "Report it with the line.")
    )


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
