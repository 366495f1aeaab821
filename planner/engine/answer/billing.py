"""The bill in the numbers and words that its explanation shows, each defined whatever the purchase."""

from __future__ import annotations

from dataclasses import dataclass

from planner.engine.question.result import Cost, InterruptedTime, Time
from planner.engine.question.sale import Interruptions, Sale
from planner.engine.question.words import PAYMENT_OPTIONS
from planner.engine.run.interruptions import RESTART_S, WRITE_S
from planner.engine.run.money import HOURS_PER_YEAR, SECONDS_PER_HOUR
from planner.engine.trace import SPANS, dollars, in_units


@dataclass(frozen=True, slots=True)
class Billed:
    """What the templates of money show; 0 and "" where a purchase has no such thing.

    rule: how the time that is billed follows from the run's.  price_words: what the price is.
    share_percent: of the commitment that the run uses.  payment: how it is paid, in words.
    """

    hours: float = 0.0
    rule: str = ""
    rule_source: str = ""
    price_words: str = ""
    spread_words: str = ""
    idle_usd: float = 0.0
    commitment_usd: float = 0.0
    commitment_hours: float = 0.0
    share_percent: float = 0.0
    upfront_usd: float = 0.0
    payment: str = ""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What the templates of an interrupted run show; 0 where machines are not taken back."""

    computing_s: float = 0.0
    lost_s: float = 0.0
    expected: float = 0.0
    per_node_day: float = 0.0
    checkpoint_interval_s: float = 0.0
    write_s: float = WRITE_S
    restart_s: float = RESTART_S
    lost_words: str = ""
    how: str = ""
    source: str = ""


def billed(cost: Cost | None, sale: Sale, total_s: float) -> Billed:
    """The bill of a run of ``total_s`` seconds."""
    if cost is None:
        return Billed()
    owed = cost.commitment_usd or 0.0
    return Billed(
        hours=cost.billed_hours,
        rule=_rule(cost, sale, total_s),
        rule_source=sale.source,
        price_words=_price(cost),
        spread_words=_spread(cost, sale),
        idle_usd=cost.idle_usd,
        commitment_usd=owed,
        commitment_hours=HOURS_PER_YEAR * (cost.commitment_years or 0.0),
        share_percent=100.0 * cost.usd / owed if owed else 0.0,
        upfront_usd=cost.upfront_usd,
        payment=payment_words(cost),
    )


def payment_words(cost: Cost) -> str:
    """How a commitment or a block is paid, in words."""
    if cost.payment_option is None:
        return "the price's source does not say how it is paid"
    return PAYMENT_OPTIONS[cost.payment_option].in_sentence()


def interrupted_record(time: Time, sale: Sale) -> Interrupted:
    """What the run loses to interruptions."""
    lost, rules = time.interruptions, sale.interruptions
    if lost is None or rules is None:
        return Interrupted()
    kept = rules.kept_share
    return Interrupted(
        computing_s=lost.computing_s,
        lost_s=lost.lost_s,
        expected=lost.expected,
        per_node_day=rules.per_node_day,
        checkpoint_interval_s=lost.checkpoint_interval_s,
        write_s=rules.write_s,
        restart_s=rules.restart_s,
        lost_words=f" + {in_units(lost.lost_s, SPANS)} of checkpoints, lost work and restarts",
        how=_how_lost(lost, rules) if rules.per_node_day > 0.0 else _how_kept(lost.computing_s, kept),
        source=rules.source,
    )


def _how_kept(computing_s: float, kept: float) -> str:
    return f"{in_units(computing_s, SPANS)} x (1 / {kept:g} - 1): {kept:g} of the time was said to be kept"


def _how_lost(lost: InterruptedTime, rules: Interruptions) -> str:
    words = (
        f"{lost.expected:.4g} interruptions, each with a restart of {rules.restart_s:.4g} s and the work"
        f" since the last checkpoint; a checkpoint of {rules.write_s:.4g} s after each"
        f" {in_units(lost.checkpoint_interval_s, SPANS)} of work; waiting for capacity is not counted"
    )
    kept = rules.kept_share
    return words if kept >= 1.0 else f"{_how_kept(lost.computing_s, kept)}; beyond that {words}"


def _rule(cost: Cost, sale: Sale, total_s: float) -> str:
    hours = total_s / SECONDS_PER_HOUR
    if sale.blocks is not None:
        return (
            f"{hours:.5g} h of the run in a block of {cost.block_days:g} days, paid whole: whole days up to"
            f" {sale.blocks.block_days}, then whole weeks up to {sale.blocks.longest_days} days; machines are"
            f" taken back {sale.blocks.ends_early_s / 60:g} min before its end"
        )
    if sale.commitment_years:
        return f"{hours:.5g} h of the run; the hours that the commitment has left over are not counted here"
    if sale.minimum_s:
        return f"{hours:.5g} h of the run, billed by the second, {sale.minimum_s:g} s at least"
    return f"{hours:.5g} h of the run, billed by the second"


def _spread(cost: Cost, sale: Sale) -> str:
    low, high = cost.price_interval_usd_per_node_hour
    if low == high:
        return ""
    moved = f"such prices moved by {100.0 * sale.spread.log_change_a_year:.3g} % a year, by the root of time"
    zones = ", and differ from zone to zone" if sale.spread.zones != (0.0, 0.0) else ""
    return f"; 80 % interval of what is paid {dollars(low)} to {dollars(high)}: {moved}{zones}"


def _price(cost: Cost) -> str:
    if cost.own_price:
        return "the price given in the request"
    listed = f"list price, last seen on {cost.price_as_of}" if cost.price_as_of else "list price"
    if cost.discount_percent:
        return f"{cost.discount_percent:g} % off {dollars(cost.list_usd_per_node_hour or 0.0)}, the {listed}"
    return listed
