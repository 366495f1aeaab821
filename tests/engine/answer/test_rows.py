"""Every row of a search is, to the last digit, what ``estimate`` says of it: sixty rows drawn at random."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import pytest

from planner.catalog.facts.catalog import Catalog
from planner.contract.search import parse_search_request
from planner.contract.search_answer import render_search
from planner.engine.answer.search import search
from planner.engine.sure.calibration import Calibration
from planner.plans.answers import estimate_json
from tests.engine.questions import catalog

ROWS = 60
TODAY = date(2026, 11, 29)  # prices age, and their ranges with them
RUNS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "llama-3.1-8b",
        {"task": "pretraining", "tokens": 1e11, "sequence_length": 4096, "global_batch_size": 512},
    ),
    (
        "mixtral-8x7b",
        {"task": "pretraining", "tokens": 1e11, "sequence_length": 2048, "global_batch_size": 256},
    ),
    (
        "bert-base-uncased",
        {"task": "pretraining", "tokens": 1e10, "sequence_length": 512, "global_batch_size": 256},
    ),
    ("llama-2-7b", {"task": "qlora", "tokens": 1e8, "sequence_length": 2048, "global_batch_size": 64}),
    ("gpt2", {"task": "pretraining", "tokens": 1e10, "sequence_length": 1024, "global_batch_size": 480}),
)
PURCHASES = ("on_demand", "spot", "savings_1y", "reserved_3y", "capacity_block")


def rows_of(
    draw: random.Random, market: Catalog, calibration: Calibration
) -> list[tuple[dict[str, Any], Any]]:
    """(the question of ``estimate``, the row) of each plan of one search."""
    model, workload = draw.choice(RUNS)
    question: dict[str, Any] = {
        "model": model,
        "workload": workload,
        "cluster": {
            "any": {
                "regions": draw.sample(["us-east-1", "us-west-2", "us-central1", "eu-west-1"], 2),
                "purchases": draw.sample(PURCHASES, 2),
                "nodes": draw.sample([1, 2, 3, 4, 6, 8, 16], 2),
                "discounts": draw.choice([None, {"aws": 12.5}]),
                "own_prices": draw.choice([None, {"p4d.24xlarge": 11.0}]),
                "available_only": draw.choice([True, False]),
            }
        },
        "objective": draw.choice(["cost", "time", "balanced"]),
        "frameworks": draw.choice([["generic"], ["megatron", "deepspeed"]]),
    }
    request = parse_search_request(question, market, today=TODAY)
    found = render_search(search(request, calibration), elapsed_s=0.0)
    return [
        (
            {
                "model": model,
                "workload": workload | {"framework": row["framework"], "precision": row["precision"]},
                "cluster": row["cluster"],
                "layout": row["layout"],
            },
            row,
        )
        for row in (*found["top"], *found["pareto"])
    ]


@pytest.mark.parametrize("seed", range(6))
def test_a_row_is_what_estimate_says_of_it(seed: int, calibration: Calibration) -> None:
    draw, market = random.Random(seed), catalog()
    rows = rows_of(draw, market, calibration)
    assert rows
    for question, row in draw.choices(rows, k=ROWS // 6):
        alone = estimate_json(question, market, today=TODAY)
        assert "error" not in alone, (question, alone)
        assert row["total_s"] == alone["time"]["total_s"]
        assert row["usd"] == (alone["cost"]["usd"] if alone["cost"] else None)
        assert row["memory_total_bytes"] == alone["memory"]["per_accelerator_bytes"]["total"]
        assert row["usable_bytes"] == alone["memory"]["usable_bytes"]
        assert row["model_flops_utilization"] == alone["time"]["model_flops_utilization"]
        assert row["tokens_per_s"] == alone["time"]["tokens_per_s"]
        assert row["total_interval_s"] == alone["time"]["total_interval_s"]
        assert row["usd_interval"] == (alone["cost"]["usd_interval"] if alone["cost"] else None)
        assert (row["layout"], row["cluster"]) == (alone["layout"], alone["cluster"])
        assert alone["fits"]
