"""The contract's requests as JSON Schema (draft 2020-12), made from the declared fields.

What a schema cannot say (degrees that do not divide, prices that are not known) the answer says.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from planner.contract import mig_fields
from planner.contract.card_fields import CARD
from planner.contract.field import Field, Table
from planner.contract.fields import CLUSTER, LAYOUT, PASTED_MODEL, REQUEST, SEARCH
from planner.contract.market_fields import ANY, MAX_LISTED
from planner.contract.rl_fields import GENERATION, PPO
from planner.contract.running_fields import MOE, SEQUENCES
from planner.contract.shape_fields import SHAPE
from planner.contract.workload_fields import WORKLOAD

DRAFT = "https://json-schema.org/draft/2020-12/schema"


@lru_cache(maxsize=1)
def json_schema() -> dict[str, Any]:
    """Schemas of the requests of ``estimate``, ``search`` and ``mig``; ``$defs`` holds their parts."""
    shared = {"model": _ref("model"), "workload": _ref("workload")}
    return {
        "$schema": DRAFT,
        "title": "Headroom: requests",
        "description": "A request of estimate, of search or of mig.",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in ("estimate", "search", "mig")],
        "$defs": {
            "estimate": _object(REQUEST, layout=_layout(), cluster=_cluster(), **shared)
            | {"required": ["workload", "cluster"]},
            "search": _object(SEARCH, cluster=_searched(), **shared) | {"required": ["workload", "cluster"]},
            "model": _model(),
            "workload": _object(WORKLOAD, **{name: _ref(name) for name in ("ppo", "sequences", "moe")})
            | {"required": _length_apart(WORKLOAD)},
            "ppo": _object(PPO, generation=_ref("generation")),
            "generation": _object(GENERATION),
            "sequences": _object(SEQUENCES),
            "moe": _object(MOE),
            "instance_cluster": _described("instance_type"),
            "accelerator_cluster": _described("accelerator"),
            "own_card": _object(CARD),
            "shape": _shape(),
            "layout": _object(LAYOUT),
            "any": _object(ANY),
            **_partitions(),
        },
    }


def _partitions() -> dict[str, Any]:
    """The three questions of ``mig`` and their parts."""
    each_of = {name: {"type": "array", "items": _ref(f"mig_{name}"), "minItems": 1} for name in MIG_LISTS}
    price = {"type": ["number", "null"], "minimum": 0, "maximum": mig_fields.GPUS["usd_per_gpu_hour"].limit}
    present = {"anyOf": [each_of["existing"] | {"minItems": 0}, {"type": "null"}]}
    job = {"anyOf": [_ref("mig_job"), {"type": "null"}]}
    shared = {"model": _ref("model"), "workload": _ref("workload"), "layout": _layout()}
    return {
        "mig": {"anyOf": [_ref("mig_count"), _ref("mig_sizes"), _ref("mig_layout")]},
        "mig_count": _object(mig_fields.ENUMERATE),
        "mig_sizes": _object(mig_fields.RIGHT_SIZE, right_size=each_of["job"]),
        "mig_layout": _object(mig_fields.LAYOUT, gpus=each_of["gpus"], demands=each_of["demand"]),
        "mig_gpus": _object(mig_fields.GPUS, existing=present, usd_per_gpu_hour=price)
        | {"anyOf": [{"required": [name]} for name in ("accelerator", "instance_type")]},
        "mig_existing": _object(mig_fields.EXISTING),
        "mig_demand": _object(mig_fields.DEMAND, job=job)
        | {"anyOf": [{"required": [name]} for name in mig_fields.DEMANDED_BY]},
        "mig_job": _object(mig_fields.JOB, **shared),
    }


MIG_LISTS = ("gpus", "existing", "demand", "job")


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _object(table: Table, **parts: dict[str, Any]) -> dict[str, Any]:
    """parts: the schemas of fields that are objects themselves."""
    properties = {field.name: _property(field, parts.get(field.name)) for field in table.fields}
    required = [field.name for field in table.fields if field.required]
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _property(field: Field, part: dict[str, Any] | None) -> dict[str, Any]:
    unit = f" Unit: {field.unit}." if field.unit and field.kind != "nodes" else ""
    left_out = f" Left out: {field.otherwise}." if field.otherwise else ""
    said: dict[str, Any] = {"title": field.label, "description": f"{field.help}{unit}{left_out}"}
    if field.default is not None:
        said["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
    return said | (_kind(field) if part is None else part)


def _kind(field: Field) -> dict[str, Any]:
    """The values that a field may have; null counts as left out where it is not required."""
    null = [] if field.required else ["null"]
    match field.kind:
        case "whole":
            return {"type": ["integer", *null], "minimum": field.minimum, "maximum": field.limit}
        case "number":
            return {"type": ["number", *null], "exclusiveMinimum": 0, "maximum": field.limit}
        case "share":
            return {"type": ["number", *null], "minimum": 0, "maximum": 1}
        case "choices":
            several = {"type": "array", "items": {"enum": list(field.values)}, "uniqueItems": True}
            return {"anyOf": [{"enum": [*field.values, *([] if field.required else [None])]}, several]}
        case "flag":
            return {"type": ["boolean", *null]}
        case "choice":
            return {"enum": [*field.values, *([] if field.required else [None])]}
        case "date":
            return {"type": ["string", *null], "format": "date"}
        case "text":
            return {"type": ["string", *null], "minLength": 1}
        case "nodes":
            return {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": field.limit}]}
        case "names":
            items = {"enum": list(field.choices)} if field.choices else {"type": "string"}
            return {"type": ["array", *null], "items": items, "minItems": 1, "maxItems": field.limit}
        case "wholes":
            count = {"type": "integer", "minimum": field.minimum, "maximum": field.limit}
            return {"type": ["array", *null], "items": count, "minItems": 1}
        case "choice_or_names":
            several = {"type": "array", "items": {"type": "string"}, "minItems": 1}
            return {"anyOf": [{"enum": [*field.values, *([] if field.required else [None])]}, several]}
        case "model":
            return {"anyOf": [_ref("model"), *([] if field.required else [{"type": "null"}])]}
        case "card":
            slug = {"type": "string", "minLength": 1}
            return {"anyOf": [slug, _ref("own_card"), *({"type": kind} for kind in null)]}
        case "object":
            return {"type": ["object", *null]}
        case _:
            return {}


def _model() -> dict[str, Any]:
    return {
        "anyOf": [
            {"type": "string", "description": "A model of the catalog."},
            _object(PASTED_MODEL),
            _ref("shape"),
        ]
    }


def _shape() -> dict[str, Any]:
    """A shape of one's own; which fields go with which architecture the answer says."""
    plain = _object(SHAPE)
    plain["properties"]["name"] = {"type": ["string", "null"], "description": PASTED_MODEL["name"].help}
    return plain | {
        "description": "A shape of one's own.",
        "required": ["architecture", "layers", "hidden_size", "attention_heads"],
    }


def _described(by: str) -> dict[str, Any]:
    """A cluster in one of its two descriptions; a deadline may stand beside its nodes."""
    fields = tuple(field for field in CLUSTER.fields if field.beside in ("", by))
    described = _object(Table("cluster", fields))
    described["properties"]["deadline_days"] = _property(REQUEST["deadline_days"], None)
    described["required"] = list(dict.fromkeys([by, *described["required"]]))
    return described


def _layout() -> dict[str, Any]:
    return {"anyOf": [_ref("layout"), {"const": "auto"}, {"type": "null"}]}


def _cluster() -> dict[str, Any]:
    return {"anyOf": [_ref("instance_cluster"), _ref("accelerator_cluster")]}


def _searched() -> dict[str, Any]:
    chosen = {"type": "object", "properties": {"any": _ref("any")}, "required": ["any"]}
    listed = {"type": "array", "items": _cluster(), "minItems": 1, "maxItems": MAX_LISTED}
    return {"anyOf": [chosen | {"additionalProperties": False}, listed, *_cluster()["anyOf"]]}


def _length_apart(table: Table) -> list[str]:
    """What every workload has; of images, the length follows from their shape."""
    return [field.name for field in table.fields if field.required and field.name != "sequence_length"]
