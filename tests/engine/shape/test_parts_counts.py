"""Families described by their parts against counts of models that transformers built on the meta device.

Configs as published; each row names the transformers whose class was built: 4.57.6 where it knows the family
and agrees with the published total, else 5.24.0.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner.engine.grid.build import model_numbers
from planner.engine.shape.hf_config import model_from_hf_config
from planner.engine.shape.parameters import count_parameters

GOLDEN = Path(__file__).parents[1] / "golden" / "parts_counts.json"
ROWS: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))["counts"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_a_published_config_counts_as_transformers_builds_it(row: dict[str, Any]) -> None:
    assert count_parameters(model_from_hf_config(row["config"])).total == row["total"]


def test_a_state_space_model_has_scans_and_no_scores() -> None:
    config = next(row["config"] for row in ROWS if row["config"]["model_type"] == "mamba")
    numbers = model_numbers(model_from_hf_config(config))
    assert numbers["scoring_share"] == numbers["attending_share"] == 0.0
    inner, state, kernel = 5120, 16, 4
    assert numbers["state_flops"] == 9 * inner * state + 2 * inner * (kernel + 1)


def test_a_hybrid_s_blocks_attend_in_their_share() -> None:
    config = next(row["config"] for row in ROWS if row["config"]["model_type"] == "qwen3_next")
    assert model_numbers(model_from_hf_config(config))["attending_share"] == 12 / 48
