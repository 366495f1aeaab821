"""Where each key was read: the rows of ``data/keys.csv`` and ``data/stacks.csv``.

A key of a table that is not in here is an error, which the tests look for. Reads two small files of its own
package, and nothing else.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """key, stack: unique together.  repository, commit, file: where it was read.

    type: flag (no value), int, bool, str, list, or choice:a|b with the values that are allowed.
    """

    key: str
    stack: str
    repository: str
    commit: str
    file: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """The release of a stack that was read. date: of the commit."""

    stack: str
    label: str
    repository: str
    version: str
    commit: str
    date: str

    @property
    def source(self) -> str:
        return f"https://github.com/{self.repository}/tree/{self.commit}"


@lru_cache(maxsize=1)
def keys() -> dict[tuple[str, str], Key]:
    """By stack and key."""
    rows = [Key(**row) for row in _rows("keys.csv")]
    return {(row.stack, row.key): row for row in rows}


@lru_cache(maxsize=1)
def editions() -> dict[str, Edition]:
    return {row["stack"]: Edition(**row) for row in _rows("stacks.csv")}


def _rows(name: str) -> list[dict[str, Any]]:
    text = (files("planner.launch") / "data" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
