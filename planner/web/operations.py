"""The addresses for programs as declared by the rooms that answer them; the API's document is made of these.

A room declares its operations when it is imported, beside its views. Knows no view and no database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from planner.web.programs import Scope

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address.

    path: below the API's root, with {names}.  takes: schema of the body, None: there is none.
    gives: schema of the answer.  parameters: of the query, name -> what it means.  streams: answers in JSON
    Lines too, where asked.  lists: its rows come in pages.  writes: it changes something.
    """

    name: str
    method: str
    path: str
    scope: Scope
    summary: str
    gives: Schema
    takes: Schema | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    example: Any = None
    lists: bool = False
    streams: bool = False
    writes: bool = False
    missing: str = ""
    """When it answers 404, in words; empty: never."""
    success: int = 200
    later: Schema | None = None
    """What it answers with 202 while the work goes on; None: it always answers at once."""


DECLARED: dict[str, Operation] = {}
"""All operations by name, in the order in which they were declared."""


def declare(*operations: Operation) -> None:
    """Add operations; one that was declared before is replaced."""
    DECLARED.update({each.name: each for each in operations})


def ref(name: str) -> dict[str, str]:
    """A reference to a named schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}
