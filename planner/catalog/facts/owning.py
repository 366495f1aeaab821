"""What an hour of a node of one's own costs: bought, powered and hosted rather than rented.

Straight-line depreciation; all but power is paid for idle hours too, so that it weighs on the hours in use.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from planner.engine.question.result import Term
from planner.engine.trace import TermTemplate, terms

HOURS_PER_YEAR = 8760.0
MONTHS_PER_YEAR = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedNode:
    """The owner's figures. Those in per cent are 0 to 100.

    residual_percent: what it is worth at the end, of its price.  interest_percent: a year.
    power_kw: drawn by the node in use, without cooling.  pue: power of the room over that of its machines.
    used_percent: hours in use of all hours.
    """

    capital_usd: float
    years: float
    residual_percent: float
    interest_percent: float
    power_kw: float
    usd_per_kwh: float
    pue: float
    hosting_usd_per_month: float
    used_percent: float

    @property
    def used(self) -> float:
        """Share of all hours in use."""
        return self.used_percent / 100.0

    @property
    def residual_usd(self) -> float:
        """What it is worth at the end."""
        return self.capital_usd * self.residual_percent / 100.0

    @property
    def middle_usd(self) -> float:
        """What is tied up on average: the mean of the price and what is left."""
        return (self.capital_usd + self.residual_usd) / 2.0

    @classmethod
    def of(cls, values: dict[str, Any]) -> OwnedNode:
        """From a mapping that may hold more.  Raises KeyError where it holds less."""
        return cls(**{each.name: float(values[each.name]) for each in fields(cls)})

    def as_dict(self) -> dict[str, float]:
        """As a row of prices keeps it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHour:
    """USD of one hour in use, part by part."""

    capital: float
    interest: float
    power: float
    hosting: float

    @property
    def total(self) -> float:
        """USD of one hour in use."""
        return self.capital + self.interest + self.power + self.hosting


def node_hour(node: OwnedNode) -> NodeHour:
    """USD of an hour in use.

    capital: loss of value / (years x 8,760 h x share in use).  interest: on the mean of price and what is
    left, a year's over 8,760 h x share in use.  power: kW x PUE x USD per kWh.  hosting: 12 months over
    8,760 h x share in use.  Source: straight-line depreciation; a year of 365 days.
    """
    paid_hours = HOURS_PER_YEAR * node.used
    return NodeHour(
        capital=(node.capital_usd - node.residual_usd) / (node.years * paid_hours),
        interest=node.middle_usd * node.interest_percent / 100.0 / paid_hours,
        power=node.power_kw * node.pue * node.usd_per_kwh,
        hosting=node.hosting_usd_per_month * MONTHS_PER_YEAR / paid_hours,
    )


OWNER = "the owner's figures"
TEMPLATES = (
    TermTemplate(
        name="node_hour",
        value="hour.total",
        unit="USD/hour",
        formula="{hour.capital:,.4f} capital + {hour.interest:,.4f} interest + {hour.power:,.4f} power + "
        "{hour.hosting:,.4f} hosting",
        source="definition",
    ),
    TermTemplate(
        name="capital",
        value="hour.capital",
        unit="USD/hour",
        parent="node_hour",
        part=True,
        formula="({node.capital_usd:,.2f} USD bought - {node.residual_usd:,.2f} USD left) / "
        "({node.years:g} years x 8,760 h x {node.used:g} in use)",
        source=f"straight-line depreciation of {OWNER}",
    ),
    TermTemplate(
        name="interest",
        value="hour.interest",
        unit="USD/hour",
        parent="node_hour",
        part=True,
        formula="{node.middle_usd:,.2f} USD tied up on average x {node.interest_percent:g} % a year / "
        "(8,760 h x {node.used:g} in use)",
        source=OWNER,
    ),
    TermTemplate(
        name="power",
        value="hour.power",
        unit="USD/hour",
        parent="node_hour",
        part=True,
        formula="{node.power_kw:g} kW x {node.pue:g} PUE x {node.usd_per_kwh:g} USD/kWh",
        source=OWNER,
    ),
    TermTemplate(
        name="hosting",
        value="hour.hosting",
        unit="USD/hour",
        parent="node_hour",
        part=True,
        formula="{node.hosting_usd_per_month:,.2f} USD a month x 12 / (8,760 h x {node.used:g} in use)",
        source=OWNER,
    ),
)


def trace(node: OwnedNode) -> tuple[Term, ...]:
    """The hour's cost and its parts, each with the formula and the numbers in it."""
    return terms(TEMPLATES, {"node": node, "hour": node_hour(node)})
