"""Schemas of what the planner's addresses answer.

What is promised stands here: names, kinds and units. Answers may gain names, so no object
is closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.contract.render import MEMORY_PARTS, STEP_PARTS
from planner.web.operations import ref

NUMBER, WHOLE, TEXT, FLAG = {"type": "number"}, {"type": "integer"}, {"type": "string"}, {"type": "boolean"}
RANGE = {
    "type": "array",
    "items": NUMBER,
    "minItems": 2,
    "maxItems": 2,
    "description": "An 80 % prediction interval: low, high.",
}
ANYTHING: dict[str, Any] = {"description": "Whatever the question's id was."}


def maybe(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def record(description: str, /, **properties: Any) -> dict[str, Any]:
    """An object that has all these, and perhaps more. A name that ends in an underscore may be missing."""
    return {
        "type": "object",
        "description": description,
        "properties": {name.rstrip("_"): schema for name, schema in properties.items()},
        "required": [name for name in properties if not name.endswith("_")],
    }


def rows(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A list of these."""
    return {"type": "array", "items": schema}


def page(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A list in pages."""
    said = {"description": "The address of the next page; null at the end."}
    return record("Some rows of a list.", **{name: rows(schema)}, total=WHOLE, next=maybe(TEXT) | said)


ERROR = record(
    "What is wrong with one field.",
    field=TEXT | {"description": "Its dotted path; empty where it is about the whole request."},
    value={"description": "What was given, shortened."},
    message=TEXT,
    remedy=TEXT | {"description": "What to do."},
)
ESTIMATE = record(
    "Whether a run fits, how long it takes and what it costs.",
    id=ANYTHING,
    fits=FLAG,
    verdict={"enum": ["fits", "tight", "does_not_fit"]},
    reason=maybe(TEXT),
    layout={"type": "object"},
    cluster={"type": "object"},
    accelerators=WHOLE,
    parameters=record("Counts.", total=WHOLE, active=WHOLE, trainable=WHOLE),
    memory=record(
        "Bytes on the fullest rank at its peak.",
        per_accelerator_bytes=record("The parts add up to total.", **dict.fromkeys(MEMORY_PARTS, NUMBER)),
        usable_bytes=NUMBER,
        interval_bytes=RANGE,
        allocated_interval_bytes=RANGE,
        reserved_interval_bytes=RANGE,
        needed_bytes=NUMBER,
        fit_probability={"type": "number", "minimum": 0, "maximum": 1},
    ),
    time=record(
        "Seconds and rates.",
        step_s=NUMBER,
        step_breakdown_s=record("The parts add up to step_s.", **dict.fromkeys(STEP_PARTS, NUMBER)),
        step_interval_s=RANGE,
        tokens_per_s=NUMBER,
        model_flops_utilization=NUMBER,
        steps=WHOLE,
        total_s=NUMBER,
        total_interval_s=RANGE,
    ),
    cost=maybe(
        record("What the run is billed; null where no price is known.", usd=NUMBER, usd_interval=RANGE)
    ),
    remedies=rows({"type": "object"}),
    explanation=rows(ref("Term")),
    warnings=rows(record("A caution.", code=TEXT, message=TEXT)),
)
TERM = record(
    "One number of the answer, its formula with the numbers put in, and its source.",
    name=TEXT,
    value=NUMBER,
    unit=TEXT,
    formula=TEXT,
    source=maybe(TEXT),
)
SUMMARY = record(
    "One plan of a search, to the last digit what estimate says of it.",
    cluster={"type": "object"},
    layout={"type": "object"},
    total_s=NUMBER,
    usd=maybe(NUMBER),
    memory_total_bytes=NUMBER,
    usable_bytes=NUMBER,
    tokens_per_s=NUMBER,
)
FOUND = record(
    "The best plans, and how many were left out for what.",
    id=ANYTHING,
    evaluated=WHOLE,
    fitting=WHOLE,
    elapsed_s=NUMBER,
    best=maybe(ref("Estimate")),
    pareto=rows(ref("Summary")),
    top=rows(ref("Summary")),
    rejected={"type": "object", "additionalProperties": WHOLE},
)
SEARCH_JOB = record(
    "A search that goes on in a worker.",
    id=ANYTHING,
    job=record(
        "Where it stands: share of its plans from 0 to 1, and the front so far.",
        key=TEXT,
        state={
            "enum": ["waiting", "running", "merging", "done", "cancelled", "failed", "lost"],
        },
        evaluated=WHOLE,
        plans=WHOLE,
        share=NUMBER,
        elapsed_s=NUMBER,
        front=rows({"type": "object"}),
        problem=TEXT,
        remedy=TEXT,
    ),
)
PLACE = {"gpu": WHOLE | {"description": "Counted over all groups."}, "profile": TEXT, "start": WHOLE}
PARTITIONS = {
    "description": "Counts of configurations, sizes of jobs, or where each instance is placed.",
    "anyOf": [
        record(
            "How many configurations an accelerator has.",
            id=ANYTHING,
            enumerate=TEXT,
            valid_configurations=WHOLE,
            maximal_configurations=WHOLE,
            maximal_multisets=WHOLE,
            profiles=rows(record("A profile.", profile=TEXT, memory_bytes=NUMBER, starts=rows(WHOLE))),
        ),
        record("Each job on every profile.", id=ANYTHING, accelerator=TEXT, jobs=rows({"type": "object"})),
        record(
            "The layout, with what is proven of it and the way there.",
            id=ANYTHING,
            gpus_used=WHOLE | {"description": "GPUs that serve a demand."},
            placements=rows(
                record("What serves a demand.", **PLACE, demand=WHOLE, state={"enum": ["kept", "created"]})
            ),
            staying=rows(record("What stays and serves none.", **PLACE, in_use=FLAG)),
            destroyed=rows(record("What goes.", **PLACE)),
            unplaced=rows(record("What finds no place.", demand=WHOLE, count=WHOLE, reason=TEXT)),
            nearest_changes=rows(
                record(
                    "What would serve all.",
                    kind={"enum": ["all_profiles", "move_jobs", "add_gpus"]},
                    count=WHOLE,
                )
            ),
            optimal=FLAG,
            bound=NUMBER | {"description": "Of the objective: no layout is better."},
            elapsed_s=NUMBER,
            commands=rows(TEXT),
            mig_parted=TEXT,
        ),
    ],
}
SOURCED = {"source": TEXT, "as_of": TEXT | {"format": "date"}}
MODEL = record(
    "A model of the catalog.",
    slug=TEXT,
    name=TEXT,
    family=TEXT,
    parameters=maybe(record("Counted parameters.", total=WHOLE, active=WHOLE)),
    **SOURCED,
)
INSTANCE = record(
    "A machine that can be bought.",
    slug=TEXT,
    provider=TEXT,
    accelerator=TEXT,
    accelerators_per_node=WHOLE,
    regions=rows(TEXT),
    prices=rows({"type": "object"}),
    **SOURCED,
)
ACCELERATOR = record(
    "An accelerator, in SI units.", slug=TEXT, name=TEXT, vendor=TEXT, memory_bytes=NUMBER, **SOURCED
)

SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "Error": ERROR,
    "Errors": record(
        "Why there is no answer: the first problem, and all of them.",
        error=ref("Error"),
        errors=rows(ref("Error")),
    ),
    "Estimate": ESTIMATE,
    "Term": TERM,
    "Summary": SUMMARY,
    "Found": FOUND,
    "SearchJob": SEARCH_JOB,
    "Partitions": PARTITIONS,
    "Model": MODEL,
    "Instance": INSTANCE,
    "Accelerator": ACCELERATOR,
    "Models": page("models", ref("Model")),
    "Instances": page("instances", ref("Instance")),
    "Accelerators": page("accelerators", ref("Accelerator")),
}
