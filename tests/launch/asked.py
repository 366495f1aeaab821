"""Plans to launch: the shipped catalog's models and machines, answered by the engine."""

from __future__ import annotations

from typing import Any

from planner.accuracy.calibration import shipped_calibration
from planner.catalog.facts.loader import load_shipped_catalog
from planner.contract.parse import parse_plan_request
from planner.engine.answer.estimate import estimate_many
from planner.engine.question.request import PlanRequest
from planner.engine.question.result import PlanResult

PPO = {
    "actor": "llama-3.1-8b",
    "critic": "llama-3.1-8b",
    "reference": "llama-3.1-8b",
    "rollout_tokens": 1024,
}


def answered(
    model: str = "llama-3.1-8b",
    *,
    workload: dict[str, Any] | None = None,
    cluster: dict[str, Any] | None = None,
    layout: dict[str, Any] | None = None,
) -> tuple[PlanRequest, PlanResult]:
    """A question and its answer; without more, pretraining on two machines of eight H100."""
    question: dict[str, Any] = {
        "model": model,
        "workload": {
            "task": "pretraining",
            "tokens": 1e9,
            "sequence_length": 4096,
            "global_batch_size": 256,
        }
        | (workload or {}),
        "cluster": {"instance_type": "p5.48xlarge", "region": "us-east-1", "nodes": 2} | (cluster or {}),
    }
    if layout is not None:
        question["layout"] = layout
    request = parse_plan_request(question, load_shipped_catalog())
    (result,) = estimate_many([request], shipped_calibration())
    assert isinstance(result, PlanResult), result
    return request, result
