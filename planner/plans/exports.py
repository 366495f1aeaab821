"""The plan as files: a spreadsheet of every number of the page, exact, one per line, and JSON.

Both hold what was asked and assumed, the day of the prices and the constants' version, so that a file tells
what it is an answer to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.text import slugify

from planner.contract.render import render_result
from planner.contract.workload_fields import WORKLOAD
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import Cost, PlanResult
from planner.plans.assumptions import Assumption
from planner.plans.inputs import Input
from planner.plans.links import constants_day, constants_version
from planner.plans.presenters import machines
from planner.plans.variations import NodePoint


def csv_rows(request: PlanRequest, result: PlanResult) -> list[tuple[str, ...]]:
    """What the page shows, one number per line: section, name, value, unit, low, high. Values are exact."""
    time, memory, cost = result.time, result.memory, result.cost
    rows: list[tuple[Any, ...]] = [
        ("section", "name", "value", "unit", "low", "high"),
        ("plan", "model", request.model.name, "", "", ""),
        ("plan", "machines", machines(result.cluster), "", "", ""),
        ("plan", "accelerators", result.accelerators, "", "", ""),
        ("plan", "fits", "yes" if result.fits else "no", "", "", ""),
        ("plan", "verdict", result.verdict, "", "", ""),
        ("plan", "chance that it fits", memory.fit_probability, "", "", ""),
        ("time", "total", time.total_s, "s", *time.total_interval_s),
        ("time", "step", time.step_s, "s", *time.step_interval_s),
        ("time", "steps", time.steps, "", "", ""),
        ("time", "throughput", time.tokens_per_s, "tokens/s", "", ""),
        ("time", "MFU", time.model_flops_utilization, "", *time.model_flops_utilization_interval),
    ]  # fmt: skip
    if cost is not None:
        rows.append(("cost", "total", cost.usd, "USD", *cost.usd_interval))
        each = cost.price_interval_usd_per_node_hour
        rows.append(("cost", "node-hour", cost.price_usd_per_node_hour, "USD", *each))
        rows += bill_rows(result, cost)
    for name in (
        "weights",
        "gradients",
        "optimizer_states",
        "activations",
        "logits",
        "temporary",
        "framework",
    ):
        rows.append(("memory", name, getattr(memory.per_accelerator_bytes, name), "byte", "", ""))
    rows.append(("memory", "total", memory.per_accelerator_bytes.total, "byte", *memory.interval_bytes))
    rows.append(("memory", "usable", memory.usable_bytes, "byte", "", ""))
    for name in result.time.step_breakdown_s.__slots__:
        value = getattr(result.time.step_breakdown_s, name)
        if value is not None:
            rows.append(("step", name, value, "s", "", ""))
    for name in result.layout.__slots__:
        rows.append(("layout", name, getattr(result.layout, name), "", "", ""))
    return [tuple(str(cell) for cell in row) for row in rows]


#: Switches, as the form writes them.
FLAGS = {"on": True, "off": False}
#: Longest name of a file, without its ending.
LONGEST_STEM = 80


def file_stem(request: PlanRequest, result: PlanResult) -> str:
    """The name of a scenario's files: ``llama-3-1-8b-pretraining-16-x-p5-48xlarge``."""
    of = f"{request.model.name} {request.workload.task} {machines(result.cluster)}"
    return slugify(of.replace(".", "-").replace("×", "x"))[:LONGEST_STEM].strip("-") or "plan"


def input_rows(found: Sequence[Input], *, as_of: str, address: str) -> list[tuple[str, ...]]:
    """What the plan is an answer to, in the columns of ``csv_rows``."""
    fitted = constants_day()
    rows: list[tuple[str, ...]] = [
        ("scenario", "as of", as_of, "", "", ""),
        ("scenario", "constants", constants_version(), "", "", ""),
        ("scenario", "constants fitted on", "" if fitted is None else fitted.isoformat(), "", "", ""),
        ("scenario", "address", address, "", "", ""),
    ]
    return rows + [
        ("asked" if each.asked else "assumed", each.path, each.value, each.unit, "", "") for each in found
    ]


