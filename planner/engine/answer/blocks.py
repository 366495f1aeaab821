"""One piece of a search's space, looked at in blocks: what fits, how long it takes, what it costs.

Plans are evaluated by the same code as a single estimate, in blocks that stay in the processor's cache:
memory first, and time only for what fits. Machines that differ in price alone are evaluated once. Unless all
are to be counted, layouts come in the order of their own bound, so that the first that fit rule out the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from planner.engine.answer.kept import LAYOUT_FIELDS, Counts, Kept, Mask, Rows, Whole, scores
from planner.engine.choose.bound import batch_bounds_s, filled_at_least, layout_bounds_s, step_bound_s
from planner.engine.choose.space import Piece, ranks_to_use
from planner.engine.grid.build import grid_over_layouts
from planner.engine.grid.plan_grid import Array
from planner.engine.layout.enumeration import Candidates
from planner.engine.memory.needed import needed_per_rank
from planner.engine.question.request import PlanRequest
from planner.engine.question.sale import Sale
from planner.engine.question.search_request import SearchRequest
from planner.engine.rl.ppo import evaluate_ppo
from planner.engine.run.interruptions import lasting_s
from planner.engine.run.length import SECONDS_PER_DAY, total_steps
from planner.engine.run.money import billed_s, can_be_bought, run_usd
from planner.engine.sure.calibration import Calibration
from planner.engine.time.step import step_time

#: Plans evaluated at once: few enough for their arrays to stay in cache, enough to make calls cheap.
BLOCK = 4096
#: Layouts of each size that are looked at first where bounds rule out others, and how many times as many
#: are at every next look.
FIRST_ROWS, ROWS_GROW = 64, 4
#: Bytes of arrays that are kept to be used again: a few hundred of a block's.
KEPT_BYTES = 16 * 2**20
#: Plans laid out at once, but for a single size that has more: small sizes share a block.
MOST_ROWS = 4 * BLOCK


@cache
def keep_freed_memory() -> None:
    """Let the C library keep what the blocks' arrays free, for the next ones, rather than give it back.

    Each page that comes anew from the system is first filled with zeros, which took a third of a block's
    time. glibc keeps as much as twice the largest mapped array that was freed (mallopt(3), M_TRIM_THRESHOLD);
    the array's pages are never touched. Elsewhere nothing changes but the time.
    """
    np.empty(KEPT_BYTES, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Plans on one kind of machine, shape (plans,).

    fits: flags.  share: of a rank's memory that each needs, or needs at least where it does not fit; inf
    where it was not looked at.  step_s: seconds of a step, inf where it does not fit or was not looked at.
    """

    fits: Mask
    share: Array
    step_s: Array

    @classmethod
    def none(cls, plans: int) -> Evaluated:
        """Before any of them was looked at."""
        return cls(np.zeros(plans, dtype=bool), np.full(plans, np.inf), np.full(plans, np.inf))

    def at(self, part: slice) -> Evaluated:
        """Some of them."""
        return Evaluated(self.fits[part], self.share[part], self.step_s[part])

    def put(self, rows: slice | Whole, block: Evaluated) -> None:
        """What was found of some of them."""
        self.fits[rows], self.share[rows], self.step_s[rows] = block.fits, block.share, block.step_s

    @property
    def looked_at(self) -> int:
        """How many of them were looked at, or are known not to fit."""
        return int(np.count_nonzero(np.isfinite(self.share)))


def evaluate_block(asked: PlanRequest, block: dict[str, Array], calibration: Calibration) -> Evaluated:
    """One block of plans. block: layout fields and ``nodes`` by PlanGrid field name, shape (plans,)."""
    plans = len(block["nodes"])
    step_s = np.full(plans, np.inf)
    if asked.workload.ppo:
        result = evaluate_ppo(asked, block, calibration)
        fits = np.broadcast_to(result.fits, (plans,))
        share = np.broadcast_to(result.memory.total / result.grid.memory_bytes, (plans,))
        return Evaluated(fits, share, np.where(fits, result.step.step, np.inf))
    grid = grid_over_layouts(asked, block)
    total = needed_per_rank(grid, calibration.memory)
    fits = np.broadcast_to(total <= grid.memory_bytes, (plans,))
    index = np.flatnonzero(fits)
    if index.size:
        step_s[index] = step_time(grid.rows(index), calibration.timing).step
    return Evaluated(fits, np.broadcast_to(total / grid.memory_bytes, (plans,)), step_s)


