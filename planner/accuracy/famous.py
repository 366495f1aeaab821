"""Famous runs, asked once: fine-tunes, encoders and small models whose hours their authors published.

Nothing was fitted to them and no choice was made with their errors in view: each was written down from its
publication as a reader would ask it, then asked. What a publication leaves open (the mean length of its rows,
its layout) is left to the defaults, or to what the row's note says.
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
from planner.web.formats import HOUR_S

FAMOUS = DATA_DIRECTORY / "runs" / "famous.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Famous(PublishedTotal):
    """A published run and ours, in hours on the clock.

    kind: pretraining, encoder or finetuning.  fits: whether every part of it is said to fit.
    """

    kind: str
    fits: bool


@lru_cache(maxsize=1)
def famous_runs(path: Path = FAMOUS) -> tuple[Famous, ...]:
    """Every run with what the constants in use say of it, in the order of the file.

    A run of several phases is the sum of its requests; their errors are taken as common.
    Raises PlanErrors where a row is no valid request.
    """
    calibration, catalog, found = shipped_calibration(), load_shipped_catalog(), []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        parts = [estimate(parse_plan_request(each, catalog), calibration) for each in row["requests"]]
        low, high = (sum(part.time.total_interval_s[end] for part in parts) / HOUR_S for end in (0, 1))
        found.append(
            Famous(
                name=row["name"],
                kind=row["kind"],
                machines=f"{parts[0].accelerators:,} × {parts[0].cluster.accelerator.name}",
                published_hours=float(row["hours"]),
                predicted_hours=sum(part.time.total_s for part in parts) / HOUR_S,
                low=low,
                high=high,
                fits=all(part.fits for part in parts),
                source=row["source"],
                as_of=row["as_of"],
                note=row["note"],
            )
        )
    return tuple(found)