def json_answer(
    asked: dict[str, Any], result: PlanResult, assumed: Sequence[Assumption], *, as_of: str, address: str
) -> dict[str, Any]:
    """The contract's response, the defaults that matter, and the question with its day and constants."""
    question = {
        "request": asked,
        "as_of": as_of,
        "constants": constants_version(),
        "address": address,
    }
    return {**render_result(result), "assumptions": assumptions_in_json(assumed), "asked": question}


def assumptions_in_json(assumed: Sequence[Assumption]) -> list[dict[str, Any]]:
    """Defaults that move time, memory or cost, each with its other values, written as the remedies are.

    effect: the largest share by which another value moves time or memory.
    """
    return [
        {
            "field": WORKLOAD[each.name].path,
            "label": each.label,
            "value": each.value,
            "effect": each.effect,
            "others": [
                {
                    "value": other.value,
                    "change": f"{each.label}: {other.label}",
                    "request_patch": {"workload": {each.name: FLAGS.get(other.value, other.value)}},
                    "verdict": other.result.verdict,
                    "fit_probability": other.result.memory.fit_probability,
                    "memory_total_bytes": other.result.memory.per_accelerator_bytes.total,
                    "total_s": other.result.time.total_s,
                    "usd": None if other.result.cost is None else other.result.cost.usd,
                }
                for other in each.others
            ],
        }
        for each in assumed
    ]


def assumption_rows(assumed: Sequence[Assumption]) -> list[tuple[str, ...]]:
    """The same in the columns of ``csv_rows``: a default, and time, memory and cost with another value."""
    rows: list[tuple[Any, ...]] = []
    for each in assumed:
        path = WORKLOAD[each.name].path
        rows.append(("matters", path, each.value, "", "", ""))
        for other in each.others:
            here, result = f"{path} = {other.value}", other.result
            memory = result.memory
            rows += [
                ("instead", f"{here}: verdict", result.verdict, "", "", ""),
                ("instead", f"{here}: time", result.time.total_s, "s", *result.time.total_interval_s),
                (
                    "instead",
                    f"{here}: memory",
                    memory.per_accelerator_bytes.total,
                    "byte",
                    *memory.interval_bytes,
                ),
            ]
            if result.cost is not None:
                rows.append(("instead", f"{here}: cost", result.cost.usd, "USD", *result.cost.usd_interval))
    return [tuple(str(cell) for cell in row) for row in rows]


def bill_rows(result: PlanResult, cost: Cost) -> list[tuple[Any, ...]]:
    """The bill beside its total: where the price is from, what is billed, what is owed."""
    told: list[tuple[str, Any, str]] = [
        ("purchase", cost.purchase, ""),
        ("price seen", cost.price_as_of, ""),
        ("price source", cost.price_source, ""),
        ("price note", cost.price_note, ""),
        ("list price", cost.list_usd_per_node_hour, "USD"),
        ("discount", cost.discount_percent, "%"),
        ("billed of each node", cost.billed_hours, "h"),
        ("idle", cost.idle_usd, "USD"),
        ("commitment", cost.commitment_usd, "USD"),
        ("commitment lasts", cost.commitment_years, "year"),
        ("payment", cost.payment_option, ""),
        ("due on the first day", cost.upfront_usd, "USD"),
        ("cannot be bought", result.unavailable, ""),
    ]
    return [("cost", name, value, unit, "", "") for name, value, unit in told if value not in (None, "")]


def node_csv_rows(points: Sequence[NodePoint]) -> list[tuple[str, ...]]:
    """Time and cost against nodes, in the columns of ``csv_rows``."""
    rows: list[tuple[Any, ...]] = []
    for point in points:
        result = point.answer
        if not isinstance(result, PlanResult):
            rows.append(("nodes", f"{point.nodes}: error", result.errors[0].message, "", "", ""))
            continue
        rows.append(("nodes", f"{point.nodes}: fits", "yes" if result.fits else "no", "", "", ""))
        rows.append(
            ("nodes", f"{point.nodes}: time", result.time.total_s, "s", *result.time.total_interval_s)
        )
        if result.cost is not None:
            rows.append(("nodes", f"{point.nodes}: cost", result.cost.usd, "USD", *result.cost.usd_interval))
    return [tuple(str(cell) for cell in row) for row in rows]
