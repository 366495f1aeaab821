"""`manage.py search`: JSON Lines in, the best plans of each out."""

from __future__ import annotations

from collections.abc import Callable

from planner import selectors, services
from planner.json_lines import Answer, JsonLinesCommand


class Command(JsonLinesCommand):
    help = (
        "Find the best machines and layouts: one JSON object a line on standard input or in --file, one "
        "answer a line out, in the same order. Exit status 0 if every line had a result, 2 if any was an "
        "error."
    )

    def answerer(self) -> Callable[[bytes], Answer]:
        catalog = selectors.current_catalog()
        return lambda line: services.search_text(line, catalog)
