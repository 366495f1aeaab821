"""What was fitted, in one record: timing, memory and interval constants with their provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from planner.engine.memory.peak import MemoryConstants
from planner.engine.sure.evidence import MeasuredRuns
from planner.engine.sure.intervals import Intervals
from planner.engine.sure.pairs import SharedErrors
from planner.engine.time.constants import TimingConstants
from planner.engine.time.rollout_constants import RolloutConstants


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Everything fitted, and how. provenance: fitted_on (date), command, rows, errors.

    measured: the runs that tell how much is known near a plan.
    rollout: constants of generation and of a round's hand-overs.
    shared: how much of their errors two plans have in common.
    """

    timing: TimingConstants
    memory: MemoryConstants
    intervals: Intervals
    provenance: Mapping[str, Any]
    measured: MeasuredRuns = field(default_factory=MeasuredRuns)
    rollout: RolloutConstants = field(default_factory=RolloutConstants)
    shared: SharedErrors = field(default_factory=SharedErrors)
