"""What a saved plan keeps, and running it again from what it kept. Knows no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import date
from typing import Any

from planner.accuracy.calibration import shipped_calibration
from planner.catalog.facts.catalog import Catalog, UnknownSlugError
from planner.contract.parse import parse_plan_request
from planner.contract.render import render_result
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import Cluster, PlanRequest
from planner.engine.question.result import PlanResult
from planner.engine.question.specs import AcceleratorSpec

Json = dict[str, Any]
#: Fields of a cluster that are not the catalog's plain facts of the machine.
ASIDE = ("accelerator", "nodes", "mig_profile", "sale", "price_as_of", "price_asked_as_of")


def snapshot(asked: Json, question: PlanRequest, result: PlanResult, catalog: Catalog) -> Json:
    """The fields of a saved plan that follow from its answer. asked: the contract's request."""
    as_of = question.cluster.price_as_of
    plain = {**asked, "cluster": _settled(asked.get("cluster", {}), result.cluster)}
    return {
        "question": plain,
        "answer": render_result(replace(result, explanation=(), id=None)),
        "facts": facts_of(asked, question.cluster, catalog),
        "constants": constants_in_force(),
        "prices_as_of": as_of,
    }


def constants_in_force() -> Json:
    """When the constants were fitted and to how much, by part, as plain JSON."""
    return {
        part: {name: value for name, value in said.items() if isinstance(value, str | int | float)}
        for part, said in shipped_calibration().provenance.items()
    }


def facts_of(asked: Json, cluster: Cluster, catalog: Catalog) -> Json:
    """What the catalog says of the model and the machine of a question."""
    return {
        "model": model_facts(asked["model"], catalog),
        "accelerator": asdict(cluster.accelerator),
        **{item.name: getattr(cluster, item.name) for item in fields(Cluster) if item.name not in ASIDE},
    }


def model_facts(asked: Any, catalog: Catalog) -> Any:
    """The model without the catalog: its published config or shape; as asked where it was no name."""
    if not isinstance(asked, str):
        return asked
    record = catalog.model(asked)
    if record.hf_config is not None:
        return {"hf_config": dict(record.hf_config), "name": record.name}
    return {**(record.architecture or {}), "name": record.name}


def gone(question: Json, catalog: Catalog) -> list[str]:
    """What of the question the catalog no longer has, in words."""
    found = []
    model, machine = question.get("model"), question.get("cluster", {}).get("instance_type")
    chip = question.get("cluster", {}).get("accelerator")
    for kind, slug, look in (
        ("model", model, catalog.model),
        ("machine", machine, catalog.instance),
        ("accelerator", chip, catalog.accelerator),
    ):
        if isinstance(slug, str):
            try:
                look(slug)
            except UnknownSlugError:
                found.append(f"the {kind} {slug}")
    return found


def question_now(question: Json, catalog: Catalog, today: date) -> PlanRequest:
    """The saved question with today's facts and prices. Raises PlanErrors where something is gone."""
    try:
        return parse_plan_request(question, catalog, today=today)
    except PlanError as one:
        raise PlanErrors([one]) from one


def question_as_kept(question: Json, facts: Mapping[str, Any], catalog: Catalog, today: date) -> PlanRequest:
    """The saved question with the facts and the price that were kept, whatever the catalog has now."""
    cluster = {
        name: value
        for name, value in question["cluster"].items()
        if name in ("nodes", "interruptions_per_node_day", "checkpoint_minutes", "restart_minutes", "goodput")
    }
    kept = facts["accelerator"]
    spec = AcceleratorSpec(
        **{item.name: kept[item.name] for item in fields(AcceleratorSpec) if item.name in kept}
    )
    described = {
        **cluster,
        "accelerator": {
            "memory_bytes": spec.memory_bytes,
            "bf16_flops_per_s": spec.bf16_flops_per_s or spec.fp16_flops_per_s or 1e12,
            "memory_bandwidth_bytes_per_s": spec.memory_bandwidth_bytes_per_s,
        },
        "accelerators_per_node": facts["accelerators_per_node"],
        "internode_gbps_per_node": max(facts["internode_bytes_per_s"] / 1.25e8, 1e-3),
    }
    asked = question_now({**question, "model": facts["model"], "cluster": described}, catalog, today)
    known = {item.name for item in fields(Cluster)} - set(ASIDE)
    kept_facts = {name: value for name, value in facts.items() if name in known}
    return replace(asked, cluster=replace(asked.cluster, accelerator=spec, **kept_facts))


def at_kept_price(asked: PlanRequest, facts: Mapping[str, Any]) -> PlanRequest:
    """The question with today's facts and the price that was kept."""
    return replace(asked, cluster=replace(asked.cluster, usd_per_node_hour=facts["usd_per_node_hour"]))


def _settled(asked: Json, found: Cluster) -> Json:
    """The machines with what a goal or an open number of nodes came to."""
    settled = dict(asked)
    if found.nodes is not None:
        settled["nodes"] = int(found.nodes)
    if found.instance_type is not None:
        settled |= {"instance_type": found.instance_type}
        settled |= {"region": found.region, "purchase": found.purchase} if found.region else {}
    return settled
