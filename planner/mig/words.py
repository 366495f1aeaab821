"""What a question of partitions may hold: fields, choices and limits, with their words; said once."""

from __future__ import annotations

from collections.abc import Mapping

OBJECTIVES: Mapping[str, str] = {
    "fewest_gpus": "Fewest GPUs",
    "least_cost": "Least cost",
    "most_demand": "Most demand served",
    "fewest_changes": "Fewest changes",
}
PROFILES: Mapping[str, str] = {
    "standard": "Standard profiles",
    "all": "Double-memory profiles too",
}
MAX_GPUS = 100_000
MAX_PLACED = 50_000
"""Instances that are placed one by one in an answer; that many take most of a second."""
MAX_GROUPS = 10_000
"""Entries of ``gpus`` and of ``demands``; both are more than a request of 1 MiB can well hold."""
MAX_TIME_S = 60.0
SURE_CHANCE = 0.9
"""Chance from which a job is said to fit a profile: the one below which a plan is called tight."""

ENUMERATE_FIELDS = ("id", "enumerate", "profiles", "driver")
RIGHT_SIZE_FIELDS = ("id", "right_size", "accelerator", "min_chance", "driver")
PLAN_FIELDS = (
    "id", "gpus", "demands", "objective", "profiles", "in_use_serves_demands", "may_destroy_in_use",
    "time_limit_s", "exports",
)  # fmt: skip
GPU_FIELDS = (
    "accelerator", "instance_type", "region", "purchase", "count", "existing", "driver", "mig_mode",
    "usd_per_gpu_hour", "host", "indices",
)  # fmt: skip
EXISTING_FIELDS = ("profile", "start", "in_use", "size", "gpu_instance_id")
DEMAND_FIELDS = ("profile", "min_memory_bytes", "min_compute_slices", "job", "min_chance", "count", "label")
JOB_FIELDS = ("model", "workload", "layout")
