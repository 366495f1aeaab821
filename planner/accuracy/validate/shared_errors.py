"""How much of a prediction's error two plans of one run have in common; ``make validate`` writes it.

Two runs of one source (one team, one way to measure) are off together. Half the mean squared difference of
their log errors is the variance that is each run's own; over the mean square error of all runs it is the
share that does not cancel when two plans are compared. Each source counts the same, and was left out of the
fit.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from math import log1p
from typing import Any

import numpy as np

from planner.accuracy.calibration import SHARED_ERRORS_FILE

QUANTITIES = ("step time", "training time", "total time", "generation time")
Run = Mapping[str, Any]
Pair = Callable[[Run, Run], bool]


def timed_runs(report: Mapping[str, Any]) -> dict[str, list[Run]]:
    """The runs of each source whose time was measured, with ``error``: log(measured / predicted), unseen."""
    found: dict[str, list[Run]] = defaultdict(list)
    for row in report["rows"]:
        run = dict(zip(report["columns"], row, strict=True))
        if run["quantity"] in QUANTITIES and run["error_by_source"] is not None:
            found[run["source"]].append({**run, "error": log1p(run["error_by_source"])})
    return dict(found)


def all_variance(sources: Mapping[str, list[Run]]) -> float:
    """Mean square of the log errors, each source counting the same."""
    return float(np.mean([np.mean([run["error"] ** 2 for run in runs]) for runs in sources.values()]))


def own_variance(sources: Mapping[str, list[Run]], alike: Pair) -> tuple[float, int]:
    """(variance of what is each run's own, sources that tell it) from pairs of one source that are
    ``alike``.
    """
    each = []
    for runs in sources.values():
        halves = [(a["error"] - b["error"]) ** 2 / 2.0 for a, b in combinations(runs, 2) if alike(a, b)]
        if halves:
            each.append(float(np.mean(halves)))
    return float(np.mean(each)), len(each)


def differ(run: Run, other: Run, *names: str) -> Iterable[bool]:
    """Whether two runs differ in each of these."""
    return (run[name] != other[name] for name in names)


PAIRS: dict[str, Pair] = {
    "same_chip": lambda a, b: not any(differ(a, b, "model", "accelerator", "framework")),
    "other_chip": lambda a, b: (
        a["accelerator"] != b["accelerator"] and not any(differ(a, b, "model", "framework"))
    ),
    "other_stack": lambda a, b: (
        a["framework"] != b["framework"] and not any(differ(a, b, "model", "accelerator"))
    ),
}


def in_order(found: Mapping[str, tuple[float, int]]) -> dict[str, tuple[float, int]]:
    """Both kinds of pairs at their mean, by sources, where runs of one chip seem to differ more than runs of
    two: another chip cannot make two runs more alike, so that it is chance.
    """
    (same, few), (other, fewer) = found["same_chip"], found["other_chip"]
    if same <= other:
        return {}
    mean = (same * few + other * fewer) / (few + fewer)
    return {"same_chip": (mean, few), "other_chip": (mean, fewer)}


def shared_errors(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the file holds: shares by what two plans differ in, and how many sources and runs tell them."""
    sources = timed_runs(report)
    whole = all_variance(sources)
    found = {name: own_variance(sources, alike) for name, alike in PAIRS.items()}
    found |= in_order(found)
    return {
        **{name: round(min(own / whole, 1.0), 3) for name, (own, _) in found.items()},
        "sources": {name: told for name, (_, told) in found.items()},
        "runs": sum(len(runs) for runs in sources.values()),
        "log_error": round(whole**0.5, 4),
        "calibrated_on": report["calibrated_on"],
    }


def write(report: Mapping[str, Any]) -> None:
    """Write the file from a validation report."""
    SHARED_ERRORS_FILE.write_text(json.dumps(shared_errors(report), indent=1) + "\n", encoding="utf-8")
