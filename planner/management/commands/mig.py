"""`manage.py mig`: JSON Lines in, configurations counted or a layout planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from planner.api.json_lines import Answer, JsonLinesCommand
from planner.catalog import selectors
from planner.mig.answers import mig_text


class Command(JsonLinesCommand):
    help = (
        "Count the configurations of a GPU that MIG divides, or plan which partitions demands need: one JSON "
        "object a line on standard input or in --file, one answer a line out, in the same order, after lines "
        "of progress where the request says stream. Exit status 0 if every line had a result, 2 if any was "
        "an error."
    )

    def answerer(self) -> Callable[[bytes], Iterator[Answer]]:
        catalog = selectors.current_catalog()
        return lambda line: mig_text(line, catalog)
