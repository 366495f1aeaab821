"""Which of two plans is better, and how surely: their errors share causes, so pairs are compared, not ranges.

What is wrong with the model, the workload or the measured source is wrong with both plans and cancels; what
is left is each plan's own. How much is left was measured: runs of one source are off together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from planner.engine.question.request import Cluster
from planner.engine.question.search_request import Objective
from planner.engine.run.money import NINE_TENTHS

#: Plans of which neither is better with more than this chance are shown as equal. Our own choice: three in
#: five is where most readers would still call it open.
EQUAL_UP_TO = 0.6
#: Powers of (run time, price) in what an objective compares.
POWERS: dict[Objective, tuple[float, float]] = {
    "time": (1.0, 0.0),
    "cost": (1.0, 1.0),
    "balanced": (2.0, 1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedErrors:
    """Shares of the variance of log(measured / predicted) time that two plans do not have in common.

    same_chip: two plans of one run on one accelerator by one stack.  other_chip, other_stack: what differs.
    Source: pairs of measured runs of one source, with that source left out of the fit
    (``planner/accuracy/validate/shared_errors.py``); where both chip and stack differ, the two additions are
    added, which no measurement tells: our judgement.
    """

    same_chip: float = 1.0
    other_chip: float = 1.0
    other_stack: float = 1.0

    def apart(self, *, chip: bool, stack: bool) -> float:
        """The share of the variance, 0 to 1, that is not common. chip, stack: whether they differ."""
        share = self.same_chip
        share += (self.other_chip - self.same_chip) * chip
        share += (self.other_stack - self.same_chip) * stack
        return min(share, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One plan of a pair.

    total_s, usd: of the run (usd None: no price).  time_spread, price_spread: standard deviations of the
    logarithms of its run time and of its price.  stack: framework and precision.
    """

    cluster: Cluster
    layout: object
    stack: object
    total_s: float
    usd: float | None
    time_spread: float
    price_spread: float


def spread_of(ends: tuple[float, float]) -> float:
    """Standard deviation of the logarithm of what lies between these ends four times in five.

    ends: low and high, in any one unit.  Taken as a normal distribution, half the width on either side.
    """
    low, high = ends
    return math.log(high / low) / 2.0 / NINE_TENTHS if low > 0.0 else 0.0


def chance_better(one: Compared, other: Compared, objective: Objective, shared: SharedErrors) -> float | None:
    """The chance, 0 to 1, that ``one`` is better than ``other`` by the objective; None without prices.

    Both logarithms are normal, so their difference is: its mean is the log of the ratio of the estimates, its
    variance (power of time)^2 x (s1^2 + s2^2) x the share that is not common, and the prices' own where they
    are of different offers. The same machines and layout run alike, whoever sells them.
    Source: the difference of correlated normal variables; ``SharedErrors``.
    """
    of_time, of_price = POWERS[objective]
    if of_price and (one.usd is None or other.usd is None):
        return None
    ahead = (of_time - of_price) * math.log(other.total_s / one.total_s)
    if of_price and one.usd is not None and other.usd is not None:
        # Dollars are run time x price already.
        ahead += of_price * math.log(other.usd / one.usd)
    variance = of_time**2 * time_variance(one, other, shared) + of_price**2 * price_variance(one, other)
    if variance <= 0.0:
        return 0.5 if ahead == 0.0 else float(ahead > 0.0)
    return 0.5 * (1.0 + math.erf(ahead / math.sqrt(2.0 * variance)))


def time_variance(one: Compared, other: Compared, shared: SharedErrors) -> float:
    """Variance of the log of the ratio of both run times, without what they have in common."""
    same_stack = one.stack == other.stack
    same_chip = one.cluster.accelerator == other.cluster.accelerator
    if same_stack and runs_alike(one.cluster, other.cluster) and one.layout == other.layout:
        return 0.0
    share = shared.apart(chip=not same_chip, stack=not same_stack)
    return share * (one.time_spread**2 + other.time_spread**2)


def price_variance(one: Compared, other: Compared) -> float:
    """Variance of the log of the ratio of both prices; prices of one offer move together."""
    offers = [
        (each.cluster.instance_type, each.cluster.provider, each.cluster.region, each.cluster.purchase)
        for each in (one, other)
    ]
    if offers[0] == offers[1]:
        return 0.0
    return one.price_spread**2 + other.price_spread**2


def runs_alike(one: Cluster, other: Cluster) -> bool:
    """Whether two clusters differ in nothing but how they are sold."""

    def machines(cluster: Cluster) -> tuple[Any, ...]:
        return (
            cluster.accelerator,
            cluster.accelerators_per_node,
            cluster.nodes,
            cluster.internode_bytes_per_s,
            cluster.mig_profile,
        )

    return machines(one) == machines(other)


def as_good(chance: float | None) -> bool:
    """Whether plans with this chance are to be shown as equal."""
    return chance is not None and 1.0 - EQUAL_UP_TO <= chance <= EQUAL_UP_TO
