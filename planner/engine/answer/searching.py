"""Searching all clusters and layouts for one run: what fits, what is fastest, what is cheapest.

A search is a generator: it yields how far it is and what it has kept, and may be left at any time. Kinds of
machine are taken in the order of what they promise; once others are found that a lower bound of time and cost
shows to be better, a kind is counted and skipped, unless the question is small or wants every layout counted.
The few plans that are shown are estimated again, so a search and an estimate never disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from planner.engine.answer.blocks import (
    Evaluated,
    Looking,
    batches,
    evaluate_blocks,
    keep_freed_memory,
    laid_out,
)
from planner.engine.answer.kept import Counts, Kept
from planner.engine.choose.space import Piece, pieces_of
from planner.engine.layout.enumeration import Candidates
from planner.engine.question.search_request import SearchRequest
from planner.engine.sure.calibration import Calibration

#: Up to so many layouts all are counted: it takes less time than anyone notices.
EXACT_PLANS = 200_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search is. done, plans: layouts, those included that a bound ruled out.  kept: so far."""

    done: int
    plans: int
    kept: Kept


def kept_of(request: SearchRequest, calibration: Calibration, *, exact: bool | None = None) -> Kept:
    """What a search of the whole space keeps, without saying how far it is. Raises PlanErrors."""
    kept = Kept(request.objective, request.limit)
    for progress in search_steps(request, calibration, pieces_of(request), exact=exact):
        kept = progress.kept
    return kept


def search_steps(
    request: SearchRequest,
    calibration: Calibration,
    pieces: Sequence[Piece],
    *,
    rivals: Kept | None = None,
    exact: bool | None = None,
) -> Iterator[Progress]:
    """Search the pieces, and say after each block how far it is. The last one says what is kept.

    rivals: what searches of other machines have kept, which bounds are held against.  exact: count every
    layout (None: where the pieces are few layouts, or the question wants it).
    """
    keep_freed_memory()
    plans = sum(piece.evaluated for piece in pieces)
    kept = Kept(request.objective, request.limit)
    if rivals is not None:
        kept.front, kept.best = rivals.front, rivals.best
    if exact is None:
        exact = request.exact or plans <= EXACT_PLANS
    done = 0
    yield Progress(done, plans, kept)
    for looking in by_promise(request, calibration, pieces, exact=exact):
        piece, offers = looking.piece, len(looking.piece.offers)
        skipped = np.zeros(len(piece.sizes), dtype=bool) if exact else looking.hopeless(kept)
        order = [int(size) for size in np.argsort(looking.promise(), kind="stable") if not skipped[size]]
        done += skip(looking, np.flatnonzero(skipped), kept)
        for batch in batches(looking, order):
            # What an earlier batch found may rule out a later one.
            beaten = np.zeros(len(piece.sizes), dtype=bool) if exact else looking.hopeless(kept)
            done += skip(looking, [size for size, _ in batch if beaten[size]], kept)
            batch = [(size, candidates) for size, candidates in batch if not beaten[size]]
            if not batch:
                continue
            here = sum(piece.plans[size] for size, _ in batch) * offers
            rows = sum(len(candidates) for _, candidates in batch)
            found, arrays, parts = Evaluated.none(rows), laid_out(piece, batch), parts_of(batch)
            if not looking.has_layout_bounds:
                looks = evaluate_blocks(piece.asked, arrays, found, calibration)
            elif exact:
                looks = looking.evaluate_all(arrays, found, kept)
            else:
                looks = looking.evaluate_best_first(arrays, parts, found, kept)
            for rows_done in looks:
                yield Progress(done + here * rows_done // rows, plans, kept)
            for (size, candidates), (_, part) in zip(batch, parts, strict=True):
                looking.keep(size, candidates, found.at(part), kept)
            done += here
        yield Progress(done, plans, kept)


def parts_of(batch: Sequence[tuple[int, Candidates]]) -> list[tuple[int, slice]]:
    """Each size of a batch, and its rows among those of all."""
    ends = np.cumsum([len(candidates) for _, candidates in batch])
    return [
        (size, slice(int(end) - len(candidates), int(end)))
        for (size, candidates), end in zip(batch, ends, strict=True)
    ]


def by_promise(
    request: SearchRequest, calibration: Calibration, pieces: Iterable[Piece], *, exact: bool
) -> list[Looking]:
    """The pieces, the one that promises most first; in the order asked for where all are looked at."""
    found = Looking.at_each(request, list(pieces), calibration)
    if exact:
        return found
    return sorted(found, key=lambda looking: float(looking.promise().min()))


def skip(looking: Looking, sizes: Iterable[int], kept: Kept) -> int:
    """Count the plans of sizes that bounds rule out; how many they are."""
    plans = sum(looking.piece.plans[size] for size in sizes) * len(looking.piece.offers)
    kept.counts.add(Counts(looked_at=plans, bound=plans))
    return plans