def evaluate_blocks(
    asked: PlanRequest, arrays: dict[str, Array], found: Evaluated, calibration: Calibration
) -> Iterator[int]:
    """Fill ``found`` block by block; yields how many plans are done.

    arrays: as in ``evaluate_block``, of any length.  found: of the same length.
    """
    plans = len(arrays["nodes"])
    for start in range(0, plans, BLOCK):
        part = slice(start, start + BLOCK)
        found.put(part, evaluate_block(asked, at_rows(arrays, part), calibration))
        yield min(start + BLOCK, plans)


def at_rows(arrays: Mapping[str, Array], rows: slice | Whole) -> dict[str, Array]:
    """Some of the plans of layout arrays."""
    return {name: values[rows] for name, values in arrays.items()}


class Pricing:
    """How the machines of one piece are sold: numbers by offer, and offers grouped by their terms.

    usd_per_node_hour: shape (offers,), nan where no price is known.
    """

    def __init__(self, piece: Piece) -> None:
        self.usd_per_node_hour = np.array(
            [np.nan if offer.usd_per_node_hour is None else offer.usd_per_node_hour for offer in piece.offers]
        )
        priced = self.usd_per_node_hour[~np.isnan(self.usd_per_node_hour)]
        #: The least price, nan where none is known.
        self.cheapest_usd_per_node_hour = float(priced.min()) if priced.size else float("nan")
        terms: dict[object, list[int]] = {}
        self.sales: list[Sale] = []
        for place, offer in enumerate(piece.offers):
            sale = offer.sale
            key = (sale.interruptions, sale.blocks, sale.minimum_s, bool(sale.not_sold), sale.most_nodes)
            if key not in terms:
                self.sales.append(sale)
            terms.setdefault(key, []).append(place)
        #: Offers that are billed alike, whatever their price.
        self.groups = [np.array(places) for places in terms.values()]


