"""What the trade-offs page says: choices as settings, the goal's answer in a sentence, progress, sliders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from planner.catalog.facts.catalog import Catalog
from planner.tradeoffs.charts.front import told
from planner.tradeoffs.jobs import JobStatus
from planner.tradeoffs.market import USUAL_PURCHASES, Market, known_names
from planner.tradeoffs.points import Chosen, Goal
from planner.web import formats

#: Positions of a slider: fine enough that neighbouring plans can be told apart.
STEPS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One checkbox."""

    value: str
    label: str
    checked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A list of what is allowed. said: what is chosen, in words.  usual: what stands where nothing is.

    folded: too long to stand open.
    """

    name: str
    label: str
    usual: str
    said: str
    choices: tuple[Choice, ...]
    folded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Slider:
    """A slider over a logarithm. low, high: its ends.  value: where it stands, 0 to STEPS."""

    low: float
    high: float
    value: int
    steps: int = STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where searches stand together. percent: of the work.  state: the least happy one's."""

    percent: int
    evaluated: str
    plans: str
    state: str
    words: str
    problem: str
    remedy: str
    ended: bool
    can_resume: bool
    front: tuple[str, ...]


SETTINGS = (
    ("providers", "Providers", "all"),
    ("purchases", "Purchases", "on demand, spot and capacity blocks"),
    ("families", "Families", "all"),
    ("regions", "Regions", "each provider's default"),
    ("stacks", "Stacks", "the scenario's"),
    ("precisions", "Precisions", "the scenario's"),
)
STATES = {
    "waiting": "Waiting for a worker",
    "running": "Searching",
    "merging": "Putting the parts together",
    "done": "Done",
    "cancelled": "Stopped",
    "failed": "Failed",
    "lost": "A worker was lost",
}
OPEN_CHOICES = 8


def settings_of(market: Market, catalog: Catalog) -> list[Setting]:
    """The lists of what is allowed, as checkboxes."""
    known = known_names(catalog)
    found = []
    for name, label, usual in SETTINGS:
        chosen = getattr(market, name)
        words = known[name]
        said = ", ".join(words[value] for value in chosen) or usual
        checked = chosen or (USUAL_PURCHASES if name == "purchases" else ())
        choices = tuple(
            Choice(value=value, label=text, checked=value in checked) for value, text in words.items()
        )
        found.append(
            Setting(
                name=name,
                label=label,
                usual=usual,
                said=said,
                choices=choices,
                folded=len(choices) > OPEN_CHOICES,
            )
        )
    return found


def goal_sentence(chosen: Chosen, goal: Goal) -> str:
    """The goal's answer; the page's script says it in the same words while the sliders move."""
    wanted = wanted_in_words(goal)
    cheapest, quickest = chosen.cheapest, chosen.quickest
    if cheapest is None or quickest is None:
        near = []
        if chosen.nearest_time is not None:
            near.append(f"within the budget the fastest is {told(chosen.nearest_time)}")
        if chosen.nearest_cost is not None:
            near.append(f"within the deadline the cheapest is {told(chosen.nearest_cost)}")
        rest = f": {'; '.join(near)}" if near else ""
        return f"Nothing that was found is {wanted}{rest}."
    where = f" {wanted}" if wanted else ""
    if cheapest.key == quickest.key:
        return f"Cheapest and fastest{where}: {told(cheapest)}."
    steady = "" if chosen.steady is None else f" Without spot: {told(chosen.steady)}."
    return f"Cheapest{where}: {told(cheapest)}.{steady} Fastest{where}: {told(quickest)}."


def wanted_in_words(goal: Goal) -> str:
    """``within 30.0 days and $2.00M``, less the margin; "" for no goal."""
    parts = []
    if goal.deadline_s is not None:
        parts.append(str(formats.duration(goal.within_s)))
    if goal.budget_usd is not None:
        parts.append(str(formats.dollars(goal.within_usd)))
    return f"within {' and '.join(parts)}" if parts else ""


def slider(values: Sequence[float], chosen: float | None) -> Slider | None:
    """A slider over these values; it stands at the end where nothing was chosen. None for no range."""
    sound = [value for value in values if value > 0]
    if not sound or min(sound) == max(sound):
        return None
    low, high = min(sound), max(sound) * 1.001
    at = high if chosen is None else min(max(chosen, low), high)
    return Slider(low=low, high=high, value=round(STEPS * math.log(at / low) / math.log(high / low)))


def progress(statuses: Sequence[JobStatus]) -> Progress:
    """Several searches as one."""
    order = list(STATES)
    worst = max(statuses, key=lambda each: (each.can_resume, -order.index(each.state)))
    plans, done = sum(each.plans for each in statuses), sum(each.plans_done for each in statuses)
    return Progress(
        percent=round(100 * (done / plans if plans else 0.0)),
        evaluated=str(formats.count(done)),
        plans=str(formats.count(plans, "layouts")),
        state=worst.state,
        words=STATES[worst.state],
        problem=worst.problem,
        remedy=worst.remedy,
        ended=worst.ended,
        can_resume=worst.can_resume,
        front=tuple(_row_told(row) for each in statuses for row in each.front[:12]),
    )


def _row_told(row: dict[str, object]) -> str:
    cluster, usd, total_s = row["cluster"], row["usd"], row["total_s"]
    assert isinstance(cluster, dict)
    assert isinstance(total_s, float)
    machine = cluster.get("instance_type") or cluster.get("accelerator")
    cost = f", {formats.dollars(usd)}" if isinstance(usd, float) else ""
    return f"{cluster['nodes']:,} × {machine}: {formats.duration(total_s)}{cost}"
