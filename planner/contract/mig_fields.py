"""What a question of partitions may hold: counting, sizing a list of jobs, or a layout; declared once."""

from __future__ import annotations

from types import MappingProxyType

from planner.contract.field import Field, Table, table
from planner.contract.fields import ID
from planner.engine.question.words import PURCHASES, Word, Words

OBJECTIVES: Words = MappingProxyType(
    {
        "fewest_gpus": Word("Fewest GPUs"),
        "least_cost": Word("Least cost"),
        "most_demand": Word("Most demand served"),
        "fewest_changes": Word("Fewest changes"),
    }
)
PROFILES: Words = MappingProxyType(
    {"standard": Word("Standard profiles"), "all": Word("Double-memory profiles too")}
)
EXPORTS: Words = MappingProxyType(
    {
        "mig_parted": Word("mig-parted"),
        "gpu_operator": Word("GPU operator"),
        "device_plugin": Word("Device plugin"),
        "dra": Word("Kubernetes DRA"),
        "slurm": Word("Slurm"),
    }
)
MAX_GPUS = 100_000
MAX_DEMANDED = 10**9
MAX_TIME_S = 60.0
MAX_CHIP_SLICES = 64
"""More slices than any GPU has; a profile's own bounds are the chip's."""

CHOICE = Field(
    "profiles",
    "choice_or_names",
    "Profiles",
    "Which profiles are looked at, or which serve demands that name none: standard ones, all (double memory "
    "too; media and graphics variants lie where their plain profile lies), or a list of names.",
    choices=PROFILES,
    default="standard",
)
DRIVER = Field(
    "driver", "text", "Driver", "Its version, as 550.90.07 or R550; profiles that came later are left out."
)
SURE_CHANCE = 0.9
"""Chance from which a job is said to fit a profile: the one below which a plan is called tight."""
CHANCE = Field(
    "min_chance",
    "number",
    "Least chance",
    "With which a job is to fit for its profile to count.",
    maximum=1.0,
    default=SURE_CHANCE,
)

