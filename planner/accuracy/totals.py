"""Totals of whole runs that somebody published, beside what is said of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTotal:
    """A published total and ours, both in hours. low, high: 80 % range around ``predicted_hours``."""

    name: str
    machines: str
    published_hours: float
    predicted_hours: float
    low: float
    high: float
    source: str
    as_of: str
    note: str

    @property
    def error(self) -> float:
        """Signed error as a share of what is published."""
        return self.predicted_hours / self.published_hours - 1.0

    @property
    def covered(self) -> bool:
        """Whether the range holds what is published."""
        return self.low <= self.published_hours <= self.high


def median_error(found: Iterable[PublishedTotal]) -> float:
    """Median absolute error, as a share."""
    return median(abs(each.error) for each in found)
