"""How a view says that its questions may be large: looked at one after the other, with a wider budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])


def large_question(view: View) -> View:
    """Mark a view whose question may mean a search; whoever serves requests reads the mark."""
    view.large_question = True  # type: ignore[attr-defined]
    return view