ENUMERATE = table(
    "",
    ID,
    Field("enumerate", "text", "Count", "The accelerator whose configurations are counted.", required=True),
    CHOICE,
    DRIVER,
)
RIGHT_SIZE = table(
    "",
    ID,
    Field("right_size", "objects", "Jobs", "The jobs to size, each as in `Job`.", required=True),
    Field("accelerator", "text", "Accelerator", "The chip that they are to run on.", required=True),
    CHANCE,
    DRIVER,
)
LAYOUT = table(
    "",
    ID,
    Field("gpus", "objects", "GPUs", "Groups of GPUs in one state; their numbers run on over all groups.",
          required=True),
    Field("demands", "objects", "Demands", "The instances that are wanted.", required=True),
    Field(
        "objective",
        "choice",
        "Objective",
        "What counts once as much demand as can be is served: the fewest GPUs that serve, the least cost "
        "(machines whole), the most demand alone, or the fewest instances destroyed and made.",
        choices=OBJECTIVES,
        default="fewest_gpus",
    ),
    CHOICE,
    Field(
        "in_use_serves_demands",
        "flag",
        "Running jobs are demands",
        "Jobs that run are among the demands, and their instances serve them; otherwise they are beside.",
        default=True,
    ),
    Field(
        "may_destroy_in_use",
        "flag",
        "May destroy what is in use",
        "Instances in use may be destroyed like others, as few as can be.",
        default=False,
    ),
    Field(
        "time_limit_s",
        "number",
        "Time limit",
        "For the search, by the clock; then the best that was found is given with its bound.",
        unit="seconds",
        maximum=MAX_TIME_S,
        otherwise="4 s of processor time, at most 12 s",
    ),
    Field(
        "exports",
        "names",
        "Further files",
        "Files of the layout for other projects, beside `mig_parted`.",
        choices=EXPORTS,
        maximum=len(EXPORTS),
        otherwise="none",
    ),
    Field(
        "stream",
        "flag",
        "Stream",
        "Answer by JSON Lines: layouts as they get better, each in `progress`, then the answer.",
        default=False,
    ),
)  # fmt: skip
GPUS = table(
    "gpus",
    Field("accelerator", "text", "Accelerator", "A chip of the catalog.", beside="accelerator"),
    Field(
        "instance_type", "text", "Instance type", "A machine of the catalog, instead; `count` machines.",
        beside="instance_type",
    ),
    Field("region", "text", "Region", "Where it is bought.", otherwise="the provider's default",
          beside="instance_type"),
    Field("purchase", "choice", "Purchase", "How it is paid.", choices=PURCHASES, default="on_demand",
          beside="instance_type"),
    Field("count", "whole", "Count", "GPUs (or machines) in this state.", maximum=MAX_GPUS, default=1),
    Field("existing", "objects", "Existing instances", "Instances on each of them.", otherwise="none"),
    DRIVER,
    Field(
        "mig_mode",
        "flag",
        "MIG mode",
        "Whether it is on; where it is off it is switched on first.",
        otherwise="on, but off for an instance type without existing instances",
    ),
    Field(
        "usd_per_gpu_hour",
        "number",
        "Price",
        "Of one GPU; 0 is read too.",
        unit="dollars an hour",
        maximum=1e6,
        otherwise="the catalog's cheapest on demand",
    ),
    Field("host", "text", "Host", "Where they are, for commands and files."),
    Field("indices", "wholes", "Indices", "Of each GPU on its host, from 0.", minimum=0, maximum=1023,
          otherwise="from 0 on"),
)  # fmt: skip
EXISTING = table(
    "gpus.existing",
    Field("profile", "text", "Profile", "Its profile; one that the chip does not list needs `size`.",
          required=True),
    Field("start", "whole", "Start", "The memory slice at which it begins.", minimum=0,
          maximum=MAX_CHIP_SLICES, required=True),
    Field("in_use", "flag", "In use", "Something runs in it, so that it is not destroyed.", default=False),
    Field("size", "whole", "Size", "Memory slices; of an instance of an unknown profile, which is kept.",
          maximum=MAX_CHIP_SLICES),
    Field("gpu_instance_id", "whole", "GPU instance", "The driver's number of it, for commands.", minimum=0,
          maximum=10_000, otherwise="it is looked up by profile and place"),
)  # fmt: skip
DEMAND = table(
    "demands",
    Field("profile", "text", "Profile", "Instances of this profile."),
    Field("min_memory_bytes", "number", "Least memory", "Instead of a profile: any that has as much.",
          unit="bytes", maximum=1e15),
    Field("min_compute_slices", "whole", "Least compute", "Instead of a profile: any with as many slices.",
          maximum=MAX_CHIP_SLICES),
    Field("job", "object", "Job", "Instead of a profile: a run as in `estimate`, which is sized here."),
    CHANCE,
    Field("count", "whole", "Count", "How many.", maximum=MAX_DEMANDED, default=1),
    Field("label", "text", "Label", "What it is called in reasons.", otherwise="what is demanded"),
)  # fmt: skip
JOB = table(
    "demands.job",
    Field("model", "model", "Model", "As in `estimate`.", required=True),
    Field("workload", "object", "Workload", "As in `estimate`.", required=True),
    Field("layout", "object", "Layout", "As in `estimate`.", otherwise="automatic"),
    hints={"cluster": "Leave it out: the GPUs of this question take its place."},
)
DEMANDED_BY = ("profile", "min_memory_bytes", "min_compute_slices", "job")
"""What a demand may say; one thing, where memory and compute together are one."""
MIG_TABLES: tuple[Table, ...] = (ENUMERATE, RIGHT_SIZE, LAYOUT, GPUS, EXISTING, DEMAND, JOB)
