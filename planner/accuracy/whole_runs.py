"""How much longer whole runs took than their steps alone: public totals over ours.

``make validate`` writes the figures, since asking about every run takes a while.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from statistics import quantiles

from planner.accuracy.bills import BILLS, bills
from planner.accuracy.calibration import DATA_DIRECTORY, read
from planner.accuracy.famous import famous_runs

WHOLE_RUNS_FILE = DATA_DIRECTORY / "whole_runs.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeRuns:
    """Published time over the predicted one. runs: count.  low, median, high: quartiles of that ratio."""

    runs: int
    low: float
    median: float
    high: float


def measured() -> WholeRuns:
    """Over public bills and famous runs alike, but those asked with the share of time that was kept."""
    rows = map(json.loads, BILLS.read_text(encoding="utf-8").splitlines())
    kept = {row["name"] for row in rows if row["request"]["cluster"].get("goodput") is not None}
    ratios = [each.published_hours / each.predicted_hours for each in bills() if each.name not in kept]
    ratios += [each.published_hours / each.predicted_hours for each in famous_runs()]
    low, middle, high = quantiles(ratios, n=4)
    return WholeRuns(runs=len(ratios), low=round(low, 3), median=round(middle, 3), high=round(high, 3))


def write() -> None:
    """Write the figures beside the report."""
    WHOLE_RUNS_FILE.write_text(json.dumps(asdict(measured()), indent=1) + "\n", encoding="utf-8")


@lru_cache(maxsize=1)
def whole_runs() -> WholeRuns | None:
    """The figures as they were written; None where they never were."""
    return WholeRuns(**read(WHOLE_RUNS_FILE)) if WHOLE_RUNS_FILE.exists() else None
