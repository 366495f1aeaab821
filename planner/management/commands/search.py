"""`manage.py search`: JSON Lines in, the best plans of each out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from planner.api.json_lines import Answer, JsonLinesCommand
from planner.catalog import selectors
from planner.contract.jsontext import read_json
from planner.engine.question.errors import PlanError
from planner.tradeoffs import answers


class Command(JsonLinesCommand):
    help = (
        "Find the best machines and layouts: one JSON object a line on standard input or in --file, one "
        "answer a line out, in the same order, after lines of progress where the request says stream. Exit "
        "status 0 if every line had a result, 2 if any was an error."
    )

    def answerer(self) -> Callable[[bytes], Iterable[Answer]]:
        catalog = selectors.current_catalog()

        def answer(line: bytes) -> Iterable[Answer]:
            try:
                data = read_json(line)
            except PlanError as problem:
                return answers.unreadable(problem)
            return answers.search_here(data, catalog)

        return answer
