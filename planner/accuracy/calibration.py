"""Reads the fitted constants as shipped: timing, memory and intervals, with when and how they were fitted.

``make calibrate`` writes the files; the engine takes them as frozen records and reads no file itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from math import log
from pathlib import Path
from typing import Any

from planner.engine.memory.peak import MemoryConstants
from planner.engine.sure.calibration import Calibration
from planner.engine.sure.evidence import MeasuredRuns
from planner.engine.sure.intervals import Intervals
from planner.engine.sure.pairs import SharedErrors
from planner.engine.time.constants import TimingConstants
from planner.engine.time.rollout_constants import RolloutConstants

#: Files that ship with the project: measured runs, and the constants fitted to them.
DATA_DIRECTORY = Path(__file__).parent / "data"
TIMING_FILE = DATA_DIRECTORY / "timing_calibration.json"
MEMORY_FILE = DATA_DIRECTORY / "memory_calibration.json"
ROLLOUT_FILE = DATA_DIRECTORY / "rollout_calibration.json"
INTERVALS_FILE = DATA_DIRECTORY / "intervals.json"
#: One row a measured run, made by ``make validate``.
EVIDENCE_FILE = DATA_DIRECTORY / "evidence.json"


#: Shares of the error that two plans do not have in common, made by ``make validate``.
SHARED_ERRORS_FILE = DATA_DIRECTORY / "shared_errors.json"
#: ... of which the engine reads these.
SHARED_ERRORS = ("same_chip", "other_chip", "other_stack")


@lru_cache(maxsize=1)
def shipped_calibration() -> Calibration:
    """The constants that ship with this version, read once per process."""
    timing, memory, rollout, intervals = (
        read(path) for path in (TIMING_FILE, MEMORY_FILE, ROLLOUT_FILE, INTERVALS_FILE)
    )
    return Calibration(
        timing=TimingConstants.from_mapping(timing["constants"]),
        memory=MemoryConstants.from_mapping(memory),
        intervals=Intervals.from_mapping(with_rollout(with_memory(intervals, memory), rollout)),
        provenance={
            "timing": timing["provenance"],
            "memory": memory.get("provenance", {}),
            "rollout": rollout["provenance"],
        },
        rollout=RolloutConstants.from_mapping(rollout["constants"]),
        measured=MeasuredRuns.from_mapping(read(EVIDENCE_FILE)),
        shared=SharedErrors(**{name: read(SHARED_ERRORS_FILE)[name] for name in SHARED_ERRORS}),
    )


def with_memory(intervals: Mapping[str, Any], memory: Mapping[str, Any]) -> dict[str, Any]:
    """The interval tables with the memory quantiles added to those of time, as logarithms.

    memory: the calibration file, which holds factors by counter. ``memory`` is what nvidia-smi shows,
    ``memory/allocated`` and ``memory/reserved`` are torch's.
    """
    merged = dict(intervals)
    for table, by_counter in (("near", memory["interval"]), ("far", memory["interval_far"])):
        factors = {f"memory/{kind}": pair for kind, pair in by_counter.items()}
        factors["memory"] = factors.pop("memory/nvidia-smi")
        merged[table] = intervals[table] | {
            name: [log(low), log(high)] for name, (low, high) in factors.items()
        }
    return merged


def with_rollout(intervals: Mapping[str, Any], rollout: Mapping[str, Any]) -> dict[str, Any]:
    """The interval tables with the quantiles of reinforcement learning, of sources left out, as logarithms.

    rollout: the calibration file.
    """
    ends = {"time/ppo": rollout["interval"]}
    return {**intervals, **{table: intervals[table] | ends for table in ("near", "far")}}


def read(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
