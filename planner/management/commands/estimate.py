"""`manage.py estimate`: JSON Lines in, one answer a line out."""

from __future__ import annotations

from collections.abc import Callable

from planner.api.json_lines import Answer, JsonLinesCommand
from planner.catalog import selectors
from planner.plans import answers


class Command(JsonLinesCommand):
    help = (
        "Answer plan requests: one JSON object a line on standard input or in --file, one answer a line out, "
        "in the same order. Exit status 0 if every line had a result, 2 if any was an error."
    )

    def answerer(self) -> Callable[[bytes], Answer]:
        catalog = selectors.current_catalog()
        return lambda line: answers.estimate_text(line, catalog)
