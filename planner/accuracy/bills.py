"""Famous bills: what public trainings took in accelerator-hours or dollars, beside what is said of them.

The totals are what publishers state for whole trainings; nothing is fitted to them. They hold what no
question says (restarts, evaluations, a warm-up on fewer machines), so they are a rougher check than timed
steps. In the file is every plain pretraining that we found with its tokens, its kind of machine and its
hours, or its machines and days, published; none was left out for its error. Not one plan, and so not there,
are distillations (Llama 3.2) and runs on several kinds or counts of machines (MPT 30B, PaLM).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from planner.accuracy.calibration import DATA_DIRECTORY, shipped_calibration
from planner.accuracy.totals import PublishedTotal
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.engine.answer.estimate import estimate
from planner.engine.question.errors import PlanError, PlanErrors
from planner.web.formats import HOUR_S

BILLS = DATA_DIRECTORY / "runs" / "bills.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill(PublishedTotal):
    """A public total and ours, in hours of one accelerator.

    published_usd: dollars, where they are published too.
    """

    published_usd: float | None


@lru_cache(maxsize=1)
def bills(path: Path = BILLS) -> tuple[Bill, ...]:
    """Every bill with what the constants in use say of it, in the order of the file.

    A run that the engine refuses is left out: the page shows what is said, and the tests read the file.
    """
    calibration, catalog, found = shipped_calibration(), load_shipped_catalog(), []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        try:
            result = estimate(parse_plan_request(row["request"], catalog), calibration)
        except (PlanError, PlanErrors):
            continue
        hours = result.accelerators / HOUR_S
        low, high = result.time.total_interval_s
        found.append(
            Bill(
                name=row["name"],
                machines=f"{result.accelerators:,} × {result.cluster.accelerator.name}",
                published_hours=float(row["accelerator_hours"]),
                published_usd=row["usd"],
                predicted_hours=result.time.total_s * hours,
                low=low * hours,
                high=high * hours,
                source=row["source"],
                as_of=row["as_of"],
                note=row["note"],
            )
        )
    return tuple(found)
