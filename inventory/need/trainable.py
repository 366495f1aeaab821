"""What one host could train: well-known models and kinds of run, layouts chosen by the engine."""

from __future__ import annotations

from dataclasses import dataclass

from inventory.need.pools import Pool
from planner.catalog.facts.catalog import Catalog
from planner.contract.parse import parse_plan_request
from planner.engine.question.errors import PlanErrors
from planner.engine.question.result import PlanResult
from planner.plans.answers import answer_each
from planner.plans.variations import on_machines

# Public models from small to large, of the kinds people ask about; those the catalog lacks are left out.
MODELS_TO_TRY = (
    "bert-large-uncased",
    "gpt2",
    "llama-3.2-1b",
    "llama-3.2-3b",
    "llama-2-7b",
    "llama-3.1-8b",
    "mistral-7b",
    "llama-2-13b",
    "qwen3-30b-a3b",
    "mixtral-8x7b",
    "llama-3.1-70b",
    "llama-3.1-405b",
)


TASKS_TO_TRY = ("pretraining", "full_finetuning", "lora", "qlora")


# A question needs a batch and a length; whether it fits depends on the length, which the page names.
SEQUENCE_LENGTH_TO_TRY = 2048


ENCODER_LENGTH_TO_TRY = 512


@dataclass(frozen=True, slots=True)
class Trainable:
    """A model on one host: for each kind of run its result, or None where the question makes no sense."""

    model: str
    answers: dict[str, PlanResult | None]


def trainable(pool: Pool, catalog: Catalog) -> list[Trainable]:
    """What fits on one host of the pool: well-known models and kinds of run, layouts chosen by the engine."""
    known = {record.slug for record in catalog.models()}
    asked = [(model, task) for model in MODELS_TO_TRY if model in known for task in TASKS_TO_TRY]
    answers = {pair: _try(*pair, pool, catalog) for pair in asked}
    return [
        Trainable(model, {task: answers[model, task] for task in TASKS_TO_TRY})
        for model in dict.fromkeys(model for model, _ in asked)
    ]


def _try(model: str, task: str, pool: Pool, catalog: Catalog) -> PlanResult | None:
    encoder = model.startswith("bert")
    question = {
        "model": model,
        "workload": {
            "task": task,
            "tokens": 1e9,
            "sequence_length": ENCODER_LENGTH_TO_TRY if encoder else SEQUENCE_LENGTH_TO_TRY,
            "global_batch_size": 64,
        },
        "cluster": {
            "accelerator": pool.accelerator,
            "accelerators_per_node": pool.gpus_per_host,
            "nodes": 1,
        },
    }
    try:
        request = parse_plan_request(question, catalog)
        answer = answer_each([on_machines(request, pool.cluster(catalog, 1))])[0]
    except PlanErrors:
        return None
    return answer if isinstance(answer, PlanResult) else None
