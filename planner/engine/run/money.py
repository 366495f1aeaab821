"""Dollars of a run as they are billed: what of a machine's time is paid for, and what is committed beside.

Numbers of one plan, or arrays of shape (plans,).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from planner.engine.grid.plan_grid import Array
from planner.engine.grid.scalars import larger
from planner.engine.question.sale import Blocks, PriceSpread, Sale
from planner.engine.run.length import SECONDS_PER_DAY

SECONDS_PER_HOUR = 3600.0
HOURS_PER_YEAR = 8760.0
#: As years of a commitment are counted: 365 days.
DAYS_PER_YEAR = 365.0
DAYS_PER_WEEK = 7.0
#: The 90 % point of the standard normal distribution.
NINE_TENTHS = 1.2815515655446004
#: What of a commitment or block is paid on the first day. Partial: AWS asks for about half.
UPFRONT_SHARES = {"no_upfront": 0.0, "partial_upfront": 0.5, "all_upfront": 1.0}


def run_usd(nodes: Array | float, billed_s: Array | float, usd_per_node_hour: Array | float) -> Array | float:
    """nodes x hours x price in dollars, all nodes billed alike, the idle ones too.

    nodes, billed_s (seconds that each is billed), usd_per_node_hour: numbers or arrays of shape (plans,).
    """
    return nodes * billed_s / SECONDS_PER_HOUR * usd_per_node_hour


def billed_s(total_s: Array | float, sale: Sale) -> Array | float:
    """Seconds that each machine is billed for a run of ``total_s``: by the second, or whole blocks.

    Source: the provider's rules of billing, a row of the catalog.
    """
    if sale.blocks is not None:
        return block_days(total_s, sale.blocks) * SECONDS_PER_DAY
    longer: Any = larger(total_s, float(sale.minimum_s)) if sale.minimum_s else total_s
    return longer if np.ndim(longer) else float(longer)


def block_days(total_s: Array | float, blocks: Blocks) -> Array | float:
    """Days of the shortest block that holds a run: whole days, beyond ``block_days`` whole weeks.

    total_s: seconds of the run, shape (plans,). A run longer than the longest block gets the weeks that it
    would need.
    """
    days = np.ceil((np.asarray(total_s) + blocks.ends_early_s) / SECONDS_PER_DAY)
    weeks = DAYS_PER_WEEK * np.ceil(days / DAYS_PER_WEEK)
    whole: Any = np.where(days <= blocks.block_days, days, weeks)
    return whole if whole.ndim else float(whole)


def can_be_bought(nodes: float, total_s: Array | float, sale: Sale) -> Any:
    """Whether so many machines are sold for so long, shape (plans,)."""
    if sale.not_sold or (sale.most_nodes is not None and nodes > sale.most_nodes):
        return np.zeros(np.shape(total_s), dtype=bool)
    blocks = sale.blocks
    if blocks is None:
        return np.ones(np.shape(total_s), dtype=bool)
    return (block_days(total_s, blocks) <= blocks.longest_days) & (nodes <= blocks.nodes_in_all)


def why_not_sold(nodes: int, total_s: float, sale: Sale) -> str:
    """What keeps this from being bought, in a sentence; "" where it can be. total_s: seconds of the run."""
    if sale.not_sold:
        return sale.not_sold
    if sale.most_nodes is not None and nodes > sale.most_nodes:
        return (
            f"The largest cluster that is sold has {sale.most_nodes:,} of these machines; this plan needs"
            f" {nodes:,}. Use fewer nodes, or another machine."
        )
    blocks = sale.blocks
    if blocks is None or bool(can_be_bought(nodes, total_s, sale)):
        return ""
    if nodes > blocks.nodes_in_all:
        return (
            f"Capacity blocks hold {blocks.nodes_in_all} instances in all, {blocks.nodes_a_block} in one;"
            f" this plan needs {nodes:,}. Use fewer nodes, or buy them on demand or by reservation."
        )
    days = float(block_days(total_s, blocks))
    return (
        f"The longest capacity block is {blocks.longest_days} days; this run would need {days:,.0f}. Use more"
        " nodes, or buy them on demand or by reservation."
    )


def commitment_terms(total_s: float, sale: Sale) -> int:
    """How many terms in a row a run needs; 0 where nothing is committed. total_s: seconds of the run."""
    if not sale.commitment_years:
        return 0
    return max(1, math.ceil(total_s / SECONDS_PER_DAY / (DAYS_PER_YEAR * sale.commitment_years)))


def commitment_usd(nodes: float, usd_per_node_hour: float, *, years: float) -> float:
    """Dollars that one owes for machines through whole years, used or not.

    nodes: count.  usd_per_node_hour: dollars.  years: of 8,760 hours.  Source: the provider's terms.
    """
    return nodes * usd_per_node_hour * HOURS_PER_YEAR * years


def price_ends(spread: PriceSpread, *, age_days: float, run_s: float) -> tuple[float, float]:
    """(low, high) of log(price paid / price known) that should hold four prices in five.

    age_days: since the price was seen.  run_s: seconds of the run, in which some prices move on. A price
    wanders: its logarithm has a standard deviation that grows with the root of time, and the mean over a run
    of L years at its end has that of L / 3 years. The zones' prices add to it, as independent things do.
    Source: changes of the catalog's own prices (``price_volatility.csv``).
    """
    years = max(0.0, age_days) / DAYS_PER_YEAR
    if spread.moves:
        years += run_s / SECONDS_PER_DAY / DAYS_PER_YEAR / 3.0
    drift = NINE_TENTHS * spread.log_change_a_year * math.sqrt(years)
    low, high = spread.zones
    return -math.hypot(drift, low), math.hypot(drift, high)


def usd_ends(usd: float, of_time: tuple[float, float], of_price: tuple[float, float]) -> tuple[float, float]:
    """(low, high) dollars around ``usd``: both uncertainties, which are independent, together.

    of_time: dollars at the ends of the run's length.  of_price: as ``price_ends`` gives them.
    """
    if usd <= 0.0:
        return usd, usd
    low, high = (math.log(end / usd) for end in of_time)
    return usd * math.exp(-math.hypot(low, of_price[0])), usd * math.exp(math.hypot(high, of_price[1]))


def usd_per_million_tokens(usd: float, tokens: float) -> float:
    """Dollars of a million trained tokens. usd: of the run.  tokens: that its steps see.  Definition."""
    return usd / tokens * 1e6
