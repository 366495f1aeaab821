"""What the planner's part of the API offers, one operation an address."""

from __future__ import annotations

from typing import Any

from planner.api.filters import FILTERS, MEANINGS
from planner.api.scenarios import declare_scenarios
from planner.web.operations import Operation, declare, ref
from planner.web.programs import Scope

WORKLOAD: dict[str, Any] = {
    "task": "pretraining",
    "tokens": 1e10,
    "sequence_length": 1024,
    "global_batch_size": 512,
    "precision": "bf16",
}
ESTIMATE_EXAMPLE: dict[str, Any] = {
    "model": "gpt2",
    "workload": WORKLOAD,
    "cluster": {"instance_type": "p4d.24xlarge", "nodes": 1},
    "layout": "auto",
}
SEARCH_EXAMPLE: dict[str, Any] = {
    "model": "gpt2",
    "workload": WORKLOAD,
    "cluster": {"any": {"providers": ["aws"], "accelerators": ["a100-sxm-40gb"], "nodes": [1, 2]}},
    "objective": "cost",
    "limit": 5,
}
MIG_EXAMPLE: dict[str, Any] = {
    "gpus": [{"accelerator": "a100-sxm-40gb", "count": 2}],
    "demands": [{"profile": "1g.5gb", "count": 3}, {"profile": "3g.20gb", "count": 1}],
    "objective": "fewest_gpus",
}


def _list(name: str, summary: str) -> Operation:
    meanings = {key: MEANINGS[key] for key in FILTERS[name]}
    gives = ref(name.capitalize())
    return Operation(name, "GET", name, Scope.CATALOG, summary, gives, parameters=meanings, lists=True)


declare(
    Operation(
        "estimate",
        "POST",
        "estimate",
        Scope.PLAN,
        "Does a run fit, how long does it take, what does it cost? Every number with its formula and source.",
        ref("Estimate"),
        takes=ref("estimate"),
        example=ESTIMATE_EXAMPLE,
    ),
    Operation(
        "search",
        "POST",
        "search",
        Scope.PLAN,
        "The best plans over many machines and layouts; with stream, in JSON Lines as it goes. What takes a"
        " worker longer than 20 s is answered with its job, with Prefer: respond-async at once.",
        ref("Found"),
        takes=ref("search"),
        example=SEARCH_EXAMPLE,
        streams=True,
        later=ref("SearchJob"),
    ),
    Operation(
        "search_job",
        "GET",
        "search/{key}",
        Scope.PLAN,
        "The response of a search that went to a worker, or how far it is.",
        ref("Found"),
        later=ref("SearchJob"),
        missing="There is no search of this key.",
    ),
    Operation(
        "cancel_search",
        "POST",
        "search/{key}/cancel",
        Scope.PLAN,
        "Stop a search in a worker; what is done is kept for when the same question is asked again.",
        ref("SearchJob"),
        missing="There is no search of this key.",
    ),
    Operation(
        "mig",
        "POST",
        "mig",
        Scope.PLAN,
        "Partitions of GPUs: what can stand where, on the fewest GPUs or with the fewest changes.",
        ref("Partitions"),
        takes=ref("mig"),
        streams=True,
        example=MIG_EXAMPLE,
    ),
    _list("models", "Models of the catalog, with their counted parameters."),
    _list("instances", "Machines that can be bought, with regions and prices."),
    _list("accelerators", "Accelerators, in SI units."),
    Operation(
        "schema",
        "GET",
        "schema",
        Scope.CATALOG,
        "The requests of estimate, search and mig as JSON Schema.",
        {"type": "object"},
    ),
    Operation("openapi", "GET", "openapi.json", Scope.CATALOG, "This document.", {"type": "object"}),
)
declare_scenarios(ESTIMATE_EXAMPLE)
