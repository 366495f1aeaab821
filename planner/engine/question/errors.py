"""The engine's exceptions, raised for questions that make no sense.

A plan that does not fit is a result, never an exception. An error raised here always names the field, the
value that was given, what is wrong with it and what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class HeadroomError(Exception):
    """Root of every error that Headroom raises on purpose."""


class PlanError(HeadroomError):
    """One field of a question makes no sense.

    field: dotted path as in the JSON contract, e.g. ``layout.tensor_parallel``.  value: what was given.
    message: what is wrong with it.  remedy: what to do next.
    """

    def __init__(self, field: str, value: Any, message: str, remedy: str) -> None:
        super().__init__(f"{field}: {message} {remedy}")
        self.field = field
        self.value = value
        self.message = message
        self.remedy = remedy

    def as_dict(self) -> dict[str, Any]:
        """The error as the JSON contract shows it."""
        return {"field": self.field, "value": self.value, "message": self.message, "remedy": self.remedy}


def error_answer(problems: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The one shape in which programs are told what is wrong: the first problem, and all of them."""
    return {"error": problems[0], "errors": list(problems)}


class PlanErrors(HeadroomError):  # noqa: N818 -- it is the plural of PlanError
    """Several fields of one question make no sense; ``errors`` holds them as found, at least one."""

    def __init__(self, errors: list[PlanError]) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = errors
