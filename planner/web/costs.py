"""How a view says that its questions may be large: looked at one after the other, with a wider budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, TypeVar

from django.http import HttpRequest

from planner.engine.question import effort

Line = TypeVar("Line")
View = TypeVar("View", bound=Callable[..., Any])


def let_others_go(request: Any) -> None:
    """Give the turn of a large question back: from here on the request only waits for a worker."""
    _budget, held = getattr(request, "effort", (None, None))
    if held is not None:
        held.close()


def paid_for(request: Any, lines: Iterator[Line]) -> Iterator[Line]:
    """The lines of a streamed answer, each computed out of the request's own budget. Raises PlanErrors."""
    budget, _held = getattr(request, "effort", (None, None))
    while True:
        with effort.out_of(budget) if budget is not None else nullcontext():
            try:
                line = next(lines)
            except StopIteration:
                return
        yield line


def large_question(view: View) -> View:
    """Mark a view whose question may mean a search; whoever serves requests reads the mark."""
    view.large_question = True  # type: ignore[attr-defined]
    return view


def large_where(asked: Callable[[HttpRequest], bool]) -> Callable[[View], View]:
    """Mark a view as one whose questions may be long where ``asked`` says so of the request."""

    def mark(view: View) -> View:
        view.large_question = asked  # type: ignore[attr-defined]
        return view

    return mark
