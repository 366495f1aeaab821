"""The response of ``search``: plans in the digits that ``estimate`` gives, and how they stand to each
other.
"""

from __future__ import annotations

from typing import Any

from planner.contract.render import render_cluster, render_layout, render_remedy, render_result
from planner.engine.question.result import PlanResult
from planner.engine.question.search_request import (
    Rejections,
    Relaxation,
    SearchResult,
    Standing,
    WhyNot,
)

REJECTIONS = ("memory", "divisibility", "deadline", "budget", "unavailable", "bound")
#: The stages of the funnel in the order in which a layout meets them, with what each one leaves.
FUNNEL = (
    ("divisibility", "divide evenly"),
    ("bound", "could be among the answers by a bound of time and cost"),
    ("memory", "fit in memory"),
    ("unavailable", "can be bought"),
    ("deadline", "meet the deadline"),
    ("budget", "are within the budget"),
)
RANKING = (
    "Errors of two plans share causes: what is wrong with the model, the workload or the way that a source"
    " measures is wrong with both, and cancels. The share that does not cancel was measured on pairs of runs"
    " of one source, by accelerator and stack; prices of different offers err apart. Chances assume normal"
    " errors of the logarithm."
)
#: Pairs that are spelled out.
MOST_PAIRS = 10


def render_search(result: SearchResult, *, request_id: Any = None, elapsed_s: float) -> dict[str, Any]:
    """The contract's response of ``search``."""
    best = None if result.best is None else render_result(result.best)
    return {
        "id": request_id,
        "evaluated": int(result.evaluated),
        "fitting": int(result.fitting),
        "elapsed_s": elapsed_s,
        "best": best,
        "pareto": [
            render_summary(plan, standing)
            for plan, standing in zip(result.pareto, result.pareto_standing, strict=True)
        ],
        "top": [
            render_summary(plan, standing)
            for plan, standing in zip(result.top, result.top_standing, strict=True)
        ],
        "rejected": {name: int(getattr(result.rejected, name)) for name in REJECTIONS},
        "funnel": funnel(result.evaluated, result.rejected),
        "ranking": render_ranking(result),
        "relaxations": [render_relaxation(each) for each in result.relaxations],
        "why_not": [render_why_not(each) for each in result.why_not],
    }


def render_summary(result: PlanResult, standing: Standing | None = None) -> dict[str, Any]:
    """One plan of a search, in the digits that ``estimate`` gives of it."""
    cost = result.cost
    summary: dict[str, Any] = {
        "cluster": render_cluster(result.cluster),
        "layout": render_layout(result.layout),
        "total_s": float(result.time.total_s),
        "usd": None if cost is None else float(cost.usd),
        "memory_total_bytes": float(result.memory.per_accelerator_bytes.total),
        "usable_bytes": float(result.memory.usable_bytes),
        "model_flops_utilization": float(result.time.model_flops_utilization),
        "tokens_per_s": float(result.time.tokens_per_s),
        "total_interval_s": [float(end) for end in result.time.total_interval_s],
        "usd_interval": None if cost is None else [float(end) for end in cost.usd_interval],
        "fit_probability": float(result.memory.fit_probability),
        "verdict": result.verdict,
    }
    if standing is not None:
        summary |= {
            "framework": standing.workload.framework,
            "precision": standing.workload.precision,
            "place_on_cluster": int(standing.place) + 1,
            "best_is": render_chances(standing),
        }
    return summary


def render_chances(standing: Standing) -> dict[str, Any]:
    """The chance that the best plan beats this one, and whether they are to be shown as equal."""
    return {
        "faster": standing.time_chance,
        "cheaper": standing.cost_chance,
        "better": standing.chance,
        "equal": standing.equal,
    }


def funnel(evaluated: int, rejected: Rejections) -> list[dict[str, Any]]:
    """How many layouts are left after each constraint, from all that were looked at."""
    left = int(evaluated)
    stages: list[dict[str, Any]] = [{"stage": "evaluated", "removed": 0, "left": left, "words": "layouts"}]
    for name, words in FUNNEL:
        removed = int(getattr(rejected, name))
        left -= removed
        stages.append({"stage": name, "removed": removed, "left": left, "words": words})
    return stages


def render_ranking(result: SearchResult) -> dict[str, Any]:
    """The best against the best of each other kind of machine, in chances and in words."""
    pairs: list[dict[str, Any]] = []
    seen = {result.top[0].cluster.instance_type} if result.top else set()
    for place, (plan, standing) in enumerate(zip(result.top, result.top_standing, strict=True)):
        if plan.cluster.instance_type in seen or standing.chance is None or len(pairs) >= MOST_PAIRS:
            continue
        seen.add(plan.cluster.instance_type)
        pairs.append(
            {
                "best": machine(result.top[0]),
                "other": machine(plan),
                "other_in_top": place,
                **render_chances(standing),
                "words": in_words(result.top[0], plan, standing),
            }
        )
    return {"pairs": pairs, "source": RANKING}


def machine(plan: PlanResult) -> str:
    """What the plan runs on: the instance type, or the accelerator where there is none."""
    return plan.cluster.instance_type or plan.cluster.accelerator.name


def in_words(best: PlanResult, other: PlanResult, standing: Standing) -> str:
    """A pair in a sentence: "p5en.48xlarge beats p5.48xlarge on cost with 71 %"."""
    if standing.equal:
        return f"{machine(best)} and {machine(other)} are equal within what is known."
    said = [
        f"on {measure} with {chance:.0%}".replace("%", " %")
        for measure, chance in (("cost", standing.cost_chance), ("time", standing.time_chance))
        if chance is not None
    ]
    return f"{machine(best)} beats {machine(other)} {' and '.join(said)}."


def render_relaxation(each: Relaxation) -> dict[str, Any]:
    """The least change of one constraint, with the plan that it lets through."""
    return {
        "constraint": each.constraint,
        "asked": each.asked,
        "needed": each.needed,
        "by": each.by,
        "unit": each.unit or None,
        "message": each.words,
        "plan": None if each.plan is None else render_summary(each.plan),
        "remedies": [] if each.plan is None else [render_remedy(remedy) for remedy in each.plan.remedies],
    }


def render_why_not(each: WhyNot) -> dict[str, Any]:
    """What keeps one plan from being the best; ``reasons`` empty for one that is as good."""
    return {
        "plan": render_summary(each.plan, each.standing),
        "reasons": [render_relaxation(reason) for reason in each.reasons],
        "beaten_by": None if each.beaten_by is None else render_summary(each.beaten_by),
    }
