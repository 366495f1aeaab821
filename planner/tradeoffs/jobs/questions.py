"""A search's question: read once, what names it, how it is split, and whether it is quick.

No database and no clock here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from typing import Any

from planner.accuracy.calibration import shipped_calibration
from planner.catalog.facts.catalog import Catalog
from planner.contract.search import parse_search_request
from planner.engine.answer.searching import EXACT_PLANS, by_promise
from planner.engine.choose.space import Piece, pieces_of
from planner.engine.question.search_request import SearchRequest

#: Layouts that one core looks at in a second, on a slow and busy one; many of them do not divide and cost
#: little. Measured: docs/performance.md. Only what runs in the background depends on it.
LAYOUTS_PER_S = 1_000_000
#: What a bound leaves to look at, at most: the share of the machines that it cannot rule out.
LEFT_BY_BOUND = 0.4
#: Searches that are estimated to take longer run in a worker.
QUICK_S = 1.0
#: Parts of a job: enough to see progress and to share the work, few enough that a bound found in one helps.
MOST_PARTS = 8
#: What says nothing about the answer.
ASIDE = ("id", "stream")


@dataclass(frozen=True, slots=True)
class Question:
    """A question that was read. pieces: its space. ."""

    data: dict[str, Any]
    request: SearchRequest
    pieces: list[Piece]
    today: date

    @property
    def plans(self) -> int:
        """How many layouts it means."""
        return sum(piece.evaluated for piece in self.pieces)

    @property
    def seconds(self) -> float:
        """About how long it takes on one core."""
        distinct = sum(sum(piece.plans) for piece in self.pieces)
        exact = self.request.exact or self.plans <= EXACT_PLANS
        return distinct * (1.0 if exact else LEFT_BY_BOUND) / LAYOUTS_PER_S

    @property
    def quick(self) -> bool:
        """Whether it is answered at once."""
        return self.seconds <= QUICK_S


def read_question(data: Any, catalog: Catalog, today: date) -> Question:
    """The question that one JSON value asks. Raises PlanErrors, also for a space that is too large."""
    request = parse_search_request(data, catalog, today=today)
    plain = {name: value for name, value in data.items() if name not in ASIDE}
    return Question(plain, request, pieces_of(request), today)


def key_of(question: dict[str, Any], *, today: date, stamp: str) -> str:
    """The name of a question: everything that its answer depends on, and nothing else.

    stamp: changes with the catalog. The day counts since prices age; the constants by when they were fitted.
    """
    provenance = dict(shipped_calibration().provenance)
    asked = json.dumps([question, today.isoformat(), stamp, provenance], sort_keys=True, default=str)
    return hashlib.sha256(asked.encode()).hexdigest()[:40]


def split(question: Question) -> list[list[int]]:
    """The pieces' numbers in at most MOST_PARTS parts of about as many layouts.

    Those that promise most come first: what they find rules out most of the later parts.
    """
    looking = by_promise(question.request, shipped_calibration(), question.pieces, exact=False)
    pieces = [each.piece for each in looking]
    parts: list[list[int]] = []
    whole = sum(sum(piece.plans) for piece in pieces)
    before, last = 0, -1
    for piece in pieces:
        # The part that the piece's middle lies in; pieces larger than a part leave some parts out.
        part = int((before + sum(piece.plans) / 2) * MOST_PARTS / max(whole, 1))
        before += sum(piece.plans)
        if not parts or part != last:
            parts.append([])
        parts[-1].append(piece.number)
        last = part
    return parts
