"""The trace of every number: which named terms it is made of, the formula with its numbers in, the source.

A formula is a template that is filled from the very records the estimate was computed with, so an explanation
cannot drift from the computation. A placeholder says which record's field it shows, ``{step.recompute:.4g}``
or ``{memory.terms[context]:bytes}``: fields of the same name in two records are two placeholders. Beside
Python's own formats there are those of ``WRITTEN``, which choose a unit. Nothing is computed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from string import Formatter
from typing import Any, Final

from planner.engine.question.result import Term

#: Where a number stands: a record's field, or a named entry of the record's terms.
PLACE = re.compile(r"(\w+)\.(\w+)(?:\[(\w+)\])?")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that a number is written in from ``least`` on."""

    least: float
    size: float
    name: str


BYTES: Final = (Unit(2**30 / 100, 2**30, " GiB"), Unit(2**20, 2**20, " MiB"), Unit(1.0, 1.0, " bytes"))
SPANS: Final = (
    *(Unit(2 * 86400.0, 86400.0, " days"), Unit(2 * 3600.0, 3600.0, " hours"), Unit(1.0, 1.0, " s")),
    *(Unit(1e-3, 1e-3, " ms"), Unit(1e-6, 1e-6, " µs")),
)
COUNTS: Final = (Unit(1e12, 1e12, "T"), Unit(1e9, 1e9, "B"), Unit(1e6, 1e6, "M"))


def in_units(value: float, units: Sequence[Unit]) -> str:
    """Four digits in the first unit that the value reaches; plain where it reaches none."""
    size = abs(value)
    for unit in units:
        if size >= unit.least:
            return f"{value / unit.size:.4g}{unit.name}"
    return f"{value:.4g}"


def dollars(value: float) -> str:
    """Two decimals under a thousand dollars, none above."""
    return f"${value:,.0f}" if abs(value) >= 1000.0 else f"${value:,.2f}"


#: Formats that a formula has beside Python's: memory in GiB, seconds up to days, dollars, counts up to T;
#: an index as the place that people count from 1.
WRITTEN: Final[Mapping[str, Callable[[float], str]]] = {
    "bytes": lambda value: in_units(value, BYTES),
    "span": lambda value: in_units(value, SPANS),
    "usd": dollars,
    "count": lambda value: in_units(value, COUNTS),
    "place": lambda index: f"{index + 1:.0f}",
}
Reader = Callable[[Mapping[str, Any]], Any]


def filled(formula: str, records: Mapping[str, Any]) -> str:
    """The template with the records' numbers in it."""
    text, readers = _prepared(formula)
    return text.format(*[read(records) for read in readers])


@cache
def _prepared(formula: str) -> tuple[str, tuple[Reader, ...]]:
    """The template with nameless placeholders, and what reads the number, or its text, for each of them."""
    pieces: list[str] = []
    readers: list[Reader] = []
    for text, place, spec, _ in Formatter().parse(formula):
        pieces.append(text.replace("{", "{{").replace("}", "}}"))
        if place is not None:
            write = WRITTEN.get(spec or "")
            pieces.append(f"{{:{spec}}}" if write is None else "{}")
            readers.append(_reader(place, write))
    return "".join(pieces), tuple(readers)


def _reader(place: str, write: Callable[[float], str] | None) -> Reader:
    """What reads the number at a place, as it is or, where ``write`` is given, as that writes it."""
    found = PLACE.fullmatch(place)
    if found is None:
        raise ValueError(f"{place!r} is no place of a number")
    record, name, key = found.groups()
    entry = int(key) if key is not None and key.isdecimal() else key

    if entry is None:
        if write is None:
            return lambda records: getattr(records[record], name)
        return lambda records: write(float(getattr(records[record], name)))
    if write is None:
        return lambda records: getattr(records[record], name)[entry]
    return lambda records: write(float(getattr(records[record], name)[entry]))


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
                item.name,
                float(value),
                item.unit,
                filled(item.formula, records),
                item.source,
                item.parent,
                item.part,
            )
        )
    return tuple(found)
