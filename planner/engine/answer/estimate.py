"""The conductor: a question in, the whole answer out. It holds no formula of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from planner.engine.choose.plan import Choice, choose, evaluate_choice
from planner.engine.choose.remedies import nearest_fit
from planner.engine.evaluate import Evaluation
from planner.engine.grid.plan_grid import FIELD_NAMES, task_trainable
from planner.engine.memory.explain import recipe_term
from planner.engine.memory.peak import MEMORY_TEMPLATES, MemoryTerms
from planner.engine.question.errors import PlanError, PlanErrors
from planner.engine.question.request import Cluster, PlanRequest
from planner.engine.question.result import (
    Cost,
    Memory,
    MemoryParts,
    Parameters,
    PlanResult,
    StepBreakdown,
    Time,
    Warning,
)
from planner.engine.rl.explain import PPO_TEMPLATES
from planner.engine.run.explain import RUN_TEMPLATES
from planner.engine.run.length import SECONDS_PER_DAY, total_steps
from planner.engine.run.money import SECONDS_PER_HOUR, run_usd
from planner.engine.sure.calibration import Calibration
from planner.engine.sure.intervals import bounds, model_kind, what_is_far
from planner.engine.time import flops
from planner.engine.time.explain import STEP_TEMPLATES
from planner.engine.time.step import StepTime
from planner.engine.trace import terms


def estimate(
    request: PlanRequest, calibration: Calibration, alternatives: Sequence[Cluster] = ()
) -> PlanResult:
    """Memory, time and cost of one plan, with intervals and the trace of every number.

    alternatives: machines to look at, in this order, when the plan fits in no way on its own.
    Raises PlanErrors for a question that makes no sense. A plan that does not fit is a result.
    """
    choice = choose(request, calibration)
    return answer(choice, evaluate_choice(choice, calibration), calibration, alternatives)


def estimate_many(requests: Iterable[PlanRequest], calibration: Calibration) -> list[PlanResult | PlanErrors]:
    """Each request's result, or the errors of a question that makes no sense, in the order given."""
    answers: list[PlanResult | PlanErrors] = []
    for request in requests:
        try:
            answers.append(estimate(request, calibration))
        except PlanErrors as errors:
            answers.append(errors)
        except PlanError as error:
            answers.append(PlanErrors([error]))
    return answers


def answer(
    choice: Choice, result: Evaluation, calibration: Calibration, alternatives: Sequence[Cluster]
) -> PlanResult:
    """Turn the grid of one into the contract's answer."""
    request = choice.request
    row = row_values(choice, result)
    far = what_is_far(result.grid, calibration.intervals, ppo=request.workload.ppo is not None)
    memory = memory_of(row, far, calibration, request)
    time = time_of(row, far, calibration, "ppo" if request.workload.ppo else model_kind(result.grid))
    cost = cost_of(row, time, request)
    row |= interval_values(memory, time, cost)
    fits = bool(row["total"] <= row["memory_bytes"])
    return PlanResult(
        id=request.id,
        fits=fits,
        reason=None if fits else reason(row, request),
        nearest_fit=None if fits else nearest_fit(choice, calibration, alternatives),
        layout=choice.layout,
        layout_chosen=choice.open_fields,
        cluster=request.cluster,
        accelerators=int(row["nodes"]) * request.cluster.accelerators_per_node,
        parameters=Parameters(
            total=int(row["parameters_total"]),
            active=int(row["parameters_active"]),
            trainable=int(row["parameters_trainable"]),
        ),
        memory=memory,
        time=time,
        cost=cost,
        explanation=(
            *terms(MEMORY_TEMPLATES, row),
            *terms(PPO_TEMPLATES, row),
            *terms(STEP_TEMPLATES, row),
            *terms(RUN_TEMPLATES, row),
            recipe_term(request.workload, row),
        ),
        warnings=warnings_of(choice, row, far),
    )


