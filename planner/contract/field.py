"""What one field of the contract is: the record that ``fields`` fills for each name a request may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from planner.engine.question.words import Words

Kind = Literal[
    "whole",
    "number",
    "share",
    "flag",
    "choice",
    "choices",
    "choice_or_names",
    "text",
    "date",
    "nodes",
    "names",
    "wholes",
    "model",
    "card",
    "object",
    "objects",
    "any",
]
"""share: 0 to 1.  choices: one choice or several.  nodes: a whole number or "auto".  names, wholes, objects:
lists of these.
choice_or_names: one of the choices, or a list of names that the catalog has.
model, card: a slug or an object.  any: whatever."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field.  label, help: for people, in forms and documents.

    minimum: of whole numbers (other numbers are above zero).  maximum: the largest that is read.
    choices: the values it may have, with their words.  default: what stands where it is left out; where that
    depends on others, None, and ``otherwise`` says it in words.  remedy: what to do where it is required and
    missing.  tasks: the only ones it matters for (none: all).  beside: the field that says of which
    description of a cluster it is a part ("": of both).  query: its short name in the addresses of pages.
    foreseen: words that people write here and that belong elsewhere, each with its remedy.
    """

    name: str
    kind: Kind
    label: str
    help: str
    unit: str = ""
    choices: Words | None = None
    minimum: int = 1
    maximum: float | None = None
    default: Any = None
    otherwise: str = ""
    required: bool = False
    remedy: str = ""
    tasks: tuple[str, ...] = ()
    beside: str = ""
    query: str = ""
    section: str = ""
    foreseen: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def path(self) -> str:
        """As errors name it, such as ``layout.tensor_parallel``."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def limit(self) -> float:
        """``maximum`` of a number, which every number has."""
        assert self.maximum is not None
        return self.maximum

    @property
    def values(self) -> tuple[str, ...]:
        """The values of a choice, which every choice has."""
        assert self.choices is not None
        return tuple(self.choices)


@dataclass(frozen=True, slots=True)
class Table:
    """The fields of one object of a request, in order.

    hints: what to say to foreseeable names that are not among them.
    """

    section: str
    fields: tuple[Field, ...]
    hints: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.fields)

    def __getitem__(self, name: str) -> Field:
        return next(one for one in self.fields if one.name == name)


def table(section: str, *fields: Field, hints: Mapping[str, str] | None = None) -> Table:
    """The fields of one section, each told where it stands."""
    return Table(section, tuple(replace(one, section=section) for one in fields), hints or {})
