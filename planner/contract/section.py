"""One object of a request, read field by field; every problem is noted and reading goes on.

After a problem a reader returns a placeholder, so that the rest can be checked as well. No request made from
placeholders is ever returned, because ``Problems.raise_if_any`` is called before the request is handed out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Any, NoReturn

from planner.contract.field import Field
from planner.contract.jsontext import excerpt, plain_value
from planner.engine.question.errors import PlanError, PlanErrors

MAX_PROBLEMS = 50
#: The choice that stands for none of the others.
NOTHING = "none"


class Problems:
    """What is wrong with one request, at most one problem per field, in the order found.

    notes: what deserves only a warning, as (code, message).
    """

    def __init__(self) -> None:
        self.errors: list[PlanError] = []
        self.notes: list[tuple[str, str]] = []

    def add(self, field: str, value: Any, message: str, remedy: str) -> None:
        """Note a problem, unless its field has one already or there are MAX_PROBLEMS."""
        named = bool(field) and any(error.field == field for error in self.errors)
        if not named and len(self.errors) < MAX_PROBLEMS:
            self.errors.append(PlanError(field, plain_value(value), message, remedy))

    def take(self, errors: Iterable[PlanError], prefix: str = "") -> None:
        """Note errors raised elsewhere; their fields get ``prefix`` unless they start with it."""
        for error in errors:
            field = error.field
            if prefix and field != prefix and not field.startswith(prefix + "."):
                field = f"{prefix}.{field}" if field else prefix
            self.add(field, error.value, error.message, error.remedy)

    def note(self, code: str, message: str) -> None:
        """Note a warning, once."""
        if (code, message) not in self.notes:
            self.notes.append((code, message))

    def raise_if_any(self) -> None:
        """Raise PlanErrors with every problem noted, if there are any."""
        if self.errors:
            raise PlanErrors(self.errors)


def near(name: object, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names that resemble ``name`` most, best first."""
    if not isinstance(name, str):
        return []
    folded = {option.lower(): option for option in known}
    wanted = name.strip().lower()[:100]
    close = get_close_matches(wanted, folded, n=count, cutoff=0.6)
    if wanted:
        starting = sorted((option for option in folded if option.startswith(wanted)), key=len)
        close += [option for option in starting if option not in close]
    return [folded[option] for option in close[:count]]


def suggestion(close: Sequence[str], otherwise: str) -> str:
    """'Did you mean …?' where near names are known, else ``otherwise``."""
    return f"Did you mean {' or '.join(close)}?" if close else otherwise


