"""The engine's answer as the contract's JSON object: same names, units and meanings, nothing formatted.

Everything here is plain (dict, list, str, int, float, bool, None) and finite, so that JSON can hold it.
"""

from __future__ import annotations

import math
from typing import Any

from planner.contract.fields import LAYOUT
from planner.contract.jsontext import not_finite, plain_value
from planner.contract.own_accelerator import render_own_accelerator
from planner.engine.question.errors import HeadroomError, PlanError, PlanErrors, error_answer
from planner.engine.question.request import Cluster, Layout
from planner.engine.question.result import (
    Cost,
    Evidence,
    GenerationPool,
    Measured,
    Memory,
    Parameters,
    PlanResult,
    Remedy,
    Term,
    Time,
)

BYTES_PER_S_IN_GBPS = 1.25e8
MEMORY_PARTS = (
    "weights",
    "gradients",
    "optimizer_states",
    "activations",
    "logits",
    "temporary",
    "framework",
    "total",
)
STEP_PARTS = (
    "forward",
    "backward",
    "recompute",
    "pipeline_bubble",
    "tensor_communication",
    "context_communication",
    "expert_communication",
    "pipeline_communication",
    "data_communication",
    "optimizer",
    "other",
)
#: Numbers that stand beside either description of a cluster, where the question gave them.
LIMITS = (
    "host_memory_bytes",
    "host_memory_bandwidth_bytes_per_s",
    "power_limit_watts",
    "matmul_flops_per_s",
)
INTERRUPTION_PARTS = ("expected", "computing_s", "lost_s", "checkpoint_interval_s")
PPO_STEP_PARTS = ("generation", "scoring", "weight_synchronization", "waiting")


def render_result(result: PlanResult) -> dict[str, Any]:
    """The contract's response of ``estimate``."""
    return {
        "id": result.id,
        "fits": bool(result.fits),
        "verdict": result.verdict,
        "reason": result.reason,
        "unavailable": result.unavailable or None,
        "meets_deadline": result.meets_deadline,
        "meets_budget": result.meets_budget,
        "nearest_fit": None if result.nearest_fit is None else render_nearest_fit(result.nearest_fit),
        "remedies": [render_remedy(remedy) for remedy in result.remedies],
        "layout": render_layout(result.layout),
        "layout_chosen": list(result.layout_chosen),
        "cluster": render_cluster(result.cluster),
        "accelerators": int(result.accelerators),
        "model_read_as": result.model_read_as,
        "parameters": _parameters(result.parameters),
        "memory": _memory(result.memory),
        "time": _time(result.time),
        "cost": None if result.cost is None else _cost(result.cost),
        "explanation": [_term(term) for term in result.explanation],
        "evidence": None if result.evidence is None else _evidence(result.evidence),
        "warnings": [{"code": warning.code, "message": warning.message} for warning in result.warnings],
        "generation": None if result.generation is None else _generation(result.generation),
    }


def render_error(error: HeadroomError, *, request_id: Any = None) -> dict[str, Any]:
    """``{"error": …, "errors": […]}``: the first problem, and all of them.

    request_id: echoed as ``id`` where it could be read.
    """
    problems = error.errors if isinstance(error, PlanErrors) else [error]
    echoed = {} if request_id is None or not_finite(request_id) else {"id": request_id}
    return {**echoed, **error_answer([_problem(problem) for problem in problems])}


def render_layout(layout: Layout) -> dict[str, Any]:
    """A complete layout. Sent back as a request's ``layout``, it asks for the same layout."""
    return {name: _plain(getattr(layout, name)) for name in LAYOUT.names}


