"""JSON Lines for the commands: a request a line in, an answer a line out, in the same order.

Knows bytes and lines; what a line asks is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, Any

from planner.contract.jsontext import MAX_JSON_BYTES, too_long, write_json
from planner.contract.render import render_error

Answer = dict[str, Any]


def answer_lines(source: IO[bytes], sink: Callable[[str], None], answer: Callable[[bytes], Answer]) -> bool:
    """Answer every line that is not blank; true where none of the answers was an error.

    ``sink`` gets one line at a time and is to pass it on at once.
    """
    sound = True
    for line in bounded_lines(source):
        answered = render_error(too_long()) if line is None else answer(line)
        sound = sound and "error" not in answered
        sink(write_json(answered) + "\n")
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
