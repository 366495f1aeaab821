"""The Plan page's address of a question in the contract's words, for what programs saved.

The form asks less than the contract does, so the address is read again and held against the question: one
that would plan another run is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from planner.catalog.facts.catalog import Catalog
from planner.contract.card_fields import CARD
from planner.contract.field import Field, Table
from planner.contract.fields import CLUSTER, LAYOUT, REQUEST
from planner.contract.parse import parse_plan_request
from planner.contract.rl_fields import GENERATION, PPO
from planner.contract.running_fields import MOE, SEQUENCES
from planner.contract.workload_fields import WORKLOAD
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import PlanRequest
from planner.plans.choices import UNIT
from planner.plans.state import address_of, contract_request, form_state

Json = Mapping[str, Any]
#: Parts of a question that are objects of their own, with their fields.
PARTS: dict[str, Table] = {"sequences": SEQUENCES, "moe": MOE, "ppo": PPO, "generation": GENERATION}

#: What has fields of its own in the form.
NESTED = ("model", "workload", "cluster", "layout")
#: Whole numbers below it are written without an exponent, and no float loses anything by it.
MOST_PLAIN = 1e15


def query_of(question: Json, asked: PlanRequest, catalog: Catalog) -> str | None:
    """The address whose form asks this question; None where no form can. asked: the question as it was
    read.
    """
    try:
        state = form_state(form_values(question), catalog)
        read = parse_plan_request(contract_request(state), catalog, today=asked.today)
    except (PlanError, PlanErrors):
        return None
    return address_of(state) if read == replace(asked, id=None) else None


def form_values(question: Json) -> dict[str, str]:
    """What the form's fields would hold, by their names in addresses."""
    written = _model(question.get("model"))
    workload, cluster = dict(question.get("workload", {})), dict(question.get("cluster", {}))
    written |= _length(workload)
    for name, values in (("workload", WORKLOAD), ("cluster", CLUSTER), ("layout", LAYOUT)):
        said = {"workload": workload, "cluster": cluster, "layout": question.get("layout")}[name]
        if isinstance(said, Mapping):
            written |= _table(said, values)
    if isinstance(cluster.get("accelerator"), Mapping):
        written |= _table(cluster["accelerator"], CARD)
    if "accelerator" in cluster:
        written["instance"] = ""
    written |= _table({name: value for name, value in question.items() if name not in NESTED}, REQUEST)
    return written


def _model(model: Any) -> dict[str, str]:
    if isinstance(model, str):
        return {"model": model}
    shape = {name: value for name, value in dict(model or {}).items() if name != "name"}
    pasted = shape["hf_config"] if set(shape) == {"hf_config"} else shape
    named = {"name": str(model["name"])} if model and "name" in model else {}
    return {"model": "", "config": json.dumps(pasted), **named}


def _length(workload: dict[str, Any]) -> dict[str, str]:
    """How long the run is, taken out of the workload: a number with its unit, and epochs."""
    amounts = ("tokens", "samples", "dataset_tokens")
    said = {name: workload.pop(name) for name in amounts if name in workload}
    unit = "samples" if "samples" in said else "tokens"
    amount = next(iter(said.values()), None)
    return {"epochs": _text(workload.pop("epochs", 1)), UNIT: unit, "tokens": _text(amount)}


def _table(values: Json, table: Table) -> dict[str, str]:
    written: dict[str, str] = {}
    for name, value in values.items():
        if name in PARTS and isinstance(value, Mapping):
            written |= _table(value, PARTS[name])
        elif name in table.names and (found := table[name]).query and not isinstance(value, Mapping):
            written[found.query] = _said(found, value)
    return written


def _said(field: Field, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if field.kind == "model" and value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ",".join(str(each) for each in value)
    return _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    whole = isinstance(value, float) and value.is_integer() and value < MOST_PLAIN
    return str(int(value)) if whole else str(value)