def render_cluster(cluster: Cluster) -> dict[str, Any]:
    """A cluster. Sent back as a request's ``cluster``, it asks for the same machines at the same price."""
    nodes: int | str = "auto" if cluster.nodes is None else int(cluster.nodes)
    if cluster.instance_type is not None:
        described: dict[str, Any] = {
            "instance_type": cluster.instance_type,
            "region": cluster.region,
            "purchase": cluster.purchase,
            "nodes": nodes,
        }
        if cluster.sale.discount_percent is not None:
            described["discount_percent"] = float(cluster.sale.discount_percent)
    else:
        described = {
            "accelerator": render_own_accelerator(cluster.accelerator)
            if cluster.accelerator.own
            else cluster.accelerator.slug,
            "accelerators_per_node": int(cluster.accelerators_per_node),
            "nodes": nodes,
            "internode_gbps_per_node": gbps(cluster.internode_bytes_per_s),
        }
    if cluster.sale.own_price and cluster.usd_per_node_hour is not None:
        described["usd_per_node_hour"] = float(cluster.usd_per_node_hour)
    described |= _interruptions_asked(cluster)
    for name in LIMITS:
        if getattr(cluster, name) is not None:
            described[name] = float(getattr(cluster, name))
    if cluster.fabric is not None:
        described["fabric"] = cluster.fabric
    if cluster.mig_profile is not None:
        described["mig_profile"] = cluster.mig_profile.profile
    if cluster.price_asked_as_of is not None:
        described["price_as_of"] = cluster.price_asked_as_of.isoformat()
    return described


def _interruptions_asked(cluster: Cluster) -> dict[str, float]:
    interruptions = cluster.sale.interruptions
    if interruptions is None:
        return {}
    told = {
        "interruptions_per_node_day": interruptions.per_node_day,
        "checkpoint_minutes": (interruptions.checkpoint_s or 0.0) / 60.0,
        "restart_minutes": interruptions.restart_s / 60.0,
        "goodput": interruptions.kept_share,
    }
    return {name: told[name] for name in interruptions.given}


def gbps(bytes_per_s: float) -> float:
    """Gigabits per second that convert back to exactly these bytes per second."""
    near = bytes_per_s / BYTES_PER_S_IN_GBPS
    for candidate in (round(near, 9), near, math.nextafter(near, math.inf), math.nextafter(near, 0.0)):
        if candidate * BYTES_PER_S_IN_GBPS == bytes_per_s:
            return candidate
    return near


def render_remedy(remedy: Remedy) -> dict[str, Any]:
    """A change that makes a plan fit: what to put over the request, its chance, time and cost."""
    return {
        "kind": remedy.kind,
        "change": remedy.change,
        "request_patch": dict(remedy.request_patch),
        "fit_probability": _number(remedy.fit_probability),
        "total_s": _number(remedy.total_s),
        "usd": None if remedy.usd is None else _number(remedy.usd),
    }


def render_nearest_fit(nearest: Remedy) -> dict[str, Any]:
    """The first of the remedies, with the layout and the machines of the plan that it leads to."""
    return {
        **render_remedy(nearest),
        "layout": render_layout(nearest.layout),
        "nodes": int(nearest.nodes),
        "instance_type": nearest.instance_type,
        "accelerator": nearest.accelerator,
        "memory_total_bytes": _number(nearest.memory_total_bytes),
        "usable_bytes": _number(nearest.usable_bytes),
    }


def _problem(error: HeadroomError) -> dict[str, Any]:
    if isinstance(error, PlanError):
        return {**error.as_dict(), "value": plain_value(error.value)}
    return {
        "field": "",
        "value": None,
        "message": str(error),
        "remedy": "Check the request against the contract.",
    }


def _parameters(parameters: Parameters) -> dict[str, int]:
    return {
        "total": int(parameters.total),
        "active": int(parameters.active),
        "trainable": int(parameters.trainable),
    }


def _memory(memory: Memory) -> dict[str, Any]:
    parts = memory.per_accelerator_bytes
    return {
        "per_accelerator_bytes": {name: _number(getattr(parts, name)) for name in MEMORY_PARTS},
        "resident_bytes": _number(memory.resident_bytes),
        "allocated_bytes": _number(memory.allocated_bytes),
        "reserved_bytes": _number(memory.reserved_bytes),
        "usable_bytes": _number(memory.usable_bytes),
        "interval_bytes": _interval(memory.interval_bytes),
        "allocated_interval_bytes": _interval(memory.allocated_interval_bytes),
        "reserved_interval_bytes": _interval(memory.reserved_interval_bytes),
        "needed_bytes": _number(memory.needed_bytes),
        "fit_probability": _number(memory.fit_probability),
        "worst_stage": int(memory.worst_stage),
        "host_bytes": float(memory.host_bytes),
        "host_usable_bytes": None if memory.host_usable_bytes is None else float(memory.host_usable_bytes),
    }


