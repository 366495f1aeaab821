"""A JSON value to the engine's ``PlanRequest``, checked once and in full.

Every problem found is named, with its dotted path, value, message and remedy; the first is not the last.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.records import is_stale
from planner.contract.cluster import read_cluster
from planner.contract.fields import DEADLINE, REQUEST
from planner.contract.jsontext import not_finite
from planner.contract.layout import read_layout
from planner.contract.model import read_model, with_named_layers
from planner.contract.precision import check_precision, with_usual_precision
from planner.contract.price_fields import BUDGET
from planner.contract.rl import read_ppo
from planner.contract.section import Problems, Section
from planner.contract.unused import note_unused_of_cluster, without_unused
from planner.contract.workload import read_workload
from planner.contract.workload_fields import MAX_LORA_TARGETS
from planner.engine.grid.build import FINETUNING
from planner.engine.question.request import Cluster, PlanRequest, Workload
from planner.engine.question.specs import ModelSpec
from planner.engine.shape.heads import scoring

PRICE_STALE = "price_stale"
CATALOG_SHIPPED = "catalog_shipped"


def parse_plan_request(data: Any, catalog: Catalog, *, today: date | None = None) -> PlanRequest:
    """The question that one JSON value asks.

    today: the day against which a price's age is measured (None: no price is called stale).
    Raises PlanErrors with every problem found, in the order of the request's sections.
    """
    problems = Problems()
    section = open_request(data, problems)
    section.only(REQUEST.names, REQUEST.hints)
    model, workload = read_model_and_workload(section, catalog)
    cluster = None
    if section.has("cluster"):
        cluster = read_cluster(section.data["cluster"], catalog, problems, beside=("deadline_days",))
    else:
        section.missing("cluster", REQUEST["cluster"].remedy)
    layout = read_layout(section.data.get("layout"), problems)
    deadline_days = _deadline_days(section)
    if workload is not None and cluster is not None:
        if not precision_asked(section):
            workload = with_usual_precision(workload, cluster.accelerator, problems)
        check_precision(workload, cluster.accelerator, problems)
        note_stale_price(cluster, today, problems)
        note_unused_of_cluster(cluster, workload, problems)
    budget_usd = section.read(BUDGET)
    problems.raise_if_any()
    assert model is not None
    assert workload is not None
    assert cluster is not None
    return PlanRequest(
        model=model,
        workload=workload,
        cluster=cluster,
        layout=layout,
        id=section.data.get("id"),
        deadline_days=deadline_days,
        budget_usd=budget_usd,
        today=today,
        notes=tuple(problems.notes),
    )


def _deadline_days(section: Section) -> float | None:
    """The deadline, which may stand in the cluster, beside ``nodes: "auto"``, or in the request itself."""
    cluster = section.data.get("cluster")
    inner = Section(cluster if isinstance(cluster, dict) else {}, "cluster", section.problems)
    if section.has("deadline_days") and inner.has("deadline_days"):
        inner.fail("deadline_days", "The deadline is given twice.", "Keep the one in the request itself.")
    own: float | None = section.read(DEADLINE)
    return own if own is not None else inner.read(DEADLINE)


def open_request(data: Any, problems: Problems) -> Section:
    """The outermost object, with every NaN and infinity in it noted.

    Those in a pasted config are left to its reader: configs as published hold some in keys that no count
    depends on, and one in a key that is read is refused there.

    Raises PlanErrors where it is no object.
    """
    section = Section(data, "", problems)
    problems.raise_if_any()
    for path, value in not_finite(data):
        if ".hf_config." in f".{path}":
            continue
        problems.add(
            path, value, f"{value} is not a finite number.", "Give a finite number, or leave the field out."
        )
    return section


def read_model_and_workload(section: Section, catalog: Catalog) -> tuple[ModelSpec | None, Workload | None]:
    """The model and what it is trained on. In PPO the model may be left to ``workload.ppo.actor``."""
    problems = section.problems
    if catalog.stands_in_for:
        problems.note(
            CATALOG_SHIPPED,
            f"{catalog.stands_in_for}: this answer is made with the facts and prices as shipped, without "
            "what was edited here since.",
        )
    model = read_model(section.data["model"], "model", catalog, problems) if section.has("model") else None
    if not section.has("workload"):
        if not section.has("model"):
            _model_missing(section)
        section.missing("workload", REQUEST["workload"].remedy)
        return model, None
    inner = Section(section.data["workload"], "workload", problems)
    targets = inner.data.get("lora_targets")
    if model is not None and isinstance(targets, list) and all(isinstance(name, str) for name in targets):
        model = with_named_layers(model, tuple(targets[:MAX_LORA_TARGETS]))
    ppo = read_ppo(inner, model, lambda data, path: read_model(data, path, catalog, problems))
    if ppo is not None and not section.has("model"):
        model = ppo.actor
    elif not section.has("model"):
        _model_missing(section)
    if not inner.sound:
        return model, None
    workload = without_unused(read_workload(inner, model=model, ppo=ppo), model, problems)
    scores = workload.objective == "reward" and workload.task in FINETUNING
    return scoring(model) if model is not None and scores else model, workload


def precision_asked(section: Section) -> bool:
    inner = section.data.get("workload")
    return isinstance(inner, dict) and inner.get("precision") is not None


def note_stale_price(cluster: Cluster, today: date | None, problems: Problems) -> None:
    """Note a price that was last seen too long before the day it is used for."""
    used_for = cluster.price_asked_as_of or today
    if cluster.price_as_of is None or used_for is None or cluster.instance_type is None:
        return
    age = used_for - cluster.price_as_of
    if is_stale(cluster.price_as_of, used_for):
        problems.note(
            PRICE_STALE,
            f"The {cluster.purchase} price of {cluster.instance_type} in {cluster.region} was last seen on "
            f"{cluster.price_as_of.isoformat()}, {age.days} days before.",
        )


def _model_missing(section: Section) -> None:
    section.missing("model", REQUEST["model"].remedy)
