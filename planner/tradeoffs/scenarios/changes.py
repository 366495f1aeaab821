"""What changed since a plan was saved, split by cause: constants, catalog, price and inputs.

One cause after the other is brought up to date, so that the parts add up to the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from planner.catalog.facts.catalog import Catalog
from planner.engine.question.errors import PlanErrors
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult
from planner.plans.answers import answer_each
from planner.tradeoffs.scenarios import snapshot

CAUSES = (
    ("constants", "Constants and formulas"),
    ("catalog", "Catalog: model and machine"),
    ("price", "Price"),
    ("inputs", "Inputs"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is compared of an answer: seconds and dollars of the run (None: no price), bytes of a rank."""

    total_s: float
    usd: float | None
    memory_bytes: float
    fits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One cause. before, after: the figures around it."""

    cause: str
    label: str
    before: Figures
    after: Figures

    @property
    def changed(self) -> bool:
        """Whether it moved anything by more than rounding."""
        pairs = (
            (self.before.total_s, self.after.total_s),
            (self.before.usd or 0.0, self.after.usd or 0.0),
            (self.before.memory_bytes, self.after.memory_bytes),
        )
        return any(abs(one - other) > 1e-9 * max(abs(one), abs(other), 1e-30) for one, other in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """All causes in order. gone: what the catalog no longer has; it is then run with the facts kept.

    problem: why it cannot be run at all, "" where it can.
    """

    saved: Figures
    now: Figures | None
    steps: tuple[Step, ...]
    gone: tuple[str, ...] = ()
    problem: str = ""


def changes(
    saved: Mapping[str, Any],
    catalog: Catalog,
    *,
    today: date,
    inputs: PlanRequest | None = None,
) -> Changes:
    """What changed. saved: question, answer and facts.  inputs: another question, to tell apart."""
    question, facts = saved["question"], saved["facts"]
    before = figures_of(saved["answer"])
    lost = tuple(snapshot.gone(question, catalog))
    try:
        asked = stages(question, facts, catalog, today, lost)
    except PlanErrors as wrong:
        first = wrong.errors[0]
        return Changes(
            saved=before, now=None, steps=(), gone=lost, problem=f"{first.message} {first.remedy}".strip()
        )
    if inputs is not None:
        asked.append(("inputs", inputs))
    answers = answer_each([each for _, each in asked])
    labels = dict(CAUSES)
    steps: list[Step] = []
    at = before
    for (cause, _), answer in zip(asked, answers, strict=True):
        if isinstance(answer, PlanErrors):
            problem = answer.errors[0].message
            return Changes(saved=before, now=None, steps=tuple(steps), gone=lost, problem=problem)
        after = figures(answer)
        steps.append(Step(cause=cause, label=labels[cause], before=at, after=after))
        at = after
    return Changes(saved=before, now=at, steps=tuple(steps), gone=lost)


def stages(
    question: dict[str, Any], facts: Mapping[str, Any], catalog: Catalog, today: date, lost: tuple[str, ...]
) -> list[tuple[str, PlanRequest]]:
    """The question after each cause is brought up to date. Raises PlanErrors."""
    if lost:
        return [("constants", snapshot.question_as_kept(question, facts, catalog, today))]
    now = snapshot.question_now(question, catalog, today)
    at_price = snapshot.at_kept_price(now, facts)
    same = _same_facts(snapshot.facts_of(question, now.cluster, catalog), facts)
    kept = at_price if same else snapshot.question_as_kept(question, facts, catalog, today)
    return [("constants", kept), ("catalog", at_price), ("price", now)]


def figures(result: PlanResult) -> Figures:
    """Of an answer."""
    return Figures(
        total_s=result.time.total_s,
        usd=None if result.cost is None else result.cost.usd,
        memory_bytes=result.memory.per_accelerator_bytes.total,
        fits=result.fits,
    )


def figures_of(answer: Mapping[str, Any]) -> Figures:
    """Of a saved answer, in the contract's words."""
    cost = answer["cost"]
    return Figures(
        total_s=answer["time"]["total_s"],
        usd=None if cost is None else cost["usd"],
        memory_bytes=answer["memory"]["per_accelerator_bytes"]["total"],
        fits=answer["fits"],
    )


def as_json(found: Changes) -> dict[str, Any]:
    """For programs."""
    return asdict(found)


def _same_facts(now: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    names = ("model", "accelerator", "accelerators_per_node", "internode_bytes_per_s")
    return all(now[name] == kept[name] for name in names)