def row_values(choice: Choice, result: Evaluation) -> dict[str, Any]:
    """Every named number of the plan as a plain float, for the answer and its explanation."""
    request, grid, memory, step = choice.request, result.grid, result.memory, result.step
    row: dict[str, Any] = {name: plain(getattr(grid, name)) for name in FIELD_NAMES}
    row |= {name: plain(getattr(memory, name)) for name in MEMORY_NAMES}
    row |= {name: plain(getattr(step, name)) for name in STEP_NAMES}
    row |= {
        name: plain(values) for terms_of in (memory.terms, step.terms) for name, values in terms_of.items()
    }
    step_s = row.pop("step")
    nodes, price = request.cluster.nodes or 1, request.cluster.usd_per_node_hour
    # GPU instances beside the plan's own are other jobs'; idle machines of the plan's are billed to it.
    available = nodes * row["ranks_per_node"]
    ranks = available if request.cluster.mig_profile is None else available - choice.idle_ranks
    steps = total_steps(request)
    total_s = steps * step_s
    model_flops = row.get("ppo_model_flops")
    if model_flops is None:
        model_flops = row["global_batch_size"] * plain(flops.model_flops_per_sequence(grid))
    recomputed = row["global_batch_size"] * plain(flops.recomputed_flops_per_sequence(grid))
    capacity = step_s * ranks * row["peak_flops_per_s"]
    tokens = row["global_batch_size"] * row["sequence_length"]
    chunks, waiting = row["interleaved_stages"], row["pipeline_parallel"] - 1.0
    ppo = "generation" in row
    row |= {
        "communication": sum(row[name] for name in COMMUNICATION_NAMES),
        "bubble_each_s": row["pipeline_bubble"] * chunks / waiting if waiting else 0.0,
        "phases": " + {generation:.4g} generation + {scoring:.4g} scoring".format_map(row) if ppo else "",
        "also": " for the actor; the critic and further epochs come on top" if ppo else "",
        "step_s": step_s,
        "nodes": nodes,
        "ranks": ranks,
        "steps": steps,
        "tokens": request.workload.tokens,
        "total_s": total_s,
        "hours": total_s / SECONDS_PER_HOUR,
        "tokens_per_rank": plain(grid.tokens_per_rank),
        "tokens_per_s": tokens / step_s,
        "tokens_per_s_per_accelerator": tokens / step_s / (ranks / row["ranks_per_accelerator"]),
        "samples_per_s": row["global_batch_size"] / step_s,
        "model_flops": model_flops,
        "recomputed_flops": recomputed,
        "model_flops_utilization": model_flops / capacity,
        "hardware_flops_utilization": (model_flops + recomputed) / capacity,
        "peak_tflops": row["peak_flops_per_s"] / 1e12,
        "matmul_rate_tflops": row["matmul_rate_flops_per_s"] / 1e12,
        "bandwidth_gbyte_s": row["memory_bandwidth_bytes_per_s"] / 1e9,
        "parameters_total": row["total_parameters"],
        "parameters_active": row["active_parameters"],
        "parameters_trainable": task_trainable(row),
        "usd": None if price is None else run_usd(nodes, total_s, price),
        "usd_per_million_tokens": None if price is None else run_usd(nodes, step_s / tokens * 1e6, price),
    }
    return row


MEMORY_NAMES = tuple(item.name for item in fields(MemoryTerms) if item.name != "terms")
STEP_NAMES = tuple(item.name for item in fields(StepTime) if item.name != "terms")
PART_NAMES = tuple(item.name for item in fields(MemoryParts))
COMMUNICATION_NAMES = tuple(name for name in STEP_NAMES if name.endswith("_communication"))
BREAKDOWN_NAMES = tuple(item.name for item in fields(StepBreakdown))


def plain(values: Any) -> float:
    """The one number of a scalar or an array of one."""
    return float(values.item() if isinstance(values, np.ndarray) else values)


def memory_of(
    row: dict[str, Any], far: tuple[str, ...], calibration: Calibration, request: PlanRequest
) -> Memory:
    parts = MemoryParts(**{name: row[name] for name in PART_NAMES})
    return Memory(
        per_accelerator_bytes=parts,
        resident_bytes=row["resident"],
        allocated_bytes=row["allocated"],
        reserved_bytes=row["reserved"],
        usable_bytes=row["memory_bytes"],
        interval_bytes=bounds(row["total"], "memory", calibration.intervals, far, request.workload.task),
        worst_stage=int(row["worst_stage"]),
    )


def time_of(row: dict[str, Any], far: tuple[str, ...], calibration: Calibration, key: str) -> Time:
    """key: the class of plans whose own error quantiles are used where there are enough runs of it."""
    low, high = bounds(row["step_s"], "time", calibration.intervals, far, key)
    utilization, step_s = row["model_flops_utilization"], row["step_s"]
    return Time(
        step_s=step_s,
        step_breakdown_s=StepBreakdown(**{name: row[name] for name in BREAKDOWN_NAMES if name in row}),
        step_interval_s=(low, high),
        tokens_per_s=row["tokens_per_s"],
        tokens_per_s_per_accelerator=row["tokens_per_s_per_accelerator"],
        model_flops_utilization=utilization,
        hardware_flops_utilization=row["hardware_flops_utilization"],
        model_flops_utilization_interval=(utilization * step_s / high, utilization * step_s / low),
        steps=int(row["steps"]),
        total_s=row["total_s"],
        total_interval_s=(row["steps"] * low, row["steps"] * high),
        samples_per_s=row["samples_per_s"],
    )


