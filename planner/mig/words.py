"""The words and limits of a question of partitions; its fields are declared in the contract."""

from __future__ import annotations

from collections.abc import Mapping

from planner.contract import mig_fields

OBJECTIVES: Mapping[str, str] = {name: word.label for name, word in mig_fields.OBJECTIVES.items()}
PROFILES: Mapping[str, str] = {name: word.label for name, word in mig_fields.PROFILES.items()}
MAX_GPUS = mig_fields.MAX_GPUS
MAX_PLACED = 50_000
"""Instances that are placed one by one in an answer; that many take most of a second."""
MAX_GROUPS = 10_000
"""Entries of ``gpus`` and of ``demands``; both are more than a request of 1 MiB can well hold."""
MAX_JOBS = 100
"""Different jobs that one question sizes; each takes a tenth of a second a kind of GPU."""
TOO_MANY_JOBS = (
    f"More than {MAX_JOBS} different jobs are too many to size in one question.",
    "Give equal ones once with their count, or ask for a part of them.",
)
SURE_CHANCE = mig_fields.SURE_CHANCE
