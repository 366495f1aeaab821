"""What the plan page says of money: the price with its source and age, the bill, and limits that are missed.

Texts from a plan's result; computes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from planner.engine.answer.billing import payment_words
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import Cost, PlanResult
from planner.engine.question.words import PURCHASES
from planner.engine.run.length import SECONDS_PER_DAY
from planner.web import formats

#: Ways to pay whose price moves from day to day.
VOLATILE = ("spot",)
DAYS_PER_WEEK = 7
#: Sums up to here are written out.
LONGEST_SUM = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceNote:
    """The price behind the cost, in a sentence.

    source, note: who says so, and what they say beside it.  age: of the price, "" where it has none.
    amber: it is known to have moved, moves from day to day, or is missing.  bill: how it is billed.
    """

    text: str
    source: str = ""
    note: str = ""
    age: str = ""
    amber: bool = False
    bill: tuple[str, ...] = ()


def price_note(result: PlanResult, *, today: date) -> PriceNote | None:
    """The price and the bill; None for machines of one's own without a price."""
    cost, cluster = result.cost, result.cluster
    if cost is None:
        if cluster.instance_type is None:
            return None
        return PriceNote(
            text=f"No {paid(cluster.purchase)} price of {cluster.instance_type} is known in {cluster.region}."
            " Choose another region or purchase, give your own price, or add one in the catalog.",
            amber=True,
        )
    sale = cluster.sale
    moved = ""
    if sale.moved_to_usd is not None and sale.moved_on is not None:
        moved = f" Since {formats.day(sale.moved_on)} it is {formats.dollars_per_hour(sale.moved_to_usd)}."
    return PriceNote(
        text=f"{price_words(result, cost)}.{moved}",
        source="" if cost.own_price else cost.price_source or "",
        note=cost.price_note,
        age="" if cost.own_price else age_words(cost.price_as_of, cluster.price_asked_as_of or today),
        amber=bool(moved) or (cost.purchase in VOLATILE and not cost.own_price),
        bill=bill_words(result, cost),
    )


def price_words(result: PlanResult, cost: Cost) -> str:
    """$44.03/h per node, 20 % off the list price of $55.04/h, on demand in us-east-1."""
    cluster = result.cluster
    hourly = f"{formats.dollars_per_hour(cost.price_usd_per_node_hour)} per node"
    if cost.own_price:
        hourly += ", your price"
    elif cost.discount_percent is not None and cost.list_usd_per_node_hour is not None:
        listed = formats.dollars_per_hour(cost.list_usd_per_node_hour)
        hourly += f", {cost.discount_percent:g} % off the list price of {listed}"
    bought = paid(cost.purchase)
    where = f" in {cluster.region}" if cluster.region else ""
    return f"{hourly}, {bought}{where}" if bought else hourly


def age_words(seen: date | None, today: date) -> str:
    """The day on which a price was last seen, "" where it has none. today: the day that it is used for."""
    return "" if seen is None else f"price of {formats.day(seen)}, {max(0, (today - seen).days):,} days old"


def bill_words(result: PlanResult, cost: Cost) -> tuple[str, ...]:
    """How the run is billed beside nodes, hours and price; nothing where that is all."""
    found: list[str] = []
    if cost.commitment_usd is not None and cost.commitment_years is not None:
        found.append(
            f"You commit {formats.dollars(cost.commitment_usd)} over"
            f" {counted(cost.commitment_years, 'year')}; this run uses"
            f" {formats.dollars(cost.usd)} of it. Payment: {payment_words(cost)}."
        )
    blocks = result.cluster.sale.blocks
    if result.unavailable:
        pass
    elif blocks is not None and cost.block_days is not None:
        several = f"{cost.blocks} blocks" if (cost.blocks or 1) > 1 else "a block"
        found.append(
            f"Bought as {several} of {counted(cost.block_days, 'day')}, {payment_words(cost)}:"
            f" {formats.dollars(cost.usd)}, of which {formats.dollars(cost.idle_usd)} is for time that the"
            f" run leaves over. A start can be booked up to {blocks.days_ahead // DAYS_PER_WEEK} weeks ahead."
        )
    elif cost.idle_usd > 0.0:
        found.append(f"{formats.dollars(cost.idle_usd)} of it is billed for time or machines without work.")
    lost = result.time.interruptions
    if lost is not None:
        found.append(
            f"About {formats.trimmed(lost.expected)} interruptions are expected; checkpoints, lost work and"
            f" restarts take {formats.duration(lost.lost_s)} of the time. Waiting for capacity is not in it."
        )
    zones = result.cluster.sale.spread.zones
    if zones != (0.0, 0.0) and not cost.own_price:
        low, high = cost.price_interval_usd_per_node_hour
        found.append(
            f"By zone and day the price is between {formats.dollars_per_hour(low)} and"
            f" {formats.dollars_per_hour(high)} in 8 of 10 cases."
        )
    return tuple(found)


def counted(number: float, unit: str) -> str:
    """1 day, 2 days."""
    return f"{number:g} {unit}{'' if number == 1 else 's'}"


def paid(purchase: str | None) -> str:
    """A way to pay, in words."""
    word = PURCHASES.get(purchase or "")
    return (purchase or "") if word is None else word.in_sentence()


def budget_words(usd: float) -> str:
    """A sum as one says it: $5,000, $250k, $1.5M."""
    if usd < LONGEST_SUM:
        return f"${usd:,.0f}" if usd >= 1.0 else str(formats.dollars(usd))
    amount, suffix = str(formats.dollars(usd))[:-1], str(formats.dollars(usd))[-1]
    return f"{amount.rstrip('0').rstrip('.') if '.' in amount else amount}{suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How a run stands to what was asked for.

    missed: what it does not keep, as it follows on "but".  kept: what it keeps, "" where nothing was asked.
    gist: the shortest form of the first thing missed.
    """

    missed: tuple[str, ...] = ()
    kept: str = ""
    gist: str = ""


def limits(request: PlanRequest, result: PlanResult) -> Limits:
    """Deadline, budget, and whether the machines can be bought."""
    missed: list[tuple[str, str]] = []
    kept: list[str] = []
    if result.unavailable:
        missed.append(("cannot be bought so", "Not for sale"))
    if request.deadline_days is not None:
        deadline_s = request.deadline_days * SECONDS_PER_DAY
        if result.meets_deadline:
            kept.append(f"the deadline of {request.deadline_days:g} days")
        else:
            over = formats.duration(result.time.total_s - deadline_s)
            words = f"misses the deadline of {request.deadline_days:g} days by {over}"
            missed.append((words, "Too late"))
    if request.budget_usd is not None and result.cost is not None:
        budget = budget_words(request.budget_usd)
        if result.meets_budget:
            kept.append(f"the budget of {budget}")
        else:
            over_usd = formats.dollars(result.cost.usd - request.budget_usd)
            missed.append((f"goes {over_usd} over the budget of {budget}", "Over budget"))
    return Limits(
        missed=tuple(words for words, _ in missed),
        kept=f"within {' and '.join(kept)}" if kept else "",
        gist=missed[0][1] if missed else "",
    )
