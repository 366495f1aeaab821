"""The trace of every number: which named terms it is made of, the formula with its numbers in, the source.

A formula is a template that is filled from the very arrays the estimate was computed with, so an explanation
cannot drift from the computation. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from planner.engine.question.result import Term


@dataclass(frozen=True, slots=True, kw_only=True)
class TermTemplate:
    """One line of an explanation before its numbers are filled in.

    name: of the value in the row.  formula: str.format template over the row.  parent, part: see ``Term``.
    optional: left out where the row has no such value, or 0.
    """

    name: str
    unit: str
    formula: str
    source: str
    parent: str | None = None
    part: bool = False
    optional: bool = False


FIT = "fitted constant; docs/validation.md"


def terms(templates: tuple[TermTemplate, ...], row: Mapping[str, Any]) -> tuple[Term, ...]:
    """The terms of ``row`` (values by name); optional ones only where the row has them and they are not 0."""
    return tuple(
        Term(
            name=item.name,
            value=float(row[item.name]),
            unit=item.unit,
            formula=item.formula.format_map(row),
            source=item.source,
            parent=item.parent,
            part=item.part,
        )
        for item in templates
        if not item.optional or row.get(item.name)
    )
