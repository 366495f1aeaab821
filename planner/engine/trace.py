"""The trace of every number: which named terms it is made of, the formula with its numbers in, the source.

A formula is a template that is filled from the very records the estimate was computed with, so an explanation
cannot drift from the computation. A placeholder says which record's field it shows, ``{step.recompute:.4g}``
or ``{memory.terms[context]:.4g}``: fields of the same name in two records are two placeholders.
Nothing is computed here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from planner.engine.question.result import Term

#: Where a number stands: a record's field, or a named entry of the record's terms.
PLACE = re.compile(r"(\w+)\.(\w+)(?:\[(\w+)\])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TermTemplate:
    """One line of an explanation, before its numbers are put in.

    name: as the answer calls it.  value: the place of its number among the records, e.g. ``step.forward`` or
    ``memory.terms[context]``.  formula: str.format template over the same records.  parent, part: see Term.
    optional: left out where the number is 0 or there is none.
    """

    name: str
    value: str
    unit: str
    formula: str
    source: str
    parent: str | None = None
    part: bool = False
    optional: bool = False
    record: str = field(init=False, repr=False)
    name_in_record: str = field(init=False, repr=False)
    key: str | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found = PLACE.fullmatch(self.value)
        if found is None:
            raise ValueError(f"{self.value!r} is no place of a number")
        for name, part in zip(("record", "name_in_record", "key"), found.groups(), strict=True):
            object.__setattr__(self, name, part)

    def value_in(self, records: Mapping[str, Any]) -> float | None:
        """Its number; None where there is no such record (no price) or no such term (not PPO)."""
        found: Any = getattr(records[self.record], self.name_in_record, None)
        if self.key is not None:
            found = found.get(self.key)
        number: float | None = found
        return number


FIT = "fitted constant; docs/validation.md"


def terms(templates: tuple[TermTemplate, ...], records: Mapping[str, Any]) -> tuple[Term, ...]:
    """The terms of one plan.

    records: by the name that templates call them; their numbers are plain or numpy scalars.
    """
    found = []
    for item in templates:
        value = item.value_in(records)
        if item.optional and not value:
            continue
        assert value is not None, item.value
        found.append(
            Term(
                name=item.name,
                value=float(value),
                unit=item.unit,
                formula=item.formula.format_map(records),
                source=item.source,
                parent=item.parent,
                part=item.part,
            )
        )
    return tuple(found)