def _time(time: Time) -> dict[str, Any]:
    breakdown = time.step_breakdown_s
    parts = {name: _number(getattr(breakdown, name)) for name in STEP_PARTS}
    ppo = {name: getattr(breakdown, name) for name in PPO_STEP_PARTS}
    parts |= {name: _number(value) for name, value in ppo.items() if value is not None}
    rendered: dict[str, Any] = {
        "step_s": _number(time.step_s),
        "step_breakdown_s": parts,
        "step_interval_s": _interval(time.step_interval_s),
        "tokens_per_s": _number(time.tokens_per_s),
        "processed_tokens_per_s": _number(time.processed_tokens_per_s),
        "tokens_per_s_per_accelerator": _number(time.tokens_per_s_per_accelerator),
        "model_flops_utilization": _number(time.model_flops_utilization),
        "hardware_flops_utilization": _number(time.hardware_flops_utilization),
        "model_flops_utilization_interval": _interval(time.model_flops_utilization_interval),
        "steps": int(time.steps),
        "total_s": _number(time.total_s),
        "total_interval_s": _interval(time.total_interval_s),
        "interruptions": None
        if time.interruptions is None
        else {name: _number(getattr(time.interruptions, name)) for name in INTERRUPTION_PARTS},
    }
    if time.samples_per_s is not None:
        rendered["samples_per_s"] = _number(time.samples_per_s)
    return rendered


def _generation(pool: GenerationPool) -> dict[str, Any]:
    counts = ("accelerators", "tensor_parallel", "pipeline_parallel", "replicas", "concurrent_sequences")
    seconds = ("decode_step_s", "round_s", "idle_s")
    return {
        "engine": pool.engine,
        **{name: int(getattr(pool, name)) for name in counts},
        **{name: _number(getattr(pool, name)) for name in seconds},
    }


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "usd": _number(cost.usd),
        "usd_interval": _interval(cost.usd_interval),
        "price_usd_per_node_hour": _number(cost.price_usd_per_node_hour),
        "price_as_of": None if cost.price_as_of is None else cost.price_as_of.isoformat(),
        "price_source": cost.price_source,
        "purchase": cost.purchase,
        "usd_per_million_tokens": _number(cost.usd_per_million_tokens),
        "billed_usd": _number(cost.billed_usd),
        "billed_hours": _number(cost.billed_hours),
        "idle_usd": _number(cost.idle_usd),
        "commitment_usd": _known(cost.commitment_usd),
        "commitment_years": _known(cost.commitment_years),
        "payment_option": cost.payment_option,
        "upfront_usd": _number(cost.upfront_usd),
        "blocks": cost.blocks,
        "block_days": _known(cost.block_days),
        "price_interval_usd_per_node_hour": _interval(cost.price_interval_usd_per_node_hour),
        "list_usd_per_node_hour": _known(cost.list_usd_per_node_hour),
        "discount_percent": _known(cost.discount_percent),
        "own_price": cost.own_price,
        "price_note": cost.price_note,
    }


def _term(term: Term) -> dict[str, Any]:
    return {
        "name": term.name,
        "value": _number(term.value),
        "unit": term.unit,
        "formula": term.formula,
        "source": term.source,
        "parent": term.parent,
        "part": term.part,
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    """What was measured near the plan: of step times, and ``memory`` apart."""
    return {**_measured(evidence.time), "memory": _measured(evidence.memory)}


def _measured(measured: Measured) -> dict[str, Any]:
    error = measured.error_on_unseen
    return {
        "runs": measured.runs,
        "sources": measured.sources,
        "nearest": list(measured.nearest),
        "error_on_unseen": None if error is None else _number(error),
        "runs_on_accelerator": measured.runs_on_accelerator,
    }


def _interval(interval: tuple[float, float]) -> list[float]:
    low, high = interval
    return [_number(low), _number(high)]


def _known(value: float | None) -> float | None:
    return None if value is None else _number(value)


def _number(value: float) -> float:
    """A plain finite number, whatever numpy scalar it was; counts stay whole."""
    number = value if isinstance(value, int) else float(value)
    if not math.isfinite(number):
        raise ValueError(f"The estimate contains {number}, which JSON cannot express.")
    return number


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | bool) else int(value)
