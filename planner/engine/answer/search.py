"""Searching all clusters and layouts for one run: what fits, what is fastest, what is cheapest.

A search is a generator: it yields how far it is and what it has kept, and may be left at any time. Kinds of
machine are taken in the order of what they promise; once others are found that a lower bound of time and cost
shows to be better, a kind is counted and skipped, unless the question is small or wants every layout counted.
The few plans that are shown are estimated again, so a search and an estimate never disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.engine.answer.blocks import Evaluated, Looking, batches, evaluate_blocks, laid_out
from planner.engine.answer.estimate import estimate, estimate_many
from planner.engine.answer.kept import Counts, Kept, Rows
from planner.engine.choose.space import Piece, pieces_of
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import Cluster, LayoutRequest, PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.question.search_request import SearchRequest, SearchResult
from planner.engine.sure.calibration import Calibration

#: Up to so many layouts all are counted: it takes less time than anyone notices.
EXACT_PLANS = 200_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search is. done, plans: layouts, those included that a bound ruled out.  kept: so far."""

    done: int
    plans: int
    kept: Kept


def search(request: SearchRequest, calibration: Calibration) -> SearchResult:
    """The Pareto front of time against cost over every sound layout on every cluster, and the best by the
    objective.

    Raises PlanErrors where that would be more layouts than MOST_PLANS.
    """
    kept = Kept(request.objective, request.limit)
    for progress in search_steps(request, calibration, pieces_of(request)):
        kept = progress.kept
    return answer_of(request, calibration, kept)


def search_steps(
    request: SearchRequest,
    calibration: Calibration,
    pieces: Sequence[Piece],
    *,
    rivals: Rows | None = None,
    exact: bool | None = None,
) -> Iterator[Progress]:
    """Search the pieces, and say after each block how far it is. The last one says what is kept.

    rivals: a front that others have found, which bounds are held against.  exact: count every layout (None:
    where the pieces are few layouts, or the question wants it).
    """
    plans = sum(piece.evaluated for piece in pieces)
    kept = Kept(request.objective, request.limit)
    if rivals is not None:
        kept.front = rivals
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
            found = Evaluated.none(rows)
            for rows_done in evaluate_blocks(piece.asked, laid_out(piece, batch), found, calibration):
                yield Progress(done + here * rows_done // rows, plans, kept)
            start = 0
            for size, candidates in batch:
                part = slice(start, start + len(candidates))
                start = part.stop
                looking.keep(size, candidates, found.at(part), kept)
            done += here
        yield Progress(done, plans, kept)


def by_promise(
    request: SearchRequest, calibration: Calibration, pieces: Iterable[Piece], *, exact: bool
) -> list[Looking]:
    """The pieces, the one that promises most first; in the order asked for where all are looked at."""
    found = [Looking.at(request, piece, calibration) for piece in pieces]
    if exact:
        return found
    return sorted(found, key=lambda looking: float(looking.promise().min()))


def skip(looking: Looking, sizes: Iterable[int], kept: Kept) -> int:
    """Count the plans of sizes that bounds rule out; how many they are."""
    plans = sum(looking.piece.plans[size] for size in sizes) * len(looking.piece.offers)
    kept.counts.add(Counts(looked_at=plans, bound=plans))
    return plans


def answer_of(request: SearchRequest, calibration: Calibration, kept: Kept) -> SearchResult:
    """What was kept as the contract's answer: each plan that is shown, estimated."""
    shown = Shown(request, calibration)
    top, pareto = shown.plans(kept.top()), shown.plans(kept.front)
    return SearchResult(
        evaluated=kept.counts.looked_at,
        fitting=kept.counts.fitting,
        best=estimate(shown.question(kept.top(), 0), calibration) if top else None,
        pareto=pareto,
        top=top,
        rejected=kept.counts.rejections(),
        nearest=estimate(shown.question(kept.nearest, 0), calibration)
        if not top and len(kept.nearest)
        else None,
    )


class Shown:
    """The estimates of kept plans."""

    def __init__(self, request: SearchRequest, calibration: Calibration) -> None:
        self.request = request
        self.calibration = calibration

    def question(self, rows: Rows, row: int) -> PlanRequest:
        """What asks for one kept plan."""
        request = self.request
        cluster = request.clusters[int(rows.cluster[row])]
        cluster = replace(cluster, nodes=cluster.nodes or 1)
        layout = rows.layout_at(row)
        return PlanRequest(
            model=request.model,
            workload=request.workloads[int(rows.variant[row])],
            cluster=cluster,
            today=request.today,
            layout=LayoutRequest(**{name: getattr(layout, name) for name in LayoutRequest.__slots__}),
            notes=tuple(notes_on(request, cluster)),
            id=request.id,
        )

    def plans(self, rows: Rows) -> tuple[PlanResult, ...]:
        """The figures of kept plans, in one grid."""
        answers = estimate_many([self.question(rows, row) for row in range(len(rows))], self.calibration)
        sound = []
        for answer in answers:
            if isinstance(answer, PlanErrors):
                raise answer
            sound.append(answer)
        return tuple(sound)


def notes_on(request: SearchRequest, cluster: Cluster) -> Iterator[tuple[str, str]]:
    """The notes that reading gave, without those on the prices of other machines."""
    for code, message in request.notes:
        of_price = code == "price_stale"
        if not of_price or (f"of {cluster.instance_type} in {cluster.region} " in message):
            yield code, message
