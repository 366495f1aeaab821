"""A JSON value to the engine's ``PlanRequest``, checked once and in full.

Every problem found is named, with its dotted path, value, message and remedy; the first is not the last.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from planner.catalog.facts.catalog import Catalog
from planner.catalog.facts.records import STALE_PRICE_DAYS
from planner.contract.cluster import read_cluster
from planner.contract.jsontext import not_finite
from planner.contract.layout import read_layout
from planner.contract.model import read_model, with_named_layers
from planner.contract.section import Problems, Section
from planner.contract.workload import MAX_LORA_TARGETS, read_ppo, read_workload
from planner.engine.question.request import Cluster, PlanRequest, Workload
from planner.engine.question.specs import AcceleratorSpec, ComputePrecision, ModelSpec

FIELDS = ("id", "model", "workload", "cluster", "layout", "deadline_days")
HINTS = {
    "objective": "It belongs to search; estimate answers about one plan.",
    "budget_usd": "It belongs to search; estimate answers about one plan.",
    "nodes": "It belongs to the cluster: cluster.nodes.",
    "instance_type": "It belongs to the cluster: cluster.instance_type.",
}
MAX_DAYS = 1e6
ASSUMED_PRECISION = "assumed_precision"


def parse_plan_request(data: Any, catalog: Catalog, *, today: date | None = None) -> PlanRequest:
    """The question that one JSON value asks.

    today: the day against which a price's age is measured (None: no price is called stale).
    Raises PlanErrors with every problem found, in the order of the request's sections.
    """
    problems = Problems()
    section = open_request(data, problems)
    section.only(FIELDS, HINTS)
    model, workload = read_model_and_workload(section, catalog)
    cluster = None
    if section.has("cluster"):
        cluster = read_cluster(section.data["cluster"], catalog, problems, beside=("deadline_days",))
    else:
        section.missing("cluster", 'Give for example {"instance_type": "p5.48xlarge", "nodes": 16}.')
    layout = read_layout(section.data.get("layout"), problems)
    deadline_days = _deadline_days(section)
    if workload is not None and cluster is not None:
        if not precision_asked(section):
            workload = with_usual_precision(workload, cluster.accelerator, problems)
        check_precision(workload, cluster.accelerator, problems)
        note_stale_price(cluster, today, problems)
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
        notes=tuple(problems.notes),
    )


def _deadline_days(section: Section) -> float | None:
    """The deadline, which may stand in the cluster, beside ``nodes: "auto"``, or in the request itself."""
    cluster = section.data.get("cluster")
    inner = Section(cluster if isinstance(cluster, dict) else {}, "cluster", section.problems)
    if section.has("deadline_days") and inner.has("deadline_days"):
        inner.fail("deadline_days", "The deadline is given twice.", "Keep the one in the request itself.")
    own = section.positive("deadline_days", maximum=MAX_DAYS)
    return own if own is not None else inner.positive("deadline_days", maximum=MAX_DAYS)


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
    model = read_model(section.data["model"], "model", catalog, problems) if section.has("model") else None
    if not section.has("workload"):
        if not section.has("model"):
            _model_missing(section)
        section.missing(
            "workload",
            "Give at least task, tokens, sequence_length and global_batch_size.",
        )
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
    return model, read_workload(inner, model=model, ppo=ppo)


def precision_asked(section: Section) -> bool:
    inner = section.data.get("workload")
    return isinstance(inner, dict) and inner.get("precision") is not None


def with_usual_precision(workload: Workload, accelerator: AcceleratorSpec, problems: Problems) -> Workload:
    """The workload as it is trained where no precision was named: bf16, or fp16 on chips that lack it."""
    usual = usual_precision(accelerator)
    if usual == workload.precision:
        return workload
    problems.note(
        ASSUMED_PRECISION,
        f"No precision was named, and {accelerator.name} has no {workload.precision}: {usual} is planned.",
    )
    return replace(workload, precision=usual)


def usual_precision(accelerator: AcceleratorSpec) -> ComputePrecision:
    """bf16, or fp16 on chips that lack it."""
    lacks = unit_flops_per_s(accelerator, "bf16") <= 0 < unit_flops_per_s(accelerator, "fp16")
    return "fp16" if lacks else "bf16"


def check_precision(
    workload: Workload, accelerator: AcceleratorSpec, problems: Problems, *, field: str = "workload.precision"
) -> None:
    """Note it where the chip has no unit for the precision."""
    if unit_flops_per_s(accelerator, workload.precision) > 0:
        return
    others: list[ComputePrecision] = ["bf16", "fp16", "tf32", "fp32"]
    usable = [precision for precision in others if unit_flops_per_s(accelerator, precision) > 0]
    problems.add(
        field,
        workload.precision,
        f"{accelerator.name} has no {workload.precision} unit.",
        f"Use {' or '.join(usable)}, or another accelerator.",
    )


def unit_flops_per_s(accelerator: AcceleratorSpec, precision: ComputePrecision) -> float:
    """Dense peak of one chip at a precision, FLOP/s; 0.0 where it has no such unit."""
    peaks: dict[ComputePrecision, float] = {
        "fp32": accelerator.fp32_flops_per_s,
        "tf32": accelerator.tf32_flops_per_s,
        "bf16": accelerator.bf16_flops_per_s,
        "fp16": accelerator.fp16_flops_per_s,
        "fp8": accelerator.fp8_flops_per_s,
    }
    return peaks[precision]


def note_stale_price(cluster: Cluster, today: date | None, problems: Problems) -> None:
    """Note a price that was last seen more than ``STALE_PRICE_DAYS`` before the day it is used for."""
    used_for = cluster.price_asked_as_of or today
    if cluster.price_as_of is None or used_for is None or cluster.instance_type is None:
        return
    age = used_for - cluster.price_as_of
    if age > timedelta(days=STALE_PRICE_DAYS):
        problems.note(
            "price_stale",
            f"The {cluster.purchase} price of {cluster.instance_type} in {cluster.region} was last seen on "
            f"{cluster.price_as_of.isoformat()}, {age.days} days before.",
        )


def _model_missing(section: Section) -> None:
    section.missing(
        "model", 'Give a catalog name such as "llama-3.1-8b", {"hf_config": {…}} or an architecture.'
    )