@dataclass(slots=True)
class Looking:
    """A piece while it is searched: its offers' prices, and the bounds of its sizes, shape (sizes,)."""

    request: SearchRequest
    piece: Piece
    calibration: Calibration
    pricing: Pricing
    total_bound_s: Array

    @classmethod
    def at_each(
        cls, request: SearchRequest, pieces: Sequence[Piece], calibration: Calibration
    ) -> list[Looking]:
        """The pieces before anything was looked at."""
        batches_s = batch_bounds_s([piece.asked for piece in pieces], calibration.timing)
        found = []
        for piece, batch_s in zip(pieces, batches_s.tolist(), strict=True):
            asked = piece.asked
            sizes = np.array(piece.sizes, dtype=float)
            # A batch that cannot use all ranks leaves some idle, which only makes the bound lower than need
            # be.
            one = replace(asked, cluster=replace(asked.cluster, nodes=1))
            per_node = 1.0 if asked.workload.ppo else float(max(ranks_to_use(one)))
            ranks = np.ones_like(sizes) if asked.cluster.mig_profile else sizes * per_node
            step_s = step_bound_s(asked, batch_s, sizes, ranks, calibration.timing)
            found.append(cls(request, piece, calibration, Pricing(piece), total_steps(asked) * step_s))
        return found

    @property
    def bounds(self) -> tuple[Array, Array]:
        """(seconds, dollars) that a run takes at least: shape (sizes, 1) and (sizes, offers), inf: no price.

        Interruptions and rules of billing only add to both.
        """
        total_s = self.total_bound_s[:, None]
        nodes = np.array(self.piece.sizes, dtype=float)[:, None]
        usd = np.asarray(run_usd(nodes, total_s, self.pricing.usd_per_node_hour[None, :]))
        return total_s, np.where(np.isnan(usd), np.inf, usd)

    def promise(self) -> Array:
        """The best score that each size can reach, by the bounds, shape (sizes,)."""
        total_s, usd = self.bounds
        best: Array = scores(self.request.objective, total_s, usd).min(axis=1)
        return best

    def hopeless(self, kept: Kept) -> Mask:
        """Sizes of which no plan can be among the answers, by the bounds, shape (sizes,)."""
        return np.asarray(self.beyond(*self.bounds, kept).all(axis=1))

    @property
    def has_layout_bounds(self) -> bool:
        """Whether the layouts of these machines have bounds of their own."""
        return self.piece.asked.workload.ppo is None

    def evaluate_all(self, arrays: dict[str, Array], found: Evaluated, kept: Kept) -> Iterator[int]:
        """Look at every layout, but for those whose weights and states alone do not fit; yields how many are
        done with. arrays, found: as in ``evaluate_best_first``.
        """
        known, rows = self._known_not_to_fit(arrays, np.ones(len(arrays["nodes"]), dtype=bool), found)
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            found.put(part, evaluate_block(self.piece.asked, at_rows(arrays, part), self.calibration))
            yield int(np.count_nonzero(known)) + start + len(part)
        if not len(kept.front) and not found.fits.any():
            self._find_nearest(arrays, np.flatnonzero(known), found, kept)

    def _known_not_to_fit(
        self, arrays: dict[str, Array], open_rows: Mask, found: Evaluated
    ) -> tuple[Mask, Whole]:
        """(flags of the open rows that do not fit by weights and states alone, positions of the others)."""
        share = filled_at_least(self.piece.asked, arrays, self.calibration.memory)
        known = open_rows & (share > 1.0)
        found.share[known] = share[known]
        return known, np.flatnonzero(open_rows & ~known)

    def evaluate_best_first(
        self, arrays: dict[str, Array], parts: Sequence[tuple[int, slice]], found: Evaluated, kept: Kept
    ) -> Iterator[int]:
        """Look at the layouts of several sizes in the order of their bounds, as long as one can still be
        among the answers; yields how many are done with.

        arrays: as in ``evaluate_block``.  parts: each size and its rows.  found: filled, of the same length.
        On one cluster a slower run costs no less, so that a layout is done with once as many faster ones fit
        as are kept of a cluster.
        """
        plans, asked, calibration = len(arrays["nodes"]), self.piece.asked, self.calibration
        step_s = layout_bounds_s(asked, arrays, calibration.timing)
        total_s = total_steps(asked) * step_s
        usd = np.asarray(run_usd(arrays["nodes"], total_s, self.pricing.cheapest_usd_per_node_hour))
        open_rows = ~self.beyond(total_s, np.where(np.isnan(usd), np.inf, usd), kept)
        known, left = self._known_not_to_fit(arrays, open_rows, found)
        most = 1 if np.isfinite(kept.threshold()) else self.request.limit
        queues = []
        for _, part in parts:
            waiting = left[(left >= part.start) & (left < part.stop)]
            queues.append(waiting[np.argsort(step_s[waiting], kind="stable")])
        each = FIRST_ROWS
        while any(len(queue) for queue in queues):
            at_once = min(each, max(1, BLOCK // sum(len(queue) > 0 for queue in queues)))
            rows = np.concatenate([queue[:at_once] for queue in queues])
            found.put(rows, evaluate_block(asked, at_rows(arrays, rows), calibration))
            for place, (_, part) in enumerate(parts):
                queue = queues[place][at_once:]
                if len(queue):
                    fastest = found.step_s[part]
                    enough_s = np.partition(fastest, most - 1)[most - 1] if len(fastest) >= most else np.inf
                    queue = queue[: int(np.searchsorted(step_s[queue], enough_s, side="right"))]
                queues[place] = queue
            each *= ROWS_GROW
            yield plans - sum(len(queue) for queue in queues)
        if not len(kept.front) and not found.fits.any():
            self._find_nearest(arrays, np.flatnonzero(known), found, kept)

    def _find_nearest(self, arrays: dict[str, Array], rows: Whole, found: Evaluated, kept: Kept) -> None:
        """Where nothing fits, look at the rows that come nearest to it, by what they fill at least.

        rows: known not to fit, their ``found.share`` a bound.
        """
        rows = rows[np.argsort(found.share[rows], kind="stable")]
        known = np.isin(np.arange(len(found.share)), rows)
        best = min(kept.nearest_share, float(np.min(found.share[~known], initial=np.inf)))
        each = FIRST_ROWS
        while len(rows) and found.share[rows[0]] < best:
            looked_at, rows = rows[:each], rows[each:]
            found.put(
                looked_at, evaluate_block(self.piece.asked, at_rows(arrays, looked_at), self.calibration)
            )
            best = min(best, float(found.share[looked_at].min()))
            each = min(each * ROWS_GROW, BLOCK)

    def beyond(self, total_s: Array, usd: Array, kept: Kept) -> Mask:
        """Whether plans no better than these (seconds, dollars; inf: no price), of any shape, can be no
        answer: beaten by what is kept, or beyond a limit.
        """
        beyond: Any = kept.beaten(total_s, usd)
        if self.request.deadline_days is not None:
            beyond = beyond | (total_s > self.request.deadline_days * SECONDS_PER_DAY)
        if self.request.budget_usd is not None:
            beyond = beyond | (usd > self.request.budget_usd)
        flags: Mask = beyond
        return flags

    def keep(self, size: int, candidates: Candidates, found: Evaluated, kept: Kept) -> None:
        """Count what became of the plans on one size, and keep the best of each offer."""
        request, piece, counts = self.request, self.piece, Counts()
        offers, plans = len(piece.offers), len(candidates)
        rows = np.flatnonzero(found.fits)
        counts.looked_at = piece.plans[size] * offers
        counts.indivisible = (piece.plans[size] - plans) * offers
        counts.bound = (plans - found.looked_at) * offers
        counts.no_memory = (found.looked_at - rows.size) * offers
        if rows.size:
            rows = rows[np.argsort(found.step_s[rows], kind="stable")]
            steps_s = total_steps(piece.asked) * found.step_s[rows]
            most = 1 if np.isfinite(kept.threshold()) else request.limit
            found_rows = [
                self._of_group(size, group, sale, steps_s, candidates, rows, counts, most)
                for group, sale in zip(self.pricing.groups, self.pricing.sales, strict=True)
            ]
            kept.add(Rows.joined(found_rows))
        elif found.looked_at and not len(kept.front):
            lacking = int(np.argmin(found.share))
            kept.near(float(found.share[lacking]), self._rows(size, candidates, np.array([lacking])))
        kept.counts.add(counts)

    def _of_group(
        self,
        size: int,
        group: Whole,
        sale: Sale,
        steps_s: Array,
        candidates: Candidates,
        rows: Whole,
        counts: Counts,
        most: int,
    ) -> Rows:
        """The best of each offer of a group that is billed alike. steps_s: of the plans at ``rows``,
        ascending.

        On one cluster the bill never falls with a longer run, so the fastest plans are the cheapest too.
        """
        request, piece = self.request, self.piece
        nodes, offers = float(piece.sizes[size]), len(group)
        total_s = np.asarray(lasting_s(steps_s, nodes, sale.interruptions))
        sold = np.asarray(can_be_bought(nodes, total_s, sale))
        counts.unsold += int(np.count_nonzero(~sold)) * offers
        within = sold
        if request.deadline_days is not None:
            within = sold & (total_s <= request.deadline_days * SECONDS_PER_DAY)
            counts.late += (int(np.count_nonzero(sold)) - int(np.count_nonzero(within))) * offers
        first = np.flatnonzero(within)
        if request.budget_usd is None:
            counts.fitting += first.size * offers
            first = first[:most]
        billed = np.asarray(billed_s(total_s[first], sale))
        prices = self.pricing.usd_per_node_hour[group]
        usd = np.asarray(run_usd(nodes, billed[None, :], prices[:, None]))
        # A run without a known price cannot be shown to be within a budget.
        affordable = np.ones_like(usd, dtype=bool)
        if request.budget_usd is not None:
            affordable = usd <= request.budget_usd
            held = int(np.count_nonzero(affordable))
            counts.fitting += held
            counts.dear += usd.size - held
            affordable[:, most:] = False
        offer, place = np.nonzero(affordable)
        found = self._rows(size, candidates, rows[first[place]])
        return replace(
            found,
            total_s=total_s[first[place]],
            usd=usd[offer, place],
            cluster=piece.index[size, group[offer]],
            place=place,
        )

    def _rows(self, size: int, candidates: Candidates, rows: Whole) -> Rows:
        """The layouts at these rows of the candidates, on the first offer, without time and dollars."""
        layout = np.column_stack([candidates.arrays[name][rows] for name in LAYOUT_FIELDS])
        count = len(rows)
        return Rows(
            total_s=np.full(count, np.nan),
            usd=np.full(count, np.nan),
            cluster=np.full(count, self.piece.index[size, 0]),
            variant=np.full(count, self.piece.variant),
            place=np.zeros(count, dtype=np.int64),
            layout=layout,
        )


def batches(looking: Looking, sizes: Sequence[int]) -> Iterator[list[tuple[int, Candidates]]]:
    """The layouts of these sizes, several sizes together while they are few."""
    batch: list[tuple[int, Candidates]] = []
    rows = 0
    for size in sizes:
        candidates = looking.piece.candidates(size)
        if batch and rows + len(candidates) > MOST_ROWS:
            yield batch
            batch, rows = [], 0
        batch.append((size, candidates))
        rows += len(candidates)
    if batch:
        yield batch


def laid_out(piece: Piece, batch: Sequence[tuple[int, Candidates]]) -> dict[str, Array]:
    """The layout arrays of a batch, one size after the other, with their numbers of nodes."""
    counts = [len(candidates) for _, candidates in batch]
    arrays = {
        name: np.concatenate([candidates.arrays[name] for _, candidates in batch])
        for name in batch[0][1].arrays
    }
    nodes = np.array([piece.sizes[size] for size, _ in batch], dtype=float)
    return {**arrays, "nodes": np.repeat(nodes, counts)}
