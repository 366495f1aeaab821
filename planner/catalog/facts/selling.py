"""How providers sell machines: rules of billing, interruptions of spot machines, how much prices move.

Read from the shipped files beside the prices. They are rules rather than prices, so they are not edited in
the admin; a new rule is a new release.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.loader import DATA_DIRECTORY, Row, Sources, read_rows
from planner.catalog.facts.records import (
    PriceRecord,
    PurchaseRule,
    SpotInterruptionRecord,
    VolatilityRecord,
)
from planner.engine.question.sale import Blocks, Interruptions, PaymentOption, PriceSpread, Sale
from planner.engine.question.specs import InstanceSpec
from planner.engine.question.words import PURCHASES
from planner.engine.run.interruptions import RESTART_S, WRITE_S

DAYS_PER_MONTH = 30.4
#: Purchases whose price can change while a run lasts; the others are settled when one buys.
MOVING = ("on_demand", "spot")
#: (low, high) logarithms of the cheapest and dearest zone's price over the median, where only a region's
#: figure is known: the mean of the 87 prices of this catalog that name their zones. Outside AWS a region has
#: one price.
USUAL_ZONES = (-0.178, 0.143)
ZONE_PROVIDERS = ("aws",)
#: Regions named where something is sold elsewhere.
MOST_NAMED = 6


@dataclass(frozen=True, slots=True)
class Selling:
    """Everything that is known of how machines are sold, by what it is looked up with."""

    rules: Mapping[tuple[str, str], PurchaseRule]
    interruptions: Mapping[tuple[str, str], SpotInterruptionRecord]
    volatility: Mapping[str, VolatilityRecord]


@lru_cache(maxsize=1)
def shipped_selling() -> Selling:
    """The rules as shipped, read once per process. Raises CatalogDataError where a file is at fault."""
    return load_selling(DATA_DIRECTORY)


def load_selling(directory: Path) -> Selling:
    """The rules in one directory of data files."""
    sources = Sources(directory)
    rules = read_rows(directory, "purchase_rules.csv", _rule, sources)
    rates = read_rows(directory, "spot_interruptions.csv", _interruption, sources)
    moves = read_rows(directory, "price_volatility.csv", _volatility, sources)
    return Selling(
        rules={(rule.provider, rule.purchase): rule for rule in rules},
        interruptions={(rate.instance_slug, rate.region): rate for rate in rates},
        volatility={move.purchase: move for move in moves},
    )


def sale_of(
    instance: InstanceSpec,
    catalog: Catalog,
    *,
    region: str,
    purchase: str,
    price: PriceRecord | None,
    as_of: date | None,
) -> Sale:
    """The terms on which an instance type is sold; as_of: the day of the price, None for now."""
    selling = shipped_selling()
    rule = selling.rules.get((instance.provider, purchase))
    sale = Sale() if rule is None else _by_rule(rule, selling, instance, region)
    if rule is None or (price is None and purchase == "capacity_block"):
        sale = replace(sale, not_sold=_not_sold(instance, catalog, region=region, purchase=purchase))
    if price is None:
        return sale
    after = None if as_of is None else _after(price, catalog)
    return replace(
        sale,
        payment_option=_payment_option(price),
        spread=_spread(price, selling, instance.provider),
        price_note=price.provenance.note,
        moved_to_usd=None if after is None else after.usd_per_hour,
        moved_on=None if after is None else after.valid_from,
    )


def _by_rule(rule: PurchaseRule, selling: Selling, instance: InstanceSpec, region: str) -> Sale:
    interruptions = None
    if rule.interruptions_per_node_day is not None:
        known = selling.interruptions.get((instance.slug, region))
        interruptions = Interruptions(
            per_node_day=rule.interruptions_per_node_day if known is None else per_day(known.percent_a_month),
            write_s=WRITE_S,
            restart_s=RESTART_S,
            source=said(rule.provenance.source, rule.provenance.note)
            if known is None
            else f"{known.provenance.source}; {known.provenance.note}",
        )
    return Sale(
        minimum_s=rule.minimum_s,
        commitment_years=rule.commitment_years,
        blocks=rule.blocks,
        interruptions=interruptions,
        source=rule.provenance.source,
    )


def per_day(percent_a_month: float) -> float:
    """Machines taken back of one machine-day, where this share of them is within a month.

    percent_a_month: under 100. Source: exponential lifetimes.
    """
    return -math.log1p(-percent_a_month / 100.0) / DAYS_PER_MONTH


def said(source: str, note: str) -> str:
    """A source with its note."""
    return f"{source}; {note}" if note else source


def _payment_option(price: PriceRecord) -> PaymentOption | None:
    option: PaymentOption | None = price.payment_option or None  # type: ignore[assignment]
    return option


def _spread(price: PriceRecord, selling: Selling, provider: str) -> PriceSpread:
    moves = selling.volatility.get(price.purchase)
    low, high = price.usd_per_hour_low, price.usd_per_hour_high
    zones = (0.0, 0.0)
    if low is not None and high is not None:
        zones = math.log(low / price.usd_per_hour), math.log(high / price.usd_per_hour)
    elif price.purchase == "spot" and provider in ZONE_PROVIDERS:
        zones = USUAL_ZONES
    return PriceSpread(
        log_change_a_year=0.0 if moves is None else moves.log_change_a_year,
        zones=zones,
        moves=price.purchase in MOVING,
    )


def _after(price: PriceRecord, catalog: Catalog) -> PriceRecord | None:
    """The latest price of the same thing, where it differs."""
    latest = catalog.price(price.instance_slug, price.region, price.purchase)
    return None if latest is None or latest.usd_per_hour == price.usd_per_hour else latest


def _not_sold(instance: InstanceSpec, catalog: Catalog, *, region: str, purchase: str) -> str:
    known = catalog.regions(instance.slug)
    elsewhere = [place for place in known if catalog.price(instance.slug, place, purchase) is not None]
    what = PURCHASES[purchase].in_sentence()
    if elsewhere:
        more = f" and {len(elsewhere) - MOST_NAMED} more" if len(elsewhere) > MOST_NAMED else ""
        return (
            f"{instance.slug} is not known to be sold as a {what} in {region}; it is in"
            f" {', '.join(elsewhere[:MOST_NAMED])}{more}."
        )
    ways = [PURCHASES[way].in_sentence() for way in catalog.purchases(instance.slug, region)]
    offered = f"; known there: {', '.join(ways)}" if ways else ""
    return f"{instance.slug} is not sold as a {what}{offered}."


def _rule(row: Row, sources: Sources) -> PurchaseRule:
    if row["purchase"] not in PURCHASES:
        raise ValueError(f"unknown purchase {row['purchase']!r}")
    blocks = None
    if row["block_days"]:
        blocks = Blocks(
            block_days=int(row["block_days"]),
            longest_days=int(row["longest_days"]),
            nodes_a_block=int(row["nodes_a_block"]),
            nodes_in_all=int(row["nodes_in_all"]),
            ends_early_s=float(row["ends_early_s"]),
            days_ahead=int(row["days_ahead"]),
        )
    rate = row["interruptions_per_node_day"]
    return PurchaseRule(
        provider=row["provider"],
        purchase=row["purchase"],
        minimum_s=float(row["minimum_s"] or 0.0),
        commitment_years=int(row["commitment_years"] or 0),
        blocks=blocks,
        interruptions_per_node_day=float(rate) if rate else None,
        provenance=sources.provenance(row),
    )


def _interruption(row: Row, sources: Sources) -> SpotInterruptionRecord:
    return SpotInterruptionRecord(
        instance_slug=row["instance"],
        region=row["region"],
        percent_a_month=float(row["percent_a_month"]),
        provenance=sources.provenance(row),
    )


def _volatility(row: Row, sources: Sources) -> VolatilityRecord:
    return VolatilityRecord(
        purchase=row["purchase"],
        log_change_a_year=float(row["log_change_a_year"]),
        provenance=sources.provenance(row),
    )
