"""How machines are sold beside their price by the hour: what is billed, for how long, and how sure that is.

Facts of one provider and one way to pay, as the catalog found them, and what the question changes of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

PaymentOption = Literal["no_upfront", "partial_upfront", "all_upfront"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Machines sold for whole spans alone, known beforehand, and paid for whether used or not.

    block_days: up to so many days, any whole number of them; from there on whole weeks, up to
    ``longest_days``.  nodes_a_block: of one block; nodes_in_all: of all blocks together.  ends_early_s:
    seconds before the end at which machines are taken back.  days_ahead: how far ahead a start can be booked.
    """

    block_days: int
    longest_days: int
    nodes_a_block: int
    nodes_in_all: int
    ends_early_s: float
    days_ahead: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruptions:
    """How often machines are taken back, and what a run loses by it.

    per_node_day: machines taken back of one machine-day.  checkpoint_s: between two checkpoints (None: the
    best interval).  write_s: to write one.  restart_s: from the loss until training goes on.
    kept_share: of the run's time that steps take which are kept (goodput), whatever takes the rest.
    given: names of the request's fields that said so; the rest is the catalog's.
    """

    per_node_day: float
    write_s: float
    restart_s: float
    checkpoint_s: float | None = None
    kept_share: float = 1.0
    source: str = ""
    given: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSpread:
    """How sure a price is.

    log_change_a_year: standard deviation of the logarithm of the price after a year without news; it grows
    with the root of time.  zones: (low, high) logarithms of the prices of a region's zones over the one
    used.  moves: it can change while the run lasts.
    """

    log_change_a_year: float = 0.0
    zones: tuple[float, float] = (0.0, 0.0)
    moves: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """The terms of a purchase.

    minimum_s: seconds of a machine that are billed at least; otherwise by the second.
    commitment_years: years that are paid for whatever the run takes (0: none).
    payment_option: how a commitment or block is paid, None where the source does not say.
    list_usd_per_node_hour: the price before a discount.  discount_percent: what the buyer gets off it.
    own_price: the price is the buyer's.  price_note: what the price's source says beside it.
    moved_to_usd, moved_on: what the price became after the day it is asked for, and when.
    not_sold: why this cannot be bought at all, "" where it can.
    most_nodes: of the largest cluster that is sold, None where that is not known or not asked about.
    """

    minimum_s: float = 0.0
    commitment_years: int = 0
    payment_option: PaymentOption | None = None
    blocks: Blocks | None = None
    interruptions: Interruptions | None = None
    spread: PriceSpread = field(default_factory=PriceSpread)
    list_usd_per_node_hour: float | None = None
    discount_percent: float | None = None
    own_price: bool = False
    price_note: str = ""
    moved_to_usd: float | None = None
    moved_on: date | None = None
    not_sold: str = ""
    most_nodes: int | None = None
    source: str = "given in the request"
