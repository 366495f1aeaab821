"""Reading sizes and switches out of a mapping that somebody wrote; every problem is named, not one.

Serves the explicit architecture and the Hugging Face configs alike; knows no model family.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from planner.engine.question.errors import PlanError, PlanErrors

LARGEST_SIZE: Final = 100_000_000  # any width or table length; far above every published model
MOST_LAYERS: Final = 10_000
MOST_UNKNOWN_KEYS: Final = 10  # as many as somebody reads


class SpecReader:
    """Reads fields of one mapping and collects what is wrong with them.

    A field that cannot be read gives a harmless stand-in, so that reading goes on and finds the other
    problems; ``finish`` raises them all. ``assumed`` holds the keys that were absent and took a default;
    ``seen`` those that were asked for, and ``parts`` the readers of mappings within this one.
    """

    def __init__(self, values: Mapping[str, Any], field: str) -> None:
        self.values = values
        self.field = field
        self.errors: list[PlanError] = []
        self.assumed: dict[str, Any] = {}
        self.seen: set[str] = set()
        self.parts: list[tuple[str, SpecReader]] = []

    def problem(self, key: str, message: str, remedy: str) -> None:
        field = f"{self.field}.{key}" if key else self.field
        self.errors.append(PlanError(field, _shown(self.values.get(key)), message, remedy))

    def finish(self) -> None:
        """Raises PlanErrors with all problems found so far, or PlanError where there is one alone."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise PlanErrors(list(self.errors))

    def has(self, key: str) -> bool:
        """Whether the key is there with something other than null."""
        self.seen.add(key)
        return self.values.get(key) is not None

    def first_present(self, keys: tuple[str, ...]) -> str:
        """The first of several names of one field that is present, else the first name."""
        return next((key for key in keys if self.has(key)), keys[0])

    def required_size(self, *keys: str, largest: int = LARGEST_SIZE) -> int:
        """A positive whole number that must be there, under any of its names."""
        key = self.first_present(keys)
        if not self.has(key):
            self.problem(key, "This key is missing.", f"Add {key}, a positive whole number.")
            return 1
        return self._whole_number(key, smallest=1, largest=largest)

    def size(self, key: str, default: int, *, smallest: int = 1, largest: int = LARGEST_SIZE) -> int:
        """A whole number with the default that holds where the key is absent or null."""
        if not self.has(key):
            if key not in self.values:
                self.assumed[key] = default
            return default
        return self._whole_number(key, smallest=smallest, largest=largest)

    def optional_size(self, key: str, *, smallest: int = 1, largest: int = LARGEST_SIZE) -> int | None:
        """A whole number, or None where the key is absent or null."""
        return self._whole_number(key, smallest=smallest, largest=largest) if self.has(key) else None

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        if not self.has(key):
            return default
        value = self.values[key]
        if not isinstance(value, bool):
            self.problem(key, "This must be true or false.", f"Write true or false, or leave {key} out.")
            return default
        return value

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        """One of a few words."""
        if not self.has(key):
            return default
        value = self.values[key]
        if not isinstance(value, str) or value not in choices:
            self.problem(key, "This value is not known.", _choices_remedy(value, choices))
            return default
        return value

    def text(self, key: str, default: str) -> str:
        if not self.has(key):
            return default
        value = self.values[key]
        if not isinstance(value, str):
            self.problem(key, "This must be a text.", f"Write {key} as a string, or leave it out.")
            return default
        return value

    def mapping(self, key: str) -> Mapping[str, Any]:
        if not self.has(key):
            return {}
        value = self.values[key]
        if not isinstance(value, Mapping):
            self.problem(key, "This must be an object.", f"Write {key} as an object, or leave it out.")
            return {}
        return value

    def items(self, key: str) -> list[Any] | None:
        """A list, or None where the key is absent or null."""
        if not self.has(key):
            return None
        value = self.values[key]
        if not isinstance(value, list | tuple):
            self.problem(key, "This must be a list.", f"Write {key} as a list, or leave it out.")
            return None
        return list(value)

    def must_divide(self, key: str, value: int, by_key: str, by: int) -> None:
        """Records a problem where ``value`` is not a multiple of ``by``, unless either is already faulty."""
        if value % by and not self.is_faulty(key, by_key):
            self.problem(
                key,
                f"{key} {value} is not a multiple of {by_key} {by}.",
                f"Change {key} or {by_key} so that one divides the other.",
            )

    def must_not_exceed(self, key: str, value: int, most_key: str, most: int, message: str) -> None:
        """Records a problem where ``value`` is above ``most``, unless either is already faulty."""
        if value > most and not self.is_faulty(key, most_key):
            self.problem(key, message, f"Lower {key} or raise {most_key}.")

    def is_faulty(self, *keys: str) -> bool:
        """Whether any of the keys has a problem already, so that its value is a stand-in."""
        fields = {f"{self.field}.{key}" for key in keys}
        return any(error.field in fields for error in self.errors)

    def unknown_keys(self, known: Iterable[str]) -> None:
        """Records a problem for each of the first keys that are not among the known ones."""
        names = tuple(known)
        unknown = [key for key in self.values if key not in names]
        for key in unknown[:MOST_UNKNOWN_KEYS]:
            self.problem(str(key)[:100], "This field is not known.", _choices_remedy(key, names))

    def _whole_number(self, key: str, *, smallest: int, largest: int) -> int:
        value = self.values[key]
        quoted = isinstance(value, str)
        # 4096.0 and 8e9 are whole: JSON has one kind of number.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            remedy = "Write the number without quotes." if quoted else f"Give {key} as a whole number."
            self.problem(key, "A whole number is wanted here.", remedy)
            return max(smallest, 1)
        if not smallest <= value <= largest:
            self.problem(
                key,
                "This is too small." if value < smallest else "This is too large.",
                f"Give {key} as a whole number from {smallest:,} to {largest:,}.",
            )
            return max(smallest, 1)
        return value


def nearest(word: Any, known: Iterable[str]) -> tuple[str, ...]:
    """Up to three of the known words that look most like the given one."""
    return tuple(difflib.get_close_matches(str(word)[:100].lower(), list(known), n=3, cutoff=0.5))


def _choices_remedy(value: Any, choices: tuple[str, ...]) -> str:
    near = nearest(value, choices)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"Choose from: {', '.join(choices)}."


def _shown(value: Any) -> Any:
    """A value as it may be repeated in a message: long texts, lists and numbers are cut."""
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of more than 38 digits"
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else reprlib.repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
