"""What can go wrong, one small tree: each error says what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field. field: its dotted path, empty: the whole request."""

    field: str
    value: Any
    message: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        return f"{where}{self.message} {self.remedy}".strip()


class HeadroomError(Exception):
    """The root. problems: what the server said is wrong. status: of its answer, None: it did not answer."""

    def __init__(self, problems: Sequence[Problem], status: int | None = None) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
        self.status = status


class QuestionError(HeadroomError):
    """The question makes no sense, or what it names is not there."""


class NotAllowedError(HeadroomError):
    """The token is missing, not in force, or may not do this."""


class UnavailableError(HeadroomError):
    """The server cannot be reached, or is too busy, also after trying again."""
