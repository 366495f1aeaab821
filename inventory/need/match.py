"""A plan matched against owned hosts: which pools fit it, what is free now, what is missing.

Uses the planner's public functions with clusters made of hosts that exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inventory.need.pools import Pool
from planner.catalog.facts.catalog import Catalog
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.plans.answers import answer_each
from planner.plans.variations import on_machines


@dataclass(frozen=True, slots=True)
class Match:
    """A plan on a pool, on the fewest hosts it fits on. needed: that count, None where it does not fit."""

    pool: Pool
    needed: int | None
    result: PlanResult | None
    problem: str

    @property
    def fits_now(self) -> bool:
        """Enough hosts are free now."""
        return self.needed is not None and self.needed <= len(self.pool.free)

    @property
    def fits_owned(self) -> bool:
        """Enough hosts are owned."""
        return self.needed is not None and self.needed <= len(self.pool.hosts)

    @property
    def missing_now(self) -> int:
        """Count of hosts that must become free before it can start.

        0 where it fits now, or fits on no number of hosts.
        """
        return 0 if self.needed is None else max(0, self.needed - len(self.pool.free))


def have_against_need(request: PlanRequest, owned: Sequence[Pool], catalog: Catalog) -> list[Match]:
    """The plan on each pool, with a new layout, on the fewest hosts that fit; pools that are ready come
    first.
    """
    matches = [_match(request, pool, catalog) for pool in owned]
    return sorted(
        matches,
        key=lambda m: (
            not m.fits_now,
            not m.fits_owned,
            m.result is None,
            m.result.time.total_s if m.result is not None else 0.0,
        ),
    )


def _match(request: PlanRequest, pool: Pool, catalog: Catalog) -> Match:
    """All hosts first: where those do not fit, fewer do not either. Then bisection to the fewest that do."""

    def ask(nodes: int) -> PlanResult | PlanErrors:
        try:
            return answer_each([on_machines(request, pool.cluster(catalog, nodes))], most_remedies=1)[0]
        except PlanErrors as wrong:
            return wrong

    most = len(pool.hosts)
    answer = ask(most)
    if isinstance(answer, PlanErrors):
        return Match(pool, None, None, answer.errors[0].message)
    if not answer.fits:
        return Match(pool, None, answer, answer.reason or "It does not fit.")
    low, high, best = 1, most, answer
    while low < high:
        middle = (low + high) // 2
        found = ask(middle)
        if isinstance(found, PlanResult) and found.fits:
            high, best = middle, found
        else:
            low = middle + 1
    return Match(pool, high, best, "")
