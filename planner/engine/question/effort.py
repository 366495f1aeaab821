"""How much computing a question may cost: counted before the work is done, refused where it is too much.

Whoever answers strangers opens a budget (``at_most``); without one nothing is refused, so a command may take
its time. The count is of plans, not of seconds: the same question is refused on every machine, or on none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from planner.engine.question.errors import PlanError, PlanErrors

#: Combinations of degrees laid out for what one evaluated plan costs: some 100 bytes and 200 ns each.
COMBINATIONS_A_PLAN = 30
#: Combinations in one array at most, whatever the budget: each takes some 120 bytes for a moment.
MOST_COMBINATIONS = 4_000_000
#: What any grid costs beside its rows, in plans: the calls of some hundred array operations (about 2 ms).
GRID_OVERHEAD_PLANS = 1_000


class Budget:
    """Evaluated plans that a question may cost, ``plans``, and those it has cost so far, ``used``.

    most: what it may cost where a search turns out to be part of it.
    """

    __slots__ = ("most", "plans", "used")

    def __init__(self, plans: int, most: int = 0) -> None:
        self.plans = plans
        self.most = max(plans, most)
        self.used = 0.0

    def widen(self, plans: int) -> None:
        """Let the question cost up to ``plans`` in all."""
        self.plans = max(self.plans, plans)

    def take(self, plans: float) -> None:
        """Use up so much of it. Raises PlanErrors where it does not reach."""
        if self.used + plans > self.plans:
            raise PlanErrors([_too_much(self.plans)])
        self.used += plans


# A context variable, so that questions answered at once by several threads have a budget each.
_open: ContextVar[Budget | None] = ContextVar("effort", default=None)


@contextmanager
def at_most(plans: int, most: int = 0) -> Iterator[Budget]:
    """Within the block, work beyond what ``plans`` evaluated plans cost raises ``PlanErrors``."""
    budget = Budget(plans, most)
    token = _open.set(budget)
    try:
        yield budget
    finally:
        _open.reset(token)


@contextmanager
def out_of(budget: Budget) -> Iterator[None]:
    """Within the block, work is paid out of a budget that was opened before: an answer that is sent in pieces
    goes on working after the block that opened it.
    """
    token = _open.set(budget)
    try:
        yield
    finally:
        _open.reset(token)


def search_ahead() -> None:
    """Announce that the question means a search, whose budget is wider."""
    if (budget := _open.get()) is not None:
        budget.widen(budget.most)


def plans_ahead(plans: int) -> None:
    """Announce that so many plans are about to be evaluated in one grid. Raises PlanErrors."""
    if (budget := _open.get()) is not None:
        budget.take(plans + GRID_OVERHEAD_PLANS)


def combinations_ahead(combinations: int) -> None:
    """Announce that so many combinations of degrees are about to be laid out. Raises PlanErrors."""
    if (budget := _open.get()) is not None:
        if combinations > MOST_COMBINATIONS:
            raise PlanErrors([_too_much(budget.plans)])
        budget.take(combinations / COMBINATIONS_A_PLAN)


def _too_much(plans: int) -> PlanError:
    return PlanError(
        "",
        None,
        f"This question means more work than is done for one answer here ({plans:,} plans).",
        "Name the nodes and some degrees of the layout, or fewer clusters; or ask from a shell, where "
        "manage.py estimate and search take their time.",
    )