def cost_of(row: dict[str, Any], time: Time, request: PlanRequest) -> Cost | None:
    cluster = request.cluster
    price = cluster.usd_per_node_hour
    if price is None:
        return None
    low, high = time.total_interval_s
    return Cost(
        usd=float(row["usd"]),
        usd_interval=(float(run_usd(row["nodes"], low, price)), float(run_usd(row["nodes"], high, price))),
        price_usd_per_node_hour=price,
        price_as_of=cluster.price_as_of,
        price_source=cluster.price_source,
        purchase=cluster.purchase,
        usd_per_million_tokens=float(row["usd_per_million_tokens"]),
    )


def interval_values(memory: Memory, time: Time, cost: Cost | None) -> dict[str, float]:
    """The ends of the intervals by name, for the explanation."""
    values = {
        "memory_low": memory.interval_bytes[0],
        "memory_high": memory.interval_bytes[1],
        "step_low_s": time.step_interval_s[0],
        "step_high_s": time.step_interval_s[1],
        "total_low_s": time.total_interval_s[0],
        "total_high_s": time.total_interval_s[1],
    }
    if cost is not None:
        values |= {"usd_low": cost.usd_interval[0], "usd_high": cost.usd_interval[1]}
    return values


def reason(row: dict[str, Any], request: PlanRequest) -> str:
    lacking = row["total"] - row["memory_bytes"]
    stage = int(row["worst_stage"])
    of = (
        f"pipeline stage {stage + 1} of {int(row['pipeline_parallel'])}"
        if row["pipeline_parallel"] > 1
        else "each accelerator"
    )
    largest = max(
        (name for name in ("weights", "gradients", "optimizer_states", "activations", "logits", "temporary")),
        key=lambda name: row[name],
    )
    return (
        f"{of} lacks {lacking:,.0f} bytes ({lacking / 2**30:.1f} GiB): it needs"
        f" {row['total'] / 2**30:.1f} GiB "
        f"and has {row['memory_bytes'] / 2**30:.1f} GiB; the largest part is {largest.replace('_', ' ')} "
        f"with {row[largest] / 2**30:.1f} GiB."
    )


def warnings_of(choice: Choice, row: dict[str, Any], far: tuple[str, ...]) -> tuple[Warning, ...]:
    request = choice.request
    found = [Warning(code=code, message=message) for code, message in request.notes]
    if request.cluster.usd_per_node_hour is None and not any(warning.code == "no_price" for warning in found):
        found.append(
            Warning(code="no_price", message="No price is known for these machines, so there is no cost.")
        )
    if choice.idle_ranks:
        found.append(idle_warning(choice, row))
    deadline = request.deadline_days
    if deadline is not None and row["total_s"] > deadline * SECONDS_PER_DAY:
        found.append(deadline_warning(choice, deadline, row))
    if far:
        found.append(
            Warning(
                code="extrapolating",
                message="Outside what was measured, so the ranges are wider: " + "; ".join(far) + ".",
            )
        )
    return tuple(found)


def idle_warning(choice: Choice, row: dict[str, Any]) -> Warning:
    request = choice.request
    available = int(request.cluster.nodes or 1) * int(row["ranks_per_node"])
    profile = request.cluster.mig_profile
    if profile is not None:
        message = (
            f"The run takes {available - choice.idle_ranks} of the {available} GPU instances of"
            f" {profile.profile} "
            "that these machines hold; the cost is that of the whole machines. Ask for more with"
            " data_parallel."
        )
    else:
        message = (
            f"{choice.idle_ranks} of {available} ranks have no work: a batch of"
            f" {int(row['global_batch_size'])} "
            "sequences cannot use them, but they are billed. Use fewer nodes or a larger global batch."
        )
    return Warning(code="idle_accelerators", message=message)


def deadline_warning(choice: Choice, deadline_days: float, row: dict[str, Any]) -> Warning:
    days = row["total_s"] / SECONDS_PER_DAY
    message = f"The run takes {days:.4g} days, more than the deadline of {deadline_days:g} days."
    if choice.late:
        message += (
            " No number of nodes that this batch can use meets it; a larger global batch could use more."
        )
    return Warning(code="deadline_missed", message=message)