def described(value: Any) -> str:
    """The JSON kind of a value, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the text "{excerpt(value)}"'
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    return str(plain_value(value))


class Section:
    """The object at ``path`` ("" for the request itself). null counts as absent for optional fields."""

    def __init__(self, data: Any, path: str, problems: Problems) -> None:
        self.path = path
        self.problems = problems
        self.sound = isinstance(data, dict)
        self.data: dict[str, Any] = data if isinstance(data, dict) else {}
        self._failed: set[str] = set()
        if not self.sound:
            problems.add(
                path, data, f"Expected an object here, not {described(data)}.", "Write it in braces: {…}."
            )

    def at(self, name: str) -> str:
        """The dotted path of a field of this section."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """The field was given and is not null."""
        return self.data.get(name) is not None

    def ok(self, name: str) -> bool:
        """The field was given and read without a problem."""
        return self.has(name) and name not in self._failed

    def fail(self, name: str, message: str, remedy: str) -> None:
        """Note a problem with a field, which is then not ``ok``."""
        self._failed.add(name)
        self.problems.add(self.at(name), self.data.get(name), message, remedy)

    def missing(self, name: str, remedy: str) -> None:
        """Note that a required field was not given."""
        if self.sound:
            self.fail(name, "This field is missing.", remedy)

    def read(self, field: Field) -> Any:
        """The value of a plain field as its declaration has it: its default where it is left out.

        A required field that is missing, or a wrong value, is noted, and a value that can stand is returned.
        """
        # Of some seventy fields, most are left out.
        found = self._plain(field) if self.has(field.name) else None
        if found is not None:
            return found
        if not field.required:
            return field.default
        if not self.has(field.name):
            self.missing(field.name, field.remedy or _usual_remedy(field))
        return field.values[0] if field.kind == "choice" else field.minimum

    def read_all(self, fields: Iterable[Field]) -> dict[str, Any]:
        """Plain fields by name."""
        return {field.name: self.read(field) for field in fields}

    def _plain(self, field: Field) -> Any:
        match field.kind:
            case "whole":
                return self.optional_whole(field.name, maximum=int(field.limit), minimum=field.minimum)
            case "number":
                return self.positive(field.name, maximum=field.limit)
            case "choice":
                return self.choice(field.name, field.values, field.foreseen)
            case "share":
                return self.share(field.name)
            case "choices":
                return self.choices(field.name, field.values, none=NOTHING)
            case "names" if field.choices is not None:
                return self.choices(field.name, field.values) or None
            case "flag":
                return self.flag(field.name)
            case "date":
                return self.day(field.name)
            case "text":
                return self.text(field.name)
            case _:
                raise TypeError(f"{field.path} is no plain field")

    def only(self, known: Iterable[str], hints: Mapping[str, str] | None = None) -> None:
        """Note every field that is not known. hints: better remedies for foreseeable mistakes, by name."""
        names = list(known)
        for name in self.data:
            if name not in names:
                remedy = (hints or {}).get(name) or suggestion(
                    near(name, names), f"Remove it; the fields here are {', '.join(names)}."
                )
                shown = name if len(name) <= 60 else name[:59] + "…"
                self._failed.add(name)
                self.problems.add(self.at(shown), self.data[name], "This field is unknown.", remedy)

    def optional_whole(self, name: str, *, maximum: int, minimum: int = 1) -> int | None:
        """A whole number from ``minimum`` to ``maximum``, or None where absent or wrong.

        16.0 and 1e3 are whole: JSON has one kind of number.
        """
        number = self._number(name, "a whole number")
        if number is None:
            return None
        if number != math.floor(number):
            self.fail(
                name,
                f"{number:g} is not a whole number.",
                f"Round it, for example to {max(minimum, round(number))}.",
            )
            return None
        if number < minimum:
            self.fail(
                name, f"{plain_value(int(number))} is too small.", f"Give a whole number, at least {minimum}."
            )
            return None
        if number > maximum:
            self.fail(name, f"{plain_value(int(number))} is too large.", f"Give at most {maximum:,}.")
            return None
        return int(number)

    def positive(self, name: str, *, maximum: float) -> float | None:
        """A finite number above zero, or None where the field is absent."""
        number = self._number(name, "a number")
        if number is None:
            return None
        if number <= 0:
            self.fail(name, f"{plain_value(number)} is not positive.", "Give a number greater than zero.")
            return None
        if number > maximum:
            self.fail(name, f"{plain_value(number)} is too large.", f"Give at most {maximum:g}.")
            return None
        return float(number)

    def flag(self, name: str) -> bool | None:
        """true or false, or None where absent or wrong."""
        value = self.data.get(name)
        if value is None or isinstance(value, bool):
            return value
        self.fail(
            name, f"Expected true or false here, not {described(value)}.", "Write true or false, unquoted."
        )
        return None

    def choice(
        self, name: str, options: tuple[str, ...], foreseen: Mapping[str, str] | None = None
    ) -> str | None:
        """One of ``options``, or None where absent.  foreseen: remedies for words that belong elsewhere."""
        value = self.data.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value in options:
            return value
        close = near(value, options, count=1)
        remedy = f"Did you mean {close[0]}? " if close else ""
        if isinstance(value, str) and foreseen:
            known = foreseen.get(value.strip().lower().replace("-", "_"))
            remedy = f"{known} " if known else remedy
        self.fail(
            name, f"{_said(value)} is not one of the choices.", f"{remedy}Choose one of {', '.join(options)}."
        )
        return None

    def choices(self, name: str, options: tuple[str, ...], none: str = "") -> tuple[str, ...] | None:
        """One of ``options`` or a list of them, each once, in their order; None where absent or wrong.

        none: the option that stands for nothing, which goes with no other; () is read for it.
        """
        value = self.data.get(name)
        if value is None:
            return None
        listed = list(value) if isinstance(value, list | tuple) else [value]
        for position, each in enumerate(listed):
            if not isinstance(each, str) or each not in options:
                close = near(each, options, count=1)
                remedy = f"Did you mean {close[0]}? " if close else ""
                self._failed.add(name)
                at = f"{name}.{position}" if isinstance(value, list) else name
                wrong = f"{_said(each)} is not one of the choices."
                self.problems.add(self.at(at), each, wrong, f"{remedy}Choose among {', '.join(options)}.")
                return None
        chosen = tuple(option for option in options if option in listed)
        if none in chosen and len(chosen) > 1:
            self.fail(name, f'"{none}" goes with nothing else.', f'Remove "{none}", or all the others.')
            return None
        return tuple(option for option in chosen if option != none)

    def share(self, name: str) -> float | None:
        """A number from 0 to 1, or None where absent or wrong."""
        number = self._number(name, "a number from 0 to 1")
        if number is None:
            return None
        if not 0 <= number <= 1:
            self.fail(name, f"{plain_value(number)} is not a share.", "Give a number from 0 to 1.")
            return None
        return float(number)

    def text(self, name: str) -> str | None:
        """A text that is not blank, or None where absent or wrong."""
        value = self.data.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value.strip():
            return value
        self.fail(name, f"Expected a name here, not {described(value)}.", "Give a name in quotes.")
        return None

    def day(self, name: str) -> date | None:
        """A calendar date, ISO 8601."""
        value = self.data.get(name)
        if value is None:
            return None
        try:
            if isinstance(value, str) and len(value) == len("2025-06-05"):
                return date.fromisoformat(value)
        except ValueError:
            pass
        self.fail(name, f"Expected a date here, not {described(value)}.", "Write it as 2025-06-05.")
        return None

    def _number(self, name: str, wanted: str) -> float | int | None:
        value = self.data.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            quoted = isinstance(value, str)
            remedy = "Write the number without quotes." if quoted else f"Give {wanted}."
            self.fail(name, f"Expected {wanted} here, not {described(value)}.", remedy)
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self.fail(name, f"{value} is not a finite number.", f"Give {wanted}.")
            return None
        return value


def _usual_remedy(field: Field) -> str:
    if field.kind == "choice":
        return f"Choose one of {', '.join(field.values)}."
    return f"Give a whole number, at least {field.minimum}."


def _said(value: Any) -> str:
    return f'"{excerpt(value)}"' if isinstance(value, str) else described(value).capitalize()


def refuse(field: str, value: Any, message: str, remedy: str) -> NoReturn:
    """Raise a single problem."""
    raise PlanErrors([PlanError(field, plain_value(value), message, remedy)])
